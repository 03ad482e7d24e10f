/* SPDX-License-Identifier: MIT */
/*
 * The decode state: created once, warmed for each bucket, and the decoder's run.
 */
#include "decode_internal.h"
#include "model_run.h"

#include <inttypes.h>
#include <string.h>

static size_t decoder_bytes(const ortp_manifest *m, size_t width)
{
    return sizeof(ortp_decoder) + ortp__beams_bytes(width, m->max_tokens - 1) +
           m->vocabulary * (sizeof(uint32_t) + sizeof(int32_t));
}

ortp_status ortp_decoder_create(const ortp_decoder_options *given, ortp_decoder **out,
                                ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_decoder_create: out is required");
    }
    *out = NULL;
    ortp_decoder_options options;
    ortp_status status = ortp__options_copy(&options, sizeof options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_decoder_create: " ORTP__OTHER_VERSION);
    }
    ortp_model *model = options.model;
    if (model == NULL || options.tensors == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_decoder_create: model and tensors are required");
    }
    const ortp_manifest *m = model->manifest;
    const size_t width = options.beam_width_max > 0 ? options.beam_width_max : m->beam_width;
    if (width > ORTP_BEAM_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "decoder: found a beam width of %zu, expected 1 to %u", width,
                          ORTP_BEAM_MAX);
    }
    if (m->max_tokens > ORTP_TOKENS_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "%s: max_tokens is %zu, a decoder serves up to %u",
                          m->path, m->max_tokens, ORTP_TOKENS_MAX);
    }
    ortp_runtime *runtime = model->runtime;
    const size_t bytes = decoder_bytes(m, width);
    void *memory = NULL;
    status = ortp__decode_alloc(runtime, bytes, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "decoder: %s", ortp_status_text(status));
    }
    ortp_decoder *decoder = memory;
    decoder->model = model;
    decoder->tensors = options.tensors;
    decoder->width_max = width;
    decoder->bytes = bytes;
    ortp__beams_place(&decoder->beams, decoder + 1, width, m->max_tokens - 1);
    unsigned char *rest =
        (unsigned char *)(decoder + 1) + ortp__beams_bytes(width, m->max_tokens - 1);
    decoder->next_states = (uint32_t *)(void *)rest;
    decoder->next_tokens = (int32_t *)(void *)(decoder->next_states + m->vocabulary);
    atomic_fetch_add_explicit(&model->users, 1, memory_order_relaxed);
    *out = decoder;
    return ORTP_OK;
}

ortp_status ortp_decoder_destroy(ortp_decoder *decoder, ortp_error *error)
{
    (void)error; /* nothing is refused */
    if (decoder == NULL) {
        return ORTP_OK;
    }
    (void)ortp_decoder_buffers_destroy(decoder->buffers, NULL);
    ortp_model *model = decoder->model;
    ortp_runtime *runtime = model->runtime;
    ortp__decode_free(runtime, decoder, decoder->bytes);
    /* Pairs with the load in ortp_model_destroy(): all that was done here is done before that. */
    atomic_fetch_sub_explicit(&model->users, 1, memory_order_release);
    return ORTP_OK;
}

void ortp__decoder_wait_beside(ortp_decoder *decoder, bool beside)
{
    decoder->beside = beside;
}

size_t ortp__decoder_control_bytes(const ortp_decoder *decoder)
{
    return decoder->bytes + (decoder->buffers != NULL ? sizeof *decoder->buffers : 0);
}

size_t ortp__decoder_buffer_bytes(const ortp_decoder *decoder)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ORTP__BUFFER_COUNT && decoder->buffers != NULL; i++) {
        const ortp_tensor *tensor = decoder->buffers->tensor[i];
        bytes += tensor != NULL ? ortp_tensor_bytes(tensor) : 0;
    }
    return bytes;
}

uint64_t ortp__decoder_last_run_us(const ortp_decoder *decoder)
{
    return decoder->run_us;
}

size_t ortp_decoder_last_runs(const ortp_decoder *decoder)
{
    return decoder->runs;
}

