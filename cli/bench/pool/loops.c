/* SPDX-License-Identifier: MIT */
/* See loops.h. */
#include "loops.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define ALIGNMENT 64u
#define LINE 64u

/* GCOVR_EXCL_BR_START: each loop is compiled once for each kind, and the branches of the other kinds are dead in it */

/* The pointers are a copy's, which the calls cannot have changed: they stay in registers. */
INLINE void *take(const heap_calls *c, heap_kind kind, size_t bytes)
{
    switch (kind) {
    case CALL_EMPTY:
        return c->budget_of(c->pool);
    case CALL_POOL: {
        ortp_block *block;
        return c->acquire(c->pool, bytes, ORTP_LABEL_OTHER, &block) == ORTP_OK ? block : NULL;
    }
    case CALL_C:
        return c->c_allocate(ALIGNMENT, bytes);
    case CALL_MIMALLOC:
        return c->mi_allocate(bytes, ALIGNMENT);
    default:
        return c->ort->Alloc(c->ort, bytes);
    }
}

INLINE bool give(const heap_calls *c, heap_kind kind, void *item)
{
    switch (kind) {
    case CALL_EMPTY:
        return c->budget_of(c->pool) != NULL;
    case CALL_POOL:
        return c->release(item) == ORTP_OK;
    case CALL_C:
    case CALL_MIMALLOC:
        c->give_back(item);
        return true;
    default:
        c->ort->Free(c->ort, item);
        return true;
    }
}

/* An application that writes into a block of the pool asks for its first byte: that call counts. */
INLINE void *data_of(const heap_calls *c, heap_kind kind, void *item, void *line)
{
    switch (kind) {
    case CALL_EMPTY:
        return c->budget_of(c->pool) != NULL ? line : NULL;
    case CALL_POOL:
        return c->data(item);
    default:
        return item;
    }
}

/* What is asked for: mimalloc is quick for whole lines alone, and C wants whole multiples of the alignment. */
INLINE size_t asked(heap_kind kind, size_t bytes)
{
    return kind == CALL_C || kind == CALL_MIMALLOC ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
                                                   : bytes;
}

INLINE bool pair(const heap_calls *calls, heap_kind kind, size_t bytes, size_t count)
{
    const heap_calls c = *calls;
    bytes = asked(kind, bytes);
    for (size_t i = 0; i < count; i++) {
        void *item = take(&c, kind, bytes);
        if (item == NULL || !give(&c, kind, item)) {
            return false;
        }
    }
    return true;
}

INLINE bool live(const heap_calls *calls, heap_kind kind, size_t bytes, size_t count)
{
    const heap_calls c = *calls;
    void *items[LOOP_LIVE];
    unsigned char own[LINE];
    bool well = true;
    bytes = asked(kind, bytes);
    for (size_t i = 0; i < count && well; i += LOOP_LIVE) {
        size_t held = 0;
        for (; held < LOOP_LIVE && well; held++) {
            items[held] = take(&c, kind, bytes);
            if (items[held] == NULL) {
                well = false;
                break;
            }
            *(volatile unsigned char *)data_of(&c, kind, items[held], own) = (unsigned char)held;
        }
        while (held-- > 0) {
            well = give(&c, kind, items[held]) && well;
        }
    }
    return well;
}

INLINE bool produce(const heap_calls *calls, heap_kind kind, size_t bytes, size_t count, ring *to)
{
    const heap_calls c = *calls;
    bool well = true;
    bytes = asked(kind, bytes);
    for (size_t i = 0; i < count; i++) {
        void *item = well ? take(&c, kind, bytes) : NULL;
        well = item != NULL;
        ring_push(to, item);
    }
    return well;
}

INLINE bool consume(const heap_calls *calls, heap_kind kind, size_t count, ring *from)
{
    const heap_calls c = *calls;
    bool well = true;
    for (size_t i = 0; i < count; i++) {
        void *item = ring_pop(from);
        well = item != NULL && give(&c, kind, item) && well;
    }
    return well;
}

INLINE bool probe(const heap_calls *calls, heap_kind kind, size_t bytes)
{
    unsigned char line[LINE];
    void *item = take(calls, kind, asked(kind, bytes));
    if (item == NULL) {
        return false;
    }
    memset(data_of(calls, kind, item, line), 1, kind == CALL_EMPTY ? sizeof(line) : bytes);
    return give(calls, kind, item);
}

#define BY_KIND(loop, calls, ...)                                                                  \
    switch ((calls)->kind) {                                                                       \
    case CALL_EMPTY:                                                                               \
        return loop(calls, CALL_EMPTY, __VA_ARGS__);                                               \
    case CALL_POOL:                                                                                \
        return loop(calls, CALL_POOL, __VA_ARGS__);                                                \
    case CALL_C:                                                                                   \
        return loop(calls, CALL_C, __VA_ARGS__);                                                   \
    case CALL_MIMALLOC:                                                                            \
        return loop(calls, CALL_MIMALLOC, __VA_ARGS__);                                            \
    case CALL_ORT:                                                                                 \
        break;                                                                                     \
    }                                                                                              \
    return loop(calls, CALL_ORT, __VA_ARGS__)

/* GCOVR_EXCL_BR_STOP */

bool loop_pair(const heap_calls *calls, size_t bytes, size_t count)
{
    BY_KIND(pair, calls, bytes, count);
}

bool loop_live(const heap_calls *calls, size_t bytes, size_t count)
{
    BY_KIND(live, calls, bytes, count);
}

bool loop_produce(const heap_calls *calls, size_t bytes, size_t count, ring *to)
{
    BY_KIND(produce, calls, bytes, count, to);
}

bool loop_consume(const heap_calls *calls, size_t count, ring *from)
{
    BY_KIND(consume, calls, count, from);
}

bool loop_probe(const heap_calls *calls, size_t bytes)
{
    BY_KIND(probe, calls, bytes);
}
