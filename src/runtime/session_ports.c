/* SPDX-License-Identifier: MIT */
/*
 * What goes in and out of a session: names, types and shapes, copied out of ORT once.
 */
#include "session_internal.h"

#include <string.h>

typedef OrtStatus *(ORT_API_CALL *name_fn)(const OrtSession *, size_t, OrtAllocator *, char **);
typedef OrtStatus *(ORT_API_CALL *type_fn)(const OrtSession *, size_t, OrtTypeInfo **);
typedef OrtStatus *(ORT_API_CALL *count_fn)(const OrtSession *, size_t *);

/* Inputs and outputs differ in which members of the OrtApi are asked. */
typedef struct side {
    const char *what;
    count_fn count;
    name_fn name;
    type_fn type;
} side;

ortp_status ortp__copy_text(const ortp_runtime *runtime, const char *text, char **out)
{
    void *copy = NULL;
    const size_t bytes = strlen(text) + 1;
    ortp_status status =
        ortp__meta_alloc(runtime->budget, &runtime->alloc, bytes, ORTP_RECLAIM_CACHE, &copy);
    if (status == ORTP_OK) {
        memcpy(copy, text, bytes);
        *out = copy;
    }
    return status;
}

void ortp__free_text(const ortp_runtime *runtime, const char *text)
{
    if (text) {
        ortp__meta_free(runtime->budget, &runtime->alloc, (void *)text, strlen(text) + 1);
    }
}

static ortp_status load_name(const ortp_session *session, const side *from, size_t index,
                             OrtAllocator *allocator, ortp_port *port, ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    char *name = NULL;
    ortp_status status = ortp_runtime_take_status(
        runtime, from->name(session->ort, index, allocator, &name), from->what, error);
    if (status != ORTP_OK) {
        return status;
    }
    char *copy = NULL;
    status = ortp__copy_text(runtime, name, &copy);
    port->name = copy;
    OrtStatus *freed = runtime->api->AllocatorFree(allocator, name);
    if (freed) { /* nothing to do about it: the name is ORT's */
        runtime->api->ReleaseStatus(freed);
    }
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: no room for a port's name: %s",
                          ortp_status_text(status));
    }
    return ORTP_OK;
}

static ortp_status read_tensor_info(const ortp_runtime *runtime,
                                    const OrtTensorTypeAndShapeInfo *info, const char *what,
                                    ortp_port *port, ortp_error *error)
{
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    ortp_status status = ortp_runtime_take_status(
        runtime, runtime->api->GetTensorElementType(info, &type), what, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = ortp_runtime_take_status(runtime, runtime->api->GetDimensionsCount(info, &port->rank),
                                      what, error);
    if (status != ORTP_OK) {
        return status;
    }
    if (ortp_type_bytes((ortp_type)type) > 0) {
        port->type = (ortp_type)type;
    }
    if (port->rank > ORTP_RANK_MAX) {
        return ORTP_OK;
    }
    return ortp_runtime_take_status(
        runtime, runtime->api->GetDimensions(info, port->shape, port->rank), what, error);
}

static ortp_status load_type(const ortp_session *session, const side *from, size_t index,
                             ortp_port *port, ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    OrtTypeInfo *type = NULL;
    ortp_status status = ortp_runtime_take_status(runtime, from->type(session->ort, index, &type),
                                                  from->what, error);
    if (status != ORTP_OK) {
        return status;
    }
    const OrtTensorTypeAndShapeInfo *info = NULL; /* part of `type` */
    status = ortp_runtime_take_status(runtime, runtime->api->CastTypeInfoToTensorInfo(type, &info),
                                      from->what, error);
    if (status == ORTP_OK && info) { /* NULL: a sequence, a map, ...; the port's type stays 0 */
        status = read_tensor_info(runtime, info, from->what, port, error);
    }
    runtime->api->ReleaseTypeInfo(type);
    return status;
}

static ortp_status load_side(const ortp_session *session, const side *from, OrtAllocator *allocator,
                             ortp__ports *out, ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    size_t count = 0;
    ortp_status status =
        ortp_runtime_take_status(runtime, from->count(session->ort, &count), from->what, error);
    if (status != ORTP_OK || count == 0) { /* a graph of constants has no inputs */
        return status;
    }
    /* One array for both kinds of entry: they live and die together. */
    void *memory = NULL;
    status =
        ortp__meta_alloc(runtime->budget, &runtime->alloc,
                         count * (sizeof(ortp_port) + sizeof(char *)), ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: no room for %zu ports: %s", count,
                          ortp_status_text(status));
    }
    out->ports = memory;
    out->names = (const char **)(void *)(out->ports + count);
    out->count = count;
    for (size_t i = 0; i < count && status == ORTP_OK; ++i) {
        status = load_name(session, from, i, allocator, &out->ports[i], error);
        out->names[i] = out->ports[i].name;
        if (status == ORTP_OK) {
            status = load_type(session, from, i, &out->ports[i], error);
        }
    }
    return status;
}

