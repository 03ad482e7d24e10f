/* SPDX-License-Identifier: MIT */
/*
 * The buffers a search works in. Each is one tensor for the largest number of rows; smaller numbers
 * are views of its first rows, so that a beam that ends costs nothing.
 */
#include "decode_internal.h"
#include "model_run.h"

#include <string.h>

/* Of decoder_step. */
static void step_shapes(const ortp_manifest *manifest, const ortp__buffer_kind *kind, size_t beams,
                        ortp__buffer_shape out[ORTP__BUFFER_COUNT])
{
    const int64_t n = (int64_t)beams;
    const int64_t t = (int64_t)manifest->max_tokens;
    const int64_t v = (int64_t)manifest->vocabulary;
    const int64_t parts = (int64_t)manifest->step.cross_count;
    const int64_t heads = (int64_t)manifest->step.kv_heads;
    const int64_t size = (int64_t)manifest->step.kv_size;
    out[ORTP__BUFFER_TOKENS] = (ortp__buffer_shape){kind->token_type, 1, {n}};
    out[ORTP__BUFFER_LOGITS] = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 2, {n, v}};
    out[ORTP__BUFFER_LENGTH] = (ortp__buffer_shape){kind->length_type, 1, {1}};
    out[ORTP__BUFFER_PAST_LENGTH] = (ortp__buffer_shape){ORTP_TYPE_INT32, 1, {1}};
    out[ORTP__BUFFER_BEAM_WIDTH] = (ortp__buffer_shape){ORTP_TYPE_INT32, 1, {1}};
    out[ORTP__BUFFER_INDIRECTION] = (ortp__buffer_shape){ORTP_TYPE_INT32, 3, {1, n, t}};
    out[ORTP__BUFFER_KV] = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 5, {parts, n, heads, t, size}};
}

void ortp__buffer_shapes(const ortp_manifest *manifest, const ortp__buffer_kind *kind, size_t beams,
                         size_t source, ortp__buffer_shape out[ORTP__BUFFER_COUNT])
{
    const int64_t n = (int64_t)beams;
    const int64_t s = (int64_t)source;
    const int64_t t = (int64_t)manifest->max_tokens;
    const int64_t v = (int64_t)manifest->vocabulary;
    const int64_t d = (int64_t)manifest->hidden;
    const ortp__buffer_shape none = {.rank = 0};
    for (size_t i = 0; i < ORTP__BUFFER_COUNT; i++) {
        out[i] = none;
    }
    out[ORTP__BUFFER_PROBABILITIES] = (ortp__buffer_shape){ORTP_TYPE_DOUBLE, 1, {v}};
    if (kind->weighed > 0) {
        const size_t bytes = ortp__ctc_bytes(kind->weighed, source, manifest->vocabulary);
        out[ORTP__BUFFER_CTC] =
            (ortp__buffer_shape){ORTP_TYPE_DOUBLE, 1, {(int64_t)(bytes / sizeof(double))}};
    }
    if (kind->path == ORTP_PATH_INCREMENTAL) {
        step_shapes(manifest, kind, beams, out);
        return;
    }
    out[ORTP__BUFFER_TOKENS] = (ortp__buffer_shape){kind->token_type, 2, {n, t}};
    out[ORTP__BUFFER_MEMORY] = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 3, {n, s, d}};
    out[ORTP__BUFFER_MASK] = (ortp__buffer_shape){ORTP_TYPE_BOOL, 2, {n, s}};
    out[ORTP__BUFFER_LOGITS] = (ortp__buffer_shape){ORTP_TYPE_FLOAT, 3, {n, t, v}};
    out[ORTP__BUFFER_LENGTH] = (ortp__buffer_shape){kind->length_type, 1, {1}};
    if (manifest->decoder.layout != ORTP_MEMORY_REPLICATED) {
        out[ORTP__BUFFER_MEMORY] = none;
    }
    if (manifest->decoder.source_mask == NULL) {
        out[ORTP__BUFFER_MASK] = none;
    }
    if (manifest->decoder.length == NULL) {
        out[ORTP__BUFFER_LENGTH] = none;
    }
}

size_t ortp__buffer_bytes(const ortp__buffer_shape *shape)
{
    size_t bytes = shape->rank > 0 ? ortp_type_bytes(shape->type) : 0;
    for (size_t i = 0; i < shape->rank; i++) {
        const uint64_t dim = (uint64_t)shape->dims[i];
        bytes = ortp__product(bytes, dim < SIZE_MAX ? (size_t)dim : SIZE_MAX);
    }
    return bytes;
}

