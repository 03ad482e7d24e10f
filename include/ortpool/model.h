/* SPDX-License-Identifier: MIT */
/*
 * An encoder-decoder model by roles: its manifest (model.json), its two sessions, its encoder run.
 *
 * The manifest names graphs, ports by role, shapes, vocabulary, buckets and search settings;
 * nothing about one model is compiled in. Sections that belong to a workload (swipe: scaling,
 * layout, lexicon) are left to that workload. Roles this library serves:
 *
 *   encoder  features f32 [1,S,F]; keys i32 or i64 [1,S] (optional); length i32 or i64 [1] or
 *            source_mask bool [1,S] -> memory f32 [1,S,D]; ctc f32 [1,S,V] (optional): for each point
 *            the probability of every token, pad for none, as a CTC head gives them
 *   decoder  memory f32 [1,S,D] ("broadcast") or [n,S,D] ("replicated"); tokens i32 or i64 [n,T];
 *            length i32 or i64 [1] or source_mask bool [n,S] -> logits f32 [n,T,V]
 *   decoder_step (optional) one token of each beam, over keys and values of the tokens before it:
 *            token i32 or i64 [n]; past_length i32 [1]; length i32 or i64 [1]; beam_width i32 [1];
 *            indirection i32 [1,n,T]; cross f32 [1,H,S,K] each: a key and a value for each of L layers,
 *            which are outputs of the encoder; past f32 [n,H,T,K] each: a key and a value for each
 *            layer -> logits f32 [n,V]; present, as past, whose memory they share
 *
 * indirection[0][i][t] is the row whose past has beam i's token t, for t < past_length: beams change
 * places by it and nothing is copied (com.microsoft.DecoderMaskedMultiHeadAttention).
 *
 * S is rounded up to a bucket of the manifest; the rest is padding that length or mask hides.
 */
#ifndef ORTPOOL_MODEL_H
#define ORTPOOL_MODEL_H

#include <ortpool/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a decoder is run; see decoder.h. A model has sessions for one of the two kinds of decoder. */
typedef enum ortp_path {
    ORTP_PATH_AUTO = 0,        /* incremental where model and ONNX Runtime allow it, else batched */
    ORTP_PATH_SEQUENTIAL = 1,  /* decoder: one run per beam and step */
    ORTP_PATH_BATCHED = 2,     /* decoder: one run per step */
    ORTP_PATH_INCREMENTAL = 3, /* decoder_step: one run per step, of one token per beam */
} ortp_path;

typedef enum ortp_memory_layout {
    ORTP_MEMORY_BROADCAST = 0,  /* one memory for all beams, broadcast inside the graph */
    ORTP_MEMORY_REPLICATED = 1, /* a copy of the memory per row */
} ortp_memory_layout;

#define ORTP_BUCKETS_MAX 16u
#define ORTP_OPERATORS_MAX 256u
#define ORTP_LAYERS_MAX 16u                   /* of a decoder with a decoder_step */
#define ORTP_CROSS_MAX (2u * ORTP_LAYERS_MAX) /* a key and a value each */

/* Read-only; strings are owned by the manifest. An optional role that is not there is NULL. */
typedef struct ortp_manifest {
    const char *name;
    const char *directory;
    const char *path;         /* directory/model.json */
    const char *encoder_path; /* directory joined */
    const char *decoder_path;
    const char *step_path; /* NULL: the model has no decoder_step */
    struct {
        const char *features, *keys, *length, *source_mask, *memory, *ctc;
        const char *cross[ORTP_CROSS_MAX]; /* as many as step.cross_count */
    } encoder;
    struct {
        const char *memory, *tokens, *length, *source_mask, *logits;
        ortp_memory_layout layout;
    } decoder;
    struct {
        const char *token, *past_length, *length, *beam_width, *indirection, *logits;
        const char *cross[ORTP_CROSS_MAX]; /* key, value, key, ...: layer by layer, as all three */
        const char *past[ORTP_CROSS_MAX];
        const char *present[ORTP_CROSS_MAX];
        size_t cross_count;       /* 2 L; 0 without a decoder_step */
        size_t kv_heads, kv_size; /* H, K */
        const char *min_ort;      /* the least ONNX Runtime for decoder_step */
    } step;
    bool mask_true_is_padding; /* "source_mask_true": "padding" (default) or "valid" */
    size_t max_points;         /* S at most */
    size_t features;           /* F */
    size_t hidden;             /* D */
    size_t max_tokens;         /* T, start and end included */
    size_t vocabulary;         /* V */
    int32_t pad, unk, sos, eos;
    size_t buckets[ORTP_BUCKETS_MAX]; /* rising; the last is max_points */
    size_t bucket_count;
    size_t beam_width;
    double length_reward;         /* per token, added to a finished score; default 0 */
    double length_alpha;          /* GNMT length penalty exponent; default 0: off */
    double stop_margin;           /* see ortp_search_params; default 0: off */
    double ctc_weight;            /* the same; without encoder.ctc 0 */
    const char *min_ort;          /* "1.18" or "1.18.0": the least ONNX Runtime */
    uint32_t opset;               /* of the ai.onnx operators; 0 where the file does not say */
    const char *const *operators; /* types of operators in all graphs, "MatMul", those of other
                                     domains with theirs, "com.microsoft.Attention"; in the file's
                                     order; NULL where it does not say */
    size_t operator_count;        /* at most ORTP_OPERATORS_MAX */
} ortp_manifest;

