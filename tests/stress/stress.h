/* SPDX-License-Identifier: MIT */
/*
 * What both stress programs share: options, random numbers, failures that can be repeated, and hooks
 * around ortpool's locks (linked with --wrap) that yield at random and know who holds one.
 *
 * A run is a number of rounds. In each, every worker is a new thread that draws its operations from
 * (seed, round, worker) alone, so that the same seed gives every thread the same operations; how they
 * interleave is the system's. Between rounds all threads have ended and everything is counted.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKERS_MAX 32u

typedef struct stress {
    uint64_t seed;
    double seconds; /* at least one round; 0: `rounds` of them */
    uint64_t rounds;
    size_t workers;    /* 8 */
    size_t operations; /* of each worker in a round */
    unsigned yields;   /* of a thousand locks and unlocks */
} stress;

typedef struct worker {
    const stress *options;
    void *world;
    uint64_t round;
    size_t index;
    uint64_t random;
    uint64_t operation; /* the running one */
    void *own;          /* lives on from round to round */
} worker;

/* --seed N --seconds S --rounds N --threads N --ops N --yield N; false: said on stderr. */
bool stress_options(int argc, char **argv, size_t operations, stress *out);

uint64_t stress_random(uint64_t *state);
size_t stress_below(uint64_t *state, size_t bound);

/* Whether some check has failed: then everybody leaves. */
bool stress_failed(void);
/* Prints seed, worker and operation with the command that repeats it; the first failure alone. */
void stress_fail(const worker *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define CHECK(w, condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            stress_fail(w, "%s:%d: %s", __FILE__, __LINE__, #condition);                           \
        }                                                                                          \
    } while (0)

/* ortpool's locks that this thread holds. */
unsigned stress_locks_held(void);

typedef struct stress_program {
    const char *name;
    /* One operation of a worker. */
    void (*step)(worker *w);
    /* All threads have ended; `w` is a worker for messages. */
    void (*quiet)(worker *w);
} stress_program;

/* Rounds until time or number is up or a check fails; prints what was done. 0 or 1. */
int stress_run(const stress_program *program, const stress *options, void *world, void **own);

#endif
