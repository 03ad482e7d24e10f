/* SPDX-License-Identifier: MIT */
/* See ports.h. */
#include "ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static OrtStatus *take_name(const OrtApi *api, const OrtSession *session, bool output, size_t index,
                            model_port *port)
{
    OrtAllocator *allocator = NULL;
    char *name = NULL;
    OrtStatus *status = api->GetAllocatorWithDefaultOptions(&allocator);
    if (status == NULL) {
        status = output ? api->SessionGetOutputName(session, index, allocator, &name)
                        : api->SessionGetInputName(session, index, allocator, &name);
    }
    if (status == NULL && strlen(name) >= sizeof(port->name)) {
        status = api->CreateStatus(ORT_NOT_IMPLEMENTED,
                                   "an input or output has a name of more than 255 bytes");
    }
    if (status == NULL) {
        strcpy(port->name, name);
    }
    if (name != NULL) {
        OrtStatus *freed = api->AllocatorFree(allocator, name);
        if (freed != NULL) {
            api->ReleaseStatus(freed);
        }
    }
    return status;
}

static OrtStatus *take_shape(const OrtApi *api, const OrtTensorTypeAndShapeInfo *tensor,
                             model_port *port)
{
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    OrtStatus *status = api->GetTensorElementType(tensor, &type);
    if (status == NULL) {
        status = api->GetDimensionsCount(tensor, &port->rank);
    }
    if (status != NULL) {
        return status;
    }
    port->what = type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING ? "string tensor"
                                                              : "tensor of an unusual type";
    if (ortp_type_bytes((ortp_type)type) > 0) {
        port->type = (ortp_type)type;
        port->what = ortp_type_name(port->type);
    }
    if (port->rank > ORTP_RANK_MAX) {
        port->type = 0;
        port->what = "tensor of more than 8 dimensions";
        port->rank = 0;
    }
    const char *symbols[ORTP_RANK_MAX] = {NULL};
    status = api->GetDimensions(tensor, port->shape, port->rank);
    if (status == NULL) {
        status = api->GetSymbolicDimensions(tensor, symbols, port->rank);
    }
    for (size_t i = 0; i < port->rank && status == NULL; i++) {
        snprintf(port->symbols[i], sizeof(port->symbols[i]), "%s",
                 symbols[i] != NULL ? symbols[i] : "");
    }
    return status;
}

static OrtStatus *load_port(const OrtApi *api, const OrtSession *session, bool output, size_t index,
                            model_port *port)
{
    OrtStatus *status = take_name(api, session, output, index, port);
    if (status != NULL) {
        return status;
    }
    OrtTypeInfo *info = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    status = output ? api->SessionGetOutputTypeInfo(session, index, &info)
                    : api->SessionGetInputTypeInfo(session, index, &info);
    if (status == NULL) {
        status = api->CastTypeInfoToTensorInfo(info, &tensor);
    }
    port->what = "sequence, map or optional";
    if (status == NULL && tensor != NULL) {
        status = take_shape(api, tensor, port);
    }
    if (info != NULL) {
        api->ReleaseTypeInfo(info);
    }
    return status;
}

OrtStatus *ports_load(const OrtApi *api, const OrtSession *session, model_ports *out)
{
    *out = (model_ports){0};
    OrtStatus *status = api->SessionGetInputCount(session, &out->input_count);
    if (status == NULL) {
        status = api->SessionGetOutputCount(session, &out->output_count);
    }
    if (status != NULL) {
        *out = (model_ports){0};
        return status;
    }
    out->inputs = calloc(out->input_count + 1, sizeof(*out->inputs));
    out->outputs = calloc(out->output_count + 1, sizeof(*out->outputs));
    if (out->inputs == NULL || out->outputs == NULL) {
        return api->CreateStatus(ORT_FAIL, "no memory for the names of inputs and outputs");
    }
    for (size_t i = 0; i < out->input_count && status == NULL; i++) {
        status = load_port(api, session, false, i, &out->inputs[i]);
    }
    for (size_t i = 0; i < out->output_count && status == NULL; i++) {
        status = load_port(api, session, true, i, &out->outputs[i]);
    }
    return status;
}

void ports_free(model_ports *ports)
{
    free(ports->inputs);
    free(ports->outputs);
    *ports = (model_ports){0};
}

void port_describe(const model_port *port, char *text, size_t capacity)
{
    size_t length =
        (size_t)snprintf(text, capacity, "%s%s", port->what, port->type != 0 ? "[" : "");
    for (size_t i = 0; i < port->rank && port->type != 0 && length < capacity; i++) {
        const char *separator = i > 0 ? "," : "";
        length += (size_t)(port->shape[i] < 0 ? snprintf(text + length, capacity - length, "%s?%s",
                                                         separator, port->symbols[i])
                                              : snprintf(text + length, capacity - length, "%s%lld",
                                                         separator, (long long)port->shape[i]));
    }
    if (port->type != 0 && length < capacity) {
        snprintf(text + length, capacity - length, "]");
    }
}
