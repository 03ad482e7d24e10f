/* SPDX-License-Identifier: MIT */
/*
 * The encoder's run. What it gives is one tensor, of one part for each of its outputs that the
 * decoder reads and, where there is a CTC head, one for ctc; the parts are views that the tensor
 * keeps, so that none is made twice.
 */
#include "decode_internal.h"
#include "model_run.h"

#include <string.h>

#define PARTS_MAX (ORTP_CROSS_MAX + 1u)

void ortp__mask_fill(bool *mask, size_t length, size_t source, bool true_is_padding)
{
    for (size_t i = 0; i < source; i++) {
        mask[i] = (i >= length) == true_is_padding;
    }
}

/* What one run needs; a tensor that the model does not want stays NULL. */
typedef struct encoder_tensors {
    ortp_tensor *features, *keys, *length, *mask, *encoded;
} encoder_tensors;

/* ---- what the encoder gives ---- */

void ortp__encoded_shape(const ortp_manifest *m, ortp_path path, size_t source,
                         ortp__buffer_shape *out)
{
    const int64_t s = (int64_t)source;
    const bool cross = path == ORTP_PATH_INCREMENTAL;
    const int64_t parts = (int64_t)m->step.cross_count;
    const int64_t heads = (int64_t)m->step.kv_heads;
    const int64_t size = (int64_t)m->step.kv_size;
    const int64_t read = cross ? parts * heads * size : (int64_t)m->hidden; /* a point */
    if (m->encoder.ctc != NULL) {
        *out = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 3, {1, s, read + (int64_t)m->vocabulary}};
    } else if (cross) {
        *out = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 4, {parts, heads, s, size}};
    } else {
        *out = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 3, {1, s, read}};
    }
}

/* Those that the decoder reads; ctc comes after them. */
static size_t decoder_parts(const ortp_model *model)
{
    return model->path == ORTP_PATH_INCREMENTAL ? model->manifest->step.cross_count : 1;
}

static size_t all_parts(const ortp_model *model)
{
    return decoder_parts(model) + (model->manifest->encoder.ctc != NULL ? 1 : 0);
}

/* Where a part begins, in bytes, and its shape. */
static size_t part_of(const ortp_model *model, size_t source, size_t part, ortp__buffer_shape *out)
{
    const ortp_manifest *m = model->manifest;
    const int64_t s = (int64_t)source;
    const bool cross = model->path == ORTP_PATH_INCREMENTAL;
    *out = cross ? (ortp__buffer_shape){ORTP_TYPE_FLOAT,
                                        4,
                                        {1, (int64_t)m->step.kv_heads, s, (int64_t)m->step.kv_size}}
                 : (ortp__buffer_shape){ORTP_TYPE_FLOAT, 3, {1, s, (int64_t)m->hidden}};
    const size_t offset = part * ortp__buffer_bytes(out);
    if (part == decoder_parts(model)) {
        *out = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 3, {1, s, (int64_t)m->vocabulary}};
    }
    return offset;
}

ortp_status ortp__encoded_part(const ortp_model *model, ortp_tensor *encoded, size_t source,
                               size_t part, OrtValue **out, ortp_error *error)
{
    ortp__buffer_shape shape;
    const size_t offset = part_of(model, source, part, &shape);
    return ortp_tensor_view_at(encoded, offset, shape.type, shape.dims, shape.rank, out, error);
}

const float *ortp__encoded_ctc(const ortp_model *model, const ortp_tensor *encoded, size_t source)
{
    ortp__buffer_shape ignored;
    const size_t offset = part_of(model, source, decoder_parts(model), &ignored);
    return (const float *)ortp_tensor_data(encoded) + offset / sizeof(float);
}

ortp_status ortp__encoded_acquire(ortp_model *model, size_t source, ortp_tensor **out,
                                  ortp_error *error)
{
    *out = NULL;
    const size_t parts = all_parts(model);
    ortp__buffer_shape shape;
    ortp__encoded_shape(model->manifest, model->path, source, &shape);
    ortp_tensor *encoded = NULL;
    ortp_status status = ortp_tensor_acquire_labelled(
        model->tensors, shape.type, shape.dims, shape.rank, ORTP_LABEL_CACHE, &encoded, error);
    for (size_t i = 0; i < parts && status == ORTP_OK; i++) {
        OrtValue *ignored;
        status = ortp__encoded_part(model, encoded, source, i, &ignored, error);
    }
    if (status != ORTP_OK) {
        (void)ortp_tensor_release(encoded);
        return status;
    }
    *out = encoded;
    return ORTP_OK;
}

/* ---- the run ---- */

static void release_inputs(encoder_tensors *t)
{
    (void)ortp_tensor_release(t->features);
    (void)ortp_tensor_release(t->keys);
    (void)ortp_tensor_release(t->length);
    (void)ortp_tensor_release(t->mask);
}

static ortp_status acquire_all(ortp_model *model, size_t source, encoder_tensors *t,
                               ortp_error *error)
{
    const ortp__encoder_ports *ports = &model->encoder_ports;
    const int64_t s = (int64_t)source;
    const int64_t features[] = {1, s, (int64_t)model->manifest->features};
    const int64_t row[] = {1, s};
    const int64_t one[] = {1};
    ortp_status status =
        ortp_tensor_acquire(model->tensors, ORTP_TYPE_FLOAT, features, 3, &t->features, error);
    if (status == ORTP_OK && ports->keys != ORTP__PORT_NONE) {
        status = ortp_tensor_acquire(model->tensors, ports->key_type, row, 2, &t->keys, error);
    }
    if (status == ORTP_OK && ports->length != ORTP__PORT_NONE) {
        status = ortp_tensor_acquire(model->tensors, ports->length_type, one, 1, &t->length, error);
    }
    if (status == ORTP_OK && ports->mask != ORTP__PORT_NONE) {
        status = ortp_tensor_acquire(model->tensors, ORTP_TYPE_BOOL, row, 2, &t->mask, error);
    }
    if (status == ORTP_OK) {
        status = ortp__encoded_acquire(model, source, &t->encoded, error);
    }
    return status;
}