typedef struct ortp_manifest_options {
    size_t struct_size;
    const char *directory; /* required: holds model.json */
    ortp_budget *budget;   /* charged for the manifest, must outlive it; NULL: nothing is charged */
    ortp_alloc alloc;
} ortp_manifest_options;
#define ORTP_MANIFEST_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_manifest_options)

/*
 * Reads directory/model.json. Errors name file, field and what was expected: NOTFOUND (no file),
 * INVAL (not JSON, a field missing, of a wrong type or out of range; options NULL: the directory is
 * required), VERSION, NOMEM, BUDGET, SYS (the file cannot be read).
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_manifest_create(const ortp_manifest_options *options,
                                                     ortp_manifest **out, ortp_error *error);
/* Always ORTP_OK. Thread-safe: no, nobody else may be using it. */
ORTP_API ortp_status ortp_manifest_destroy(ortp_manifest *manifest, ortp_error *error);
/* The smallest bucket that holds `length` points; 0 where none does. Thread-safe: yes. */
ORTP_API size_t ortp_manifest_bucket(const ortp_manifest *manifest, size_t length);

typedef struct ortp_model ortp_model;

typedef struct ortp_model_options {
    size_t struct_size;
    ortp_runtime *runtime;      /* required; must outlive the model */
    ortp_tensor_pool *tensors;  /* required; must outlive the model */
    const char *directory;      /* required: holds model.json */
    uint32_t intra_threads;     /* 0: ORT's default, all cores; predictors use 1 */
    ortp_ort_memory ort_memory; /* of both sessions, as memory_patterns: session.h */
    bool memory_patterns;
    ortp_path path; /* which of the decoder's two graphs is loaded; the other takes no memory */
} ortp_model_options;
#define ORTP_MODEL_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_model_options)

/*
 * Loads manifest, encoder and the path's decoder and checks that they agree (roles, types, ranks,
 * fixed dimensions). Errors: as ortp_manifest_create and ortp_session_create; INVAL names graph,
 * port, found and expected, or the path is not one of the model's; VERSION where the runtime was
 * told ORT's version and the manifest's min_ort (of the path) is later. Where it was not told,
 * both PATH_AUTO and PATH_INCREMENTAL go by the runtime's api_version. INVAL for options NULL
 * (three of them are required). Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_model_create(const ortp_model_options *options,
                                                  ortp_model **out, ortp_error *error);
/*
 * ORTP_E_BUSY while decoders or buffers of it exist (error says how many). Thread-safe: no, nobody
 * else may be using it.
 */
ORTP_API ortp_status ortp_model_destroy(ortp_model *model, ortp_error *error);

/* Thread-safe: yes, all. Owned by the model. */
ORTP_API const ortp_manifest *ortp_model_manifest(const ortp_model *model);
ORTP_API ortp_session *ortp_model_encoder(const ortp_model *model);
/* Of the decoder's graph that the path runs. */
ORTP_API ortp_session *ortp_model_decoder(const ortp_model *model);
/* INCREMENTAL, or BATCHED for a decoder that runs both of the other paths: never AUTO. */
ORTP_API ortp_path ortp_model_path(const ortp_model *model);
/*
 * A hash of model.json and the two graphs: the same for the same contents in one process, for cache
 * keys. Files that hold a graph's weights apart from it are not read. Thread-safe: yes.
 */
ORTP_API uint64_t ortp_model_id(const ortp_model *model);

/* What goes into the encoder: `length` rows; borrowed for the call. */
typedef struct ortp_encoder_input {
    const float *features; /* [length, F] */
    const int32_t *keys;   /* [length]; may be NULL where the model has no keys */
    size_t length;         /* 1 to max_points */
} ortp_encoder_input;

/*
 * Pads to the bucket, runs the encoder, gives *encoded, what the model's decoder reads, under the
 * label cache: the memory, f32 [1, bucket, D]; on the incremental path the cross keys and values,
 * f32 [2 L,H,bucket,K], in the order of the manifest; where the manifest has encoder.ctc, either of them
 * with ctc [bucket,V] behind, as f32 [1, bucket, D + V] or [1, bucket, 2 L H K + V]. The
 * caller releases it (or hands it to the
 * encoder cache). Errors: INVAL, BUDGET, NOMEM, ORT. After warm-up it makes no tensor allocation.
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_model_encode(ortp_model *model,
                                                  const ortp_encoder_input *input,
                                                  ortp_tensor **encoded, ortp_error *error);
/* One encoder run on zeros for bucket `index`: a warm-up step. Thread-safe: yes. */
ORTP_API ORTP_CHECK ortp_status ortp_model_warm(ortp_model *model, size_t bucket_index,
                                                ortp_error *error);

#ifdef __cplusplus
}
#endif
#endif
