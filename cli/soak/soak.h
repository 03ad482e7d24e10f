/* SPDX-License-Identifier: MIT */
/*
 * A predictor at work for long, under pressure, and what must hold meanwhile:
 *
 *   words    every prediction that succeeds gives what one thread alone got before, bit for bit
 *   refused  what is refused (budget, deadline) succeeds at the next quiet point
 *   ledger   at quiet points it adds up; charged is never above the limit that stands
 *   alive    all threads come to a quiet point in time
 *   growth   mapped and heap, at quiet points and trimmed, do not grow (growth.h)
 *   end      predictor and runtime give everything back
 *
 *     soak_start -> soak_reference -> soak_run -> soak_finish -> soak_free
 */
#ifndef ORTPOOL_CLI_SOAK_SOAK_H
#define ORTPOOL_CLI_SOAK_SOAK_H

#include <stdatomic.h>

#include "../engine.h"
#include "../progress.h"
#include "../swipe_file.h"
#include "chaos.h"
#include "checkpoint.h"
#include "growth.h"
#include "record.h"

#define SOAK_CHECKPOINTS 32u /* over the run; shorter runs have fewer */
#define SOAK_THREADS_MAX 64u

/* What a rise of the trimmed figures may be; growth.h says how they are used. */
#define SOAK_MAPPED_ALLOWANCE ((uint64_t)32 << 10)
#define SOAK_HEAP_ALLOWANCE ((uint64_t)256 << 10)

typedef struct soak_options {
    uint64_t predictions; /* that give words; 0: no such end */
    double seconds;       /* 0: no such end; one of the two */
    size_t threads;       /* 1 to SOAK_THREADS_MAX */
    size_t budget;        /* ORTP_UNLIMITED: none */
    uint64_t seed;
    double patience_seconds; /* so long without a word is a failure; 0: 60 */
    bool quiet;              /* no live line */
} soak_options;

struct soak;

typedef struct soak_worker {
    struct soak *soak;
    pthread_t thread;
    uint64_t random;
    size_t last;    /* the swipe that gave words last */
    size_t refused; /* the one that was refused last and has not succeeded since; SIZE_MAX: none */
} soak_worker;

typedef struct soak {
    ortp_runtime *runtime;
    ortp_predictor *predictor;
    const swipe_file *swipes;
    soak_options options;
    ortp_prediction *reference; /* one for each swipe */
    failures failures;
    record record;
    gate gate;
    chaos chaos;
    pthread_t chaos_thread;
    soak_worker workers[SOAK_THREADS_MAX];
    size_t started; /* workers */
    bool chaos_started;
    atomic_uint_fast64_t next_checkpoint; /* predictions at which the watcher is woken */
    checkpoint checkpoints[SOAK_CHECKPOINTS];
    size_t checkpoint_count;
    uint64_t recovered; /* refused swipes that succeeded at a quiet point */
    double start, seconds;
    double paused; /* of the seconds: at quiet points */
    bool enough;   /* the number of predictions or of seconds was reached */
    bool stuck;    /* a thread did not come to a quiet point: it runs on, nothing can be freed */
    growth mapped, heap;
    progress bar;
} soak;

/* Allocates all it needs. False: no memory, said. `soak` may be large: not on a stack. */
bool soak_start(soak *s, const engine *e, const swipe_file *swipes, const soak_options *options);
/* Predicts each swipe once, alone. False where that fails, said, or a signal came. */
bool soak_reference(soak *s);
/* The run, until its end or a signal. False, said: no thread could be started. */
bool soak_run(soak *s);
/*
 * Destroys predictor and runtime, which must leave nothing, and judges growth. Takes both from `e`. True: all
 * checks held.
 */
bool soak_finish(soak *s, engine *e);
void soak_free(soak *s);

#endif
