/* SPDX-License-Identifier: MIT */
/* What goes into a model and what comes out, as ONNX Runtime tells it of any session. */
#ifndef ORTPOOL_CLI_MODEL_PORTS_H
#define ORTPOOL_CLI_MODEL_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <onnxruntime_c_api.h>
#include <ortpool/tensor.h>

#define PORT_NAME_MAX 256u

typedef struct model_port {
    char name[PORT_NAME_MAX];
    ortp_type type;   /* 0: no tensor of a type that ortpool knows; see what */
    const char *what; /* "float", or what it is instead: "string tensor", "no tensor" */
    size_t rank;
    int64_t shape[ORTP_RANK_MAX];    /* -1: free */
    char symbols[ORTP_RANK_MAX][32]; /* the free dimension's name in the graph; may be empty */
} model_port;

typedef struct model_ports {
    model_port *inputs, *outputs;
    size_t input_count, output_count;
} model_ports;

/* NULL, or the first status that ONNX Runtime gave (the caller's to release); ports_free() after both. */
OrtStatus *ports_load(const OrtApi *api, const OrtSession *session, model_ports *out);
void ports_free(model_ports *ports);

/* "float[1,3,?height,?]": always ended with 0. */
void port_describe(const model_port *port, char *text, size_t capacity);

#endif
