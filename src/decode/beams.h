/* SPDX-License-Identifier: MIT */
/*
 * The bookkeeping of a search: live beams, candidates for the next step, finished sequences. No
 * ORT, no allocation: it works in memory that its owner gives it once.
 *
 * A sequence is a node of a tree, found by walking from child to parent, so that nothing is copied
 * when a beam goes on. Every live beam is as long as the others: `length` tokens.
 *
 * Ties: of equal ranks (or scores) the one that was offered first comes first.
 */
#ifndef ORTP_BEAMS_H
#define ORTP_BEAMS_H

#include <ortpool/decoder.h>

typedef struct ortp__node {
    uint64_t hash; /* of all tokens from the root to here */
    uint32_t parent;
    int32_t token;
} ortp__node;

typedef struct ortp__beam {
    double sum;
    double rank; /* the sum and what the sequence may still hope for */
    uint32_t node;
    uint32_t state;
    uint32_t row; /* that its parent had among the live beams of the step before */
} ortp__beam;

typedef struct ortp__candidate {
    double sum;
    double rank;
    uint64_t hash;
    uint32_t parent; /* node */
    int32_t token;
    uint32_t state;
    uint32_t row; /* the parent's index among the live beams */
} ortp__candidate;

typedef struct ortp__finished {
    double score;
    double log_prob;
    uint32_t node;
    uint32_t length;
    uint32_t state;
} ortp__finished;

typedef struct ortp__beams {
    /* set once */
    ortp__node *nodes;
    ortp__beam *live;
    ortp__candidate *candidates;
    ortp__finished *finished;
    size_t node_capacity, finished_capacity;
    /* one search */
    size_t width; /* beams that go on to the next step, at most */
    bool keep_duplicates;
    size_t node_count, live_count, candidate_count, finished_count;
    size_t length;
} ortp__beams;

/* Bytes for searches of up to `width` beams and `steps` decoder runs each. */
size_t ortp__beams_bytes(size_t width, size_t steps);
/* memory: that many bytes, aligned to 8. */
void ortp__beams_place(ortp__beams *beams, void *memory, size_t width, size_t steps);

/* One live beam: the empty sequence in `state`. width and steps at most those it was placed for. */
void ortp__beams_begin(ortp__beams *beams, size_t width, uint32_t state, bool keep_duplicates);
/* Live beam `index` may go on with `token`; it ranks by its sum and `hope`. What ranks as minus infinity
 * or is no number is ignored. */
void ortp__beams_offer(ortp__beams *beams, size_t index, int32_t token, uint32_t state,
                       double log_prob, double hope);
/* Whether candidates that rank so or lower are too late: as many as are kept rank no lower. */
bool ortp__beams_full_at(const ortp__beams *beams, double rank);
/* Live beam `index` ends: `log_prob` is its sum with the end token's. A score of NaN is ignored. */
void ortp__beams_finish(ortp__beams *beams, size_t index, double log_prob, double score);
/* The best candidates become the live beams, one token longer. */
void ortp__beams_advance(ortp__beams *beams);
/* Live beams that rank at `least` or less end without a result. */
void ortp__beams_prune(ortp__beams *beams, double least);

/* The tokens of a node of that length, first to last. */
void ortp__beams_tokens(const ortp__beams *beams, uint32_t node, size_t length, int32_t *out);

#endif
