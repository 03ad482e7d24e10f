/* SPDX-License-Identifier: MIT */
/*
 * Seed target: after warm-up the first prediction of a swipe is as fast as the later ones (within 1.1
 * times their median), and far faster than a cold one.
 *
 * What is cold is gone after the first call, so that every figure comes from processes of their own:
 * 30 for each of three ways, taken in turns, the test being its own child.
 *     warmed    predictor created and warmed up; the first prediction, then 15 more of the same swipe
 *     open      predictor created, sessions open, not warmed; the first prediction
 *     loading   from before the predictor is created (sessions, lexicon) to the first words
 * Medians over processes, encoder cache off.
 *
 * Broken variant: the warm-up is left out where `warmed` says it was done.
 */
#define _GNU_SOURCE
#include "seed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 30
#define STEADY 15
#define RATIO_MAX 1.1
#define REDUCTION_MIN 0.30 /* the seed's target, against cold with loading */

enum { WARMED, OPEN, LOADING, MODES };
static const char *const mode_names[MODES] = {"warmed", "open", "loading"};

/* A word of three letters: the shorter the steady prediction, the more a cold start would show. */
#define SWIPE_WORD "the"

static const ortp_swipe *find_swipe(const seed_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        if (strcmp(samples->items[i].word, SWIPE_WORD) == 0) {
            return &samples->items[i].swipe;
        }
    }
    return NULL;
}

/* ---- child: measures once and prints "first steady" in ms ---- */

static bool child_measure(const OrtApi *api, const ortp_swipe *swipe, int mode, bool broken)
{
    seed_world world;
    double start = seed_now_ms();
    if (!seed_world_open(&world, api, ORTP_POOL_THREAD_CACHED, 0)) {
        return false;
    }
    ortp_predictor *predictor = seed_predictor(&world, &(seed_setup){.cache_off = true});
    if (!predictor || (mode == WARMED && !broken && !seed_warm(predictor))) {
        return false;
    }
    if (mode != LOADING) {
        start = seed_now_ms();
    }
    ortp_prediction prediction;
    bool ok = seed_predict(predictor, swipe, &prediction) && prediction.candidate_count > 0;
    double first = seed_now_ms() - start;

    double steady[STEADY] = {0};
    for (int i = 0; ok && mode == WARMED && i < STEADY; i++) {
        double from = seed_now_ms();
        ok = seed_predict(predictor, swipe, &prediction);
        steady[i] = seed_now_ms() - from;
    }
    ortp_predictor_destroy(predictor);
    ok = seed_world_close(&world) && ok;
    printf("measured %.6f %.6f\n", first, seed_quantile(steady, STEADY, 0.5));
    return ok;
}

static int child_main(const char *mode_name, bool broken)
{
    const OrtApi *api = seed_open_ort();
    seed_samples samples;
    if (!seed_samples_load(&samples)) {
        return 1;
    }
    const ortp_swipe *swipe = find_swipe(&samples);
    bool ok = false;
    for (int mode = 0; mode < MODES; mode++) {
        if (strcmp(mode_name, mode_names[mode]) == 0 && swipe) {
            ok = child_measure(api, swipe, mode, broken);
        }
    }
    seed_samples_free(&samples);
    return ok ? 0 : 1;
}

/* ---- parent ---- */

static bool run_child(const char *mode, bool broken, double *first, double *steady)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "seed_first_prediction", "--child", mode, broken ? "broken" : "whole",
              (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    char line[1024];
    bool measured = false;
    while (pid > 0 && from && fgets(line, sizeof(line), from)) {
        if (sscanf(line, "measured %lf %lf", first, steady) == 2) {
            measured = true;
        } else if (strncmp(line, "  ", 2) == 0) {
            fputs(line, stdout); /* what went wrong in it */
        }
    }
    if (from) {
        fclose(from);
    }
    int status = 1;
    if (pid <= 0 || waitpid(pid, &status, 0) != pid) {
        return false;
    }
    return measured && status == 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0) {
        return child_main(argv[2], strcmp(argv[3], "broken") == 0);
    }
    bool broken = seed_is_broken(argc, argv);
    seed_open_ort(); /* ends here where there is none */

    static double first[MODES][PROCESSES], steady[PROCESSES], ratio[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        for (int mode = 0; mode < MODES; mode++) {
            double later = 0;
            if (!run_child(mode_names[mode], broken, &first[mode][i], &later)) {
                return seed_red("a child process (%s) failed", mode_names[mode]);
            }
            if (mode == WARMED) {
                steady[i] = later;
                ratio[i] = first[mode][i] / later;
            }
        }
    }

    double median[MODES];
    for (int mode = 0; mode < MODES; mode++) {
        median[mode] = seed_quantile(first[mode], PROCESSES, 0.5);
    }
    double factor = seed_quantile(ratio, PROCESSES, 0.5);
    double against_open = 1 - median[WARMED] / median[OPEN];
    double against_loading = 1 - median[WARMED] / median[LOADING];
    printf("swipe \"%s\", medians of %d processes:\n", SWIPE_WORD, PROCESSES);
    printf("  steady                          %8.2f ms\n", seed_quantile(steady, PROCESSES, 0.5));
    printf("  first after warm-up             %8.2f ms, %.3f times steady (at most %.1f; quartiles "
           "%.3f to %.3f)\n",
           median[WARMED], factor, RATIO_MAX, seed_quantile(ratio, PROCESSES, 0.25),
           seed_quantile(ratio, PROCESSES, 0.75));
    printf("  first, cold, sessions open      %8.2f ms: warm-up takes %.1f %% off\n", median[OPEN],
           100 * against_open);
    printf("  first, cold, loading included   %8.2f ms: warm-up takes %.1f %% off (target %.0f %%)\n",
           median[LOADING], 100 * against_loading, 100 * REDUCTION_MIN);

    if (factor > RATIO_MAX) {
        return seed_red("the first prediction takes %.3f times the steady median", factor);
    }
    if (against_loading < REDUCTION_MIN) {
        return seed_red("only %.1f %% off a cold start with loading", 100 * against_loading);
    }
    if (against_open <= 0) {
        return seed_red("warm-up gains nothing on a cold start with open sessions");
    }
    return seed_green("first prediction after warm-up %.3f times the steady median", factor);
}
