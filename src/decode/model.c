/* SPDX-License-Identifier: MIT */
/*
 * The model: manifest and sessions together, its id, the encoder's run.
 */
#include "decode_internal.h"
#include "model_run.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Feeds a file's bytes to the hash. */
static ortp_status hash_file(XXH3_state_t *hash, const char *path, ortp_error *error)
{
    char reason[ORTP__ERRNO_BYTES];
    FILE *file = ortp__file_open(path);
    if (file == NULL) {
        const int number = errno;
        return ortp__fail(error, ortp__open_status(number), "%s: cannot be opened: %s", path,
                          ortp__errno_text(number, reason));
    }
    uint64_t total = 0;
    size_t got = 0;
    unsigned char bytes[16384];
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
        (void)XXH3_64bits_update(hash, bytes, got);
        total += got;
    }
    const int number = ferror(file) != 0 ? errno : 0;
    (void)fclose(file);
    if (number != 0) {
        return ortp__fail(error, ORTP_E_SYS, "%s: cannot be read: %s", path,
                          ortp__errno_text(number, reason));
    }
    /* The length too, so that bytes cannot move from one file to the next unseen. */
    (void)XXH3_64bits_update(hash, &total, sizeof total);
    return ORTP_OK;
}

static ortp_status hash_model(ortp_model *model, ortp_error *error)
{
    XXH3_state_t hash;
    XXH3_INITSTATE(&hash);
    (void)XXH3_64bits_reset(&hash);
    const ortp_manifest *m = model->manifest;
    const char *paths[] = {m->path, m->encoder_path, m->decoder_path};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < ORTP__COUNT(paths) && status == ORTP_OK; i++) {
        status = hash_file(&hash, paths[i], error);
    }
    model->id = XXH3_64bits_digest(&hash);
    return status;
}

/* A host that does not say its version is not checked: what is missing shows when a graph loads. */
static ortp_status check_version(const ortp_model *model, ortp_error *error)
{
    const char *running = ortp_runtime_ort_version(model->runtime);
    const ortp_manifest *m = model->manifest;
    if (running == NULL) {
        return ORTP_OK;
    }
    ortp__version found;
    ortp__version needed;
    if (!ortp__version_read(running, true, &found)) {
        return ortp__fail(error, ORTP_E_VERSION,
                          "%s: needs ONNX Runtime %s; \"%s\", which the host says, is no version",
                          m->path, m->min_ort, running);
    }
    (void)ortp__version_read(m->min_ort, false, &needed); /* the manifest was read */
    if (ortp__version_compare(&found, &needed) < 0) {
        return ortp__fail(error, ORTP_E_VERSION, "%s: needs ONNX Runtime %s or later, this is %s",
                          m->path, m->min_ort, running);
    }
    return ORTP_OK;
}

static ortp_status open_session(const ortp_model_options *options, const char *path,
                                ortp_session **out, ortp_error *error)
{
    ortp_session_options session = ORTP_SESSION_OPTIONS_INIT;
    session.runtime = options->runtime;
    session.path = path;
    session.intra_threads = options->intra_threads;
    session.memory = options->ort_memory;
    session.memory_patterns = options->memory_patterns;
    return ortp_session_create(&session, out, error);
}

static void model_free(ortp_model *model)
{
    if (model->decoder != NULL) {
        (void)ortp_session_destroy(model->decoder);
    }
    if (model->encoder != NULL) {
        (void)ortp_session_destroy(model->encoder);
    }
    ortp_manifest_destroy(model->manifest);
    ortp_runtime *runtime = model->runtime;
    ortp__decode_free(runtime, model, sizeof *model);
}

ortp_status ortp_model_open(const ortp_model_options *given, ortp_model **out, ortp_error *error)
{
    ortp_model_options options;
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_model_open: out is required");
    }
    *out = NULL;
    ortp_status status = ortp__options_copy(&options, sizeof options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_model_open: options of a later version");
    }
    if (options.runtime == NULL || options.tensors == NULL || options.directory == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_model_open: runtime, tensors and directory are required");
    }
    ortp_runtime *runtime = options.runtime;
    void *memory = NULL;
    status = ortp__decode_alloc(runtime, sizeof(ortp_model), &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_model_open: %s", ortp_status_text(status));
    }
    ortp_model *model = memory;
    model->runtime = runtime;
    model->tensors = options.tensors;
    atomic_init(&model->users, 0);
    status = ortp_manifest_load(options.directory, ortp_runtime_budget(runtime),
                                ortp__runtime_alloc(runtime), &model->manifest, error);
    if (status == ORTP_OK) {
        status = check_version(model, error);
    }
    if (status == ORTP_OK) {
        status = hash_model(model, error);
    }
    if (status == ORTP_OK) {
        status = open_session(&options, model->manifest->encoder_path, &model->encoder, error);
    }
    if (status == ORTP_OK) {
        status = open_session(&options, model->manifest->decoder_path, &model->decoder, error);
    }
    if (status == ORTP_OK) {
        status = ortp__encoder_ports_resolve(model->manifest, model->encoder, &model->encoder_ports,
                                             error);
    }
    if (status == ORTP_OK) {
        status = ortp__decoder_ports_resolve(model->manifest, model->decoder, &model->decoder_ports,
                                             error);
    }
    if (status != ORTP_OK) {
        model_free(model);
        return status;
    }
    *out = model;
    return ORTP_OK;
}

