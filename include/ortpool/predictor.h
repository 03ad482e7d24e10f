/* SPDX-License-Identifier: MIT */
/*
 * The predictor: swipes in, words out, on pooled memory, from any number of threads.
 *
 * It owns a tensor pool, a model, a lexicon, an encoder cache and a pool of decoders, all under the
 * budget of the runtime. Decoders are made on demand, one per prediction in progress; `threads` of
 * them are kept.
 * Every path gives everything back; close waits for predictions in progress.
 */
#ifndef ORTPOOL_PREDICTOR_H
#define ORTPOOL_PREDICTOR_H

#include <ortpool/encoder_cache.h>
#include <ortpool/lexicon.h>
#include <ortpool/swipe_features.h>
#include <ortpool/warmup.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_predictor ortp_predictor;

typedef struct ortp_predictor_options {
    size_t struct_size;
    ortp_runtime *runtime;       /* required; must outlive the predictor */
    const char *model_directory; /* required: model.json, graphs, lexicon */
    size_t beam_width;           /* 0: the manifest's; at most ORTP_BEAM_MAX */
    ortp_path path; /* AUTO: incremental where model and ONNX Runtime allow it, else batched */
    ortp_strategy strategy;  /* greedy: words of the lexicon only, by the decoder alone */
    uint32_t threads;        /* predictions at once that warm-up prepares for; 0: 1; at most 1024 */
    size_t cache_entries;    /* 0: 4; at most 65536 */
    uint64_t cache_stale_ms; /* 0: 5000 */
    bool cache_off;
    ortp_ort_memory
        ort_memory; /* where ORT's own memory comes from, as memory_patterns: session.h */
    bool memory_patterns;
} ortp_predictor_options;
#define ORTP_PREDICTOR_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_predictor_options)

/*
 * Errors: as ortp_model_create, ortp_swipe_config_load and ortp_lexicon_create; INVAL for an option
 * out of range, and for options NULL (runtime and directory are required). On failure nothing is
 * left charged. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_predictor_create(const ortp_predictor_options *options,
                                                      ortp_predictor **out, ortp_error *error);
/*
 * New predictions get ORTP_E_CLOSED from now on. Waits for those in progress up to `timeout_ms`
 * (0: not at all; UINT64_MAX: for ever); ORTP_E_TIMEOUT where some are left (call it again). Idempotent. Not with
 * UINT64_MAX from a prediction's `stop`: it would wait for the prediction that waits for it (0 only
 * closes). Thread-safe: yes.
 */
ORTP_API ortp_status ortp_predictor_close(ortp_predictor *predictor, uint64_t timeout_ms);
/*
 * Closes (waiting for ever) and frees. ORTP_E_BUSY (error says for what) while the application has
 * decoders or buffers on ortp_predictor_model(), outputs of its encoder or leases of
 * ortp_predictor_cache(): then it stays closed, its parts stay as they are but for the cache's entries,
 * and the call is made again later.
 * Thread-safe: no, no other thread may still call; warm-ups are joined before. Not from a
 * prediction's `stop`.
 */
ORTP_API ortp_status ortp_predictor_destroy(ortp_predictor *predictor, ortp_error *error);

#define ORTP_CANDIDATES_MAX 16u

/* Lies in an array of ortp_prediction, so its size is fixed: later versions add nothing to it. */
typedef struct ortp_candidate {
    char word[ORTP_LEXICON_WORD_MAX + 2];
    /*
     * The search's, see ortp_search_params; with a shape_weight less that times the distance of the
     * swipe from the word, see swipe_shape.h. Higher is better, may be positive.
     */
    double score;
    /*
     * 0 to 1: how likely this is the word, exp(score / temperature) over the sum of that for the
     * ORTP_CANDIDATES_MAX best, whatever `top` is. As good as the manifest's temperature, which the
     * model's card shows, and which is for the manifest's beam width: a narrower search finds fewer
     * words to share it with. Greedy finds one, whose confidence is always 1 and says nothing.
     * Source: Guo et al., "On Calibration of Modern Neural Networks", 2017.
     */
    double confidence;
} ortp_candidate;

