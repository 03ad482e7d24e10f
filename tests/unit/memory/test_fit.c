/* SPDX-License-Identifier: MIT */
/* Best fit: where chunks lie, that they are whole, and random use against a model of its own. */
#include "fixture.h"

#include "fit.h"

#include <stdlib.h>
#include <string.h>

enum { UNIT = 64, HEADER = ORTP__CHUNK_HEADER };

/* Gapless, previous links right, no two free neighbours, sums as they should be. */
static void assert_sound(const ortp__fit *fit)
{
    size_t bytes = 0;
    size_t used = 0;
    size_t all = 0;
    const ortp__chunk *previous = NULL;
    for (const ortp__chunk *c = ortp__fit_first(fit); c != NULL; c = ortp__fit_next(fit, c)) {
        assert_ptr_equal(c, fit->base + bytes);
        assert_ptr_equal(c->previous, previous);
        assert_true(c->bytes % UNIT == 0 && c->bytes >= UNIT);
        assert_false(previous != NULL && !previous->used && !c->used);
        bytes += c->bytes;
        used += c->used ? 1u : 0u;
        all++;
        previous = c;
    }
    assert_int_equal(bytes, fit->extent);
    assert_int_equal(used, fit->used_count);
    assert_ptr_equal(fit->last, previous);
    size_t listed = 0;
    const ortp__chunk *before = NULL;
    for (const ortp__chunk *c = fit->free; c != NULL; c = c->free_next) {
        assert_false(c->used);
        assert_ptr_equal(c->free_previous, before);
        before = c;
        listed++;
    }
    assert_int_equal(listed, all - used);
    assert_true(fit->peak <= fit->extent);
}

static ortp__chunk *take(ortp__fit *fit, size_t bytes, size_t offset)
{
    ortp__chunk *chunk = ortp__fit_take(fit, bytes);
    assert_non_null(chunk);
    assert_ptr_equal(chunk, fit->base + offset);
    assert_true(chunk->used);
    assert_int_equal(chunk->asked, bytes);
    assert_ptr_equal(ortp__chunk_data(chunk), fit->base + offset + HEADER);
    assert_ptr_equal(ortp__chunk_of(ortp__chunk_data(chunk)), chunk);
    assert_sound(fit);
    return chunk;
}

static void give(ortp__fit *fit, ortp__chunk *chunk)
{
    ortp__fit_give(fit, chunk);
    assert_sound(fit);
}

static _Alignas(64) unsigned char room[1 << 16];

static void a_hole_that_is_large_enough(void **state)
{
    (void)state;
    ortp__fit fit;
    ortp__fit_init(&fit, room, 4096 + 63); /* rounded down */
    assert_int_equal(fit.extent, 4096);
    assert_sound(&fit);
    ortp__chunk *a = take(&fit, 1, 0);
    ortp__chunk *b = take(&fit, 64, 128);
    ortp__chunk *c = take(&fit, 65, 256);
    ortp__chunk *d = take(&fit, 0, 448); /* a header alone */
    assert_int_equal(d->bytes, 64);
    give(&fit, b);
    assert_int_equal(fit.peak, 512);
    b = take(&fit, 64, 128); /* the hole again */
    give(&fit, a);
    give(&fit, b); /* one hole of 256 */
    (void)take(&fit, 190, 0);
    give(&fit, c);
    assert_null(ortp__fit_take(&fit, 4096));
    assert_null(ortp__fit_take(&fit, SIZE_MAX));
    assert_int_equal(ortp__fit_extent_for(&fit, SIZE_MAX), SIZE_MAX);
}