const float *ortp__decoder_logits(const ortp_decoder *decoder, size_t *rows)
{
    if (rows != NULL) {
        *rows = decoder->logits_rows;
    }
    return decoder->logits_rows > 0
               ? ortp_tensor_data(decoder->buffers->tensor[ORTP__BUFFER_LOGITS])
               : NULL;
}

static ortp_status check_encoded(const ortp_model *model, const ortp_tensor *encoded, size_t length,
                                 size_t *source, ortp_error *error)
{
    const ortp_manifest *m = model->manifest;
    const bool cross = model->path == ORTP_PATH_INCREMENTAL;
    size_t rank = 0;
    const int64_t *found = ortp_tensor_shape(encoded, &rank);
    const int64_t points = rank >= 3 ? found[rank - 2] : 0;
    ortp__buffer_shape wanted;
    ortp__encoded_shape(m, model->path, (size_t)points, &wanted);
    const bool ctc = m->encoder.ctc != NULL;
    if (ortp_tensor_type(encoded) != wanted.type || rank != wanted.rank ||
        memcmp(found, wanted.dims, rank * sizeof *found) != 0 || points < 1 ||
        points > (int64_t)m->max_points) {
        if (ctc) {
            return ortp__fail(error, ORTP_E_INVAL,
                              "%s: the decoder needs what this model's encoder gives, float "
                              "[1,1..%zu,%" PRId64 "]",
                              m->name, m->max_points, wanted.dims[2]);
        }
        return cross ? ortp__fail(error, ORTP_E_INVAL,
                                  "%s: the decoder needs cross keys and values of float "
                                  "[%zu,%zu,1..%zu,%zu]",
                                  m->name, m->step.cross_count, m->step.kv_heads, m->max_points,
                                  m->step.kv_size)
                     : ortp__fail(error, ORTP_E_INVAL,
                                  "%s: the decoder needs memory of float [1,1..%zu,%zu]", m->name,
                                  m->max_points, m->hidden);
    }
    *source = (size_t)points;
    if (length == 0 || length > *source) {
        return ortp__fail(error, ORTP_E_INVAL, "%s: found a length of %zu, expected 1 to %zu",
                          m->name, length, *source);
    }
    return ORTP_OK;
}

/* What stays as it is in all runs of a search. */
static void fill_constants(ortp_decoder *decoder, size_t length)
{
    const ortp_model *model = decoder->model;
    const bool step = model->path == ORTP_PATH_INCREMENTAL;
    const ortp_tensor *count = decoder->buffers->tensor[ORTP__BUFFER_LENGTH];
    if (count != NULL) {
        const ortp_type type =
            step ? model->step_ports.length_type : model->decoder_ports.length_type;
        ortp__int_set(ortp_tensor_data(count), type, 0, (int64_t)length);
    }
}

ortp_status ortp__decoder_prepare(ortp_decoder *decoder, ortp_tensor *encoded, size_t length,
                                  size_t rows, ortp_error *error)
{
    ortp_model *model = decoder->model;
    const size_t capacity = rows > 1 ? decoder->width_max : 1;
    size_t source = 0;
    ortp_status status = check_encoded(model, encoded, length, &source, error);
    if (status != ORTP_OK) {
        return status;
    }
    decoder->logits_rows = 0; /* growing loses them */
    if (decoder->buffers == NULL) {
        status = ortp_decoder_buffers_create(
            &(const ortp_decoder_buffers_options){.struct_size =
                                                      sizeof(ortp_decoder_buffers_options),
                                                  .model = model,
                                                  .tensors = decoder->tensors,
                                                  .beams = capacity,
                                                  .source = model->manifest->max_points},
            &decoder->buffers, error);
    } else {
        status = ortp_decoder_buffers_ensure_capacity(decoder->buffers, capacity, source, error);
    }
    if (status != ORTP_OK) {
        return status;
    }
    fill_constants(decoder, length);
    decoder->encoded = encoded;
    decoder->source = source;
    decoder->length = length;
    decoder->filled = 0;
    return ORTP_OK;
}