ortp_status ortp_model_close(ortp_model *model)
{
    if (model == NULL) {
        return ORTP_OK;
    }
    if (atomic_load_explicit(&model->users, memory_order_acquire) != 0) {
        return ORTP_E_BUSY;
    }
    model_free(model);
    return ORTP_OK;
}

const ortp_manifest *ortp_model_manifest(const ortp_model *model)
{
    return model->manifest;
}

ortp_session *ortp_model_encoder(const ortp_model *model)
{
    return model->encoder;
}

ortp_session *ortp_model_decoder(const ortp_model *model)
{
    return model->decoder;
}

uint64_t ortp_model_id(const ortp_model *model)
{
    return model->id;
}

void ortp_stats_add_model(ortp_stats *stats, const ortp_model *model)
{
    ORTP__STATS_ADD(stats, encoder_runs, ortp_session_runs(model->encoder));
    ORTP__STATS_ADD(stats, decoder_runs, ortp_session_runs(model->decoder));
}

void ortp__mask_fill(bool *mask, size_t length, size_t source, bool true_is_padding)
{
    for (size_t i = 0; i < source; i++) {
        mask[i] = (i >= length) == true_is_padding;
    }
}

/* ---- the encoder's run ---- */

/* What one run needs; a tensor that the model does not want stays NULL. */
typedef struct encoder_tensors {
    ortp_tensor *features, *keys, *length, *mask, *memory;
} encoder_tensors;

static void release_inputs(encoder_tensors *t)
{
    (void)ortp_tensor_release(t->features);
    (void)ortp_tensor_release(t->keys);
    (void)ortp_tensor_release(t->length);
    (void)ortp_tensor_release(t->mask);
}

static ortp_status acquire_all(const ortp_model *model, size_t source, encoder_tensors *t,
                               ortp_error *error)
{
    const ortp__encoder_ports *ports = &model->encoder_ports;
    const int64_t s = (int64_t)source;
    const int64_t features[] = {1, s, (int64_t)model->manifest->features};
    const int64_t memory[] = {1, s, (int64_t)model->manifest->hidden};
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
        status = ortp_tensor_acquire_labelled(model->tensors, ORTP_TYPE_FLOAT, memory, 3,
                                              ORTP_LABEL_CACHE, &t->memory, error);
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

/* Runs the encoder; *memory is the caller's on ORTP_OK only. */
static ortp_status run_encoder(ortp_model *model, const ortp_encoder_input *input, size_t source,
                               const ortp__patience *patience, ortp_tensor **memory,
                               ortp_error *error)
{
    encoder_tensors t = {0};
    ortp_status status = acquire_all(model, source, &t, error);
    if (status == ORTP_OK) {
        fill_inputs(model, input, source, &t);
        const OrtValue *inputs[ORTP__INPUTS_MAX] = {0};
        place(inputs, model->encoder_ports.features, t.features);
        place(inputs, model->encoder_ports.keys, t.keys);
        place(inputs, model->encoder_ports.length, t.length);
        place(inputs, model->encoder_ports.mask, t.mask);
        OrtValue *outputs[1] = {ortp_tensor_value(t.memory)};
        status = ortp__session_run_keyed(model->encoder, source, patience, inputs, outputs, error);
    }
    release_inputs(&t);
    if (status != ORTP_OK) {
        (void)ortp_tensor_release(t.memory);
        return status;
    }
    *memory = t.memory;
    return ORTP_OK;
}

ortp_status ortp_model_encode(ortp_model *model, const ortp_encoder_input *input,
                              ortp_tensor **memory, ortp_error *error)
{
    const ortp__patience none = {0};
    return ortp__model_encode_patient(model, input, &none, memory, error);
}

ortp_status ortp__model_encode_patient(ortp_model *model, const ortp_encoder_input *input,
                                       const ortp__patience *patience, ortp_tensor **memory,
                                       ortp_error *error)
{
    if (model == NULL || input == NULL || memory == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_model_encode: model, input and memory are required");
    }
    *memory = NULL;
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
    return run_encoder(model, input, ortp_manifest_bucket(m, input->length), patience, memory,
                       error);
}

ortp_status ortp_model_warm(ortp_model *model, size_t bucket_index, ortp_error *error)
{
    if (model == NULL || bucket_index >= model->manifest->bucket_count) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_model_warm: no bucket %zu", bucket_index);
    }
    const size_t source = model->manifest->buckets[bucket_index];
    const ortp_encoder_input zeros = {.length = source};
    ortp_tensor *memory = NULL;
    const ortp__patience none = {0};
    const ortp_status status = run_encoder(model, &zeros, source, &none, &memory, error);
    (void)ortp_tensor_release(memory);
    return status;
}
