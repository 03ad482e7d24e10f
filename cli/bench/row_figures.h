/* SPDX-License-Identifier: MIT */
/* A row of the document: figures of what was collected about it. */
#ifndef ORTPOOL_CLI_BENCH_ROW_FIGURES_H
#define ORTPOOL_CLI_BENCH_ROW_FIGURES_H

#include "collection.h"
#include "intervals.h"

typedef struct number_list {
    double *values; /* to be freed */
    size_t count;
} number_list;

json_t *row_json(const collection *c, const collected_row *row);
/* Predictions of one swipe; null for none. Sorts them. */
json_t *tail_json(double *us, size_t count);
/* The medians of the rounds' latencies. */
number_list round_medians(const collected_row *row);
/* Of a figure of the rounds. */
double sum_of_rounds(const collected_row *row, const char *key);

#endif