void ortp__decoder_set_row(ortp_decoder *decoder, size_t row, const int32_t *tokens, size_t count)
{
    const ortp_manifest *m = decoder->model->manifest;
    const ortp_type type = decoder->model->decoder_ports.token_type;
    void *data = ortp_tensor_data(decoder->buffers->tensor[ORTP__BUFFER_TOKENS]);
    const size_t at = row * m->max_tokens;
    ortp__int_set(data, type, at, m->sos);
    for (size_t i = 0; i < count; i++) {
        ortp__int_set(data, type, at + 1 + i, tokens[i]);
    }
    for (size_t i = count + 1; i < m->max_tokens; i++) {
        ortp__int_set(data, type, at + i, m->pad);
    }
}

/* Copies of the memory and of the mask, one a row, made once for each row of a search. */
static void replicate(ortp_decoder *decoder, size_t rows)
{
    const ortp_manifest *m = decoder->model->manifest;
    const ortp_tensor *memory = decoder->buffers->tensor[ORTP__BUFFER_MEMORY];
    const ortp_tensor *mask = decoder->buffers->tensor[ORTP__BUFFER_MASK];
    for (; decoder->filled < rows; decoder->filled++) {
        if (memory != NULL) {
            const size_t elements = decoder->source * m->hidden;
            float *row = (float *)ortp_tensor_data(memory) + decoder->filled * elements;
            memcpy(row, ortp_tensor_data(decoder->encoded), elements * sizeof *row);
        }
        if (mask != NULL) {
            bool *row = (bool *)ortp_tensor_data(mask) + decoder->filled * decoder->source;
            ortp__mask_fill(row, decoder->length, decoder->source, m->mask_true_is_padding);
        }
    }
}

/* The OrtValue of one role for `rows` rows; NULL where the model lacks it. */
static ortp_status rows_of(ortp_decoder *decoder, ortp__buffer which, size_t rows, OrtValue **out,
                           ortp_error *error)
{
    *out = NULL;
    if (decoder->buffers->tensor[which] == NULL) {
        return ORTP_OK;
    }
    return ortp__buffers_rows(decoder->buffers, which, rows, decoder->source, out, error);
}

/* The four that have rows; used by the run, and by warm-up to make each of them once. */
static ortp_status row_values(ortp_decoder *decoder, size_t rows, OrtValue **tokens,
                              OrtValue **memory, OrtValue **mask, OrtValue **logits,
                              ortp_error *error)
{
    ortp_status status = rows_of(decoder, ORTP__BUFFER_TOKENS, rows, tokens, error);
    if (status == ORTP_OK) {
        status = rows_of(decoder, ORTP__BUFFER_MEMORY, rows, memory, error);
    }
    if (status == ORTP_OK) {
        status = rows_of(decoder, ORTP__BUFFER_MASK, rows, mask, error);
    }
    if (status == ORTP_OK) {
        status = rows_of(decoder, ORTP__BUFFER_LOGITS, rows, logits, error);
    }
    return status;
}

ortp_status ortp__decoder_run(ortp_decoder *decoder, size_t rows, ortp_error *error)
{
    const ortp__decoder_ports *ports = &decoder->model->decoder_ports;
    OrtValue *tokens = NULL;
    OrtValue *memory = NULL;
    OrtValue *mask = NULL;
    OrtValue *logits = NULL;
    ortp_status status = row_values(decoder, rows, &tokens, &memory, &mask, &logits, error);
    if (status == ORTP_OK && memory == NULL) {
        status = ortp__encoded_part(decoder->model, decoder->encoded, decoder->source, 0, &memory,
                                    error);
    }
    if (status != ORTP_OK) {
        return status;
    }
    replicate(decoder, rows);
    const OrtValue *inputs[ORTP__INPUTS_MAX] = {0};
    inputs[ports->memory] = memory;
    inputs[ports->tokens] = tokens;
    if (ports->length != ORTP__PORT_NONE) {
        inputs[ports->length] = ortp_tensor_value(decoder->buffers->tensor[ORTP__BUFFER_LENGTH]);
    }
    if (ports->mask != ORTP__PORT_NONE) {
        inputs[ports->mask] = mask;
    }
    const ortp__outputs outputs = {&decoder->model->manifest->decoder.logits, &logits, 1};
    decoder->logits_rows = 0;
    const uint64_t key = (uint64_t)rows << 32 | decoder->source;
    status = ortp__session_run_keyed(decoder->model->decoder, key, &decoder->patience, inputs,
                                     &outputs, error);
    if (status == ORTP_OK) {
        decoder->logits_rows = rows;
        decoder->runs++;
    }
    return status;
}

