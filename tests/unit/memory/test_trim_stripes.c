/* SPDX-License-Identifier: MIT */
/* Trimming looks at all stripes: what was used longest ago goes first, wherever it lies. */
#include "fixture.h"

#include "pool_internal.h"

#include <pthread.h>

enum { THREADS = 64, STRIPES = 4 };

typedef struct visitor {
    ortp_pool *pool;
    ortp_block *block;
} visitor;

static void *acquire_here(void *ctx)
{
    visitor *v = ctx;
    if (ortp_pool_acquire(v->pool, 200 * KIB, ORTP_LABEL_OTHER, &v->block) != ORTP_OK) {
        v->block = NULL;
    }
    return NULL;
}

/* A block of another stripe than `other`'s: a thread's blocks come from its home. */
static ortp_block *acquire_apart(ortp_pool *pool, const ortp_block *other)
{
    ortp_block *found = NULL;
    ortp_block *rest[THREADS];
    size_t rest_count = 0;
    pthread_t threads[THREADS];
    visitor visitors[THREADS];
    /* All alive together, so that each is a thread of its own to the pool. */
    for (size_t i = 0; i < THREADS; i++) {
        visitors[i] = (visitor){pool, NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, acquire_here, &visitors[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_non_null(visitors[i].block);
        if (found == NULL && visitors[i].block->stripe != other->stripe) {
            found = visitors[i].block;
        } else {
            rest[rest_count++] = visitors[i].block;
        }
    }
    for (size_t i = 0; i < rest_count; i++) {
        must_release(rest[i]);
    }
    return found;
}

static void the_longest_unused_goes_first(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    ortp_block *a = must_acquire(f.pool, 200 * KIB, ORTP_LABEL_OTHER);
    ortp_block *b = acquire_apart(f.pool, a);
    if (b == NULL) {
        print_message("all threads of this machine share one stripe\n");
        must_release(a);
        fixture_close(&f);
        skip();
    }
    size_t freed;
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, &freed), ORTP_OK);
    /* Both ways round, so that the order of the stripes is not what decides. */
    for (int turn = 0; turn < 2; turn++) {
        ortp_block *first = turn == 0 ? a : b, *second = turn == 0 ? b : a;
        const void *kept = ortp_block_data(second);
        const ortp__stripe *stripe = second->stripe;
        must_release(first);
        fake_clock_advance(&f.clock, 1000);
        must_release(second);
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(f.pool, &info);
        assert_int_equal(info.idle_blocks, 2);
        assert_int_equal(ortp_pool_trim(f.pool, info.idle_bytes - 1, 0, &freed), ORTP_OK);
        ortp_pool_get_info(f.pool, &info);
        assert_int_equal(info.idle_blocks, 1);
        if (turn == 0) {
            b = must_acquire(f.pool, 200 * KIB,
                             ORTP_LABEL_OTHER); /* from whichever stripe has one */
            assert_ptr_equal(ortp_block_data(b), kept);
            assert_ptr_equal(b->stripe, stripe);
            a = acquire_apart(f.pool, b);
            assert_non_null(a);
            assert_int_equal(ortp_pool_trim(f.pool, 0, 0, &freed), ORTP_OK);
        }
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_unused_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
