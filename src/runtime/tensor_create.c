/* SPDX-License-Identifier: MIT */
/*
 * What a tensor is and holds: type and shape checked, the OrtValue over its block, the views.
 * Nothing here takes the tensor pool's lock; see tensor.c for the lists.
 */
#include "tensor_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASSERT_TYPE(name, value, bytes)                                                            \
    _Static_assert((int)ORTP_TYPE_##name == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_##name,             \
                   "ortp_type and ORT's element type differ");
ORTP_TYPE_MAP(ASSERT_TYPE)
#undef ASSERT_TYPE

size_t ortp_type_bytes(ortp_type type)
{
    switch (type) {
#define TYPE_BYTES(name, value, bytes)                                                             \
    case ORTP_TYPE_##name:                                                                         \
        return (bytes);
        ORTP_TYPE_MAP(TYPE_BYTES)
#undef TYPE_BYTES
    }
    return 0;
}

const char *ortp_type_name(ortp_type type)
{
    switch (type) {
    case ORTP_TYPE_FLOAT:
        return "float";
    case ORTP_TYPE_UINT8:
        return "uint8";
    case ORTP_TYPE_INT8:
        return "int8";
    case ORTP_TYPE_UINT16:
        return "uint16";
    case ORTP_TYPE_INT16:
        return "int16";
    case ORTP_TYPE_INT32:
        return "int32";
    case ORTP_TYPE_INT64:
        return "int64";
    case ORTP_TYPE_BOOL:
        return "bool";
    case ORTP_TYPE_FLOAT16:
        return "float16";
    case ORTP_TYPE_DOUBLE:
        return "double";
    case ORTP_TYPE_UINT32:
        return "uint32";
    case ORTP_TYPE_UINT64:
        return "uint64";
    case ORTP_TYPE_BFLOAT16:
        return "bfloat16";
    }
    return "?";
}

ortp_status ortp__tensor_kind_make(ortp__tensor_kind *kind, ortp_type type, const int64_t *shape,
                                   size_t rank, ortp_error *error)
{
    memset(kind, 0, sizeof(*kind));
    const size_t element_bytes = ortp_type_bytes(type);
    if (element_bytes == 0) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: unknown element type %d", (int)type);
    }
    if (rank > ORTP_RANK_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: rank %zu is above %u", rank, ORTP_RANK_MAX);
    }
    if (rank > 0 && !shape) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: rank %zu without a shape", rank);
    }
    bool empty = false;
    for (size_t i = 0; i < rank; ++i) {
        if (shape[i] < 0) {
            return ortp__fail(error, ORTP_E_INVAL, "tensor: dimension %zu is %" PRId64, i,
                              shape[i]);
        }
        empty = empty || shape[i] == 0;
        kind->shape[i] = shape[i];
    }
    /* ORT counts elements as int64_t: its limit is the lower one. */
    const uint64_t elements_max =
        (uint64_t)(SIZE_MAX < INT64_MAX ? SIZE_MAX : INT64_MAX) / element_bytes;
    uint64_t elements = empty ? 0 : 1;
    for (size_t i = 0; i < rank && !empty; ++i) {
        if ((uint64_t)shape[i] > elements_max / elements) {
            return ortp__fail(error, ORTP_E_INVAL, "tensor: the shape has too many elements");
        }
        elements *= (uint64_t)shape[i];
    }
    kind->type = type;
    kind->rank = rank;
    kind->elements = (size_t)elements;
    kind->bytes = (size_t)elements * element_bytes;
    return ORTP_OK;
}

bool ortp__tensor_kind_equal(const ortp__tensor_kind *a, const ortp__tensor_kind *b)
{
    return a->type == b->type && a->rank == b->rank &&
           memcmp(a->shape, b->shape, sizeof(a->shape)) == 0;
}

/* FNV-1a over 64-bit words, folded: the shapes of a model differ in few small numbers. */
uint32_t ortp__tensor_kind_hash(const ortp__tensor_kind *kind)
{
    const uint64_t prime = 0x100000001b3u;
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)kind->type;
    hash = (hash * prime) ^ kind->rank;
    for (size_t i = 0; i < kind->rank; ++i) {
        hash = (hash * prime) ^ (uint64_t)kind->shape[i];
    }
    hash *= prime;
    return (uint32_t)(hash ^ (hash >> 32));
}

void ortp__tensor_kind_text(const ortp__tensor_kind *kind, char *text, size_t capacity)
{
    int length = snprintf(text, capacity, "%s[", ortp_type_name(kind->type));
    for (size_t i = 0; i < kind->rank && length >= 0 && (size_t)length < capacity; ++i) {
        const int more = snprintf(text + length, capacity - (size_t)length, "%s%" PRId64,
                                  i > 0 ? "," : "", kind->shape[i]);
        length = more < 0 ? more : length + more;
    }
    if (length >= 0 && (size_t)length < capacity) {
        (void)snprintf(text + length, capacity - (size_t)length, "]");
    }
}

static ortp_status make_value(const ortp_tensor *tensor, size_t offset,
                              const ortp__tensor_kind *kind, OrtValue **out, ortp_error *error)
{
    unsigned char *data = ortp_block_data(tensor->block);
    const ortp_runtime *runtime = tensor->pool->runtime;
    OrtValue *value = NULL;
    ortp_status status =
        ortp_runtime_take_status(runtime,
                                 runtime->api->CreateTensorWithDataAsOrtValue(
                                     runtime->cpu, data + offset, kind->bytes, kind->shape,
                                     kind->rank, (ONNXTensorElementDataType)kind->type, &value),
                                 "tensor: the OrtValue cannot be created", error);
    *out = status == ORTP_OK ? value : NULL;
    return status;
}

