/* SPDX-License-Identifier: MIT */
/*
 * What the six seed tests share: the verdict, the bundled swipes, ONNX Runtime, ortpool on top of
 * it, and a little statistics.
 *
 * Every test prints its figures in plain lines and ends with one line, "GREEN: ..." (exit 0) or
 * "RED: why" (exit 1). Run with --broken it puts a broken subject in the place of ortpool and must
 * end RED. Exit 77: there is no ONNX Runtime on this machine.
 */
#ifndef SEED_H
#define SEED_H

#include <stdio.h>

#include <onnxruntime_c_api.h>
#include <ortpool/ortpool.h>
#include <ortpool/predict.h>

#define SEED_SKIP 77

/* ---- the run ---- */

/* --broken; anything else on the command line is an error that ends the process. */
bool seed_is_broken(int argc, char **argv);
/* Print the last line and return the exit status. */
int seed_green(const char *format, ...) ORTP_PRINTF(1, 2);
int seed_red(const char *format, ...) ORTP_PRINTF(1, 2);
/* Prints the error and returns false, for `return seed_problem(...)`. */
bool seed_problem(const char *what, ortp_status status, const ortp_error *error);
/* The ONNX Runtime of this machine; without one says so and ends the process with SEED_SKIP. */
const OrtApi *seed_open_ort(void);

/* The model of this build: the trained one; under a sanitizer and in debug builds the tiny one. */
const char *seed_model_directory(void);

/* ---- swipes ---- */

typedef struct seed_sample {
    char word[ORTP_LEXICON_WORD_MAX + 2]; /* what was meant, not what a model says */
    ortp_swipe swipe;
    double *numbers; /* its x, y and t */
} seed_sample;

typedef struct seed_samples {
    seed_sample *items;
    size_t count;
} seed_samples;

/* All bundled swipes; on failure prints why and returns false. */
bool seed_samples_load(seed_samples *out);
void seed_samples_free(seed_samples *samples);

/* ---- ortpool ---- */

/* Live control structures of ortpool, counted by the allocator it was given. */
typedef struct seed_control {
    _Atomic(int64_t) blocks;
    _Atomic(int64_t) bytes;
} seed_control;

typedef struct seed_world {
    seed_control control;
    size_t empty_bytes; /* charged by the budget alone */
    ortp_budget *budget;
    ortp_pool *pool;
    ortp_runtime *runtime;
} seed_world;

/* Budget, pool and runtime; limit_bytes 0: none. Prints why on failure. */
bool seed_world_open(seed_world *world, const OrtApi *api, ortp_pool_kind kind, size_t limit_bytes);
/* Destroys them; false, and says why, where anything was left in them. */
bool seed_world_close(seed_world *world);

typedef struct seed_setup {
    const char *model_directory; /* NULL: this build's */
    ortp_path path;
    uint32_t threads;  /* 0: 1 */
    size_t beam_width; /* 0: the manifest's */
    bool cache_off;
} seed_setup;

/* NULL on failure, with the reason printed. */
ortp_predictor *seed_predictor(const seed_world *world, const seed_setup *setup);
bool seed_warm(ortp_predictor *predictor);
/* Prints why on failure; out holds 3 candidates at most. */
bool seed_predict(ortp_predictor *predictor, const ortp_swipe *swipe, ortp_prediction *out);
/* The same words with the same scores, bit for bit. */
bool seed_same_words(const ortp_prediction *a, const ortp_prediction *b);
/* The ledger of stats.h at a quiet point; prints both sides where they differ. */
bool seed_ledger_balanced(const ortp_budget *budget);

/* ---- figures ---- */

double seed_now_ms(void);
/* Sorts; q in 0 to 1, nearest rank. */
double seed_quantile(double *values, size_t count, double q);
/* A small generator of its own, so that runs repeat. state must not be 0. */
uint64_t seed_random(uint64_t *state);

#endif
