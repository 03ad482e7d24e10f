/* SPDX-License-Identifier: MIT */
/*
 * The walk through an ONNX file that estimates its weights, before ONNX Runtime has said whether it is a
 * graph: from memory and from a file the same, never less than the file.
 */
#include "fuzz.h"

#include "graph_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t bytes = ortp__graph_memory_bytes(data, size);
    MUST(bytes >= size);
    fuzz_write("graph.onnx", data, size);
    uint64_t from_file = 0;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = ortp__graph_file_bytes(fuzz_path("graph.onnx"), &from_file, &error);
    if (size == 0) {
        MUST(status == ORTP_E_INVAL && error.message[0] != '\0');
    } else {
        MUST(status == ORTP_OK && from_file == bytes);
    }
    return 0;
}