/* Whether every input has one shape only. */
static bool all_fixed(const ortp__ports *inputs)
{
    for (size_t i = 0; i < inputs->count; ++i) {
        const ortp_port *port = &inputs->ports[i];
        if (port->type == 0 || port->rank == 0 || port->rank > ORTP_RANK_MAX) {
            return false; /* no tensor, or a shape that is not told */
        }
        for (size_t d = 0; d < port->rank; ++d) {
            if (port->shape[d] < 0) {
                return false;
            }
        }
    }
    return true;
}

ortp_status ortp__session_load_ports(ortp_session *session, ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    const OrtApi *api = runtime->api;
    OrtAllocator *allocator = NULL; /* ORT's own, never released */
    ortp_status status = ortp_runtime_take_status(
        runtime, api->GetAllocatorWithDefaultOptions(&allocator), "session: names", error);
    if (status != ORTP_OK) {
        return status;
    }
    const side inputs = {"session: inputs", api->SessionGetInputCount, api->SessionGetInputName,
                         api->SessionGetInputTypeInfo};
    const side outputs = {"session: outputs", api->SessionGetOutputCount, api->SessionGetOutputName,
                          api->SessionGetOutputTypeInfo};
    status = load_side(session, &inputs, allocator, &session->inputs, error);
    if (status == ORTP_OK) {
        status = load_side(session, &outputs, allocator, &session->outputs, error);
    }
    session->fixed_shapes = status == ORTP_OK && all_fixed(&session->inputs);
    return status;
}

static void free_side(const ortp_runtime *runtime, ortp__ports *ports)
{
    for (size_t i = 0; i < ports->count; ++i) {
        ortp__free_text(runtime, ports->ports[i].name);
    }
    if (ports->ports) {
        ortp__meta_free(runtime->budget, &runtime->alloc, ports->ports,
                        ports->count * (sizeof(ortp_port) + sizeof(char *)));
    }
    *ports = (ortp__ports){0};
}

void ortp__session_free_ports(ortp_session *session)
{
    free_side(session->runtime, &session->inputs);
    free_side(session->runtime, &session->outputs);
}

size_t ortp_session_input_count(const ortp_session *session)
{
    return session->inputs.count;
}

size_t ortp_session_output_count(const ortp_session *session)
{
    return session->outputs.count;
}

static const ortp_port *port_at(const ortp__ports *ports, size_t index)
{
    return index < ports->count ? &ports->ports[index] : NULL;
}

const ortp_port *ortp_session_input(const ortp_session *session, size_t index)
{
    return port_at(&session->inputs, index);
}

const ortp_port *ortp_session_output(const ortp_session *session, size_t index)
{
    return port_at(&session->outputs, index);
}

static size_t find_port(const ortp__ports *ports, const char *name)
{
    for (size_t i = 0; name && i < ports->count; ++i) {
        if (strcmp(ports->names[i], name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t ortp_session_find_input(const ortp_session *session, const char *name)
{
    return find_port(&session->inputs, name);
}

size_t ortp_session_find_output(const ortp_session *session, const char *name)
{
    return find_port(&session->outputs, name);
}
