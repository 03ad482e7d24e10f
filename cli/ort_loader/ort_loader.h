/* SPDX-License-Identifier: MIT */
/*
 * Finds an ONNX Runtime on this machine and opens it. Places, the first that exists is taken:
 *   1. $ORTPOOL_ONNXRUNTIME, a release folder with lib/libonnxruntime.so (or .so.*, .dylib); when
 * it is set and holds none, that is an error and no other place is tried
 *   2. an installed one, as the system's linker finds it
 *   3. the newest one that scripts/setup.sh fetched for this kind of machine:
 *      ${XDG_CACHE_HOME:-~/.cache}/ortpool/onnxruntime-VERSION-MACHINE
 *
 * Opening also sets ORT_DISABLE_TELEMETRY=1 in this process's environment, unless it is set
 * already: official Linux builds from about 1.29 on otherwise start a client with a thread, a
 * device id below the home folder and uploads. Call it before other threads read the environment.
 */
#ifndef ORT_LOADER_H
#define ORT_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <onnxruntime_c_api.h>

/* The API version that ortpool needs; every newer library has it. */
#define ORT_LOADER_API_MIN 18u

typedef struct ort_library {
    const OrtApi *api;    /* of version api_version: newer members of the struct must not be used */
    uint32_t api_version; /* the lower of the headers' and the library's, 18 at least */
    char version[32];     /* "1.29.0" */
    char path[1024];      /* as it was opened */
} ort_library;

/*
 * false: *library is zero and `message` (always ended with 0) says what was tried, a line for each
 * without a newline after the last. The library stays open until the process ends: ONNX Runtime has
 * threads and static objects of its own.
 */
bool ort_library_open(ort_library *library, char *message, size_t message_bytes);

#endif
