/* SPDX-License-Identifier: MIT */
/*
 * The pool's functions as an application has them: from libortpool.so, where one of this version lies beside
 * the program or where both are installed; else the program's own copy.
 */
#ifndef ORTPOOL_CLI_BENCH_POOL_LIBRARY_H
#define ORTPOOL_CLI_BENCH_POOL_LIBRARY_H

#include <stdbool.h>

#include <ortpool/pool.h>

#define POOL_LIBRARY_MAP(X)                                                                        \
    X(ortp_budget_create)                                                                          \
    X(ortp_budget_destroy)                                                                         \
    X(ortp_pool_create)                                                                            \
    X(ortp_pool_destroy)                                                                           \
    X(ortp_pool_budget)                                                                            \
    X(ortp_pool_acquire)                                                                           \
    X(ortp_pool_get_info)                                                                          \
    X(ortp_block_release)                                                                          \
    X(ortp_block_data)

typedef struct pool_library {
    bool shared; /* libortpool.so's; else the program's own */
#define POOL_LIBRARY_MEMBER(name) __typeof__(name) *name;
    POOL_LIBRARY_MAP(POOL_LIBRARY_MEMBER)
#undef POOL_LIBRARY_MEMBER
} pool_library;

/* Stays open until the process ends. Before other threads. */
void pool_library_open(pool_library *out);

/* "shared" or "static", and what that means, for people. */
const char *pool_library_linkage(const pool_library *library);
const char *pool_library_text(const pool_library *library);

#endif
