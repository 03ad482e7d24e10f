/* SPDX-License-Identifier: MIT */
/*
 * What a session holds for its weights, packed and plain, and what plain ones cost in time.
 *
 *     bench_weights GRAPH packed|plain [RUNS]
 *
 * GRAPH is the bundled encoder, or the same with its weights in a file of their own
 * (docs/ort-memory.md says how to make that). One process measures one session and writes one line
 * of JSON; scripts/bench_weights.sh runs them in turns.
 */
#include "encoder.h"

#include <ort_loader.h>

#include <ortpool/ortpool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POINTS 64u
#define RUNS_MAX 10000u

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void must(ortp_status status, const ortp_error *error)
{
    if (status != ORTP_OK) {
        (void)fprintf(stderr, "%s: %s\n", ortp_status_name(status), error->message);
        exit(1);
    }
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static ortp_stats stats_now(const ortp_runtime *runtime)
{
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(runtime, &stats);
    return stats;
}

int main(int argc, char **argv)
{
    const size_t runs = argc > 3 ? strtoul(argv[3], NULL, 10) : 300;
    if (argc < 3 || runs == 0 || runs > RUNS_MAX) {
        (void)fprintf(stderr, "usage: bench_weights GRAPH packed|plain [RUNS]\n");
        return 2;
    }
    static double times[RUNS_MAX];
    ort_library library;
    char message[2048];
    if (!ort_library_open(&library, message, sizeof message)) {
        (void)fprintf(stderr, "%s\n", message);
        return 77;
    }
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = library.api;
    options.api_version = library.api_version;
    ortp_runtime *runtime = NULL;
    must(ortp_runtime_create(&options, &runtime, &error), &error);

    const ortp_stats before = stats_now(runtime);
    ortp_session_options settings = ORTP_SESSION_OPTIONS_INIT;
    settings.runtime = runtime;
    settings.path = argv[1];
    settings.intra_threads = 1;
    settings.disable_prepacking = strcmp(argv[2], "plain") == 0;
    ortp_session *session = NULL;
    must(ortp_session_create(&settings, &session, &error), &error);

    encoder_values values;
    encoder_values_make(&values, library.api, POINTS);
    const OrtValue *const inputs[] = {values.inputs[0], values.inputs[1], values.inputs[2]};
    for (size_t i = 0; i < runs + 10; i++) {
        const double start = now_ms();
        must(ortp_session_run(session, NULL, encoder_inputs, inputs, 3, encoder_outputs,
                              &values.output, 1, &error),
             &error);
        if (i >= 10) {
            times[i - 10] = now_ms() - start;
        }
    }
    (void)ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL);
    const ortp_stats after = stats_now(runtime);
    ortp_session_info info = ORTP_SESSION_INFO_INIT;
    ortp_session_get_info(session, &info);
    qsort(times, runs, sizeof times[0], rising);
    printf("{\"weights\":\"%s\",\"declared\":%zu,\"mapped\":%zu,\"anonymous\":%lld,\"file\":%lld,"
           "\"p50_ms\":%.4f,\"min_ms\":%.4f}\n",
           argv[2], info.declared_bytes, info.weights_bytes,
           (long long)after.process_anonymous - (long long)before.process_anonymous,
           (long long)after.process_file - (long long)before.process_file, times[runs / 2],
           times[0]);
    encoder_values_free(&values, library.api);
    must(ortp_session_destroy(session, NULL), &error);
    must(ortp_runtime_destroy(runtime, &error), &error);
    return 0;
}
