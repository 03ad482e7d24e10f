/* SPDX-License-Identifier: MIT */
/*
 * Sizes: which stride a small block has, which mapping a large one.
 *
 *     small   strides are multiples of the alignment, four steps a doubling, up to 64 KiB
 *     large   mappings are whole pages, eight steps a doubling: at most 1/8 is padding
 */
#ifndef ORTP_CLASSES_H
#define ORTP_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORTP__CLASSES_MAX 48
#define ORTP__SMALL_STRIDE_MAX (64u * 1024u) /* of every alignment's classes the last */
#define ORTP__SMALL_BYTES_MAX (ORTP__SMALL_STRIDE_MAX - 1u) /* 64 KiB and more are large */
#define ORTP__SIZE_UNIT 64u                  /* strides are multiples of it */

typedef struct ortp__classes {
    size_t page_bytes;
    size_t count;
    size_t strides[ORTP__CLASSES_MAX];    /* rising */
    size_t slab_bytes[ORTP__CLASSES_MAX]; /* the mapping of one slab */
    size_t slab_blocks[ORTP__CLASSES_MAX];
    uint8_t of_units[ORTP__SMALL_STRIDE_MAX / ORTP__SIZE_UNIT + 1]; /* class of a size in units */
} ortp__classes;

/* alignment: a power of two, 64 to 4096. */
void ortp__classes_init(ortp__classes *classes, size_t alignment, size_t page_bytes);

/* The least class for up to ORTP__SMALL_BYTES_MAX bytes. */
static inline size_t ortp__classes_small(const ortp__classes *classes, size_t bytes)
{
    return classes->of_units[(bytes + ORTP__SIZE_UNIT - 1) / ORTP__SIZE_UNIT];
}

/* What an acquire asks for, resolved once. */
typedef struct ortp__size {
    bool small;
    size_t index;   /* small: the class */
    size_t mapping; /* large: bytes of the mapping, the readable tail included */
} ortp__size;

/* false: too large to map. */
bool ortp__classes_resolve(const ortp__classes *classes, size_t bytes, ortp__size *out);

/* The largest idle mapping that may serve a large request: a quarter more than it needs. */
size_t ortp__classes_reuse_max(size_t mapping);

#endif
