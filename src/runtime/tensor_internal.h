/* SPDX-License-Identifier: MIT */
/*
 * The tensor and the tensor pool: tensor.c keeps the lists, tensor_create.c makes and drops what a
 * tensor holds.
 */
#ifndef ORTP_TENSOR_INTERNAL_H
#define ORTP_TENSOR_INTERNAL_H

#include "runtime_internal.h"

#define ORTP__TENSOR_BUCKETS 256u /* a power of two */

/* What an OrtValue is: found again by comparing all of it. */
typedef struct ortp__tensor_kind {
    ortp_type type;
    size_t rank;
    int64_t shape[ORTP_RANK_MAX]; /* zero beyond rank */
    size_t elements;
    size_t bytes;
} ortp__tensor_kind;

typedef struct ortp__tensor_view {
    ortp__tensor_kind kind;
    size_t offset; /* in bytes */
    OrtValue *value;
} ortp__tensor_view;

/* unused: a struct kept for the next, holds nothing. */
typedef enum ortp__tensor_state {
    ORTP__TENSOR_UNUSED = 0,
    ORTP__TENSOR_OUT,
    ORTP__TENSOR_IDLE,
    ORTP__TENSOR_DROPPED, /* off all lists, about to be emptied outside the lock */
} ortp__tensor_state;

typedef struct ortp__tensor_list {
    ortp_tensor *first;
    ortp_tensor *last;
} ortp__tensor_list;

/*
 * `state`, the links and `idle_since_ms` belong to the pool's lock; the rest to the owner (a thread
 * that holds the tensor, or the one that makes or drops it).
 */
struct ortp_tensor {
    ortp_tensor_pool *pool;
    ortp__tensor_kind kind;
    ortp_block *block;
    size_t block_bytes;
    size_t footprint; /* what the ledger counts for the block */
    OrtValue *value;
    ortp__tensor_view *views;
    size_t view_count;
    size_t view_capacity;

    ortp__tensor_state state;
    uint64_t idle_since_ms;
    ortp_tensor *previous; /* in the list of its state */
    ortp_tensor *next;
    ortp_tensor *bucket_previous; /* idle only */
    ortp_tensor *bucket_next;
    ortp_tensor *all_next; /* every struct of the pool, until the pool is destroyed */
};

/*
 * Lock: `mutex` (ORTP_RANK_TENSORS) guards all below it. It is never held during a call of ORT, the
 * pool, the budget, the clock or the allocator.
 *
 *     structs made == unused + out + idle + being made or dropped by some thread
 *     idle_bytes == sum of block_bytes over idle
 *     idle_footprint[l] == sum of footprint over idle whose block has label l
 */
struct ortp_tensor_pool {
    ortp_runtime *runtime;
    ortp_reclaimer *reclaimer;
    ortp__reporter reporter;
    size_t idle_bytes_max;

    ortp__mutex mutex;
    ortp__tensor_list unused;
    ortp__tensor_list out;
    ortp__tensor_list idle; /* first: released last */
    ortp_tensor *buckets[ORTP__TENSOR_BUCKETS];
    ortp_tensor *all;
    size_t dropping; /* calls of release and trim that drop tensors and touch the pool yet */
    ortp_tensor_pool_info info;
};

/* Errors: INVAL, with what is wrong. */
ortp_status ortp__tensor_kind_make(ortp__tensor_kind *kind, ortp_type type, const int64_t *shape,
                                   size_t rank, ortp_error *error);
bool ortp__tensor_kind_equal(const ortp__tensor_kind *a, const ortp__tensor_kind *b);
uint32_t ortp__tensor_kind_hash(const ortp__tensor_kind *kind);
/* "float[1,20,256]"; cut off where text is full. */
void ortp__tensor_kind_text(const ortp__tensor_kind *kind, char *text, size_t capacity);

/* Gives an empty struct its block and OrtValue; on failure it stays empty. No lock is held. */
ortp_status ortp__tensor_fill(ortp_tensor *tensor, const ortp__tensor_kind *kind, ortp_label label,
                              ortp_error *error);
/* Drops OrtValue, views and block. No lock is held. */
void ortp__tensor_empty(ortp_tensor *tensor);

#endif
