/* SPDX-License-Identifier: MIT */
/*
 * What the two plain ways share: a model's two sessions over ORT's C API, and what is not
 * compared: features, lexicon, score rules. Nothing of ortpool's memory is under a prediction.
 */
#ifndef ORTPOOL_CLI_BENCH_PLAIN_H
#define ORTPOOL_CLI_BENCH_PLAIN_H

#include <onnxruntime_c_api.h>

#include "way.h"

typedef struct plain {
    const OrtApi *api;
    OrtEnv *env;
    OrtMemoryInfo *cpu;
    OrtSession *encoder, *decoder;
    ortp_manifest *manifest;
    ortp_swipe_config config;
    ortp_budget *budget; /* of the lexicon's block, with the pool */
    ortp_pool *pool;
    ortp_lexicon *lexicon;
    ortp_lexicon_constraint words;
    ortp_constraint constraint;
    ortp_search_params params;
    const char *encoder_inputs[3], *encoder_outputs[2]; /* features, keys, length; memory, ctc */
    size_t encoder_output_count;                        /* 1: the model has no ctc */
    const char *decoder_inputs[3], *decoder_outputs[1]; /* memory, tokens, length; logits */
} plain;

void plain_must(const plain *p, OrtStatus *status);
/* One intra-op thread, all else as ORT has it. Ends the process where it fails. */
void plain_open(plain *p, const way_setup *setup);
void plain_close(plain *p);
/* A tensor over `data`. */
OrtValue *plain_value(const plain *p, void *data, size_t bytes, const int64_t *shape, size_t rank,
                      ONNXTensorElementDataType type);
/* Features and keys of an input, padded with zeros to the bucket; both have room for max_points. */
size_t plain_features(const plain *p, const way_input *input, float *features, int32_t *keys,
                      size_t *bucket);
way_taken plain_taken(const way *s);

#endif
