/* SPDX-License-Identifier: MIT */
/*
 * An OrtAllocator that passes everything on to the C library and counts what ONNX Runtime asks for:
 * the need that what others take is measured against. Its figures are ORT's own sizes, without
 * alignment, headers or rounding.
 */
#ifndef BENCH_COUNTING_MEMORY_H
#define BENCH_COUNTING_MEMORY_H

#include <onnxruntime_c_api.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Told of each Alloc and Free: the allocation's number since the count started, and its bytes. */
typedef void (*counting_memory_told)(void *ctx, bool is_alloc, uint64_t id, size_t bytes);

typedef struct counting_memory {
    OrtAllocator base; /* first: ORT hands it back */
    OrtMemoryInfo *info;
    _Atomic size_t live_bytes;     /* of Alloc */
    _Atomic size_t peak_bytes;     /* the most of it since the last reset */
    _Atomic size_t reserved_bytes; /* of Reserve: packed weights, for the session's life */
    _Atomic uint64_t allocs;
    counting_memory_told told;
    void *told_ctx;
} counting_memory;

/* Fills it in and registers it with the env; sessions with "session.use_env_allocators" created
 * from now on use it, and it must outlive them. NULL or a status to release. */
OrtStatus *counting_memory_register(counting_memory *memory, const OrtApi *api, uint32_t version,
                                    OrtEnv *env);
/* After the last session that uses it. */
void counting_memory_unregister(counting_memory *memory, const OrtApi *api, OrtEnv *env);
/* The peak starts again from what is live. */
void counting_memory_reset(counting_memory *memory);

#endif
