/* SPDX-License-Identifier: MIT */
/* See aligned_new.h. The names are those of the Itanium C++ ABI on 64-bit systems. */
#include "aligned_new.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic size_t live, peak;
static _Atomic uint64_t calls;

/* A header of one alignment, at least 16 bytes, in front of the data has the size at its end. */
static size_t header_bytes(size_t alignment)
{
    return alignment < 16 ? 16 : alignment;
}

void *take_aligned(size_t bytes, size_t alignment) __asm__("_ZnwmSt11align_val_t");
void give_aligned(void *data, size_t alignment) __asm__("_ZdlPvSt11align_val_t");
void give_aligned_sized(void *data, size_t bytes,
                        size_t alignment) __asm__("_ZdlPvmSt11align_val_t");

__attribute__((visibility("default"))) void *take_aligned(size_t bytes, size_t alignment)
{
    const size_t header = header_bytes(alignment);
    const size_t whole = (header + bytes + header - 1) / header * header;
    unsigned char *block = aligned_alloc(header, whole);
    if (!block) {
        (void)fputs("bench: no memory left\n", stderr);
        exit(1);
    }
    ((size_t *)(void *)(block + header))[-1] = bytes;
    atomic_fetch_add(&calls, 1);
    const size_t now = atomic_fetch_add(&live, bytes) + bytes;
    size_t before = atomic_load(&peak);
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now)) {
    }
    return block + header;
}

__attribute__((visibility("default"))) void give_aligned(void *data, size_t alignment)
{
    if (!data) {
        return;
    }
    atomic_fetch_sub(&live, ((size_t *)data)[-1]);
    free((unsigned char *)data - header_bytes(alignment));
}

__attribute__((visibility("default"))) void give_aligned_sized(void *data, size_t bytes,
                                                               size_t alignment)
{
    (void)bytes;
    give_aligned(data, alignment);
}

size_t aligned_new_live(void)
{
    return atomic_load(&live);
}

size_t aligned_new_peak(void)
{
    return atomic_load(&peak);
}

void aligned_new_reset_peak(void)
{
    atomic_store(&peak, atomic_load(&live));
}

uint64_t aligned_new_calls(void)
{
    return atomic_load(&calls);
}
