/* SPDX-License-Identifier: MIT */
/*
 * The model: manifest and sessions together, its id.
 */
#include "decode_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Feeds a file's bytes to the hash. */
static ortp_status hash_file(XXH3_state_t *hash, const char *path, ortp_error *error)
{
    char reason[ORTP__ERRNO_BYTES];
    FILE *file = NULL;
    const ortp_status opened = ortp__file_open_named(path, &file, error);
    if (opened != ORTP_OK) {
        return opened;
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

/* Of the graph that the path runs. */
static const char *decoder_path(const ortp_model *model)
{
    const bool step = model->path == ORTP_PATH_INCREMENTAL;
    return step ? model->manifest->step_path : model->manifest->decoder_path;
}

static ortp_status hash_model(ortp_model *model, ortp_error *error)
{
    XXH3_state_t hash;
    XXH3_INITSTATE(&hash);
    (void)XXH3_64bits_reset(&hash);
    const ortp_manifest *m = model->manifest;
    const char *paths[] = {m->path, m->encoder_path, decoder_path(model)};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < ORTP__COUNT(paths) && status == ORTP_OK; i++) {
        status = hash_file(&hash, paths[i], error);
    }
    model->id = XXH3_64bits_digest(&hash);
    return status;
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

static ortp_status resolve_decoder(ortp_model *model, ortp_error *error)
{
    const ortp_manifest *m = model->manifest;
    if (model->path != ORTP_PATH_INCREMENTAL) {
        return ortp__decoder_ports_resolve(m, model->decoder, &model->decoder_ports, error);
    }
    model->step_outputs[0] = m->step.logits;
    for (size_t i = 0; i < m->step.cross_count; i++) {
        model->step_outputs[1 + i] = m->step.present[i];
    }
    const ortp_status status = ortp__cross_check(m, model->encoder, error);
    return status == ORTP_OK
               ? ortp__step_ports_resolve(m, model->decoder, &model->step_ports, error)
               : status;
}

static void report(const void *object, ortp__figures *figures)
{
    const ortp_model *model = object;
    figures->stats.groups |= ORTP_STATS_MODEL;
    figures->stats.encoder_runs += ortp_session_runs(model->encoder);
    figures->stats.decoder_runs += ortp_session_runs(model->decoder);
}

static void model_free(ortp_model *model)
{
    if (model->decoder != NULL) {
        (void)ortp_session_destroy(model->decoder, NULL);
    }
    if (model->encoder != NULL) {
        (void)ortp_session_destroy(model->encoder, NULL);
    }
    (void)ortp_manifest_destroy(model->manifest, NULL);
    ortp_runtime *runtime = model->runtime;
    ortp__decode_free(runtime, model, sizeof *model);
}

ortp_status ortp_model_create(const ortp_model_options *given, ortp_model **out, ortp_error *error)
{
    ortp_model_options options;
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_model_create: out is required");
    }
    *out = NULL;
    ortp_status status = ortp__options_copy(&options, sizeof options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_model_create: options of a later version");
    }
    if (options.runtime == NULL || options.tensors == NULL || options.directory == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_model_create: runtime, tensors and directory are required");
    }
    ortp_runtime *runtime = options.runtime;
    void *memory = NULL;
    status = ortp__decode_alloc(runtime, sizeof(ortp_model), &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_model_create: %s", ortp_status_text(status));
    }
    ortp_model *model = memory;
    model->runtime = runtime;
    model->tensors = options.tensors;
    atomic_init(&model->users, 0);
    status = ortp_manifest_create(
        &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                       .directory = options.directory,
                                       .budget = ortp_runtime_budget(runtime),
                                       .alloc = *ortp__runtime_alloc(runtime)},
        &model->manifest, error);
    if (status == ORTP_OK) {
        status = ortp__path_resolve(model->manifest, runtime, options.path, &model->path, error);
    }
    if (status == ORTP_OK) {
        status = hash_model(model, error);
    }
    if (status == ORTP_OK) {
        status = open_session(&options, model->manifest->encoder_path, &model->encoder, error);
    }
    if (status == ORTP_OK) {
        status = open_session(&options, decoder_path(model), &model->decoder, error);
    }
    if (status == ORTP_OK) {
        status = ortp__encoder_ports_resolve(model->manifest, model->encoder, &model->encoder_ports,
                                             error);
    }
    if (status == ORTP_OK) {
        status = resolve_decoder(model, error);
    }
    if (status != ORTP_OK) {
        model_free(model);
        return status;
    }
    ortp__reporter_join(ortp_runtime_budget(runtime), &model->reporter, report, model);
    *out = model;
    return ORTP_OK;
}

ortp_status ortp_model_destroy(ortp_model *model, ortp_error *error)
{
    if (model == NULL) {
        return ORTP_OK;
    }
    const size_t users = atomic_load_explicit(&model->users, memory_order_acquire);
    if (users != 0) {
        return ortp__fail(error, ORTP_E_BUSY, "%s: %zu decoders or buffers of the model exist",
                          model->manifest->name, users);
    }
    ortp__reporter_leave(ortp_runtime_budget(model->runtime), &model->reporter);
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

ortp_path ortp_model_path(const ortp_model *model)
{
    return model->path;
}

uint64_t ortp_model_id(const ortp_model *model)
{
    return model->id;
}
