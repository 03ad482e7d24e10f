/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of weights a graph brings: its own bytes, and what its initializers keep in
 * external data files.
 */
#ifndef ORTP_GRAPH_BYTES_H
#define ORTP_GRAPH_BYTES_H

#include "private_api.h"

#include <ortpool/status.h>

/*
 * *bytes: the file's size plus external data as the graph describes it (the external files are not
 * opened). A file that is no ONNX graph gives its size; whether ORT takes it is ORT's to say.
 * Errors: NOTFOUND (no such file), INVAL (cannot be read, a directory, empty).
 */
ORTP__PRIVATE_API ortp_status ortp__graph_file_bytes(const char *path, uint64_t *bytes,
                                                     ortp_error *error);
/* The same for a graph in memory. */
uint64_t ortp__graph_memory_bytes(const void *model, size_t model_bytes);

#endif