/* input->features NULL: zeros, the keys of padding. */
static void fill_inputs(const ortp_model *model, const ortp_encoder_input *input, size_t source,
                        const encoder_tensors *t)
{
    const size_t width = model->manifest->features;
    const size_t copied = input->features != NULL ? input->length * width : 0;
    float *features = ortp_tensor_data(t->features);
    if (copied > 0) {
        memcpy(features, input->features, copied * sizeof *features);
    }
    memset(features + copied, 0, (source * width - copied) * sizeof *features);
    if (t->keys != NULL) {
        void *keys = ortp_tensor_data(t->keys);
        for (size_t i = 0; i < source; i++) {
            const bool counts = input->keys != NULL && i < input->length;
            ortp__int_set(keys, model->encoder_ports.key_type, i,
                          counts ? input->keys[i] : model->manifest->pad);
        }
    }
    if (t->length != NULL) {
        ortp__int_set(ortp_tensor_data(t->length), model->encoder_ports.length_type, 0,
                      (int64_t)input->length);
    }
    if (t->mask != NULL) {
        ortp__mask_fill(ortp_tensor_data(t->mask), input->length, source,
                        model->manifest->mask_true_is_padding);
    }
}

static void place(const OrtValue **inputs, size_t port, const ortp_tensor *tensor)
{
    if (tensor != NULL) {
        inputs[port] = ortp_tensor_value(tensor);
    }
}

static void output_names(const ortp_model *model, const char *names[PARTS_MAX])
{
    const ortp_manifest *m = model->manifest;
    const size_t parts = decoder_parts(model);
    names[0] = m->encoder.memory;
    if (model->path == ORTP_PATH_INCREMENTAL) {
        memcpy(names, m->encoder.cross, parts * sizeof *names);
    }
    names[parts] = m->encoder.ctc;
}

/* Runs the encoder for the outputs that the decoder reads and ctc, and no others are given. */
static ortp_status run(ortp_model *model, size_t source, const ortp__patience *patience,
                       const encoder_tensors *t, ortp_error *error)
{
    const OrtValue *inputs[ORTP__INPUTS_MAX] = {0};
    place(inputs, model->encoder_ports.features, t->features);
    place(inputs, model->encoder_ports.keys, t->keys);
    place(inputs, model->encoder_ports.length, t->length);
    place(inputs, model->encoder_ports.mask, t->mask);
    const size_t parts = all_parts(model);
    OrtValue *values[PARTS_MAX];
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < parts && status == ORTP_OK; i++) {
        status = ortp__encoded_part(model, t->encoded, source, i, &values[i], error);
    }
    if (status != ORTP_OK) {
        return status;
    }
    const char *names[PARTS_MAX];
    output_names(model, names);
    const ortp__outputs outputs = {names, values, parts};
    return ortp__session_run_keyed(model->encoder, source, patience, inputs, &outputs, error);
}

/* *encoded is the caller's on ORTP_OK only. */
static ortp_status run_encoder(ortp_model *model, const ortp_encoder_input *input, size_t source,
                               const ortp__patience *patience, ortp_tensor **encoded,
                               ortp_error *error)
{
    encoder_tensors t = {0};
    ortp_status status = acquire_all(model, source, &t, error);
    if (status == ORTP_OK) {
        fill_inputs(model, input, source, &t);
        status = run(model, source, patience, &t, error);
    }
    release_inputs(&t);
    if (status != ORTP_OK) {
        (void)ortp_tensor_release(t.encoded);
        return status;
    }
    *encoded = t.encoded;
    return ORTP_OK;
}

ortp_status ortp_model_encode(ortp_model *model, const ortp_encoder_input *input,
                              ortp_tensor **encoded, ortp_error *error)
{
    const ortp__patience none = {0};
    return ortp__model_encode_patient(model, input, &none, encoded, error);
}

ortp_status ortp__model_encode_patient(ortp_model *model, const ortp_encoder_input *input,
                                       const ortp__patience *patience, ortp_tensor **encoded,
                                       ortp_error *error)
{
    if (model == NULL || input == NULL || encoded == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_model_encode: model, input and encoded are required");
    }
    *encoded = NULL;
    const ortp_manifest *m = model->manifest;
    if (input->length == 0 || input->length > m->max_points) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "%s: found a length of %zu points, expected 1 to %zu", m->name,
                          input->length, m->max_points);
    }
    if (input->features == NULL ||
        (input->keys == NULL && model->encoder_ports.keys != ORTP__PORT_NONE)) {
        return ortp__fail(error, ORTP_E_INVAL, "%s: the encoder needs %s", m->name,
                          input->features == NULL ? "features" : "keys");
    }
    return run_encoder(model, input, ortp_manifest_bucket(m, input->length), patience, encoded,
                       error);
}

ortp_status ortp_model_warm(ortp_model *model, size_t bucket_index, ortp_error *error)
{
    if (model == NULL || bucket_index >= model->manifest->bucket_count) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_model_warm: no bucket %zu", bucket_index);
    }
    const size_t source = model->manifest->buckets[bucket_index];
    const ortp_encoder_input zeros = {.length = source};
    ortp_tensor *encoded = NULL;
    const ortp__patience none = {0};
    const ortp_status status = run_encoder(model, &zeros, source, &none, &encoded, error);
    (void)ortp_tensor_release(encoded);
    return status;
}
