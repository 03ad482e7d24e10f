/* SPDX-License-Identifier: MIT */
/*
 * Who types what, and when: swipes at a human cadence (log-normal gaps around 1.2 s, corrections after 0.6 s),
 * compressed; about one in eight is a correction, the swipe before once more; and the system's pressure, some
 * five times in a session. All of it follows from the seed.
 */
#ifndef ORTPOOL_CLI_BENCH_TYPING_PLAN_H
#define ORTPOOL_CLI_BENCH_TYPING_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ortpool/runtime.h>

typedef struct typing_event {
    size_t row;
    double gap_ms; /* since the one before */
    bool correction;
    ortp_pressure pressure; /* before it; never before a correction */
} typing_event;

typedef struct typing_plan {
    uint64_t random;
    double compression;    /* gaps are divided by it */
    size_t rows;           /* there are so many */
    size_t first, stride;  /* this one's: first, first + stride, ... and again from the first */
    bool corrects;         /* false: no corrections */
    size_t pressure_every; /* swipes; 0: none */

    size_t count, row; /* so far; the last */
    bool corrected;
    size_t until_pressure;
    bool critical; /* the next pressure: moderate and critical in turn */
} typing_plan;

/* The next event; the fields up to pressure_every are set, the others zero at first. */
typing_event typing_next(typing_plan *plan);

#endif