static void shapes_of(const ortp_model *model, size_t beams, size_t source, size_t weighed,
                      ortp__buffer_shape out[ORTP__BUFFER_COUNT])
{
    const bool step = model->path == ORTP_PATH_INCREMENTAL;
    const ortp__buffer_kind kind = {
        .path = model->path,
        .token_type = step ? model->step_ports.token_type : model->decoder_ports.token_type,
        .length_type = step ? model->step_ports.length_type : model->decoder_ports.length_type,
        .weighed = weighed,
    };
    ortp__buffer_shapes(model->manifest, &kind, beams, source, out);
}

/* Takes anew what is too small for the size; all of it or nothing. */
static ortp_status grow(ortp_decoder_buffers *buffers, size_t beams, size_t source, size_t weighed,
                        ortp_error *error)
{
    ortp__buffer_shape shapes[ORTP__BUFFER_COUNT];
    shapes_of(buffers->model, beams, source, weighed, shapes);
    ortp_tensor *fresh[ORTP__BUFFER_COUNT] = {0};
    ortp_status status = ORTP_OK;
    for (size_t i = 0; i < ORTP__BUFFER_COUNT && status == ORTP_OK; i++) {
        const size_t bytes = ortp__buffer_bytes(&shapes[i]);
        if (bytes > (buffers->tensor[i] != NULL ? ortp_tensor_bytes(buffers->tensor[i]) : 0)) {
            status =
                ortp_tensor_acquire_labelled(buffers->tensors, shapes[i].type, shapes[i].dims,
                                             shapes[i].rank, ORTP_LABEL_DECODE, &fresh[i], error);
        }
    }
    for (size_t i = 0; i < ORTP__BUFFER_COUNT; i++) {
        if (status != ORTP_OK) {
            (void)ortp_tensor_release(fresh[i]);
        } else if (fresh[i] != NULL) {
            (void)ortp_tensor_release(buffers->tensor[i]);
            buffers->tensor[i] = fresh[i];
        }
    }
    if (status == ORTP_OK) {
        buffers->beams = beams;
        buffers->source = source;
        buffers->weighed = weighed;
    }
    return status;
}

static ortp_status check_size(size_t beams, size_t source, ortp_error *error)
{
    if (beams == 0 || beams > ORTP_BEAM_MAX || source == 0) {
        return ortp__fail(
            error, ORTP_E_INVAL,
            "decoder buffers: found %zu beams of %zu positions, expected 1 to %u beams "
            "of at least 1",
            beams, source, ORTP_BEAM_MAX);
    }
    return ORTP_OK;
}

ortp_status ortp_decoder_buffers_create(const ortp_decoder_buffers_options *given,
                                        ortp_decoder_buffers **out, ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_decoder_buffers_create: out is required");
    }
    *out = NULL;
    ortp_decoder_buffers_options options;
    ortp_status status = ortp__options_copy(&options, sizeof options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_decoder_buffers_create: " ORTP__OTHER_VERSION);
    }
    ortp_model *model = options.model;
    if (model == NULL || options.tensors == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_decoder_buffers_create: model and tensors are required");
    }
    status = check_size(options.beams, options.source, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_runtime *runtime = model->runtime;
    void *memory = NULL;
    status = ortp__decode_alloc(runtime, sizeof(ortp_decoder_buffers), &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "decoder buffers: %s", ortp_status_text(status));
    }
    ortp_decoder_buffers *buffers = memory;
    buffers->model = model;
    buffers->tensors = options.tensors;
    status = grow(buffers, options.beams, options.source, 0, error);
    if (status != ORTP_OK) {
        ortp__decode_free(runtime, buffers, sizeof *buffers);
        return status;
    }
    atomic_fetch_add_explicit(&model->users, 1, memory_order_relaxed);
    *out = buffers;
    return ORTP_OK;
}