typedef struct ortp_prediction {
    size_t struct_size;
    ortp_candidate candidates[ORTP_CANDIDATES_MAX]; /* best first */
    size_t candidate_count;                         /* 0: no word fits */
    bool cache_hit;
    size_t points; /* rows fed to the encoder */
    size_t decoder_runs;
    uint64_t microseconds; /* from call to return */
    /*
     * Of these, by stage, in microseconds by CLOCK_MONOTONIC; their sum is at most `microseconds`. Not in
     * them: waiting for a turn, a decode state or room for another try, and the encoder cache's own work.
     */
    uint64_t features_us; /* points to features */
    uint64_t encoder_us;  /* the encoder's run, with what it waits for memory; 0 on a cache hit */
    uint64_t decoder_us;  /* the decoder's runs, likewise */
    uint64_t search_us;   /* the search and the words' order, without the decoder's runs */
} ortp_prediction;
#define ORTP_PREDICTION_INIT ORTP_STRUCT_INIT(ortp_prediction)

typedef struct ortp_predict_options {
    size_t struct_size;
    size_t top;          /* candidates wanted; 0: 3; at most ORTP_CANDIDATES_MAX */
    uint64_t timeout_ms; /* > 0: ORTP_E_TIMEOUT where the prediction is not done so long after the
                            call, by the runtime's clock; 0: it takes as long as it takes, and does
                            not wait for memory */
    bool (*stop)(
        void *ctx); /* polled between runs; true ends with ORTP_E_CANCELLED. Runs inside the
                                prediction: it must not wait for a close, a warm-up or another prediction */
    void *stop_ctx;
} ortp_predict_options;
#define ORTP_PREDICT_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_predict_options)

/*
 * *out is the caller's; meaningful with ORTP_OK only. options may be NULL. Errors: INVAL (the
 * swipe, see ortp_swipe_features), VERSION, CLOSED, CANCELLED, TIMEOUT, BUDGET, NOMEM, ORT; after each the
 * next prediction works. With a timeout it first waits for other predictions to finish; if memory is still
 * short, it releases everything and retries alone, and later predictions with a timeout wait for
 * their turn. After warm-up, and with at most `threads` at once, it takes no memory
 * from the system: no tensor, block or control structure (save that a new thread's first use of a
 * pool of kind THREAD_CACHED makes its cache). Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_predictor_predict(ortp_predictor *predictor,
                                                       const ortp_swipe *swipe,
                                                       const ortp_predict_options *options,
                                                       ortp_prediction *out, ortp_error *error);

/*
 * Warm-up: decoders for `threads`, blocks and tensors for every bucket and beam count, one encoder
 * run per bucket, one decoder run per bucket and beam count (on the incremental path one per
 * bucket), and rehearsed predictions; largest shapes first. BUDGET where that does not fit at
 * once. warm runs it here; warm_start on a thread of its own while predictions go on (join with
 * ortp_warmup_join before destroy; a close ends it with ORTP_E_CLOSED). A step that needs a
 * decoder takes one at a time, and where predictions have them all, waits for the next that comes
 * back; it is done when `threads` decoders are warm. Idempotent; leaves no cache entry and counts
 * no prediction, but encoder and decoder runs. options NULL: no progress is told. Thread-safe:
 * yes, both.
 */
ORTP_API ORTP_CHECK ortp_status ortp_predictor_warm(ortp_predictor *predictor,
                                                    const ortp_warmup_options *options,
                                                    ortp_warmup_report *report, ortp_error *error);
ORTP_API ORTP_CHECK ortp_status ortp_predictor_warm_start(ortp_predictor *predictor,
                                                          const ortp_warmup_options *options,
                                                          ortp_warmup **out, ortp_error *error);

/*
 * Gives idle memory back to the system until at most about `keep_bytes` of it are left in all:
 * blocks first (of the runtime's whole pool), then tensors, both least recently used first, and
 * only then decoders, one at a time. With drop_cache the cache's entries become idle before, those
 * that somebody leases when the lease ends. *freed_bytes (may be NULL): unmapped. What is dropped
 * is not warm any more; a `keep_bytes` above what is idle drops nothing. Predictions go on.
 * Thread-safe: yes.
 */
ORTP_API ortp_status ortp_predictor_trim(ortp_predictor *predictor, size_t keep_bytes,
                                         bool drop_cache, size_t *freed_bytes);

/* Parts, owned by the predictor. Thread-safe: yes. */
ORTP_API const ortp_swipe_config *ortp_predictor_config(const ortp_predictor *predictor);
ORTP_API ortp_model *ortp_predictor_model(const ortp_predictor *predictor);
ORTP_API const ortp_lexicon *ortp_predictor_lexicon(const ortp_predictor *predictor);
ORTP_API ortp_cache *ortp_predictor_cache(const ortp_predictor *predictor);

#ifdef __cplusplus
}
#endif
#endif
