/* SPDX-License-Identifier: MIT */
/*
 * Decoding: the buffers a search works in, allocated once, and the search itself.
 *
 * Each buffer has a consumer named by a role of the manifest:
 *   sequential path  one decoder run per beam and step: tokens [1,T]; where the model wants them,
 *                    replicated memory [n,S,D] and source mask [n,S] (n = 1 here)
 *   batched path     one decoder run per step: tokens [n,T] for the n live beams; replicated memory
 *                    and source mask [n,S] where the model wants them
 *   both             source length [1], logits [n,T,V], probabilities [V] for the log-softmax
 *   incremental path one run per step of one token per beam, n the search's width whatever lives:
 *                    token [n], past length [1], beam width [1], cache indirection [1,n,T], KV cache
 *                    [2 L, n,H,T,K] that past and present share, source length [1], logits [n,V],
 *                    probabilities [V]. Nothing is copied from step to step but tokens and the
 *                    indirection. Source: ONNX Runtime's DecoderMaskedMultiHeadAttention.
 *   all              where a search weighs ctc, taken by the first that does: the numbers of the
 *                    second score, double [V S + 4 n (S + 1)], n the most beams
 *
 * Threads: decoders and buffers have one owner at a time; all functions that take one (warm,
 * last_runs, get_info, destroy too) are for that owner alone. Creating is thread-safe, one
 * model and tensor pool may serve many at once; ortp_search_params_from() and ortp_plan_estimate()
 * only read the manifest and are thread-safe.
 *
 * A decoder serves one search at a time; use one per thread, or a pool of them (the swipe
 * predictor has one). After ortp_decoder_warm() with n beams, a search of up to n beams (on the
 * incremental path: of n beams) makes no tensor allocation and no heap allocation of ortpool's
 * own, over every bucket; only where the model wants replicated memory or a source mask in its
 * decoder, that holds for the warmed bucket alone. Where the manifest has a ctc_weight of 0, a
 * search that gives one takes the second score's buffer when it is the first.
 */
#ifndef ORTPOOL_DECODER_H
#define ORTPOOL_DECODER_H

#include <ortpool/model.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORTP_BEAM_MAX 32u

/* ---- buffers (usable on their own) ---- */

typedef struct ortp_decoder_buffers ortp_decoder_buffers;

typedef struct ortp_decoder_buffers_options {
    size_t struct_size;
    ortp_model *model;         /* required; must outlive the buffers */
    ortp_tensor_pool *tensors; /* required; must outlive the buffers */
    size_t beams;              /* rows, at least 1 */
    size_t source;             /* positions, at least 1 */
} ortp_decoder_buffers_options;
#define ORTP_DECODER_BUFFERS_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_decoder_buffers_options)

/* Errors: INVAL (also options NULL), VERSION, BUDGET, NOMEM, ORT. */
ORTP_API ORTP_CHECK ortp_status ortp_decoder_buffers_create(
    const ortp_decoder_buffers_options *options, ortp_decoder_buffers **out, ortp_error *error);
/* Always ORTP_OK. */
ORTP_API ortp_status ortp_decoder_buffers_destroy(ortp_decoder_buffers *buffers, ortp_error *error);
/*
 * Grows so that `beams` rows and `source` positions fit; never shrinks. On failure the old buffers
 * are unchanged. Contents are lost when it grows. One owner at a time.
 */
ORTP_API ORTP_CHECK ortp_status ortp_decoder_buffers_ensure_capacity(ortp_decoder_buffers *buffers,
                                                                     size_t beams, size_t source,
                                                                     ortp_error *error);

typedef struct ortp_decoder_buffers_info {
    size_t struct_size;
    size_t beams, source;       /* capacity */
    size_t tokens_bytes;        /* [beams,T]; incremental: [beams] */
    size_t memory_bytes;        /* [beams,S,D], 0 where the model broadcasts */
    size_t mask_bytes;          /* [beams,S], 0 where the model takes a length */
    size_t logits_bytes;        /* [beams,T,V]; incremental: [beams,V] */
    size_t probabilities_bytes; /* [V] */
    uint64_t growths;           /* times ensure_capacity had to grow */
    size_t kv_bytes;            /* [2 L, beams,H,T,K], 0 but on the incremental path */
    size_t indirection_bytes;   /* [1,beams,T], the same */
    size_t ctc_bytes;           /* 0 until a decoder's search weighs ctc; usable on their own: 0 */
} ortp_decoder_buffers_info;
#define ORTP_DECODER_BUFFERS_INFO_INIT ORTP_STRUCT_INIT(ortp_decoder_buffers_info)
/* Errors: VERSION, INVAL (NULL). */
ORTP_API ortp_status ortp_decoder_buffers_get_info(const ortp_decoder_buffers *buffers,
                                                   ortp_decoder_buffers_info *out);