ortp_status ortp_decoder_buffers_destroy(ortp_decoder_buffers *buffers, ortp_error *error)
{
    (void)error; /* nothing is refused */
    if (buffers == NULL) {
        return ORTP_OK;
    }
    for (size_t i = 0; i < ORTP__BUFFER_COUNT; i++) {
        (void)ortp_tensor_release(buffers->tensor[i]);
    }
    ortp_model *model = buffers->model;
    ortp_runtime *runtime = model->runtime;
    ortp__decode_free(runtime, buffers, sizeof *buffers);
    /* Pairs with the load in ortp_model_destroy(): all that was done here is done before that. */
    atomic_fetch_sub_explicit(&model->users, 1, memory_order_release);
    return ORTP_OK;
}

ortp_status ortp_decoder_buffers_ensure_capacity(ortp_decoder_buffers *buffers, size_t beams,
                                                 size_t source, ortp_error *error)
{
    if (buffers == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "decoder buffers: NULL cannot grow");
    }
    ortp_status status = check_size(beams, source, error);
    if (status != ORTP_OK || (beams <= buffers->beams && source <= buffers->source)) {
        return status;
    }
    status = grow(buffers, beams > buffers->beams ? beams : buffers->beams,
                  source > buffers->source ? source : buffers->source, buffers->weighed, error);
    if (status == ORTP_OK) {
        buffers->growths++;
    }
    return status;
}

ortp_status ortp__buffers_weigh(ortp_decoder_buffers *buffers, size_t beams, ortp_error *error)
{
    return beams <= buffers->weighed ? ORTP_OK
                                     : grow(buffers, buffers->beams, buffers->source, beams, error);
}

static size_t bytes_of(const ortp_decoder_buffers *buffers, ortp__buffer which)
{
    return buffers->tensor[which] != NULL ? ortp_tensor_bytes(buffers->tensor[which]) : 0;
}

ortp_status ortp_decoder_buffers_get_info(const ortp_decoder_buffers *buffers,
                                          ortp_decoder_buffers_info *out)
{
    if (buffers == NULL) {
        return ORTP_E_INVAL;
    }
    const ortp_decoder_buffers_info info = {
        .struct_size = sizeof info,
        .beams = buffers->beams,
        .source = buffers->source,
        .tokens_bytes = bytes_of(buffers, ORTP__BUFFER_TOKENS),
        .memory_bytes = bytes_of(buffers, ORTP__BUFFER_MEMORY),
        .mask_bytes = bytes_of(buffers, ORTP__BUFFER_MASK),
        .logits_bytes = bytes_of(buffers, ORTP__BUFFER_LOGITS),
        .probabilities_bytes = bytes_of(buffers, ORTP__BUFFER_PROBABILITIES),
        .growths = buffers->growths,
        .kv_bytes = bytes_of(buffers, ORTP__BUFFER_KV),
        .indirection_bytes = bytes_of(buffers, ORTP__BUFFER_INDIRECTION),
        .ctc_bytes = bytes_of(buffers, ORTP__BUFFER_CTC),
    };
    return ortp__out_fill(out, &info, sizeof info);
}

ortp_status ortp__buffers_rows(ortp_decoder_buffers *buffers, ortp__buffer which, size_t rows,
                               size_t source, OrtValue **out, ortp_error *error)
{
    ortp__buffer_shape shapes[ORTP__BUFFER_COUNT];
    shapes_of(buffers->model, rows, source, buffers->weighed, shapes);
    const ortp__buffer_shape *shape = &shapes[which];
    ortp_tensor *tensor = buffers->tensor[which];
    size_t rank = 0;
    const int64_t *whole = ortp_tensor_shape(tensor, &rank);
    if (memcmp(whole, shape->dims, rank * sizeof *whole) == 0) {
        *out = ortp_tensor_value(tensor);
        return ORTP_OK;
    }
    return ortp_tensor_view(tensor, shape->type, shape->dims, shape->rank, out, error);
}

ortp_status ortp__buffers_kv(ortp_decoder_buffers *buffers, size_t part, size_t rows,
                             OrtValue **out, ortp_error *error)
{
    ortp_tensor *kv = buffers->tensor[ORTP__BUFFER_KV];
    size_t rank = 0;
    const int64_t *whole = ortp_tensor_shape(kv, &rank);
    const int64_t shape[] = {(int64_t)rows, whole[2], whole[3], whole[4]};
    const size_t part_bytes = ortp_tensor_bytes(kv) / (size_t)whole[0];
    return ortp_tensor_view_at(kv, part * part_bytes, ORTP_TYPE_FLOAT, shape, ORTP__COUNT(shape),
                               out, error);
}