static void free_views(ortp_tensor *tensor)
{
    const ortp_runtime *runtime = tensor->pool->runtime;
    if (tensor->views) {
        ortp__meta_free(runtime->budget, &runtime->alloc, tensor->views,
                        tensor->view_capacity * sizeof(*tensor->views));
    }
    tensor->views = NULL;
    tensor->view_capacity = 0;
}

ortp_status ortp__tensor_fill(ortp_tensor *tensor, const ortp__tensor_kind *kind, ortp_label label,
                              ortp_error *error)
{
    ortp_tensor_pool *pool = tensor->pool;
    ortp_status status = ortp_pool_acquire_within(pool->runtime->pool, kind->bytes, label,
                                                  ORTP_RECLAIM_CACHE, &tensor->block);
    if (status != ORTP_OK) {
        char text[128];
        ortp__tensor_kind_text(kind, text, sizeof(text));
        tensor->block = NULL;
        return ortp__fail(error, status, "tensor: no block of %zu bytes for %s: %s", kind->bytes,
                          text, ortp_status_text(status));
    }
    tensor->block_bytes = ortp_block_bytes(tensor->block);
    tensor->footprint = ortp__block_footprint(tensor->block);
    tensor->kind = *kind;
    status = make_value(tensor, 0, kind, &tensor->value, error);
    if (status != ORTP_OK) {
        ortp__tensor_empty(tensor);
    }
    return status;
}

void ortp__tensor_empty(ortp_tensor *tensor)
{
    const OrtApi *api = tensor->pool->runtime->api;
    for (size_t i = 0; i < tensor->view_count; ++i) {
        api->ReleaseValue(tensor->views[i].value);
    }
    tensor->view_count = 0;
    free_views(tensor); /* the next one in this struct may have none */
    if (tensor->value) {
        api->ReleaseValue(tensor->value);
        tensor->value = NULL;
    }
    (void)ortp_block_release(tensor->block); /* after every OrtValue over it */
    tensor->block = NULL;
    tensor->block_bytes = 0;
    tensor->footprint = 0;
}

static ortp_status grow_views(ortp_tensor *tensor, ortp_error *error)
{
    const ortp_runtime *runtime = tensor->pool->runtime;
    const size_t capacity = tensor->view_capacity > 0 ? 2 * tensor->view_capacity : 4;
    void *views = NULL;
    ortp_status status =
        ortp__meta_alloc(runtime->budget, &runtime->alloc, capacity * sizeof(*tensor->views),
                         ORTP_RECLAIM_CACHE, &views);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "tensor: no room for a view: %s",
                          ortp_status_text(status));
    }
    if (tensor->view_count > 0) {
        memcpy(views, tensor->views, tensor->view_count * sizeof(*tensor->views));
    }
    free_views(tensor);
    tensor->views = views;
    tensor->view_capacity = capacity;
    return ORTP_OK;
}

ortp_status ortp_tensor_view(ortp_tensor *tensor, ortp_type type, const int64_t *shape, size_t rank,
                             OrtValue **out, ortp_error *error)
{
    return ortp_tensor_view_at(tensor, 0, type, shape, rank, out, error);
}

/* NULL: there is none yet. */
static OrtValue *find_view(const ortp_tensor *tensor, size_t offset, const ortp__tensor_kind *kind)
{
    if (offset == 0 && ortp__tensor_kind_equal(kind, &tensor->kind)) {
        return tensor->value;
    }
    for (size_t i = 0; i < tensor->view_count; ++i) {
        const ortp__tensor_view *view = &tensor->views[i];
        if (view->offset == offset && ortp__tensor_kind_equal(kind, &view->kind)) {
            return view->value;
        }
    }
    return NULL;
}

ortp_status ortp_tensor_view_at(ortp_tensor *tensor, size_t offset, ortp_type type,
                                const int64_t *shape, size_t rank, OrtValue **out,
                                ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: out is NULL");
    }
    *out = NULL;
    if (!tensor) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: NULL has no views");
    }
    ortp__tensor_kind kind;
    ortp_status status = ortp__tensor_kind_make(&kind, type, shape, rank, error);
    if (status != ORTP_OK) {
        return status;
    }
    const size_t whole = tensor->kind.bytes;
    if (offset > whole || kind.bytes > whole - offset || offset % ortp_type_bytes(type) != 0) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "tensor: a view of %zu bytes from byte %zu over a tensor of %zu",
                          kind.bytes, offset, whole);
    }
    *out = find_view(tensor, offset, &kind);
    if (*out) {
        return ORTP_OK;
    }
    if (tensor->view_count == tensor->view_capacity) {
        status = grow_views(tensor, error);
        if (status != ORTP_OK) {
            return status;
        }
    }
    status = make_value(tensor, offset, &kind, out, error);
    if (status != ORTP_OK) {
        return status;
    }
    tensor->views[tensor->view_count++] =
        (ortp__tensor_view){.kind = kind, .offset = offset, .value = *out};
    ortp_tensor_pool *pool = tensor->pool;
    ortp__lock(&pool->mutex);
    ++pool->info.creates;
    ortp__unlock(&pool->mutex);
    return ORTP_OK;
}