/* Every value that a search over this memory may ask for, from `beams` rows down to one. */
static ortp_status warm_values(ortp_decoder *decoder, size_t beams, ortp_error *error)
{
    ortp_status status = ORTP_OK;
    for (size_t rows = beams; rows > 0 && status == ORTP_OK; rows--) {
        OrtValue *values[4];
        status = row_values(decoder, rows, &values[0], &values[1], &values[2], &values[3], error);
    }
    return status;
}

/* The buffer of the second score, all of its pages present. */
static ortp_status warm_ctc(ortp_decoder *decoder, ortp_error *error)
{
    const ortp_status status = ortp__buffers_weigh(decoder->buffers, decoder->width_max, error);
    if (status == ORTP_OK) {
        const ortp_tensor *ctc = decoder->buffers->tensor[ORTP__BUFFER_CTC];
        memset(ortp_tensor_data(ctc), 0, ortp_tensor_bytes(ctc));
    }
    return status;
}

/* A run of the empty sequence. */
static ortp_status warm_run(ortp_decoder *decoder, size_t beams, ortp_error *error)
{
    if (decoder->model->path == ORTP_PATH_INCREMENTAL) {
        const ortp_tensor *kv = decoder->buffers->tensor[ORTP__BUFFER_KV];
        memset(ortp_tensor_data(kv), 0,
               ortp_tensor_bytes(kv)); /* one run touches few of its pages */
        ortp__beams_begin(&decoder->beams, beams, 0, false);
        ortp__step_set_rows(decoder, beams);
        return ortp__step_run(decoder, beams, error);
    }
    const ortp_status status = warm_values(decoder, beams, error);
    if (status != ORTP_OK) {
        return status;
    }
    for (size_t row = 0; row < beams; row++) {
        ortp__decoder_set_row(decoder, row, NULL, 0);
    }
    return ortp__decoder_run(decoder, beams, error);
}

ortp_status ortp_decoder_warm(ortp_decoder *decoder, size_t bucket_index, size_t beams,
                              ortp_error *error)
{
    const bool weighs = decoder != NULL && decoder->model->manifest->ctc_weight > 0.0;
    return ortp__decoder_warm(decoder, bucket_index, beams, weighs, error);
}

ortp_status ortp__decoder_warm(ortp_decoder *decoder, size_t bucket_index, size_t beams,
                               bool weighs, ortp_error *error)
{
    if (decoder == NULL || bucket_index >= decoder->model->manifest->bucket_count || beams == 0 ||
        beams > decoder->width_max) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_decoder_warm: no bucket %zu, or not %zu beams",
                          bucket_index, beams);
    }
    decoder->patience = (ortp__patience){0};
    const size_t source = decoder->model->manifest->buckets[bucket_index];
    ortp_tensor *encoded = NULL;
    ortp_status status = ortp__encoded_acquire(decoder->model, source, &encoded, error);
    if (status != ORTP_OK) {
        return status;
    }
    memset(ortp_tensor_data(encoded), 0, ortp_tensor_bytes(encoded));
    status = ortp__decoder_prepare(decoder, encoded, source, beams, error);
    if (status == ORTP_OK && weighs) {
        status = warm_ctc(decoder, error);
    }
    if (status == ORTP_OK) {
        status = warm_run(decoder, beams, error);
    }
    decoder->encoded = NULL;
    (void)ortp_tensor_release(encoded);
    return status;
}
