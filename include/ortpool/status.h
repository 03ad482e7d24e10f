/* SPDX-License-Identifier: MIT */
/*
 * Status codes, the caller-owned error detail, and what every header shares.
 *
 * Conventions of the whole library
 *   - Handles are opaque. Each object is made by ortp_x_create(options, out, error), which sets *out to
 *     NULL on failure, and ended by ortp_x_destroy(x, error). Destroy of NULL is a no-op that returns
 *     ORTP_OK. A destroy that refuses changes nothing unless its comment says so, and its error says
 *     what is still in use.
 *   - Options structs start with `size_t struct_size`; initialise them with their _INIT macro, in C
 *     and in C++: ORTP_E_VERSION for a struct_size left 0. A field left zero takes its default. A
 *     smaller struct_size (an older caller) is accepted, a larger one only if its unknown tail is
 *     zero (else ORTP_E_VERSION). NULL stands for all fields zero: each function says whether
 *     that will do.
 *   - Structs that the caller allocates and the library fills start with `size_t struct_size`, too,
 *     and have an _INIT macro. The library writes at most struct_size bytes and leaves struct_size as
 *     it is: an older caller gets the fields it knows, a newer one finds its other fields untouched.
 *     ORTP_E_VERSION, and nothing written, for a struct_size left 0. In an array the first element's
 *     struct_size counts: it is the size of each element.
 *   - `ortp_error *error` may be NULL everywhere. It is written on failure only, and not at all where
 *     its struct_size is 0: initialise it with ORTP_ERROR_INIT.
 *   - Functions that return a value in place of a status take a live object: NULL is not checked.
 *   - Times: `..._ms` is a span in milliseconds, `..._at_ms` a time by the runtime's clock
 *     (ortp_runtime_now_ms()).
 *   - No function calls exit() or abort() on input or on lack of memory, writes to stdout or stderr, or
 *     reads the environment.
 *   - No user callback runs under a lock of the library.
 */
#ifndef ORTPOOL_STATUS_H
#define ORTPOOL_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORTPOOL_VERSION_MAJOR 0
#define ORTPOOL_VERSION_MINOR 1
#define ORTPOOL_VERSION_PATCH 0
#define ORTPOOL_VERSION "0.1.0"

#if defined(__GNUC__)
#define ORTP_API __attribute__((visibility("default")))
#define ORTP_CHECK __attribute__((warn_unused_result))
#define ORTP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ORTP_API
#define ORTP_CHECK
#define ORTP_PRINTF(fmt, args)
#endif

/*
 * Initialises a struct that starts with struct_size, the rest zero: what the _INIT macros are made
 * of. An initialiser in C, an expression in C++, where designated initialisers came only with
 * C++20.
 */
#ifdef __cplusplus
#define ORTP_STRUCT_INIT(type)                                                                     \
    ([] {                                                                                          \
        type ortp_made{};                                                                          \
        ortp_made.struct_size = sizeof(type);                                                      \
        return ortp_made;                                                                          \
    }())
#else
#define ORTP_STRUCT_INIT(type)                                                                     \
    {                                                                                              \
        .struct_size = sizeof(type)                                                                \
    }
#endif

/* X(name, value, text): the values are pinned; new ones are added at the end. */
#define ORTP_STATUS_MAP(X)                                                                         \
    X(OK, 0, "ok")                                                                                 \
    X(E_NOMEM, -1, "the system has no memory left")                                                \
    X(E_BUDGET, -2, "does not fit into the memory budget")                                         \
    X(E_INVAL, -3, "invalid argument or input")                                                    \
    X(E_BUSY, -4, "still in use")                                                                  \
    X(E_AGAIN, -5, "try again")                                                                    \
    X(E_TIMEOUT, -6, "the deadline passed")                                                        \
    X(E_CLOSED, -7, "closed")                                                                      \
    X(E_VERSION, -8, "version not supported")                                                      \
    X(E_ORT, -9, "ONNX Runtime reported an error")                                                 \
    X(E_SYS, -10, "the operating system reported an error")                                        \
    X(E_CANCELLED, -11, "cancelled")                                                               \
    X(E_NOTFOUND, -12, "not found")

typedef enum ortp_status {
#define ORTP_STATUS_ENUM(name, value, text) ORTP_##name = (value),
    ORTP_STATUS_MAP(ORTP_STATUS_ENUM)
#undef ORTP_STATUS_ENUM
} ortp_status;

/* Caller-owned detail of the last failure: what, where, and what was expected. */
typedef struct ortp_error {
    size_t struct_size;
    ortp_status status;
    int32_t ort_code; /* OrtErrorCode where status is ORTP_E_ORT, else 0 */
    char message[384];
} ortp_error;

#define ORTP_ERROR_INIT ORTP_STRUCT_INIT(ortp_error)

/* "ORTP_E_BUDGET"; "ORTP_E_?" for an unknown value. Thread-safe: yes. */
ORTP_API const char *ortp_status_name(ortp_status status);
/* One line of English for the status. Thread-safe: yes. */
ORTP_API const char *ortp_status_text(ortp_status status);
/* "0.1.0": the version the library was built as. Thread-safe: yes. */
ORTP_API const char *ortp_version(void);

/*
 * The allocator of ortpool's small control structures (never of tensor data). Both members set or
 * the whole struct zero (malloc and free). `free` gets the size that was asked for. Called from any
 * thread; may return NULL (the call in progress then ends with ORTP_E_NOMEM). 16-byte alignment.
 */
typedef struct ortp_alloc {
    void *(*alloc)(void *ctx, size_t bytes);
    void (*free)(void *ctx, void *ptr, size_t bytes);
    void *ctx;
} ortp_alloc;

/* Monotonic milliseconds. NULL members mean the system's clock; tests inject their own. */
typedef struct ortp_clock {
    uint64_t (*now_ms)(void *ctx);
    void *ctx;
} ortp_clock;

#ifdef __cplusplus
}
#endif
#endif
