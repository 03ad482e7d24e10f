/* SPDX-License-Identifier: MIT */
/* What the predictions came to, and how long they took: counted by all threads, of fixed size. */
#ifndef ORTPOOL_CLI_SOAK_RECORD_H
#define ORTPOOL_CLI_SOAK_RECORD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

typedef struct record_counts {
    uint64_t right;
    uint64_t wrong;
    uint64_t refused_budget;   /* ORTP_E_BUDGET */
    uint64_t refused_deadline; /* ORTP_E_TIMEOUT */
    uint64_t failed;           /* anything else */
} record_counts;

typedef struct record {
    pthread_mutex_t mutex; /* guards the rest */
    record_counts counts;
    histogram hits, misses;   /* microseconds of the predictions that gave words */
    histogram recent, before; /* the same of the last seconds, and of those before */
    double recent_start, before_start;
    double last_words; /* when words came last */
} record;

/* What the live line says of the last 2 to 4 seconds. */
typedef struct record_recent {
    double rate;
    uint64_t p50, p99;
} record_recent;

void record_start(record *r, double now);
void record_end(record *r);
/* Words came, after so many microseconds. Returns all predictions that gave words. */
uint64_t record_words(record *r, bool right, bool hit, uint64_t microseconds, double now);
void record_refused(record *r, bool deadline);
void record_failed(record *r);
/* The time spent waiting at a closed gate is none in which nothing came. */
void record_paused(record *r, double now);

record_counts record_get(record *r, double *last_words);
record_recent record_get_recent(record *r, double now);

#endif
