/* SPDX-License-Identifier: MIT */
/*
 * One sample of one case. What the machine does to it is not the heap's: a sample in which the system took a
 * processor away, or in which two threads did not begin at once on two, is taken again a few times.
 */
#ifndef ORTPOOL_CLI_BENCH_POOL_SAMPLE_H
#define ORTPOOL_CLI_BENCH_POOL_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "crew.h"
#include "figures.h"

typedef struct sampler {
    crew crew;
    size_t disturbed; /* samples that were dropped */
} sampler;

/*
 * *seconds of `count` blocks acquired and released: of the slower of two threads (each makes as many), or from the
 * first acquire to the last release of a hand-over. Of one thread the last try counts, whatever it was; of two
 * there may be none that counts: NAN. false: a call of the heap failed.
 */
bool sample_take(sampler *s, bench_case which, heap *h, size_t bytes, size_t count,
                 double *seconds);

#endif
