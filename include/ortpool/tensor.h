/* SPDX-License-Identifier: MIT */
/*
 * The tensor pool: an OrtValue and its buffer together, acquired by element type and shape.
 *
 * The OrtValue survives release: acquiring the same type and shape again costs no ORT call and no
 * heap allocation. Works with any OrtSession; the values are ordinary CPU tensors over ortpool's
 * memory. Contents are not cleared between uses.
 */
#ifndef ORTPOOL_TENSOR_H
#define ORTPOOL_TENSOR_H

#include <ortpool/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORTP_RANK_MAX 8u

/* X(name, value, bytes): values as ONNXTensorElementDataType, fixed-size types only. */
#define ORTP_TYPE_MAP(X)                                                                           \
    X(FLOAT, 1, 4)                                                                                 \
    X(UINT8, 2, 1)                                                                                 \
    X(INT8, 3, 1)                                                                                  \
    X(UINT16, 4, 2)                                                                                \
    X(INT16, 5, 2)                                                                                 \
    X(INT32, 6, 4)                                                                                 \
    X(INT64, 7, 8)                                                                                 \
    X(BOOL, 9, 1)                                                                                  \
    X(FLOAT16, 10, 2)                                                                              \
    X(DOUBLE, 11, 8)                                                                               \
    X(UINT32, 12, 4)                                                                               \
    X(UINT64, 13, 8)                                                                               \
    X(BFLOAT16, 16, 2)

typedef enum ortp_type {
#define ORTP_TYPE_ENUM(name, value, bytes) ORTP_TYPE_##name = (value),
    ORTP_TYPE_MAP(ORTP_TYPE_ENUM)
#undef ORTP_TYPE_ENUM
} ortp_type;

/* Bytes of one element (bool: 1, each 0 or 1); 0 for a type not in the list. Thread-safe: yes. */
ORTP_API size_t ortp_type_bytes(ortp_type type);
/* "float", "int32", ...; "?" for an unknown value. Thread-safe: yes. */
ORTP_API const char *ortp_type_name(ortp_type type);

typedef struct ortp_tensor_pool ortp_tensor_pool;
typedef struct ortp_tensor ortp_tensor;

typedef struct ortp_tensor_pool_options {
    size_t struct_size;
    ortp_runtime *runtime; /* required; must outlive the tensor pool */
    size_t idle_bytes_max; /* idle tensors above this are dropped, least recently used first; 0: 16
                              MiB */
} ortp_tensor_pool_options;
#define ORTP_TENSOR_POOL_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_tensor_pool_options)

/*
 * Errors: INVAL (also options NULL: the runtime is required), VERSION, CLOSED (the runtime is half
 * destroyed), NOMEM, BUDGET, SYS. Registers a reclaimer of level ORTP_RECLAIM_TENSORS.
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_tensor_pool_create(const ortp_tensor_pool_options *options,
                                                        ortp_tensor_pool **out, ortp_error *error);
/*
 * ORTP_E_BUSY, and nothing freed, while tensors are out (error names type and shape of one) or a
 * release on another thread is still dropping tensors. Thread-safe: no, nobody else may be calling it.
 */
ORTP_API ortp_status ortp_tensor_pool_destroy(ortp_tensor_pool *pool, ortp_error *error);

/*
 * rank 0 (shape may be NULL) is a scalar; a zero in the shape gives a tensor without elements.
 * Errors: INVAL (unknown type, rank above ORTP_RANK_MAX, negative dimension, size overflow),
 * BUDGET, NOMEM, ORT. label: the account of its block. Ownership: the caller releases it.
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_tensor_acquire(ortp_tensor_pool *pool, ortp_type type,
                                                    const int64_t *shape, size_t rank,
                                                    ortp_tensor **out, ortp_error *error);
ORTP_API ORTP_CHECK ortp_status ortp_tensor_acquire_labelled(ortp_tensor_pool *pool, ortp_type type,
                                                             const int64_t *shape, size_t rank,
                                                             ortp_label label, ortp_tensor **out,
                                                             ortp_error *error);
/*
 * Back to the pool, OrtValue and buffer kept for the next. The application must hold no other reference to
 * the OrtValue (a binding, a running session). NULL is a no-op; INVAL for one released already.
 * Thread-safe: yes.
 */