/* ---- search ---- */

/*
 * Which tokens may follow. States are the caller's numbers. All functions are called from the
 * searching thread, must not allocate in order to keep the search free of allocations, and must be
 * thread-safe where several searches share them.
 */
typedef struct ortp_constraint {
    size_t struct_size;
    void *ctx;
    uint32_t root; /* the state after the start token */
    /*
     * Writes the tokens allowed after `state` and the states they lead to, at most `capacity` (the
     * vocabulary); returns how many. *may_end: whether the sequence may end here. Neither eos nor
     * sos nor pad is among the tokens.
     */
    size_t (*next)(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states, size_t capacity,
                   bool *may_end);
    /* Added to the score of a sequence that ends in `state`; NULL: nothing. */
    double (*final_score)(void *ctx, uint32_t state);
    /*
     * What a sequence in `state` may still hope for, added to its sum where live beams are ranked and
     * pruned (greedy: not at all); NULL: nothing. Usually the largest final score that can be reached,
     * so that a beam is not lost to others that are likelier so far and lead to poorer ends only.
     * Source: look-ahead of the language model in a lexical tree, Ortmanns, Ney and Eiden,
     * "Language-Model Look-Ahead for Large Vocabulary Speech Recognition", 1996.
     */
    double (*hope)(void *ctx, uint32_t state);
} ortp_constraint;
#define ORTP_CONSTRAINT_INIT ORTP_STRUCT_INIT(ortp_constraint)

typedef enum ortp_strategy {
    ORTP_STRATEGY_BEAM = 0,
    ORTP_STRATEGY_GREEDY = 1, /* the best allowed token at each step; one sequence */
} ortp_strategy;

/*
 * Scores: a live beam is ranked by the sum of its log-probabilities, + ctc_weight * ln P(begins so)
 * + hope. A finished sequence of n tokens (without start and end) scores
 *     (sum + ctc_weight * ln P + final_score + length_reward * n) / ((5 + n) / 6)^length_alpha
 * Source of the penalty: Wu et al., "Google's Neural Machine Translation System", 2016, section 7.
 */
typedef struct ortp_search_params {
    size_t struct_size;
    ortp_strategy strategy;
    ortp_path path;    /* AUTO: the model's; SEQUENTIAL or BATCHED where the model's is BATCHED */
    size_t beam_width; /* 1 to what the decoder serves; 0: the manifest's, or that if less */
    size_t max_steps;  /* 0: T - 1 */
    double length_reward;
    double length_alpha;
    double prune_gap;   /* > 0: drop beams that rank this far below the best */
    double prune_token; /* > 0: ignore tokens less probable than this */
    double stop_margin; /* > 0: from stop_rank finished sequences on, a beam of n tokens lives while
                              rank + length_reward * n + stop_margin > the stop_rank-th best score */
    size_t stop_rank;   /* 0: 3 */
    bool keep_duplicates;    /* default: of equal token sequences only the best stays */
    bool (*stop)(void *ctx); /* polled before each decoder run; true ends with ORTP_E_CANCELLED */
    void *stop_ctx;
    uint64_t deadline_at_ms; /* > 0: ORTP_E_TIMEOUT once the runtime's clock reaches it, see
                                 ortp_runtime_now_ms(); CLOCK_MONOTONIC unless one was given */
    /*
     * > 0: each beam has a second score, this times ln of the probability that the encoder's own
     * reading (ctc) gives to all that begins like it, a finished sequence that of itself; for models
     * with encoder.ctc. Greedy: ignored. Source: Watanabe et al., "Hybrid CTC/Attention Architecture
     * for End-to-End Speech Recognition", 2017.
     */
    double ctc_weight;
} ortp_search_params;
#define ORTP_SEARCH_PARAMS_INIT ORTP_STRUCT_INIT(ortp_search_params)

/*
 * The manifest's settings: beam width, length reward and penalty, stop margin, weight of ctc; the
 * rest zero. Errors: VERSION, INVAL (NULL).
 */
ORTP_API ortp_status ortp_search_params_from(const ortp_manifest *manifest,
                                             ortp_search_params *out);

#define ORTP_TOKENS_MAX 64u

typedef struct ortp_hypothesis {
    size_t struct_size;
    int32_t tokens[ORTP_TOKENS_MAX]; /* without start and end */
    size_t length;
    double score;
    double log_prob; /* the sum alone */
    uint32_t state;  /* the constraint's last state */
} ortp_hypothesis;
#define ORTP_HYPOTHESIS_INIT ORTP_STRUCT_INIT(ortp_hypothesis)

typedef struct ortp_decoder ortp_decoder;

typedef struct ortp_decoder_options {
    size_t struct_size;
    ortp_model *model;         /* required; must outlive the decoder */
    ortp_tensor_pool *tensors; /* required; must outlive the decoder */
    size_t beam_width_max;     /* 0: the manifest's width; at most ORTP_BEAM_MAX */
} ortp_decoder_options;
#define ORTP_DECODER_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_decoder_options)

