/* SPDX-License-Identifier: MIT */
/* Set-up in the order of life: ONNX Runtime, runtime with its budget and pool, predictor, warm-up. */
#include "engine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ort_loader.h>

#include "find_model.h"
#include "interrupt.h"
#include "progress.h"
#include "size.h"

/* Warm-up takes a second or so; shorter ones show no bar. */
#define PROGRESS_DELAY_SECONDS 0.3

static bool warmup_progress(void *ctx, size_t done, size_t total, const char *step) {
    progress_update(ctx, total == 0 ? 0 : (double)done / (double)total, step);
    return interrupt_signal() == 0;
}

/* Where the budget is what failed: how much would do, as far as the manifest and the files say. */
static void say_budget(const engine *e, const run_options *options, const ortp_error *error) {
    char have[32];
    size_format(options->budget, have, sizeof(have));
    fprintf(stderr, "ortpool: --budget %s is too small for this model: %s\n", have, error->message);
    ortp_manifest *manifest = NULL;
    ortp_plan plan;
    if (ortp_manifest_load(e->model, NULL, NULL, &manifest, NULL) != ORTP_OK) {
        return;
    }
    if (ortp_plan_estimate(manifest, options->beam, options->path, options->threads, 0, &plan,
                           NULL) == ORTP_OK) {
        char graphs[32], run[32];
        size_format(plan.declared_bytes, graphs, sizeof(graphs));
        size_format(plan.total_bytes - plan.declared_bytes, run, sizeof(run));
        fprintf(stderr,
                "    its graphs are %s, tensors for %zu thread%s %s; the lexicon comes on top, and what\n"
                "    ONNX Runtime makes of the graphs. --stats without --budget shows what it takes\n"
                "    (\"charged, peak\").\n",
                graphs, options->threads, options->threads == 1 ? "" : "s", run);
    }
    ortp_manifest_destroy(manifest);
}

static int fail(const engine *e, const run_options *options, ortp_status status,
                const ortp_error *error) {
    int caught = interrupt_signal();
    if (status == ORTP_E_CANCELLED && caught != 0) {
        return 128 + caught;
    }
    if (status == ORTP_E_BUDGET && options->budget != 0) {
        say_budget(e, options, error);
    } else {
        fprintf(stderr, "ortpool: %s\n",
                error->message[0] != '\0' ? error->message : ortp_status_text(status));
    }
    return EXIT_SETUP;
}

static int create_predictor(engine *e, const run_options *options, const OrtApi *api,
                            bool cache_off) {
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = api;
    runtime.limit_bytes = options->budget;
    runtime.pool_kind = options->pool;
    ortp_status status = ortp_runtime_create(&runtime, &e->runtime, &error);
    if (status != ORTP_OK) {
        return fail(e, options, status, &error);
    }
    ortp_predictor_options predictor = ORTP_PREDICTOR_OPTIONS_INIT;
    predictor.runtime = e->runtime;
    predictor.model_directory = e->model;
    predictor.beam_width = options->beam;
    predictor.path = options->path;
    predictor.threads = (uint32_t)options->threads;
    predictor.cache_off = cache_off;
    status = ortp_predictor_create(&predictor, &e->predictor, &error);
    return status == ORTP_OK ? EXIT_ANSWERED : fail(e, options, status, &error);
}

static int warm(engine *e, const run_options *options) {
    ortp_error error = ORTP_ERROR_INIT;
    progress bar;
    progress_start(&bar, "warming up", PROGRESS_DELAY_SECONDS, options->json);
    ortp_warmup_options warmup = ORTP_WARMUP_OPTIONS_INIT;
    warmup.progress = warmup_progress;
    warmup.progress_ctx = &bar;
    ortp_status status = ortp_predictor_warm(e->predictor, &warmup, &e->warmup, &error);
    progress_clear(&bar);
    return status == ORTP_OK ? EXIT_ANSWERED : fail(e, options, status, &error);
}

int engine_open(engine *e, const run_options *options, bool cache_off) {
    *e = (engine){0};
    char message[2 * sizeof(e->model)];
    if (!find_model(options->model, e->model, sizeof(e->model), message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    ort_library library;
    if (!ort_library_open(&library, message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    memcpy(e->ort_version, library.version, sizeof(e->ort_version));
    int code = create_predictor(e, options, library.api, cache_off);
    if (code == EXIT_ANSWERED && !options->no_warmup) {
        code = warm(e, options);
    }
    return code;
}

bool engine_close(engine *e) {
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

void engine_print_version(void) {
    char message[4096];
    ort_library library;
    printf("ortpool %s\n", ortp_version());
    if (ort_library_open(&library, message, sizeof(message))) {
        printf("ONNX Runtime %s (%s)\n", library.version, library.path);
    } else {
        printf("ONNX Runtime not found\n");
    }
}
