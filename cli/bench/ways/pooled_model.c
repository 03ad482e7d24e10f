/* SPDX-License-Identifier: MIT */
/* ortpool's model and decoder, for a model without a keyboard: no features to compute, no lexicon to keep to. */
#include <stdlib.h>

#include "support.h"
#include "timed_api.h"
#include "way.h"

#define TOP 3u

typedef struct pooled_model {
    way base; /* first: what is handed out */
    ortp_runtime *runtime;
    ortp_tensor_pool *tensors;
    ortp_model *model;
    ortp_decoder *decoder;
    ortp_search_params params;
} pooled_model;

static void predict(way *w, const way_input *input, ortp_prediction *out)
{
    pooled_model *p = (pooled_model *)w;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_encoder_input encoder = {input->features, input->keys, input->length};
    ortp_hypothesis found[TOP] = {ORTP_HYPOTHESIS_INIT};
    ortp_tensor *encoded = NULL;
    size_t count = 0;
    bench_must(ortp_model_encode(p->model, &encoder, &encoded, &error), &error);
    bench_must(ortp_decoder_search(p->decoder, encoded, input->length, &p->params, NULL, found, TOP,
                                   &count, &error),
               &error);
    bench_must(ortp_tensor_release(encoded), &error);
    out->candidate_count = count;
    for (size_t i = 0; i < count; i++) {
        way_name_tokens(found[i].tokens, found[i].length, out->candidates[i].word);
        out->candidates[i].score = found[i].score;
    }
}

/* Widest first, as the predictor does. */
static void warm(way *w)
{
    pooled_model *p = (pooled_model *)w;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_manifest *m = ortp_model_manifest(p->model);
    const bool all_rows = ortp_model_path(p->model) == ORTP_PATH_INCREMENTAL;
    for (size_t bucket = m->bucket_count; bucket-- > 0;) {
        bench_must(ortp_model_warm(p->model, bucket, &error), &error);
        for (size_t beams = p->params.beam_width; beams > 0; beams--) {
            bench_must(ortp_decoder_warm(p->decoder, bucket, beams, &error), &error);
            if (all_rows) {
                break;
            }
        }
    }
}

static way_taken taken(const way *w)
{
    const pooled_model *p = (const pooled_model *)w;
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(p->runtime, &stats);
    return (way_taken){.mappings = stats.maps,
                       .tensors = stats.tensor_creates,
                       .mapped = stats.mapped,
                       .mapped_peak = stats.mapped_peak};
}

static void shut(way *w)
{
    pooled_model *p = (pooled_model *)w;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder_destroy(p->decoder, NULL);
    bench_must(ortp_model_destroy(p->model, &error), &error);
    bench_must(ortp_tensor_pool_destroy(p->tensors, &error), &error);
    bench_must(ortp_runtime_destroy(p->runtime, &error), &error);
    free(p);
}

way *pooled_model_open(const way_setup *setup, ortp_path path)
{
    ortp_error error = ORTP_ERROR_INIT;
    pooled_model *p = calloc(1, sizeof(*p));
    if (!p) {
        bench_die("ortpool", "no memory left");
    }
    p->base = (way){.predict = predict, .warm = warm, .taken = taken, .close = shut};
    p->runtime = way_runtime(setup);
    ortp_tensor_pool_options tensors = ORTP_TENSOR_POOL_OPTIONS_INIT;
    tensors.runtime = p->runtime;
    bench_must(ortp_tensor_pool_create(&tensors, &p->tensors, &error), &error);
    ortp_model_options model = ORTP_MODEL_OPTIONS_INIT;
    model.runtime = p->runtime;
    model.tensors = p->tensors;
    model.directory = setup->directory;
    model.intra_threads = 1;
    model.path = path == ORTP_PATH_INCREMENTAL ? path : ORTP_PATH_BATCHED;
    bench_must(ortp_model_create(&model, &p->model, &error), &error);
    p->params = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    (void)ortp_search_params_from(ortp_model_manifest(p->model), &p->params);
    p->params.path = path == ORTP_PATH_INCREMENTAL ? ORTP_PATH_AUTO : path;
    if (setup->beam_width > 0) {
        p->params.beam_width = setup->beam_width;
    }
    bench_must(ortp_decoder_create(
                   &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                 .model = p->model,
                                                 .tensors = p->tensors,
                                                 .beam_width_max = p->params.beam_width},
                   &p->decoder, &error),
               &error);
    timed_api_encoder(ortp_session_ort(ortp_model_encoder(p->model)));
    return &p->base;
}
