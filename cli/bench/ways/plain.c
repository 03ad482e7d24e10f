/* SPDX-License-Identifier: MIT */
/* See plain.h. */
#include "plain.h"

#include "support.h"
#include "timed_api.h"

#include <string.h>

void plain_must(const plain *p, OrtStatus *status)
{
    if (status) {
        bench_die("ONNX Runtime", p->api->GetErrorMessage(status));
    }
}

static OrtSession *open_session(const plain *p, const char *path, bool no_arena)
{
    OrtSessionOptions *options = NULL;
    OrtSession *session = NULL;
    plain_must(p, p->api->CreateSessionOptions(&options));
    plain_must(p, p->api->SetIntraOpNumThreads(options, 1));
    if (no_arena) {
        plain_must(p, p->api->DisableCpuMemArena(options));
    }
    plain_must(p, p->api->CreateSession(p->env, path, options, &session));
    p->api->ReleaseSessionOptions(options);
    return session;
}

static void open_lexicon(plain *p)
{
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_budget_options budget = ORTP_BUDGET_OPTIONS_INIT;
    bench_must(ortp_budget_create(&budget, &p->budget, &error), &error);
    ortp_pool_options pool = ORTP_POOL_OPTIONS_INIT;
    pool.budget = p->budget;
    bench_must(ortp_pool_create(&pool, &p->pool, &error), &error);
    ortp_lexicon_options lexicon = ORTP_LEXICON_OPTIONS_INIT;
    lexicon.pool = p->pool;
    lexicon.path = p->config.lexicon_path;
    bench_must(ortp_lexicon_create(&lexicon, &p->lexicon, &error), &error);
    p->words = (ortp_lexicon_constraint){.struct_size = sizeof(p->words),
                                         .lexicon = p->lexicon,
                                         .first_letter = p->config.first_letter,
                                         .weight = p->config.frequency_weight,
                                         .look_ahead = p->config.look_ahead,
                                         .count_limit = p->config.count_limit,
                                         .free_score = p->config.free_score};
    p->constraint = (ortp_constraint)ORTP_CONSTRAINT_INIT;
    bench_must(ortp_lexicon_make_constraint(&p->words, &p->constraint), &error);
}

static void name_ports(plain *p)
{
    const ortp_manifest *m = p->manifest;
    p->encoder_inputs[0] = m->encoder.features;
    p->encoder_inputs[1] = m->encoder.keys;
    p->encoder_inputs[2] = m->encoder.length;
    p->encoder_outputs[0] = m->encoder.memory;
    p->encoder_outputs[1] = m->encoder.ctc;
    p->encoder_output_count = m->encoder.ctc != NULL ? 2 : 1;
    p->decoder_inputs[0] = m->decoder.memory;
    p->decoder_inputs[1] = m->decoder.tokens;
    p->decoder_inputs[2] = m->decoder.length;
    p->decoder_outputs[0] = m->decoder.logits;
}

void plain_open(plain *p, const way_setup *setup)
{
    ortp_error error = ORTP_ERROR_INIT;
    p->api = setup->api;
    bench_must(ortp_manifest_create(
                   &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                  .directory = setup->directory},
                   &p->manifest, &error),
               &error);
    if (setup->keyboard) {
        p->config = (ortp_swipe_config)ORTP_SWIPE_CONFIG_INIT;
        bench_must(ortp_swipe_config_load(setup->directory, &p->config, &error), &error);
        open_lexicon(p);
    }
    name_ports(p);
    p->params = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    (void)ortp_search_params_from(p->manifest, &p->params);
    if (setup->beam_width > 0) {
        p->params.beam_width = setup->beam_width;
    }
    plain_must(p, p->api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &p->env));
    plain_must(p, p->api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &p->cpu));
    p->encoder = open_session(p, p->manifest->encoder_path, setup->no_arena);
    p->decoder = open_session(p, p->manifest->decoder_path, setup->no_arena);
    timed_api_encoder(p->encoder);
}

void plain_close(plain *p)
{
    ortp_error error = ORTP_ERROR_INIT;
    p->api->ReleaseSession(p->encoder);
    p->api->ReleaseSession(p->decoder);
    p->api->ReleaseMemoryInfo(p->cpu);
    p->api->ReleaseEnv(p->env);
    ortp_lexicon_destroy(p->lexicon, NULL);
    ortp_manifest_destroy(p->manifest, NULL);
    bench_must(ortp_pool_destroy(p->pool, &error), &error);
    bench_must(ortp_budget_destroy(p->budget, &error), &error);
}

OrtValue *plain_value(const plain *p, void *data, size_t bytes, const int64_t *shape, size_t rank,
                      ONNXTensorElementDataType type)
{
    OrtValue *out = NULL;
    plain_must(
        p, p->api->CreateTensorWithDataAsOrtValue(p->cpu, data, bytes, shape, rank, type, &out));
    return out;
}

size_t plain_features(const plain *p, const way_input *input, float *features, int32_t *keys,
                      size_t *bucket)
{
    const size_t width = p->manifest->features;
    size_t length = input->length;
    ortp_error error = ORTP_ERROR_INIT;
    if (input->swipe != NULL) {
        bench_must(ortp_swipe_features(&p->config, input->swipe, features, keys, &length, &error),
                   &error);
    } else {
        memcpy(features, input->features, length * width * sizeof(*features));
        memcpy(keys, input->keys, length * sizeof(*keys));
    }
    *bucket = ortp_manifest_bucket(p->manifest, length);
    memset(features + length * width, 0, (*bucket - length) * width * sizeof(*features));
    memset(keys + length, 0, (*bucket - length) * sizeof(*keys));
    return length;
}

way_taken plain_taken(const way *s)
{
    (void)s;
    return (way_taken){0};
}
