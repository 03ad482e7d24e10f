/* SPDX-License-Identifier: MIT */
/*
 * An allocator as a host has one: registered with the env as its CPU allocator, over malloc, counting.
 * Thread-safe.
 */
#ifndef TEST_HOST_MEMORY_H
#define TEST_HOST_MEMORY_H

#include <onnxruntime_c_api.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct host_memory {
    OrtAllocator base; /* first: ORT's pointer to it is one to this struct */
    OrtMemoryInfo *info;
    _Atomic uint64_t allocs;
    _Atomic int64_t live;
} host_memory;

/* cmocka, all. `host` must outlive what uses it. */
void host_memory_register(host_memory *host, OrtEnv *env);
void host_memory_unregister(host_memory *host, OrtEnv *env);
/* Whether this ONNX Runtime lets another take its place; afterwards it is registered all the same. */
bool host_memory_is_replaced(host_memory *host, OrtEnv *env);

#endif
