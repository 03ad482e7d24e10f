/* SPDX-License-Identifier: MIT */
/*
 * Best fit: see fit.h.
 */
#include "fit.h"

#include <assert.h>

#define UNIT 64u
#define SPLIT_MIN (2u * UNIT) /* a header and the smallest data */

/* Bytes of a chunk for `bytes` of data; false: too large. */
static bool chunk_bytes(size_t bytes, size_t *out)
{
    if (bytes > SIZE_MAX / 4) {
        return false;
    }
    *out = ORTP__CHUNK_HEADER + (bytes + UNIT - 1) / UNIT * UNIT;
    return true;
}

static ortp__chunk *at(const ortp__fit *fit, size_t offset)
{
    return (ortp__chunk *)(void *)(fit->base + offset);
}

static size_t offset_of(const ortp__fit *fit, const ortp__chunk *chunk)
{
    return (size_t)((const unsigned char *)chunk - fit->base);
}

ortp__chunk *ortp__fit_first(const ortp__fit *fit)
{
    return fit->extent > 0 ? at(fit, 0) : NULL;
}

ortp__chunk *ortp__fit_next(const ortp__fit *fit, const ortp__chunk *chunk)
{
    const size_t end = offset_of(fit, chunk) + chunk->bytes;
    return end < fit->extent ? at(fit, end) : NULL;
}

/* The chunk behind `chunk` has it as its previous one; behind the last there is none. */
static void tell_next(ortp__fit *fit, ortp__chunk *chunk)
{
    ortp__chunk *next = ortp__fit_next(fit, chunk);
    if (next != NULL) {
        next->previous = chunk;
    } else {
        fit->last = chunk;
    }
}

static void link_free(ortp__fit *fit, ortp__chunk *chunk)
{
    chunk->used = false;
    chunk->free_previous = NULL;
    chunk->free_next = fit->free;
    if (fit->free != NULL) {
        fit->free->free_previous = chunk;
    }
    fit->free = chunk;
}

static void unlink_free(ortp__fit *fit, ortp__chunk *chunk)
{
    if (chunk->free_previous != NULL) {
        chunk->free_previous->free_next = chunk->free_next;
    } else {
        fit->free = chunk->free_next;
    }
    if (chunk->free_next != NULL) {
        chunk->free_next->free_previous = chunk->free_previous;
    }
}

void ortp__fit_init(ortp__fit *fit, void *base, size_t bytes)
{
    *fit = (ortp__fit){.base = base};
    ortp__fit_extend(fit, bytes);
}

void ortp__fit_extend(ortp__fit *fit, size_t bytes)
{
    const size_t extent = bytes / UNIT * UNIT;
    assert(extent >= fit->extent);
    const size_t more = extent - fit->extent;
    ortp__chunk *last = fit->last;
    if (last != NULL && !last->used) {
        last->bytes += more;
    } else if (more >= SPLIT_MIN) {
        ortp__chunk *fresh = at(fit, fit->extent);
        *fresh = (ortp__chunk){.bytes = more, .previous = last};
        fit->last = fresh;
        link_free(fit, fresh);
    } else {
        return; /* too little for a chunk of its own */
    }
    fit->extent = extent;
}

/* Whether a free chunk, large enough, serves better than the best one up to here. */
static bool better(const ortp__fit *fit, const ortp__chunk *chunk, const ortp__chunk *best)
{
    if (best == NULL || best == fit->last) {
        return true;
    }
    if (chunk == fit->last) {
        return false;
    }
    return chunk->bytes < best->bytes || (chunk->bytes == best->bytes && chunk < best);
}

static ortp__chunk *find(const ortp__fit *fit, size_t need)
{
    ortp__chunk *best = NULL;
    for (ortp__chunk *chunk = fit->free; chunk != NULL; chunk = chunk->free_next) {
        if (chunk->bytes >= need && better(fit, chunk, best)) {
            best = chunk;
        }
    }
    return best;
}

ortp__chunk *ortp__fit_take(ortp__fit *fit, size_t bytes)
{
    size_t need;
    ortp__chunk *chunk = chunk_bytes(bytes, &need) ? find(fit, need) : NULL;
    if (chunk == NULL) {
        return NULL;
    }
    unlink_free(fit, chunk);
    if (chunk->bytes - need >= SPLIT_MIN) {
        ortp__chunk *rest = at(fit, offset_of(fit, chunk) + need);
        *rest = (ortp__chunk){.bytes = chunk->bytes - need, .previous = chunk};
        chunk->bytes = need;
        tell_next(fit, rest);
        link_free(fit, rest);
    }
    chunk->used = true;
    chunk->asked = bytes;
    fit->used_count++;
    const size_t end = offset_of(fit, chunk) + chunk->bytes;
    fit->peak = end > fit->peak ? end : fit->peak;
    return chunk;
}

size_t ortp__fit_extent_for(const ortp__fit *fit, size_t bytes)
{
    size_t need;
    if (!chunk_bytes(bytes, &need)) {
        return SIZE_MAX;
    }
    const ortp__chunk *last = fit->last;
    const size_t start = last != NULL && !last->used ? offset_of(fit, last) : fit->extent;
    return start + need;
}

void ortp__fit_give(ortp__fit *fit, ortp__chunk *chunk)
{
    assert(chunk->used);
    fit->used_count--;
    ortp__chunk *next = ortp__fit_next(fit, chunk);
    if (next != NULL && !next->used) {
        unlink_free(fit, next);
        chunk->bytes += next->bytes;
    }
    ortp__chunk *previous = chunk->previous;
    if (previous != NULL && !previous->used) {
        unlink_free(fit, previous);
        previous->bytes += chunk->bytes;
        chunk = previous;
    }
    link_free(fit, chunk);
    tell_next(fit, chunk);
}
