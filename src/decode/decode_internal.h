/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share: the model behind its handle, the shapes of a decoder's
 * buffers, the log-softmax. The search's bookkeeping has a header of its own, beams.h.
 */
#ifndef ORTP_DECODE_INTERNAL_H
#define ORTP_DECODE_INTERNAL_H

#include "beams.h"
#include "ctc.h"
#include "internal.h"
#include "reporter.h"
#include "runtime_parts.h"
#include "session_run.h"

#include <ortpool/decoder.h>

#include <stdatomic.h>

#define ORTP__PORT_NONE SIZE_MAX
#define ORTP__INPUTS_MAX 4u /* features, keys, length, mask; or memory, tokens, length, mask */
#define ORTP__STEP_INPUTS_MAX (5u + 2u * ORTP_CROSS_MAX)
#define ORTP__STEP_OUTPUTS_MAX (1u + ORTP_CROSS_MAX)

/* Where the roles are among a session's inputs; ORTP__PORT_NONE for one the model lacks. */
typedef struct ortp__encoder_ports {
    size_t features, keys, length, mask;
    ortp_type key_type, length_type;
} ortp__encoder_ports;

typedef struct ortp__decoder_ports {
    size_t memory, tokens, length, mask;
    ortp_type token_type, length_type;
} ortp__decoder_ports;

typedef struct ortp__step_ports {
    size_t token, past_length, length, beam_width, indirection;
    size_t cross[ORTP_CROSS_MAX], past[ORTP_CROSS_MAX];
    ortp_type token_type, length_type;
} ortp__step_ports;

struct ortp_model {
    ortp_runtime *runtime;
    ortp__reporter reporter;
    ortp_tensor_pool *tensors;
    ortp_manifest *manifest;
    ortp_path path; /* INCREMENTAL, or BATCHED for both others: which ports are resolved */
    ortp_session *encoder;
    ortp_session *decoder;
    ortp__encoder_ports encoder_ports;
    ortp__decoder_ports decoder_ports;
    ortp__step_ports step_ports;
    const char *step_outputs[ORTP__STEP_OUTPUTS_MAX]; /* logits, present: the manifest's strings */
    uint64_t id;
    atomic_size_t users; /* decoders and buffers that exist */
};

/* Fills the ports; INVAL with file, port, found and expected where graph and manifest disagree. */
ortp_status ortp__encoder_ports_resolve(const ortp_manifest *manifest, const ortp_session *session,
                                        ortp__encoder_ports *out, ortp_error *error);
ortp_status ortp__decoder_ports_resolve(const ortp_manifest *manifest, const ortp_session *session,
                                        ortp__decoder_ports *out, ortp_error *error);
/* Also that the encoder has the outputs that the decoder's step reads. */
ortp_status ortp__step_ports_resolve(const ortp_manifest *manifest, const ortp_session *session,
                                     ortp__step_ports *out, ortp_error *error);
ortp_status ortp__cross_check(const ortp_manifest *manifest, const ortp_session *encoder,
                              ortp_error *error);

/* One of the four. */
static inline bool ortp__path_known(ortp_path path)
{
    return path == ORTP_PATH_AUTO || path == ORTP_PATH_SEQUENTIAL || path == ORTP_PATH_BATCHED ||
           path == ORTP_PATH_INCREMENTAL;
}

/*
 * Which of the decoder's graphs serves a path on the running ONNX Runtime: BATCHED or INCREMENTAL.
 * Errors: INVAL (the model has no decoder_step), VERSION.
 */
ortp_status ortp__path_resolve(const ortp_manifest *manifest, const ortp_runtime *runtime,
                               ortp_path wanted, ortp_path *out, ortp_error *error);

/* A count or a token as the graph wants it: int32 or int64. */
static inline void ortp__int_set(void *data, ortp_type type, size_t index, int64_t value)
{
    if (type == ORTP_TYPE_INT64) {
        ((int64_t *)data)[index] = value;
    } else {
        ((int32_t *)data)[index] = (int32_t)value;
    }
}

/* A version of ONNX Runtime: "1.18", "1.18.0"; with `rest` anything may follow ("1.30.0-dev"). */
typedef struct ortp__version {
    unsigned parts[3];
} ortp__version;
bool ortp__version_read(const char *text, bool rest, ortp__version *out);
int ortp__version_compare(const ortp__version *a, const ortp__version *b); /* < 0: a is older */

/* The first `length` of `source` positions count; the rest is padding. */
void ortp__mask_fill(bool *mask, size_t length, size_t source, bool true_is_padding);

/* Control memory on the runtime's budget. */
static inline ortp_status ortp__decode_alloc(const ortp_runtime *runtime, size_t bytes, void **out)
{
    return ortp__meta_alloc(ortp_runtime_budget(runtime), ortp__runtime_alloc(runtime), bytes,
                            ORTP_RECLAIM_CACHE, out);
}

static inline void ortp__decode_free(const ortp_runtime *runtime, void *ptr, size_t bytes)
{
    ortp__meta_free(ortp_runtime_budget(runtime), ortp__runtime_alloc(runtime), ptr, bytes);
}

