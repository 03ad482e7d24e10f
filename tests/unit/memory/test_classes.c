/* SPDX-License-Identifier: MIT */
/* Size classes: every size is served, with bounded padding, and none overflows. */
#include "fixture.h"

#include "classes.h"

static void check_tables(size_t alignment, size_t page)
{
    ortp__classes c;
    ortp__classes_init(&c, alignment, page);
    assert_int_equal(c.strides[0], alignment);
    assert_int_equal(c.strides[c.count - 1], ORTP__SMALL_STRIDE_MAX);
    for (size_t i = 0; i < c.count; i++) {
        size_t stride = c.strides[i];
        assert_int_equal(stride % alignment, 0);
        assert_int_equal(c.slab_bytes[i] % page, 0);
        assert_true(c.slab_bytes[i] >= 64 * KIB);
        assert_true(c.slab_blocks[i] >= 8);
        assert_true(c.slab_blocks[i] * stride + ORTP_BLOCK_TAIL <= c.slab_bytes[i]);
        if (i > 0) {
            size_t previous = c.strides[i - 1];
            size_t quarter = previous / 4 > alignment ? previous / 4 : alignment;
            assert_true(stride > previous);
            assert_true(stride - previous <= quarter); /* four steps a doubling */
        }
    }
}

static void tables_hold_their_bounds(void **state)
{
    (void)state;
    for (size_t alignment = 64; alignment <= 4096; alignment *= 2) {
        check_tables(alignment, 4 * KIB);
        check_tables(alignment, 16 * KIB);
        check_tables(alignment, 64 * KIB);
    }
}

static void every_small_size_has_the_least_class(void **state)
{
    (void)state;
    for (size_t alignment = 64; alignment <= 4096; alignment *= 8) {
        ortp__classes c;
        ortp__classes_init(&c, alignment, 4 * KIB);
        for (size_t bytes = 0; bytes <= ORTP__SMALL_BYTES_MAX; bytes++) {
            ortp__size size;
            assert_true(ortp__classes_resolve(&c, bytes, &size));
            assert_true(size.small);
            assert_true(c.strides[size.index] >= bytes);
            assert_true(size.index == 0 || c.strides[size.index - 1] < bytes);
            assert_int_equal(size.index, ortp__classes_small(&c, bytes));
        }
    }
}

static void check_large_sizes(size_t page)
{
    ortp__classes c;
    ortp__classes_init(&c, 64, page);
    uint64_t random = 1;
    size_t bytes = ORTP__SMALL_BYTES_MAX + 1;
    while (bytes < SIZE_MAX / 8) {
        ortp__size size;
        assert_true(ortp__classes_resolve(&c, bytes, &size));
        assert_false(size.small);
        assert_true(size.mapping >= bytes + ORTP_BLOCK_TAIL);
        assert_int_equal(size.mapping % page, 0);
        assert_true(size.mapping - bytes <= bytes / 8 + page + ORTP_BLOCK_TAIL);
        /* A mapping serves its own size again: rounding is stable. */
        ortp__size again;
        assert_true(ortp__classes_resolve(&c, size.mapping - ORTP_BLOCK_TAIL, &again));
        assert_int_equal(again.mapping, size.mapping);
        assert_true(ortp__classes_reuse_max(size.mapping) >= size.mapping);
        bytes += 1 + random_below(&random, bytes / 16);
    }
}

static void large_sizes_are_padded_by_an_eighth_at_most(void **state)
{
    (void)state;
    check_large_sizes(4 * KIB);
    check_large_sizes(64 * KIB); /* a page is more than an eighth of the smallest */
}

/* The last bytes before the end of a page leave no room for the tail: one more page. */
static void the_tail_is_mapped(void **state)
{
    (void)state;
    ortp__classes c;
    ortp__classes_init(&c, 64, 4 * KIB);
    for (size_t bytes = 128 * KIB - 2 * ORTP_BLOCK_TAIL; bytes <= 128 * KIB; bytes++) {
        ortp__size size;
        assert_true(ortp__classes_resolve(&c, bytes, &size));
        assert_true(size.mapping >= bytes + ORTP_BLOCK_TAIL);
    }
}

static void sizes_beyond_the_address_space_are_refused(void **state)
{
    (void)state;
    ortp__classes c;
    ortp__classes_init(&c, 64, 4 * KIB);
    static const size_t sizes[] = {SIZE_MAX,        SIZE_MAX - 1, SIZE_MAX - 63,   SIZE_MAX - 64,
                                   SIZE_MAX - 4096, SIZE_MAX / 2, SIZE_MAX / 4 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ortp__size size;
        assert_false(ortp__classes_resolve(&c, sizes[i], &size));
    }
    ortp__size size;
    assert_true(ortp__classes_resolve(&c, SIZE_MAX / 4, &size));
    assert_true(size.mapping > SIZE_MAX / 4);
    assert_true(ortp__classes_reuse_max(size.mapping) > size.mapping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_hold_their_bounds),
        cmocka_unit_test(every_small_size_has_the_least_class),
        cmocka_unit_test(large_sizes_are_padded_by_an_eighth_at_most),
        cmocka_unit_test(the_tail_is_mapped),
        cmocka_unit_test(sizes_beyond_the_address_space_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
