/* SPDX-License-Identifier: MIT */
/* What was measured, in nanoseconds, and what is made of it without measuring anything. */
#ifndef ORTPOOL_CLI_BENCH_POOL_FIGURES_H
#define ORTPOOL_CLI_BENCH_POOL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heaps.h"

#define FIGURES_SIZES_MAX 16u
#define FIGURES_SMALL_MAX 65536u /* bytes; the targets call what is smaller a small block */

typedef enum bench_case {
    CASE_PAIR,
    CASE_TWO_THREADS,
    CASE_HAND_OVER,
    CASE_LIVE,
    CASES
} bench_case;
extern const char *const case_names[CASES];
extern const char *const case_titles[CASES];

/* Of one case, heap and size. Both NAN: not measured. */
typedef struct figure {
    double min, median; /* of the samples */
    uint64_t pairs;     /* acquires with their releases, in all samples */
} figure;

typedef struct figures {
    size_t sizes[FIGURES_SIZES_MAX];
    size_t size_count;
    size_t disturbed; /* samples that were dropped: see sample.h */
    figure of[CASES][HEAPS][FIGURES_SIZES_MAX];
} figures;

/* All sizes, nothing measured. */
void figures_start(figures *f, const size_t *sizes, size_t count);
/* Two threads against one, by medians: what a pair costs more of. NAN: not measured. */
double figures_slowdown(const figures *f, heap_id id, size_t size);

#define VERDICTS 4u

typedef struct verdict {
    const char *figure, *wanted;
    char reached[256];
    int holds; /* 1, 0, or -1: this run does not say */
} verdict;

/* The pool's targets of design.md, section 6. */
void figures_judge(const figures *f, verdict out[VERDICTS]);

#endif