/* a * b, or SIZE_MAX: the pool refuses that. */
static inline size_t ortp__product(size_t a, size_t b)
{
    return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

/* One of the buffers a search works in; rank 0: the model does not want it. */
#define ORTP__BUFFER_RANK_MAX 5u
typedef struct ortp__buffer_shape {
    ortp_type type;
    size_t rank;
    int64_t dims[ORTP__BUFFER_RANK_MAX];
} ortp__buffer_shape;

typedef enum ortp__buffer {
    ORTP__BUFFER_TOKENS,
    ORTP__BUFFER_MEMORY,
    ORTP__BUFFER_MASK,
    ORTP__BUFFER_LOGITS,
    ORTP__BUFFER_PROBABILITIES,
    ORTP__BUFFER_LENGTH,
    ORTP__BUFFER_CTC,         /* what ctc.h works in, once a search weighs it */
    ORTP__BUFFER_PAST_LENGTH, /* from here on: incremental alone */
    ORTP__BUFFER_BEAM_WIDTH,
    ORTP__BUFFER_INDIRECTION,
    ORTP__BUFFER_KV, /* [2 L, n,H,T,K]: a part for each key and value */
    ORTP__BUFFER_COUNT
} ortp__buffer;

/* What the shapes of the buffers depend on besides the manifest. */
typedef struct ortp__buffer_kind {
    ortp_path path; /* INCREMENTAL or another */
    ortp_type token_type, length_type;
    size_t weighed; /* beams with a second score; 0: none */
} ortp__buffer_kind;

/* The one place that knows which buffers there are; plan.c counts what buffers.c takes. */
void ortp__buffer_shapes(const ortp_manifest *manifest, const ortp__buffer_kind *kind, size_t beams,
                         size_t source, ortp__buffer_shape out[ORTP__BUFFER_COUNT]);
/* What the encoder gives for a path: parts of [1,S,D], or of [1,H,S,K], then ctc, one upon the other. */
void ortp__encoded_shape(const ortp_manifest *manifest, ortp_path path, size_t source,
                         ortp__buffer_shape *out);
/* SIZE_MAX where that is more than can be addressed. */
size_t ortp__buffer_bytes(const ortp__buffer_shape *shape);

struct ortp_decoder_buffers {
    ortp_model *model;
    ortp_tensor_pool *tensors;
    size_t beams, source;
    size_t weighed; /* beams that ORTP__BUFFER_CTC is for; 0: there is none */
    uint64_t growths;
    ortp_tensor *tensor[ORTP__BUFFER_COUNT]; /* NULL where the model does not want it */
};

/* Takes ORTP__BUFFER_CTC for `beams` beams, kept from then on; on failure nothing changes. */
ortp_status ortp__buffers_weigh(ortp_decoder_buffers *buffers, size_t beams, ortp_error *error);
/*
 * The OrtValue of the first `rows` rows of a buffer, for `source` positions where it has them. The
 * first call for a pair makes an ORT call, later ones do not.
 */
ortp_status ortp__buffers_rows(ortp_decoder_buffers *buffers, ortp__buffer which, size_t rows,
                               size_t source, OrtValue **out, ortp_error *error);
/* The same for part `part` of the KV cache: [rows,H,T,K]. */
ortp_status ortp__buffers_kv(ortp_decoder_buffers *buffers, size_t part, size_t rows,
                             OrtValue **out, ortp_error *error);

/*
 * The decode state. `buffers` are taken at the first search or warm-up step, when it is known
 * whether one row or `width_max` rows are wanted, for the largest bucket, so that they grow once at
 * most.
 */
struct ortp_decoder {
    ortp_model *model;
    ortp_tensor_pool *tensors;
    ortp_decoder_buffers *buffers;
    size_t width_max;
    size_t bytes; /* of this struct and the arrays behind it */
    ortp__beams beams;
    ortp__ctc ctc;         /* in its buffer; placed by each search that weighs it */
    uint32_t *next_states; /* [V], what a constraint answers */
    int32_t *next_tokens;  /* [V] */
    size_t runs;           /* of the last search */
    uint64_t run_us;       /* what they took */
    size_t logits_rows;    /* of the last run */
    /* one search */
    ortp_tensor *encoded;
    size_t source;           /* its positions */
    size_t length;           /* those that count */
    ortp__patience patience; /* of its runs */
    bool beside;             /* they wait so; set by the room above */
    size_t filled;           /* rows of replicated memory and mask that are filled */
};

/* Takes the buffers for `rows` at once and points the decoder at one encoder output. */
ortp_status ortp__decoder_prepare(ortp_decoder *decoder, ortp_tensor *encoded, size_t length,
                                  size_t rows, ortp_error *error);
/* Writes a row of the token buffer: start, tokens, padding. */
void ortp__decoder_set_row(ortp_decoder *decoder, size_t row, const int32_t *tokens, size_t count);
/* One decoder run of the first `rows` rows. */
ortp_status ortp__decoder_run(ortp_decoder *decoder, size_t rows, ortp_error *error);

/*
 * The incremental path: the last token of each live beam, and where its keys and values lie, given the
 * rows that the beams had in the step before. Rows without a beam are padding.
 */
void ortp__step_set_rows(ortp_decoder *decoder, size_t rows);
/* One run of decoder_step; writes keys and values of position beams.length. */
ortp_status ortp__step_run(ortp_decoder *decoder, size_t rows, ortp_error *error);

/* out[i] = log(exp(logits[i]) / sum of exp(logits)), without overflow; NaN in gives NaN out. */
void ortp__log_softmax(const float *logits, size_t count, double *out);

#endif
