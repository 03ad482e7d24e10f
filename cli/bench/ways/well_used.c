/* SPDX-License-Identifier: MIT */
/*
 * ONNX Runtime well used: one decoder run a step for all live beams; every buffer, tensor and
 * binding made once, for each bucket and count of beams, and bound once; ORT's arena and memory
 * patterns. A prediction writes inputs and calls RunWithBinding, nothing else.
 */
#include "plain_search.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

typedef struct well_used {
    way base; /* first: what is handed out */
    plain plain;
    plain_search search;
    float *features, *memory, *ctc, *logits;
    int32_t *keys, *length, *tokens;
    OrtValue *features_value[ORTP_BUCKETS_MAX], *keys_value[ORTP_BUCKETS_MAX];
    OrtValue *encoded_values[ORTP_BUCKETS_MAX][2], *length_value;        /* memory; ctc, or NULL */
    OrtValue *tokens_value[ORTP_BEAM_MAX], *logits_value[ORTP_BEAM_MAX]; /* of 1, 2, ... beams */
    OrtIoBinding *encoder[ORTP_BUCKETS_MAX];
    OrtIoBinding *decoder[ORTP_BUCKETS_MAX][ORTP_BEAM_MAX];
    OrtRunOptions *run_options;
    size_t bucket; /* index; of the swipe under way */
} well_used;

/* Aligned as ORT aligns its own, with room to read past the end. */
static void *buffer(size_t bytes)
{
    const size_t whole = (bytes + 127) / 64 * 64;
    void *memory = aligned_alloc(64, whole);
    if (!memory) {
        bench_die("ORT well used", "no memory left");
    }
    return memset(memory, 0, whole);
}

static void make_buffers(well_used *w)
{
    const ortp_manifest *m = w->plain.manifest;
    const size_t points = m->max_points, beams = w->plain.params.beam_width;
    w->features = buffer(points * m->features * sizeof(float));
    w->memory = buffer(points * m->hidden * sizeof(float));
    w->ctc = buffer(points * m->vocabulary * sizeof(float));
    w->logits = buffer(beams * m->max_tokens * m->vocabulary * sizeof(float));
    w->keys = buffer(points * sizeof(int32_t));
    w->length = buffer(sizeof(int32_t));
    w->tokens = buffer(beams * m->max_tokens * sizeof(int32_t));
}

