/* SPDX-License-Identifier: MIT */
/*
 * The bundled model's encoder over ORT's plain API, with inputs of any length: what the shape
 * benches run. Inputs and output are the bench's own memory, the same in every configuration.
 */
#ifndef BENCH_ENCODER_H
#define BENCH_ENCODER_H

#include <onnxruntime_c_api.h>

#include <stddef.h>
#include <stdint.h>

#define ENCODER_POINTS_MAX 150u

typedef struct encoder_values {
    OrtValue *inputs[3];
    OrtValue *output;
    float *data; /* behind them */
    size_t output_count;
    size_t points;
} encoder_values;

extern const char *const encoder_inputs[3];
extern const char *const encoder_outputs[1];

/* Ends the process with the message where status is one. */
void ort_must(const OrtApi *api, OrtStatus *status);
OrtEnv *encoder_env(const OrtApi *api);
/* Sequential execution, one thread, memory patterns off: as ortpool sets its sessions. */
OrtSessionOptions *encoder_options(const OrtApi *api);
/* The same numbers for the same `points`, in every process. */
void encoder_values_make(encoder_values *values, const OrtApi *api, size_t points);
void encoder_values_free(encoder_values *values, const OrtApi *api);
/* A number that stands for the output's bytes. */
uint64_t encoder_values_hash(const encoder_values *values);

#endif
