/* SPDX-License-Identifier: MIT */
/*
 * One row of the bench, in a process of its own: it opens its way to predict, warms up where that can, predicts all
 * swipes once, and then does what lines on its standard input say. It answers each with a line of JSON:
 *
 *     (once it is open)   {"ort", "load_us", "warm_us", "first_us", "words": for each swipe [[word, score], ...]}
 *     round               all swipes: {"us": [of each], counts summed over them; see row.c}
 *     tail INDEX COUNT    one swipe so often: {"us": [...]}
 *     mark                a system call that a tracer sees: {}
 *
 * The end of the input ends it. Words that differ from those of the first time are counted: "other_words".
 */
#ifndef ORTPOOL_CLI_BENCH_ROW_H
#define ORTPOOL_CLI_BENCH_ROW_H

#include <stdbool.h>
#include <stddef.h>

typedef struct row_options {
    const char *name;   /* a row_kind's, or ROW_SPIN */
    const char *folder; /* of the model */
    const char *swipes; /* file */
    size_t most;        /* of its swipes; 0: all */
    size_t beam;        /* 0: the manifest's */
    size_t first;       /* the swipe that is predicted first */
    bool once;          /* that one and no other: a start, no rounds */
    bool cold;          /* no warm-up */
    bool preloaded;     /* a library that takes the heap over was preloaded: mimalloc */
    double spin_us;
} row_options;

/* The process's exit code. */
int row_serve(const row_options *options);

#endif
