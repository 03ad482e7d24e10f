/* SPDX-License-Identifier: MIT */
/* Everything between the options and a predictor that is ready: ONNX Runtime, model, warm-up. */
#ifndef ORTPOOL_CLI_ENGINE_H
#define ORTPOOL_CLI_ENGINE_H

#include <stdbool.h>

#include <ortpool/predictor.h>

#include "options.h"

typedef struct engine {
    ortp_runtime *runtime;
    ortp_predictor *predictor;
    ortp_warmup_report warmup; /* all zero with --no-warmup */
    char model[4096];          /* the model's folder */
    char ort_version[32];
} engine;

/*
 * Opens ONNX Runtime and the model and warms up. Returns EXIT_ANSWERED, EXIT_SETUP with the reason
 * on standard error, or 128 + the signal that came meanwhile. engine_close() after any of them.
 */
int engine_open(engine *e, const run_options *options, bool cache_off);
/* Gives everything back. Returns `code`, or EXIT_SETUP, said, where something was still in use. */
int engine_close(engine *e, int code);

/* "ortpool 0.1.0" and the ONNX Runtime that would be used, on standard output. */
void engine_print_version(void);

#endif
