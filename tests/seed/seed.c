/* SPDX-License-Identifier: MIT */
/* The run, ortpool and the figures of the seed tests: see seed.h. The swipes are in samples.c. */
#define _GNU_SOURCE
#include "seed.h"

#include "ort_loader.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the run ---- */

bool seed_is_broken(int argc, char **argv)
{
    if (argc == 1) {
        return false;
    }
    if (argc == 2 && strcmp(argv[1], "--broken") == 0) {
        printf("broken variant: this run must end RED\n");
        return true;
    }
    fprintf(stderr, "usage: %s [--broken]\n", argv[0]);
    exit(2);
}

static void print_verdict(const char *colour, const char *format, va_list args)
{
    printf("%s: ", colour);
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
}

int seed_green(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_verdict("GREEN", format, args);
    va_end(args);
    return 0;
}

int seed_red(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_verdict("RED", format, args);
    va_end(args);
    return 1;
}

bool seed_problem(const char *what, ortp_status status, const ortp_error *error)
{
    printf("  %s: %s %s\n", what, ortp_status_name(status), error ? error->message : "");
    return false;
}

const OrtApi *seed_open_ort(void)
{
    static ort_library library;
    char message[2048];
    if (!ort_library_open(&library, message, sizeof(message))) {
        printf("skipped: %s\n", message);
        fflush(stdout);
        exit(SEED_SKIP);
    }
    printf("ONNX Runtime %s, model %s\n", library.version,
           strrchr(seed_model_directory(), '/') + 1);
    return library.api;
}

const char *seed_model_directory(void)
{
    const char *named = getenv("ORTPOOL_SEED_MODEL");
    return named ? named : SEED_MODEL_DIRECTORY;
}

/* ---- ortpool ---- */

static void *control_alloc(void *ctx, size_t bytes)
{
    seed_control *control = ctx;
    void *ptr = malloc(bytes);
    if (ptr) {
        atomic_fetch_add(&control->blocks, 1);
        atomic_fetch_add(&control->bytes, (int64_t)bytes);
    }
    return ptr;
}

static void control_free(void *ctx, void *ptr, size_t bytes)
{
    seed_control *control = ctx;
    if (ptr) {
        atomic_fetch_sub(&control->blocks, 1);
        atomic_fetch_sub(&control->bytes, (int64_t)bytes);
    }
    free(ptr);
}

static size_t charged_now(const ortp_budget *budget)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    return info.charged_bytes;
}

bool seed_world_open(seed_world *world, const OrtApi *api, ortp_pool_kind kind, size_t limit_bytes)
{
    memset(world, 0, sizeof(*world));
    ortp_alloc alloc = {control_alloc, control_free, &world->control};
    ortp_error error = ORTP_ERROR_INIT;

    ortp_budget_options b = ORTP_BUDGET_OPTIONS_INIT;
    b.limit_bytes = limit_bytes;
    b.alloc = alloc;
    ortp_status status = ortp_budget_create(&b, &world->budget, NULL);
    if (status != ORTP_OK) {
        return seed_problem("creating the budget", status, NULL);
    }
    world->empty_bytes = charged_now(world->budget);

    ortp_pool_options p = ORTP_POOL_OPTIONS_INIT;
    p.budget = world->budget;
    p.kind = kind;
    p.alloc = alloc;
    status = ortp_pool_create(&p, &world->pool, &error);
    if (status != ORTP_OK) {
        return seed_problem("creating the pool", status, &error);
    }

    ortp_runtime_options r = ORTP_RUNTIME_OPTIONS_INIT;
    r.api = api;
    r.budget = world->budget;
    r.pool = world->pool;
    r.alloc = alloc;
    status = ortp_runtime_create(&r, &world->runtime, &error);
    if (status != ORTP_OK) {
        return seed_problem("creating the runtime", status, &error);
    }
    return true;
}

