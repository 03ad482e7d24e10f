/* SPDX-License-Identifier: MIT */
/* ortpool's predictor as a way. */
#include "way.h"
#include "support.h"
#include "timed_api.h"

#include <stdlib.h>

typedef struct pooled {
    way base; /* first: what is handed out */
    ortp_runtime *runtime;
    ortp_predictor *predictor;
} pooled;

static void predict(way *s, const way_input *input, ortp_prediction *out)
{
    ortp_error error = ORTP_ERROR_INIT;
    bench_must(ortp_predictor_predict(((pooled *)s)->predictor, input->swipe, NULL, out, &error),
               &error);
}

static void warm(way *s)
{
    ortp_error error = ORTP_ERROR_INIT;
    bench_must(ortp_predictor_warm(((pooled *)s)->predictor, NULL, NULL, &error), &error);
}

static way_taken taken(const way *s)
{
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(((const pooled *)s)->runtime, &stats);
    return (way_taken){.mappings = stats.maps,
                       .tensors = stats.tensor_creates,
                       .mapped = stats.mapped,
                       .mapped_peak = stats.mapped_peak};
}

static void shut(way *s)
{
    pooled *p = (pooled *)s;
    ortp_error error = ORTP_ERROR_INIT;
    bench_must(ortp_predictor_destroy(p->predictor, &error), &error);
    bench_must(ortp_runtime_destroy(p->runtime, &error), &error);
    free(p);
}

ortp_runtime *way_runtime(const way_setup *setup)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    ortp_runtime *runtime = NULL;
    options.api = setup->api;
    options.api_version = setup->api_version;
    options.ort_version = setup->ort_version;
    bench_must(ortp_runtime_create(&options, &runtime, &error), &error);
    return runtime;
}

way *pooled_open(const way_setup *setup, ortp_path path, bool cached)
{
    ortp_error error = ORTP_ERROR_INIT;
    pooled *p = calloc(1, sizeof(*p));
    if (!p) {
        bench_die("ortpool", "no memory left");
    }
    p->base = (way){.predict = predict, .warm = warm, .taken = taken, .close = shut};
    p->runtime = way_runtime(setup);
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = p->runtime;
    options.model_directory = setup->directory;
    options.beam_width = setup->beam_width;
    options.path = path;
    options.cache_off = !cached;
    options.cache_stale_ms = UINT32_MAX; /* no hit becomes a miss between two predictions */
    bench_must(ortp_predictor_create(&options, &p->predictor, &error), &error);
    timed_api_encoder(ortp_session_ort(ortp_model_encoder(ortp_predictor_model(p->predictor))));
    return &p->base;
}
