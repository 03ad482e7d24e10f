/* SPDX-License-Identifier: MIT */
/*
 * The usual code: what an application writes that runs the model through ONNX Runtime and thinks no
 * further about memory. Fresh arrays and tensors for each run, outputs made by ORT, a decoder run
 * for each beam and step.
 */
#include "plain_search.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

typedef struct usual {
    way base; /* first: what is handed out */
    plain plain;
    plain_search search;
    OrtValue *encoded[2]; /* of the swipe under way: memory; ctc, or NULL */
    int32_t length;
} usual;

static void *fresh(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (!memory) {
        bench_die("the usual code", "no memory left");
    }
    return memory;
}

static OrtValue *length_value(usual *u)
{
    return plain_value(&u->plain, &u->length, sizeof(u->length), (int64_t[]){1}, 1,
                       ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
}

static void encode(usual *u, const way_input *input)
{
    const plain *p = &u->plain;
    const size_t width = p->manifest->features;
    float *features = fresh(p->manifest->max_points * width, sizeof(*features));
    int32_t *keys = fresh(p->manifest->max_points, sizeof(*keys));
    size_t bucket;
    u->length = (int32_t)plain_features(p, input, features, keys, &bucket);
    plain_search_see(&u->search, features, (size_t)u->length);
    OrtValue *inputs[] = {
        plain_value(p, features, bucket * width * sizeof(*features),
                    (int64_t[]){1, (int64_t)bucket, (int64_t)width}, 3,
                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
        plain_value(p, keys, bucket * sizeof(*keys), (int64_t[]){1, (int64_t)bucket}, 2,
                    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32),
        length_value(u),
    };
    u->encoded[0] = u->encoded[1] = NULL;
    plain_must(p, p->api->Run(p->encoder, NULL, p->encoder_inputs, (const OrtValue *const *)inputs,
                              3, p->encoder_outputs, p->encoder_output_count, u->encoded));
    for (size_t i = 0; i < 3; i++) {
        p->api->ReleaseValue(inputs[i]);
    }
    free(features);
    free(keys);
}

/* One beam's run. */
static void decode(usual *u, const int32_t *prefix, size_t length, float *out)
{
    const plain *p = &u->plain;
    const size_t width = p->manifest->max_tokens, vocabulary = p->manifest->vocabulary;
    int32_t *tokens = fresh(width, sizeof(*tokens));
    memcpy(tokens, prefix, width * sizeof(*tokens));
    OrtValue *values[] = {plain_value(p, tokens, width * sizeof(*tokens),
                                      (int64_t[]){1, (int64_t)width}, 2,
                                      ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32),
                          length_value(u)};
    const OrtValue *const inputs[] = {u->encoded[0], values[0], values[1]};
    OrtValue *logits = NULL;
    float *data = NULL;
    plain_must(p, p->api->Run(p->decoder, NULL, p->decoder_inputs, inputs, 3, p->decoder_outputs, 1,
                              &logits));
    plain_must(p, p->api->GetTensorMutableData(logits, (void **)&data));
    memcpy(out, data + (length - 1) * vocabulary, vocabulary * sizeof(*out));
    p->api->ReleaseValue(logits);
    p->api->ReleaseValue(values[0]);
    p->api->ReleaseValue(values[1]);
    free(tokens);
}

static void next_logits(void *ctx, const int32_t *prefixes, size_t count, size_t length, float *out)
{
    usual *u = ctx;
    const ortp_manifest *m = u->plain.manifest;
    for (size_t i = 0; i < count; i++) {
        decode(u, prefixes + i * m->max_tokens, length, out + i * m->vocabulary);
    }
}

static void predict(way *s, const way_input *input, ortp_prediction *out)
{
    usual *u = (usual *)s;
    const plain *p = &u->plain;
    float *ctc = NULL;
    encode(u, input);
    if (u->encoded[1] != NULL) {
        plain_must(p, p->api->GetTensorMutableData(u->encoded[1], (void **)&ctc));
    }
    plain_search_run(&u->search, ctc, (size_t)u->length, out);
    for (size_t i = 0; i < p->encoder_output_count; i++) {
        p->api->ReleaseValue(u->encoded[i]);
    }
}

static void shut(way *s)
{
    usual *u = (usual *)s;
    plain_search_close(&u->search);
    plain_close(&u->plain);
    free(u);
}

way *usual_open(const way_setup *setup)
{
    usual *u = fresh(1, sizeof(*u));
    u->base = (way){.predict = predict, .taken = plain_taken, .close = shut};
    plain_open(&u->plain, setup);
    plain_search_open(&u->search, &u->plain, next_logits, u);
    return &u->base;
}