bool seed_world_close(seed_world *world)
{
    ortp_error error = ORTP_ERROR_INIT;
    bool ok = true;
    ortp_status status = ortp_runtime_destroy(world->runtime, &error);
    if (status != ORTP_OK) {
        ok = seed_problem("destroying the runtime", status, &error);
    }
    status = ortp_pool_destroy(world->pool, &error);
    if (status != ORTP_OK) {
        ok = seed_problem("destroying the pool", status, &error);
    }
    size_t left = charged_now(world->budget);
    if (left != world->empty_bytes) {
        printf("  the budget still holds %zu bytes; empty it holds %zu\n", left,
               world->empty_bytes);
        ok = false;
    }
    status = ortp_budget_destroy(world->budget, NULL);
    if (status != ORTP_OK) {
        ok = seed_problem("destroying the budget", status, NULL);
    }
    int64_t blocks = atomic_load(&world->control.blocks);
    if (blocks != 0) {
        printf("  %" PRId64 " control structures were never freed\n", blocks);
        ok = false;
    }
    return ok;
}

ortp_predictor *seed_predictor(const seed_world *world, const seed_setup *setup)
{
    ortp_predictor_options o = ORTP_PREDICTOR_OPTIONS_INIT;
    o.runtime = world->runtime;
    o.model_directory = setup->model_directory ? setup->model_directory : seed_model_directory();
    o.path = setup->path;
    o.threads = setup->threads;
    o.beam_width = setup->beam_width;
    o.cache_off = setup->cache_off;
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_predictor_create(&o, &predictor, &error);
    if (status != ORTP_OK) {
        seed_problem("creating the predictor", status, &error);
    }
    return predictor;
}

bool seed_warm(ortp_predictor *predictor)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_predictor_warm(predictor, NULL, NULL, &error);
    return status == ORTP_OK || seed_problem("warming up", status, &error);
}

bool seed_predict(ortp_predictor *predictor, const ortp_swipe *swipe, ortp_prediction *out)
{
    *out = (ortp_prediction)ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_predictor_predict(predictor, swipe, NULL, out, &error);
    return status == ORTP_OK || seed_problem("predicting", status, &error);
}

bool seed_same_words(const ortp_prediction *a, const ortp_prediction *b)
{
    if (a->candidate_count != b->candidate_count) {
        return false;
    }
    for (size_t i = 0; i < a->candidate_count; i++) {
        const ortp_candidate *x = &a->candidates[i], *y = &b->candidates[i];
        if (strcmp(x->word, y->word) != 0 || memcmp(&x->score, &y->score, sizeof(x->score)) != 0) {
            return false;
        }
    }
    return true;
}

bool seed_ledger_balanced(const ortp_budget *budget)
{
    ortp_stats s = ORTP_STATS_INIT;
    bool ok = ortp_stats_collect_budget(budget, &s) == ORTP_OK;
    uint64_t in_use = s.in_use_tensors + s.in_use_decode + s.in_use_cache + s.in_use_run +
                      s.in_use_weights + s.in_use_other;
    if (in_use + s.idle + s.metadata != s.mapped) {
        printf("  ledger: in use %" PRIu64 " + idle %" PRIu64 " + metadata %" PRIu64
               " is not mapped %" PRIu64 "\n",
               in_use, s.idle, s.metadata, s.mapped);
        ok = false;
    }
    if (s.mapped + s.declared != s.charged) {
        printf("  ledger: mapped %" PRIu64 " + declared %" PRIu64 " is not charged %" PRIu64 "\n",
               s.mapped, s.declared, s.charged);
        ok = false;
    }
    return ok;
}

/* ---- figures ---- */

double seed_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double seed_quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    double rank = ceil(q * (double)count);
    size_t index = rank < 1 ? 0 : (size_t)rank - 1;
    return values[index < count ? index : count - 1];
}

uint64_t seed_random(uint64_t *state)
{
    /* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016 */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Du;
}