/*
 * A decode state for searches of up to `beam_width_max` beams. It takes
 * its bookkeeping alone, as control memory. Its buffers are taken at the first search or warm-up
 * step, for one row where that is sequential or greedy, else for `beam_width_max`, and for
 * max_points positions; that of the second score at the first search that weighs ctc, for
 * `beam_width_max`, and at a warm-up step where the manifest weighs it. They are kept until
 * destroy. Errors: INVAL (T above ORTP_TOKENS_MAX, a width above ORTP_BEAM_MAX, options NULL),
 * VERSION, BUDGET, NOMEM.
 */
ORTP_API ORTP_CHECK ortp_status ortp_decoder_create(const ortp_decoder_options *options,
                                                    ortp_decoder **out, ortp_error *error);
/* Always ORTP_OK. */
ORTP_API ortp_status ortp_decoder_destroy(ortp_decoder *decoder, ortp_error *error);

/*
 * Finds the best sequences for an encoder's output, of the type and shape that ortp_model_encode()
 * says for this model. Its numbers are only read. One from ortp_model_encode() may be searched by
 * several decoders of the model at once; a tensor that the caller made gets views
 * (ortp_tensor_view_at()) and so serves one search at a time. length: valid positions, 1 to S.
 * params NULL: the manifest's settings. constraint NULL: every token but pad, unk and sos may
 * follow, any sequence but the empty one may end. In the last step a sequence can only end.
 * results: an array of `capacity` elements, each as large as the first one's struct_size says; filled
 * best first, *count of them; 0 is possible when nothing allowed could finish.
 *
 * Errors: INVAL (another tensor or length; params out of range, of another path, or a ctc_weight
 * above 0 for a model without encoder.ctc; a constraint that answers what may not follow; logits
 * with NaN or infinity above, or, where it is weighed, a ctc that is no probabilities: both as a
 * damaged weight gives), VERSION (params or a constraint of a later version; a struct_size of the
 * constraint or of results left 0), CANCELLED, TIMEOUT, BUDGET, NOMEM, ORT; the decoder stays usable.
 * One search at a time per decoder.
 */
ORTP_API ORTP_CHECK ortp_status ortp_decoder_search(ortp_decoder *decoder, ortp_tensor *encoded,
                                                    size_t length, const ortp_search_params *params,
                                                    const ortp_constraint *constraint,
                                                    ortp_hypothesis *results, size_t capacity,
                                                    size_t *count, ortp_error *error);
/* Decoder runs of the last search. */
ORTP_API size_t ortp_decoder_last_runs(const ortp_decoder *decoder);
/* One decoder run of `beams` rows on zeros for bucket `index`: a warm-up step. Errors: INVAL,
 * BUDGET, NOMEM, ORT. */
ORTP_API ORTP_CHECK ortp_status ortp_decoder_warm(ortp_decoder *decoder, size_t bucket_index,
                                                  size_t beams, ortp_error *error);

/* ---- plan: bytes before any is taken ---- */

typedef struct ortp_plan {
    size_t struct_size;
    size_t declared_bytes; /* the graphs' files: declared, or mapped as far as ORT packs weights */
    size_t tensor_bytes;   /* encoder inputs, one set per thread and bucket */
    size_t cache_bytes;    /* encoder outputs and keys, cached and in work, per bucket */
    size_t decode_bytes;   /* decoder buffers, one set per thread; with that of ctc if weighed */
    size_t total_bytes;    /* the sum */
} ortp_plan;
#define ORTP_PLAN_INIT ORTP_STRUCT_INIT(ortp_plan)

/*
 * What warm-up has ready for `threads` predictions at once and `cache_entries` (0: no cache), over
 * all buckets, rounded as a pool with default options rounds. beam_width 0: the manifest's. AUTO:
 * incremental where the model has a decoder_step. For beam search: greedy weighs no ctc.
 *
 * Left out: control structures (the ledger's metadata), the workload's own data (swipe: the
 * lexicon), what ONNX Runtime takes beyond the graphs' files (on glibc up to 1.6 times the files
 * were seen, where weights are repacked), and the block of each run, which only runs tell
 * (ortp_session_get_info). Blocks that a pool keeps for lack of a
 * better fit come on top as well. Errors: INVAL (also: more than can be addressed), NOTFOUND,
 * NOMEM or SYS (a graph's file cannot be opened).
 */
ORTP_API ORTP_CHECK ortp_status ortp_plan_estimate(const ortp_manifest *manifest, size_t beam_width,
                                                   ortp_path path, size_t threads,
                                                   size_t cache_entries, ortp_plan *out,
                                                   ortp_error *error);

#ifdef __cplusplus
}
#endif
#endif
