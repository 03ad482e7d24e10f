/* SPDX-License-Identifier: MIT */
/*
 * A pool at the address of an earlier one. Alone in its process: what goes wrong here breaks the heap.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 64 };

/* Gives the same memory for the same first request; what is freed is not used for anything else. */
typedef struct same_place {
    void *kept[KEPT_MAX];
    size_t count;
    void *pool;
    size_t pool_bytes;
} same_place;

static void *place_alloc(void *ctx, size_t bytes)
{
    same_place *p = ctx;
    if (p->pool != NULL && bytes == p->pool_bytes) {
        return p->pool;
    }
    void *ptr = p->count < KEPT_MAX ? calloc(1, bytes) : NULL;
    if (ptr != NULL) {
        p->kept[p->count++] = ptr;
    }
    if (p->pool == NULL) {
        p->pool = ptr;
        p->pool_bytes = bytes;
    }
    return ptr;
}

static void place_free(void *ctx, void *ptr, size_t bytes)
{
    (void)ctx;
    (void)ptr;
    (void)bytes;
}

typedef struct comer_back {
    ortp_pool *pool;
    ortp_block *given;
    _Atomic int step;
    ortp_status status;
} comer_back;

static void wait_for_step(comer_back *c, int step)
{
    while (c->step < step) {
        sleep_ms(1);
    }
}

static void *use_and_come_back(void *ctx)
{
    comer_back *c = ctx;
    ortp_block *block;
    c->status = ortp_pool_acquire(c->pool, 640, ORTP_LABEL_RUN, &block);
    if (c->status == ORTP_OK) {
        c->status = ortp_block_release(block);
    }
    c->step = 1;
    wait_for_step(c, 2);
    c->status = ortp_block_release(c->given);
    c->step = 3;
    wait_for_step(c, 4);
    return NULL;
}

/* What a thread remembers of a pool is not taken for the one that came to the same place. */
static void a_pool_where_another_was(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    same_place place = {.count = 0};
    ortp_pool_options options = fixture_pool_options(&f, KIND_OF(state));
    options.alloc = (ortp_alloc){.alloc = place_alloc, .free = place_free, .ctx = &place};
    comer_back c = {.status = ORTP_E_BUSY};
    assert_int_equal(ortp_pool_create(&options, &c.pool, NULL), ORTP_OK);
    must_release(must_acquire(c.pool, 640, ORTP_LABEL_RUN)); /* this thread remembers it, too */
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_and_come_back, &c), 0);
    wait_for_step(&c, 1);
    assert_int_equal(c.status, ORTP_OK);
    assert_int_equal(ortp_pool_destroy(c.pool, NULL), ORTP_OK);

    ortp_pool *again;
    memset(place.pool, 0, place.pool_bytes); /* as memory of an allocator is */
    assert_int_equal(ortp_pool_create(&options, &again, NULL), ORTP_OK);
    assert_ptr_equal(again, c.pool);
    ortp_block *ours = must_acquire(again, 640, ORTP_LABEL_RUN);
    c.given = must_acquire(again, 640, ORTP_LABEL_RUN);
    c.step = 2;
    wait_for_step(&c, 3);
    must_release(ours);
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(again, &info);
    c.step = 4;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.status, ORTP_OK);
    assert_int_equal(info.in_use_blocks, 0);
    assert_int_equal(info.releases, 2);
    assert_int_equal(info.cached_bytes, KIND_OF(state) == ORTP_POOL_THREAD_CACHED ? 2 * 640 : 0);
    assert_int_equal(ortp_pool_destroy(again, NULL), ORTP_OK);
    for (size_t i = 0; i < place.count; i++) {
        free(place.kept[i]);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(a_pool_where_another_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
