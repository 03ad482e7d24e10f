/* SPDX-License-Identifier: MIT */
/* What is to be measured of the rows, and what was: filled by collect.c, trace.c and tail.c. */
#ifndef ORTPOOL_CLI_BENCH_COLLECTION_H
#define ORTPOOL_CLI_BENCH_COLLECTION_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "progress.h"
#include "row_process.h"
#include "rows.h"

typedef struct collect_options {
    const char *swipes;              /* file */
    const char *folders[ROW_MODELS]; /* of the models; NULL: none, and no rows of it */
    const char *mimalloc;            /* library to preload; NULL: none */
    const row_kind *rows[ROWS_MAX];  /* wanted, in the order of the table */
    size_t row_count;
    size_t most, beam; /* as row_options */
    size_t rounds;     /* at least 1 */
    size_t starts;     /* processes that predict once; 0: none */
    size_t tail;       /* predictions of one swipe; 0: none */
    bool quiet;        /* rows that are left out are told of only where some were named */
} collect_options;

/* Of a row; answers as row.h has them. */
typedef struct collected_row {
    const row_kind *kind;
    row_process process; /* the timed one, while it lives */
    json_t *first;       /* of the timed process */
    json_t *counted;     /* a round with the heap counted */
    json_t *rounds;      /* array */
    json_t *cold, *warm; /* arrays of first answers of starts */
    double memory_calls; /* of the system, a prediction; NAN: not traced */
    double *tail_us;     /* NULL: none */
} collected_row;

typedef struct collection {
    const collect_options *options;
    collected_row rows[ROWS_MAX];
    size_t count;
    double spin_us, *spin_tail_us; /* the noise floor: its length, and its tail; NULL: none */
    size_t tail_swipe;
    bool traced;
    bool cut_short; /* by a signal or a failure */
    progress bar;
    size_t done, total; /* steps */
} collection;

/* A step is done; `what` comes next. false: a signal came. */
bool collection_step(collection *c, const char *what, const char *row);
void collection_row_options(const collection *c, const row_kind *kind, row_options *out);
void collection_free(collection *c);

#endif
