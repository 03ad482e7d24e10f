/* SPDX-License-Identifier: MIT */
/*
 * A typing session: one thread types and corrects, the system wants memory back now and then, a second thread
 * predicts other swipes all along; what each prediction took, and what is held meanwhile, by label.
 */
#ifndef ORTPOOL_CLI_BENCH_TYPING_H
#define ORTPOOL_CLI_BENCH_TYPING_H

#include <jansson.h>

#include <ortpool/predictor.h>

#include "swipe_json.h"

typedef struct typing_options {
    size_t swipes;      /* of the one who types, corrections included; 0: 300 */
    double compression; /* of a human's gaps between swipes; 0: 10 */
    uint64_t seed;
    /* Told how far it is, 0 to 1, some ten times a second on the calling thread; may be NULL. */
    void (*progress)(void *ctx, double fraction);
    void *progress_ctx;
} typing_options;

/*
 * Runs the session on a predictor that is warm for two threads and has its cache; nobody else uses it. With the
 * defaults it takes some 40 seconds. The caller's result, the "typing" object of the document:
 *
 *     swipes, seconds, threads, corrections
 *     samples    [[t_ms, us, thread, hit], ...] of both threads, by time; thread 0 types
 *     pressure   [[t_ms, "moderate" or "critical"], ...]
 *     memory     t_ms, labels [{name, bytes}, ...], declared, resident: about every 100 ms, last when it is quiet
 *     p50_us, p99_us, max_us, hits, hit_p50_us (null without hits)
 *     after_pressure_us   of the prediction after each of the pressures
 *
 * NULL: a signal came (interrupt.h), or a prediction failed, no thread could be started or memory lacked, which is
 * said on standard error. rows: at least 2, which the library takes as swipes.
 */
json_t *typing_run(ortp_runtime *runtime, ortp_predictor *predictor, const swipe_row *rows,
                   size_t row_count, const typing_options *options);

#endif