/* Holes of 512, 256 and 256 bytes and an end of the size asked for, given free in every order. */
static void the_smallest_hole_serves(void **state)
{
    (void)state;
    enum { HOLES = 3 };
    static const size_t sizes[HOLES] = {512, 256, 256};
    static const size_t orders[6][HOLES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                            {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < 6; o++) {
        ortp__fit fit;
        ortp__fit_init(&fit, room, 512 + 256 + 256 + 3 * 64 + 256);
        ortp__chunk *holes[HOLES];
        size_t at = 0;
        for (size_t i = 0; i < HOLES; i++) {
            holes[i] = take(&fit, sizes[i] - HEADER, at);
            (void)take(&fit, 0, at + sizes[i]);
            at += sizes[i] + HEADER;
        }
        for (size_t i = 0; i < HOLES; i++) {
            give(&fit, holes[orders[o][i]]);
        }
        (void)take(&fit, 192, 512 + 64);            /* the first of two equal ones */
        (void)take(&fit, 192, 512 + 64 + 256 + 64); /* the other */
        (void)take(&fit, 192, 0);                   /* the larger one, not the end */
        (void)take(&fit, 192, 256);                 /* what is left of it */
        assert_int_equal(fit.peak, at);             /* the end was not touched */
        (void)take(&fit, 192, at);
        assert_null(fit.free);
        assert_null(ortp__fit_take(&fit, 0));
    }
}

static void the_end_is_extended(void **state)
{
    (void)state;
    ortp__fit fit;
    ortp__fit_init(&fit, room, 0);
    assert_null(ortp__fit_first(&fit));
    assert_null(ortp__fit_take(&fit, 1));
    assert_int_equal(ortp__fit_extent_for(&fit, 100), HEADER + 128);
    ortp__fit_extend(&fit, 64); /* too little for a chunk */
    assert_int_equal(fit.extent, 0);
    ortp__fit_extend(&fit, HEADER + 128);
    ortp__chunk *a = take(&fit, 100, 0);
    assert_int_equal(ortp__fit_extent_for(&fit, 1000), 192 + HEADER + 1024);
    ortp__fit_extend(&fit, 192 + 1024 + HEADER);
    (void)take(&fit, 200, 192);
    /* A free end is made use of. */
    assert_int_equal(ortp__fit_extent_for(&fit, 2000), 192 + 320 + HEADER + 2048);
    ortp__fit_extend(&fit, 8192);
    assert_sound(&fit);
    (void)take(&fit, 2000, 512);
    give(&fit, a);
    assert_int_equal(fit.peak, 512 + HEADER + 2048);
}

/* Chunks of random sizes come and go; each keeps its pattern, and the peak is the highest end. */
static void random_use(void **state)
{
    (void)state;
    enum { MOST = 40, ROUNDS = 20000 };
    uint64_t seed = 7;
    ortp__fit fit;
    ortp__fit_init(&fit, room, 1024);
    ortp__chunk *out[MOST];
    size_t count = 0;
    size_t peak = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        if (count < MOST && random_below(&seed, 2) == 0) {
            const size_t bytes = random_below(&seed, 3000);
            ortp__chunk *chunk = ortp__fit_take(&fit, bytes);
            if (chunk == NULL) {
                const size_t extent = ortp__fit_extent_for(&fit, bytes);
                if (extent > sizeof room) {
                    continue;
                }
                ortp__fit_extend(&fit, extent);
                chunk = ortp__fit_take(&fit, bytes);
            }
            assert_non_null(chunk);
            memset(ortp__chunk_data(chunk), (int)(bytes % 251), bytes);
            const size_t end = (size_t)((unsigned char *)chunk - room) + chunk->bytes;
            peak = end > peak ? end : peak;
            out[count++] = chunk;
        } else if (count > 0) {
            const size_t at = random_below(&seed, count);
            ortp__chunk *chunk = out[at];
            const unsigned char *data = ortp__chunk_data(chunk);
            for (size_t i = 0; i < chunk->asked; i++) {
                assert_int_equal(data[i], chunk->asked % 251);
            }
            out[at] = out[--count];
            ortp__fit_give(&fit, chunk);
        }
        assert_sound(&fit);
        assert_int_equal(fit.used_count, count);
    }
    assert_int_equal(fit.peak, peak);
    while (count > 0) {
        give(&fit, out[--count]);
    }
    assert_int_equal(ortp__fit_first(&fit)->bytes, fit.extent); /* one hole */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_that_is_large_enough),
        cmocka_unit_test(the_smallest_hole_serves),
        cmocka_unit_test(the_end_is_extended),
        cmocka_unit_test(random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