ORTP_API ortp_status ortp_tensor_release(ortp_tensor *tensor);

/* Owned by the tensor: never release the OrtValue. The owner's thread only, as all up to relabel. */
ORTP_API OrtValue *ortp_tensor_value(const ortp_tensor *tensor);
ORTP_API void *ortp_tensor_data(const ortp_tensor *tensor);
/* Bytes of the elements: product of the shape times the element size. */
ORTP_API size_t ortp_tensor_bytes(const ortp_tensor *tensor);
ORTP_API size_t ortp_tensor_elements(const ortp_tensor *tensor);
ORTP_API ortp_type ortp_tensor_type(const ortp_tensor *tensor);
/* *rank dimensions, valid while the tensor is held. */
ORTP_API const int64_t *ortp_tensor_shape(const ortp_tensor *tensor, size_t *rank);
/* Moves its block to another label. The owner's thread only. */
ORTP_API ortp_status ortp_tensor_relabel(ortp_tensor *tensor, ortp_label label);

/* A view is an OrtValue of another type or shape over the first bytes of a tensor, kept with the
 * tensor until the tensor is dropped; asking again for the same view makes no ORT call. Used where
 * one buffer serves several batch sizes. Errors: INVAL (larger than the tensor), NOMEM, BUDGET,
 * ORT. The owner's thread only. */
ORTP_API ORTP_CHECK ortp_status ortp_tensor_view(ortp_tensor *tensor, ortp_type type,
                                                 const int64_t *shape, size_t rank, OrtValue **out,
                                                 ortp_error *error);
/* The same over the bytes from `offset` on, so that one tensor holds several values; `offset` is a multiple
 * of the element's size, and all the alignment that the view has. A view that exists is only
 * looked up: where all were made before, other threads that hold the tensor may ask for them, too. */
ORTP_API ORTP_CHECK ortp_status ortp_tensor_view_at(ortp_tensor *tensor, size_t offset,
                                                    ortp_type type, const int64_t *shape,
                                                    size_t rank, OrtValue **out, ortp_error *error);

/*
 * Drops idle tensors that have not been used for `idle_ms`, least recently used first, until at
 * most `keep_bytes` are idle: the meaning of ortp_pool_trim(), whose idle blocks theirs become.
 * *dropped_bytes may be NULL. Thread-safe: yes.
 */
ORTP_API ortp_status ortp_tensor_pool_trim(ortp_tensor_pool *pool, size_t keep_bytes,
                                           uint64_t idle_ms, size_t *dropped_bytes);

typedef struct ortp_tensor_pool_info {
    size_t struct_size;
    size_t out;        /* tensors acquired now */
    size_t idle;       /* tensors kept for reuse */
    size_t idle_bytes; /* usable bytes of their blocks, given back on reclaim */
    size_t idle_footprint[ORTP_LABEL_COUNT]; /* mapped bytes of their blocks by label of last use,
                                                padding included: in use in the pool's ledger */
    uint64_t acquires;
    uint64_t reuses;
    uint64_t creates; /* OrtValues created, views included */
    uint64_t drops;
} ortp_tensor_pool_info;
#define ORTP_TENSOR_POOL_INFO_INIT ORTP_STRUCT_INIT(ortp_tensor_pool_info)

/* Errors: VERSION, INVAL (NULL). Thread-safe: yes. */
ORTP_API ortp_status ortp_tensor_pool_get_info(const ortp_tensor_pool *pool,
                                               ortp_tensor_pool_info *out);

#ifdef __cplusplus
}
#endif
#endif
