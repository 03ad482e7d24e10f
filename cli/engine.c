/* SPDX-License-Identifier: MIT */
/* Set-up in the order of life: ONNX Runtime, budget and pool, predictor, warm-up. */
#include "engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <ort_loader.h>

#include "commands.h"
#include "find_model.h"
#include "interrupt.h"
#include "progress.h"
#include "size.h"
#include "text.h"

/* Warm-up takes a second or so; shorter ones show no bar. */
#define PROGRESS_DELAY_SECONDS 0.3
/* Encoder outputs kept for swipes that come again. */
#define CACHE_ENTRIES 4u
#define MIB 1048576.0

static bool warmup_progress(void *ctx, size_t done, size_t total, const char *step)
{
    progress_update(ctx, (double)done / (double)total, step);
    return interrupt_signal() == 0;
}

static int fail(ortp_status status, const ortp_error *error)
{
    if (status == ORTP_E_CANCELLED) { /* by warmup_progress() alone */
        return 128 + interrupt_signal();
    }
    /* ONNX Runtime quotes names from the graph, which are anybody's bytes. */
    fputs("ortpool: ", stderr);
    text_put(stderr, error->message, SIZE_MAX);
    fputc('\n', stderr);
    return EXIT_SETUP;
}

static ortp_status create(engine *e, const run_options *options, const ort_library *library,
                          bool cache_off, ortp_error *error)
{
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = library->api;
    runtime.ort_version = library->version;
    runtime.api_version = library->api_version;
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
    predictor.cache_entries = CACHE_ENTRIES;
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
    e->warmup = (ortp_warmup_report)ORTP_WARMUP_REPORT_INIT;
    ortp_status status = ortp_predictor_warm(e->predictor, &warmup, &e->warmup, error);
    progress_clear(&bar);
    return status;
}

static ortp_status create_and_warm(engine *e, const run_options *options,
                                   const ort_library *library, bool cache_off, ortp_error *error)
{
    ortp_status status = create(e, options, library, cache_off, error);
    return status == ORTP_OK && !options->no_warmup ? warm(e, options, error) : status;
}

static double file_bytes(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (double)about.st_size : 0;
}

/*
 * A limit that would do, in MiB, from the sizes of files alone; 0 where they do not say. What
 * ONNX Runtime adds to the graphs' files (weights that it repacks) was seen at up to 0.3 of them.
 * Reading a lexicon, before the graphs, takes up to 5.3 times its file, half as much again as the
 * file afterwards.
 * Sessions have a MiB each of their own, control structures grow with the threads. Doubles, since
 * no file is too big for them.
 */
static double enough_mib(const engine *e, const run_options *options, bool cache_off)
{
    ortp_manifest *manifest = NULL;
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    ortp_plan plan = ORTP_PLAN_INIT;
    if (ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = e->model},
            &manifest, NULL) != ORTP_OK) {
        return 0;
    }
    bool known = ortp_plan_estimate(manifest, options->beam, options->path, options->threads,
                                    cache_off ? 0 : CACHE_ENTRIES, &plan, NULL) == ORTP_OK;
    const size_t beams = options->beam > 0 ? options->beam : manifest->beam_width;
    const size_t rows = options->path == ORTP_PATH_SEQUENTIAL ? 1 : beams;
    double positions = fmax((double)manifest->max_points, (double)(rows * manifest->max_tokens));
    /* A run at its peak holds some sixteen activations. */
    double run = 16.0 * sizeof(float) * (double)manifest->hidden * positions;
    ortp_manifest_destroy(manifest, NULL);
    if (!known || ortp_swipe_config_load(e->model, &config, NULL) != ORTP_OK) {
        return 0;
    }
    double blocks = (double)(plan.total_bytes - plan.declared_bytes);
    double words = file_bytes(config.lexicon_path);
    double own = (double)(3 + options->threads / 8) * MIB;
    double graphs = 1.4 * (double)plan.declared_bytes;
    double warm = graphs + (double)options->threads * run + 1.75 * words + 1.125 * blocks;
    return ceil((own + fmax(5.5 * words, warm)) / MIB);
}

/* The limit, what did not fit, and what would: in this order, a line each. */
static void say_budget(const engine *e, const run_options *options, bool cache_off,
                       const ortp_error *error)
{
    char given[32];
    size_format(options->budget, given, sizeof(given));
    fprintf(stderr, "ortpool: --budget: %s is too small for this model and these options\n", given);
    fprintf(stderr, "    %s\n", error->message);
    double enough = enough_mib(e, options, cache_off);
    if (enough > 0) {
        /* It is that much already with an unusual ONNX Runtime, or allocator of the system. */
        double given_mib = floor((double)options->budget / MIB);
        enough = enough > given_mib ? enough : 2 * given_mib;
        fprintf(stderr, "    For all of it about %.0f MiB would do: --budget %.0fM\n", enough,
                enough);
    }
}

int engine_open(engine *e, const run_options *options, bool cache_off)
{
    *e = (engine){0};
    char message[2 * sizeof(e->model)];
    if (!find_model("--model", options->model, e->model, sizeof(e->model), message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    ort_library library;
    if (!ort_library_open(&library, message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    memcpy(e->ort_version, library.version, sizeof(e->ort_version));
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = create_and_warm(e, options, &library, cache_off, &error);
    if (status == ORTP_E_BUDGET) {
        say_budget(e, options, cache_off, &error);
        return EXIT_SETUP;
    }
    return status == ORTP_OK ? EXIT_ANSWERED : fail(status, &error);
}

int engine_close(engine *e, int code)
{
    ortp_error error = ORTP_ERROR_INIT;
    /* No thread is left that could use the predictor: what it had in use, the runtime finds. */
    (void)ortp_predictor_destroy(e->predictor, NULL);
    if (ortp_runtime_destroy(e->runtime, &error) != ORTP_OK) {
        /* GCOVR_EXCL_START: only a leak of ortpool's own leads here */
        fprintf(stderr, "ortpool: memory still in use at the end: %s\n", error.message);
        code = EXIT_SETUP;
        /* GCOVR_EXCL_STOP */
    }
    *e = (engine){0};
    return code;
}

/* The reasons, one an indented line below a heading, as one line; what follows them is left out. */
static void print_reasons(const char *message)
{
    const char *separator = ": ";
    const char *line = strchr(message, '\n');
    while (line != NULL && line[1] == ' ') {
        line += 1 + strspn(line + 1, " ");
        printf("%s%.*s", separator, (int)strcspn(line, "\n"), line);
        separator = "; ";
        line = strchr(line, '\n');
    }
}

void engine_print_version(void)
{
    char message[4096];
    ort_library library;
    printf("ortpool %s\n", ortp_version());
    if (ort_library_open(&library, message, sizeof(message))) {
        printf("ONNX Runtime %s (%s)\n", library.version, library.path);
    } else {
        printf("ONNX Runtime not found");
        print_reasons(message);
        putchar('\n');
    }
}
