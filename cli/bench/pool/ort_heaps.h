/* SPDX-License-Identifier: MIT */
/* ONNX Runtime's two allocators for the CPU: the default one, and the arena that a session has. */
#ifndef ORTPOOL_CLI_BENCH_POOL_ORT_HEAPS_H
#define ORTPOOL_CLI_BENCH_POOL_ORT_HEAPS_H

#include <stdbool.h>

#include <ort_loader.h>

typedef struct ort_heaps {
    ort_library library;
    OrtAllocator *plain; /* ONNX Runtime's own */
    OrtAllocator *arena; /* NULL: none, and why in arena_absent */
    char absent[128];    /* of both: "", or why there is none */
    char arena_absent[256];
    OrtEnv *env;
    OrtSession *session;
    OrtMemoryInfo *memory;
} ort_heaps;

/* Whatever there is. ort_heaps_close() afterwards, once nothing of it is held. */
void ort_heaps_open(ort_heaps *out);
void ort_heaps_close(ort_heaps *heaps);

#endif
