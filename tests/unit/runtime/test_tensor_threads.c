/* SPDX-License-Identifier: MIT */
/*
 * Eight threads acquire, fill, check and release tensors under a budget too small for all, while
 * trims and reclaims run: no tensor is handed out twice, contents stay, the ledger balances.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include "test_ort.h"

#include <ortpool/tensor.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define THREADS 8
#define ROUNDS 1500
#define HELD 3

typedef struct shared {
    ortp_tensor_pool *tensors;
    ortp_budget *budget;
    _Atomic uint64_t errors;
    _Atomic uint64_t denials;
    _Atomic uint64_t over_limit;
} shared;

typedef struct worker {
    shared *all;
    uint32_t seed;
} worker;

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static bool holds(const ortp_tensor *tensor, unsigned char mark)
{
    const unsigned char *data = ortp_tensor_data(tensor);
    for (size_t i = 0; i < ortp_tensor_bytes(tensor); ++i) {
        if (data[i] != mark) {
            return false;
        }
    }
    return true;
}

static void work_one(worker *w, ortp_tensor **held, unsigned char *marks)
{
    shared *all = w->all;
    const uint32_t slot = next_random(&w->seed) % HELD;
    if (held[slot]) {
        if (!holds(held[slot], marks[slot]) || ortp_tensor_release(held[slot]) != ORTP_OK) {
            atomic_fetch_add(&all->errors, 1);
        }
        held[slot] = NULL;
        return;
    }
    const int64_t shape[2] = {1 + (int64_t)(next_random(&w->seed) % 6), 4096};
    ortp_status status =
        ortp_tensor_acquire(all->tensors, ORTP_TYPE_UINT8, shape, 2, &held[slot], NULL);
    if (status == ORTP_OK) {
        marks[slot] = (unsigned char)next_random(&w->seed);
        memset(ortp_tensor_data(held[slot]), marks[slot], ortp_tensor_bytes(held[slot]));
        const int64_t part[1] = {1 + (int64_t)(next_random(&w->seed) % 4)};
        OrtValue *view = NULL;
        status = ortp_tensor_view(held[slot], ORTP_TYPE_UINT8, part, 1, &view, NULL);
    }
    if (status == ORTP_E_BUDGET) {
        atomic_fetch_add(&all->denials, 1);
    } else if (status != ORTP_OK) {
        atomic_fetch_add(&all->errors, 1);
    }
}

static void *work(void *ctx)
{
    worker *w = ctx;
    ortp_tensor *held[HELD] = {NULL};
    unsigned char marks[HELD] = {0};
    for (size_t round = 0; round < ROUNDS; ++round) {
        work_one(w, held, marks);
        if (round % 97 == 0) {
            if (ortp_tensor_pool_trim(w->all->tensors, 32768, 0, NULL) != ORTP_OK) {
                atomic_fetch_add(&w->all->errors, 1);
            }
        }
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(w->all->budget, &info);
        if (info.charged_bytes > info.limit_bytes) {
            atomic_fetch_add(&w->all->over_limit, 1);
        }
    }
    for (size_t i = 0; i < HELD; ++i) {
        if (ortp_tensor_release(held[i]) != ORTP_OK) {
            atomic_fetch_add(&w->all->errors, 1);
        }
    }
    return NULL;
}

static void run_with(ortp_pool_kind kind, size_t limit_bytes)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.limit_bytes = limit_bytes;
    options.pool_kind = kind;
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_tensor_pool_options pool_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool_options.runtime = runtime;
    shared all = {.budget = ortp_runtime_budget(runtime)};
    assert_int_equal(ortp_tensor_pool_create(&pool_options, &all.tensors, NULL), ORTP_OK);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (uint32_t i = 0; i < THREADS; ++i) {
        workers[i] = (worker){.all = &all, .seed = 77 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; ++i) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(all.errors, 0);
    assert_int_equal(all.over_limit, 0);
    if (limit_bytes == 0) {
        assert_int_equal(all.denials, 0);
    }
    ortp_tensor_pool_info info = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(all.tensors, &info);
    assert_int_equal(info.out, 0);
    assert_true(info.reuses > 0);
    assert_true(info.drops > 0);
    test_assert_ledger(all.budget, ortp_runtime_pool(runtime));
    assert_int_equal(ortp_tensor_pool_destroy(all.tensors, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

static void eight_threads_striped(void **state)
{
    (void)state;
    run_with(ORTP_POOL_STRIPED, 0);
    run_with(ORTP_POOL_STRIPED, (size_t)320 << 10);
}

static void eight_threads_cached(void **state)
{
    (void)state;
    run_with(ORTP_POOL_THREAD_CACHED, 0);
    run_with(ORTP_POOL_THREAD_CACHED, (size_t)512 << 10);
}

/* ---- destroy against a release that takes its time ---- */

typedef struct slow_clock {
    ortp_tensor *tensor;
    ortp_status released;
    _Atomic bool slow;
    _Atomic int reads;
} slow_clock;

static void sleep_a_little(void)
{
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
}

/*
 * A release that drops its tensor reads the clock twice: for the tensor, and when it gives back the
 * block. At the second the tensor is neither out nor idle.
 */
static uint64_t read_slowly(void *ctx)
{
    slow_clock *c = ctx;
    if (c->slow && atomic_fetch_add(&c->reads, 1) == 1) {
        while (c->slow) {
            sleep_a_little();
        }
    }
    return 1;
}

static void *release_slowly(void *ctx)
{
    slow_clock *c = ctx;
    c->released = ortp_tensor_release(c->tensor);
    return NULL;
}

static void destroy_is_refused_while_a_release_drops(void **state)
{
    (void)state;
    slow_clock c = {.released = ORTP_E_BUSY};
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.clock = (ortp_clock){.now_ms = read_slowly, .ctx = &c};
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_tensor_pool_options pool_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool_options.runtime = runtime;
    pool_options.idle_bytes_max = 1;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&pool_options, &tensors, NULL), ORTP_OK);
    const int64_t shape[] = {1000};
    assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, shape, 1, &c.tensor, NULL),
                     ORTP_OK);
    c.slow = true;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_slowly, &c), 0);
    while (c.reads < 2) {
        sleep_a_little();
    }
    ortp_tensor_pool_info info = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(tensors, &info);
    assert_int_equal(info.out + info.idle, 0);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_tensor_pool_destroy(tensors, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "dropping"));
    c.slow = false;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.released, ORTP_OK);
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_threads_striped),
        cmocka_unit_test(eight_threads_cached),
        cmocka_unit_test(destroy_is_refused_while_a_release_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