static OrtValue *floats(const well_used *w, float *data, size_t a, size_t b, size_t c)
{
    return plain_value(&w->plain, data, a * b * c * sizeof(*data),
                       (int64_t[]){(int64_t)a, (int64_t)b, (int64_t)c}, 3,
                       ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
}

static OrtValue *integers(const well_used *w, int32_t *data, size_t a, size_t b)
{
    return plain_value(&w->plain, data, a * b * sizeof(*data), (int64_t[]){(int64_t)a, (int64_t)b},
                       2, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
}

static void make_values(well_used *w)
{
    const ortp_manifest *m = w->plain.manifest;
    for (size_t i = 0; i < m->bucket_count; i++) {
        w->features_value[i] = floats(w, w->features, 1, m->buckets[i], m->features);
        w->keys_value[i] = integers(w, w->keys, 1, m->buckets[i]);
        w->encoded_values[i][0] = floats(w, w->memory, 1, m->buckets[i], m->hidden);
        if (w->plain.encoder_output_count > 1) {
            w->encoded_values[i][1] = floats(w, w->ctc, 1, m->buckets[i], m->vocabulary);
        }
    }
    w->length_value = plain_value(&w->plain, w->length, sizeof(*w->length), (int64_t[]){1}, 1,
                                  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
    for (size_t n = 0; n < w->plain.params.beam_width; n++) {
        w->tokens_value[n] = integers(w, w->tokens, n + 1, m->max_tokens);
        w->logits_value[n] = floats(w, w->logits, n + 1, m->max_tokens, m->vocabulary);
    }
}

static OrtIoBinding *bind(const well_used *w, OrtSession *session, const char *const *inputs,
                          OrtValue *const *values, const char *const *outputs, size_t output_count,
                          OrtValue *const *results)
{
    const plain *p = &w->plain;
    OrtIoBinding *binding = NULL;
    plain_must(p, p->api->CreateIoBinding(session, &binding));
    for (size_t i = 0; i < 3; i++) {
        plain_must(p, p->api->BindInput(binding, inputs[i], values[i]));
    }
    for (size_t i = 0; i < output_count; i++) {
        plain_must(p, p->api->BindOutput(binding, outputs[i], results[i]));
    }
    return binding;
}

static void make_bindings(well_used *w)
{
    const plain *p = &w->plain;
    for (size_t i = 0; i < p->manifest->bucket_count; i++) {
        OrtValue *encoder[] = {w->features_value[i], w->keys_value[i], w->length_value};
        w->encoder[i] = bind(w, p->encoder, p->encoder_inputs, encoder, p->encoder_outputs,
                             p->encoder_output_count, w->encoded_values[i]);
        for (size_t n = 0; n < p->params.beam_width; n++) {
            OrtValue *decoder[] = {w->encoded_values[i][0], w->tokens_value[n], w->length_value};
            w->decoder[i][n] = bind(w, p->decoder, p->decoder_inputs, decoder, p->decoder_outputs,
                                    1, &w->logits_value[n]);
        }
    }
    plain_must(p, p->api->CreateRunOptions(&w->run_options));
}

static void next_logits(void *ctx, const int32_t *prefixes, size_t count, size_t length, float *out)
{
    well_used *w = ctx;
    const plain *p = &w->plain;
    const size_t width = p->manifest->max_tokens, vocabulary = p->manifest->vocabulary;
    memcpy(w->tokens, prefixes, count * width * sizeof(*w->tokens));
    plain_must(
        p, p->api->RunWithBinding(p->decoder, w->run_options, w->decoder[w->bucket][count - 1]));
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * vocabulary, w->logits + (i * width + length - 1) * vocabulary,
               vocabulary * sizeof(*out));
    }
}

static void predict(way *s, const way_input *input, ortp_prediction *out)
{
    well_used *w = (well_used *)s;
    const plain *p = &w->plain;
    size_t bucket = 0;
    *w->length = (int32_t)plain_features(p, input, w->features, w->keys, &bucket);
    plain_search_see(&w->search, w->features, (size_t)*w->length);
    for (w->bucket = 0; p->manifest->buckets[w->bucket] != bucket; w->bucket++) {
    }
    plain_must(p, p->api->RunWithBinding(p->encoder, w->run_options, w->encoder[w->bucket]));
    plain_search_run(&w->search, w->ctc, (size_t)*w->length, out);
}

static void release_values(const well_used *w)
{
    const OrtApi *api = w->plain.api;
    for (size_t i = 0; i < w->plain.manifest->bucket_count; i++) {
        api->ReleaseValue(w->features_value[i]);
        api->ReleaseValue(w->keys_value[i]);
        for (size_t k = 0; k < w->plain.encoder_output_count; k++) {
            api->ReleaseValue(w->encoded_values[i][k]);
        }
        api->ReleaseIoBinding(w->encoder[i]);
        for (size_t n = 0; n < w->plain.params.beam_width; n++) {
            api->ReleaseIoBinding(w->decoder[i][n]);
        }
    }
    for (size_t n = 0; n < w->plain.params.beam_width; n++) {
        api->ReleaseValue(w->tokens_value[n]);
        api->ReleaseValue(w->logits_value[n]);
    }
    api->ReleaseValue(w->length_value);
    api->ReleaseRunOptions(w->run_options);
}

static void shut(way *s)
{
    well_used *w = (well_used *)s;
    release_values(w);
    plain_search_close(&w->search);
    plain_close(&w->plain);
    free(w->features);
    free(w->memory);
    free(w->ctc);
    free(w->logits);
    free(w->keys);
    free(w->length);
    free(w->tokens);
    free(w);
}

way *well_used_open(const way_setup *setup)
{
    well_used *w = buffer(sizeof(*w));
    w->base = (way){.predict = predict, .taken = plain_taken, .close = shut};
    plain_open(&w->plain, setup);
    if (w->plain.params.beam_width > ORTP_BEAM_MAX) {
        bench_die("beams", "too many");
    }
    plain_search_open(&w->search, &w->plain, next_logits, w);
    make_buffers(w);
    make_values(w);
    make_bindings(w);
    return &w->base;
}
