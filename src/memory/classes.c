/* SPDX-License-Identifier: MIT */
/*
 * Size classes: tables made once per pool, looked up without arithmetic that could overflow.
 */
#include "classes.h"

#include <ortpool/pool.h>

#include <assert.h>

#define SLAB_BYTES_MIN (64u * 1024u)
#define SLAB_BLOCKS_MIN 8u

static size_t round_up(size_t bytes, size_t multiple)
{
    return (bytes + multiple - 1) / multiple * multiple;
}

/* The largest power of two that is not above `bytes` (at least 1). */
static size_t power_below(size_t bytes)
{
    size_t power = 1;
    while (power <= bytes / 2) {
        power *= 2;
    }
    return power;
}

void ortp__classes_init(ortp__classes *classes, size_t alignment, size_t page_bytes)
{
    classes->page_bytes = page_bytes;
    classes->count = 0;
    for (size_t stride = alignment; stride <= ORTP__SMALL_STRIDE_MAX;) {
        assert(classes->count < ORTP__CLASSES_MAX);
        size_t least = SLAB_BLOCKS_MIN * stride + ORTP_BLOCK_TAIL;
        size_t slab = round_up(least > SLAB_BYTES_MIN ? least : SLAB_BYTES_MIN, page_bytes);
        classes->strides[classes->count] = stride;
        classes->slab_bytes[classes->count] = slab;
        classes->slab_blocks[classes->count] = (slab - ORTP_BLOCK_TAIL) / stride;
        classes->count++;
        size_t step = round_up(power_below(stride) / 4, alignment);
        stride += step;
    }
    size_t index = 0;
    for (size_t units = 0; units < sizeof classes->of_units; units++) {
        if (classes->strides[index] < units * ORTP__SIZE_UNIT) {
            index++;
        }
        classes->of_units[units] = (uint8_t)index;
    }
}

bool ortp__classes_resolve(const ortp__classes *classes, size_t bytes, ortp__size *out)
{
    if (bytes <= ORTP__SMALL_BYTES_MAX) {
        *out =
            (ortp__size){.small = true, .index = ortp__classes_small(classes, bytes), .mapping = 0};
        return true;
    }
    /* A quarter of the address space leaves room for every sum and rounding below. */
    if (bytes > SIZE_MAX / 4) {
        return false;
    }
    size_t mapping = round_up(bytes + ORTP_BLOCK_TAIL, classes->page_bytes);
    size_t step = power_below(mapping) / 8;
    if (step > classes->page_bytes) {
        mapping = round_up(mapping, step);
    }
    *out = (ortp__size){.small = false, .index = 0, .mapping = mapping};
    return true;
}

size_t ortp__classes_reuse_max(size_t mapping)
{
    return mapping + mapping / 4;
}
