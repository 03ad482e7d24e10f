/* SPDX-License-Identifier: MIT */
/*
 * The usual code: what an application writes that runs the model through ONNX Runtime's C API and
 * thinks no further about memory. It is the baseline of the seed's comparisons, so it is written to
 * be fair: it does what tutorials do, leaks nothing, copies nothing that it need not, and does the
 * same search over the same lexicon.
 *
 *   per swipe    features in fresh arrays, input tensors over them, encoder output made by ORT
 *   per run      a fresh token buffer and tensor, the logits made by ORT, the rows of the current
 *                step copied out; sequential: a run for each live beam, [1,T]; batched: one, [n,T]
 *   per step     a candidate list, sorted; the best become freshly allocated beams, each with the
 *                numbers of its second score where the model has ctc
 *
 * Sessions of its own with ORT's defaults (arena, memory patterns) and one intra-op thread. Inputs
 * are padded to the manifest's buckets, as ortpool does. One thread.
 */
#ifndef SEED_NAIVE_H
#define SEED_NAIVE_H

#include "seed.h"

typedef struct naive naive;

typedef struct naive_word {
    char word[ORTP_LEXICON_WORD_MAX + 2];
    double score;
    double confidence; /* 0 beyond the best ORTP_CANDIDATES_MAX */
} naive_word;

typedef struct naive_words {
    naive_word *items; /* all finished words, best first */
    size_t count;
} naive_words;

/*
 * Borrows manifest, feature settings and lexicon from the predictor, which are not compared, and
 * nothing else. NULL on failure, with the reason printed.
 */
naive *naive_create(const OrtApi *api, OrtEnv *env, const ortp_predictor *settings, ortp_path path);
void naive_destroy(naive *n);
/*
 * Turns it into a broken user of ortpool, for the broken variant of seed_allocations: its input
 * tensors come from a tensor pool that keeps none, so that every one is made afresh.
 */
bool naive_use_idle_pool(naive *n, ortp_runtime *runtime);
/* False on failure, with the reason printed. The caller frees the words. */
bool naive_predict(naive *n, const ortp_swipe *swipe, naive_words *out);
void naive_words_free(naive_words *words);
/* The best three as a prediction. */
void naive_as_prediction(const naive_words *words, ortp_prediction *out);

/*
 * Whether ortpool's candidates are the naive code's: the scores of each rank within 1e-3 and each
 * word among the naive words with its score and its confidence within 1e-3. So two words may change
 * places only where their scores are that close. Prints where they differ.
 */
bool naive_agrees(const naive_words *words, const ortp_prediction *prediction, const char *label);

#endif
