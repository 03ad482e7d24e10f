/* SPDX-License-Identifier: MIT */
/* Many searches: inputs made up by number, what each finds, and on which paths. */
#ifndef TEST_DECODE_ROUNDS_H
#define TEST_DECODE_ROUNDS_H

#include "fixture.h"

#define RESULTS 64u

typedef struct found {
    ortp_hypothesis results[RESULTS];
    size_t count;
} found;
#define FOUND_INIT                                                                                 \
    {                                                                                              \
        .results = { ORTP_HYPOTHESIS_INIT }                                                        \
    }

/* ONNX Runtime before 1.21 has no kernel for the step, or (1.20) a wrong one. */
bool step_runs(void);

/*
 * An input for a bucket, each in turn: of its length, a little less, or a few points alone. The same for
 * the same round.
 */
ortp_tensor *encode_round(const fixture *f, size_t round, size_t *length);
/* A search over it; cmocka: or fails. constraint NULL: none. */
void search_round(const fixture *f, ortp_decoder *decoder, size_t round,
                  const ortp_search_params *params, const ortp_constraint *constraint, found *out);

/* OrtValues made so far. */
uint64_t values_made(const fixture *f);

#endif
