/* SPDX-License-Identifier: MIT */
/*
 * The beam search of the plain ways: ortpool's bookkeeping of beams (no ORT, no allocation) and
 * its score rules, so that a row's words are the batched row's and no time is lost beside ORT. The
 * way says what the next logits are.
 */
#ifndef ORTPOOL_CLI_BENCH_PLAIN_SEARCH_H
#define ORTPOOL_CLI_BENCH_PLAIN_SEARCH_H

#include "plain.h"

#include "beams.h"
#include "ctc.h"

/*
 * Writes the logits after each of `count` prefixes of `length` tokens, the start token included, to
 * rows of out [count, V]. prefixes: [count, max_tokens], padded.
 */
typedef void (*plain_logits)(void *ctx, const int32_t *prefixes, size_t count, size_t length,
                             float *out);

typedef struct plain_search {
    const plain *plain;
    plain_logits logits;
    void *ctx;
    /* The search's own. */
    ortp__beams beams;
    ortp__ctc ctc;
    void *memory, *ctc_memory; /* the latter NULL: no second score */
    int32_t *prefixes, *next_tokens;
    uint32_t *next_states;
    float *rows;
    double *log_probs;
    ortp_swipe_shape shape;
} plain_search;

/* Takes all memory that searches need. */
void plain_search_open(plain_search *s, const plain *p, plain_logits logits, void *ctx);
void plain_search_close(plain_search *s);
/* Before the search: what the swipe looks like, where shapes count. features: [points, 6]. */
void plain_search_see(plain_search *s, const float *features, size_t points);
/*
 * Words and scores, three at most; the fields of the prediction that are not the search's stay. ctc: the
 * encoder's own reading of that many points, where the model has one.
 */
void plain_search_run(plain_search *s, const float *ctc, size_t points, ortp_prediction *out);

#endif
