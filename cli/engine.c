/* SPDX-License-Identifier: MIT */
/* Set-up in the order of life: ONNX Runtime, budget and pool, predictor, warm-up. */
#include "engine.h"

#include <stdio.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <ort_loader.h>

#include "find_model.h"
#include "interrupt.h"
#include "progress.h"
#include "size.h"

/* Warm-up takes a second or so; shorter ones show no bar. */
#define PROGRESS_DELAY_SECONDS 0.3

static bool warmup_progress(void *ctx, size_t done, size_t total, const char *step)
{
    progress_update(ctx, total == 0 ? 0 : (double)done / (double)total, step);
    return interrupt_signal() == 0;
}

static int fail(ortp_status status, const ortp_error *error)
{
    int caught = interrupt_signal();
    if (status == ORTP_E_CANCELLED && caught != 0) {
        return 128 + caught;
    }
    fprintf(stderr, "ortpool: %s\n",
            error->message[0] != '\0' ? error->message : ortp_status_text(status));
    return EXIT_SETUP;
}

static ortp_status create(engine *e, const run_options *options, const OrtApi *api, bool cache_off,
                          ortp_error *error)
{
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = api;
    runtime.limit_bytes = options->budget;
    runtime.pool_kind = options->pool;
    ortp_status status = ortp_runtime_create(&runtime, &e->runtime, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_predictor_options predictor = ORTP_PREDICTOR_OPTIONS_INIT;
    predictor.runtime = e->runtime;
    predictor.model_directory = e->model;
    predictor.beam_width = options->beam;
    predictor.path = options->path;
    predictor.threads = (uint32_t)options->threads;
    predictor.cache_off = cache_off;
    return ortp_predictor_create(&predictor, &e->predictor, error);
}

static ortp_status warm(engine *e, const run_options *options, ortp_error *error)
{
    progress bar;
    progress_start(&bar, "warming up", PROGRESS_DELAY_SECONDS, options->json);
    ortp_warmup_options warmup = ORTP_WARMUP_OPTIONS_INIT;
    warmup.progress = warmup_progress;
    warmup.progress_ctx = &bar;
    ortp_status status = ortp_predictor_warm(e->predictor, &warmup, &e->warmup, error);
    progress_clear(&bar);
    return status;
}

static ortp_status create_and_warm(engine *e, const run_options *options, const OrtApi *api,
                                   bool cache_off, ortp_error *error)
{
    ortp_status status = create(e, options, api, cache_off, error);
    return status == ORTP_OK && !options->no_warmup ? warm(e, options, error) : status;
}

static uint64_t process_anonymous(void)
{
    ortp_stats stats = ORTP_STATS_INIT;
    return ortp_stats_add_process(&stats) == ORTP_OK ? stats.process_anonymous : 0;
}

/*
 * The budget was too small: does the same without one and says what that took. ONNX Runtime's share
 * is known only once the graphs are loaded, so anything but measuring could name too little. Heap
 * that the first try left would be used again by the second, which then grows by less than a fresh
 * process: it goes back to the system first, and what stays (beyond `before`) counts on top.
 */
static void say_budget(engine *e, const run_options *options, const OrtApi *api, bool cache_off,
                       uint64_t before, const ortp_error *error)
{
    char given[32];
    size_format(options->budget, given, sizeof(given));
    fprintf(stderr, "ortpool: --budget: %s is too small for this model and these options\n", given);
    run_options unlimited = *options;
    unlimited.budget = 0;
    unlimited.no_warmup = false;
    if (!engine_close(e)) {
        return;
    }
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    uint64_t left = process_anonymous();
    size_t again = left > before ? (size_t)(left - before) : 0;
    if (create_and_warm(e, &unlimited, api, cache_off, NULL) != ORTP_OK) {
        fprintf(stderr, "    %s\n", error->message);
        return;
    }
    ortp_budget_info info;
    ortp_budget_get_info(ortp_runtime_budget(e->runtime), &info);
    /* Two runs differ a little in what ONNX Runtime takes: a tenth more, in whole MiB. */
    size_t peak = info.peak_bytes + again;
    size_t enough = ((peak + peak / 10) >> 20) + 1;
    char took[32];
    size_format(peak, took, sizeof(took));
    fprintf(stderr,
            "    Without a limit it takes about %s to load and warm up: --budget %zuM would do.\n",
            took, enough);
}

int engine_open(engine *e, const run_options *options, bool cache_off)
{
    *e = (engine){0};
    char message[2 * sizeof(e->model)];
    if (!find_model(options->model, e->model, sizeof(e->model), message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    ort_library library;
    if (!ort_library_open(&library, message, sizeof(message))) {
        size_t length = strlen(message);
        const char *end = length > 0 && message[length - 1] == '\n' ? "" : "\n";
        fprintf(stderr, "ortpool: %s%s", message, end);
        return EXIT_SETUP;
    }
    memcpy(e->ort_version, library.version, sizeof(e->ort_version));
    ortp_error error = ORTP_ERROR_INIT;
    uint64_t before = process_anonymous();
    ortp_status status = create_and_warm(e, options, library.api, cache_off, &error);
    if (status == ORTP_E_BUDGET && options->budget != 0) {
        say_budget(e, options, library.api, cache_off, before, &error);
        return EXIT_SETUP;
    }
    return status == ORTP_OK ? EXIT_ANSWERED : fail(status, &error);
}

bool engine_close(engine *e)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_predictor_destroy(e->predictor);
    e->predictor = NULL;
    if (ortp_runtime_destroy(e->runtime, &error) != ORTP_OK) {
        fprintf(stderr, "ortpool: memory still in use at the end: %s\n", error.message);
        return false;
    }
    e->runtime = NULL;
    return true;
}

void engine_print_version(void)
{
    char message[4096];
    ort_library library;
    printf("ortpool %s\n", ortp_version());
    if (ort_library_open(&library, message, sizeof(message))) {
        printf("ONNX Runtime %s (%s)\n", library.version, library.path);
    } else {
        printf("ONNX Runtime not found\n");
    }
}
