/* SPDX-License-Identifier: MIT */
/*
 * One budget for two models, their tensors and their encoder caches. Under pressure idle blocks go
 * first, then idle tensors, then cache entries that nobody leases; after that a run waits or is refused.
 * Counters tell; with the limit lifted everything is right again. And trimming while others predict.
 */
#include "gate.h"
#include "machine.h"
#include "page_watch.h"
#include "shared_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define STEP (64 * KIB)

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), 16);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

/* ---- what goes first ---- */

typedef struct snapshot {
    size_t blocks, tensors, entries;
    uint64_t evictions, reclaims;
} snapshot;

static snapshot look(const shared_rig *r)
{
    const ortp_cache_info a = shared_cache(r, 0), b = shared_cache(r, 1);
    return (snapshot){.blocks = shared_idle_blocks(r),
                      .tensors = shared_idle_tensors(r),
                      .entries = a.entries + b.entries,
                      .evictions = a.evictions + b.evictions,
                      .reclaims = shared_budget(r).reclaims};
}

/*
 * Slabs that are partly used keep idle blocks that cannot be given back: less than a slab of each size
 * class. Of tensors one charge asks for more than it needs.
 */
#define SLAB_SLACK (2 * MIB)
#define TENSOR_SLACK (64 * KIB)
#define HOST_BLOCK (4 * MIB)

/*
 * Charges step by step until it is denied, and looks in between. Nothing of a later kind may go while
 * more than one step's worth of an earlier kind is there.
 */
static void idle_goes_in_order(void **state)
{
    (void)state;
    shared_rig r;
    shared_open(&r, &rows, 1);
    /* Idle blocks; idle tensors, where entries were; entries. */
    ortp_block *block;
    assert_int_equal(
        ortp_pool_acquire(ortp_runtime_pool(r.runtimes[0]), HOST_BLOCK, ORTP_LABEL_OTHER, &block),
        ORTP_OK);
    assert_int_equal(ortp_block_release(block), ORTP_OK);
    assert_int_equal(ortp_cache_clear(ortp_predictor_cache(r.predictors[0])), SHARED_SWIPES);
    assert_true(shared_predict(&r, 0, 0) && shared_predict(&r, 0, 1));

    /* A prediction in progress leases one entry; its memory stays as it is. */
    guest g;
    guest_enter(&g, r.predictors[0], &rows.rows[0].swipe,
                BEFORE_ENCODER); /* a hit asks once less */
    assert_int_equal(shared_cache(&r, 0).leased, 1);

    const snapshot start = look(&r);
    const size_t entries = SHARED_SWIPES + 2;
    assert_int_equal(start.entries, entries);
    assert_true(start.blocks > HOST_BLOCK && start.tensors > TENSOR_SLACK);
    (void)shared_limit(&r, 0);
    snapshot before = start, after = start;
    size_t charged = 0;
    while (ortp_budget_charge(r.budget, ORTP_ACCOUNT_DECLARED, STEP, ORTP_RECLAIM_CACHE) ==
           ORTP_OK) {
        charged += STEP;
        after = look(&r);
        assert_true(after.reclaims >= before.reclaims);
        if (after.tensors < before.tensors && before.blocks > STEP + SLAB_SLACK) {
            fail_msg("tensors went (%zu to %zu) while %zu bytes of blocks were idle",
                     before.tensors, after.tensors, before.blocks);
        }
        if (after.entries < before.entries && before.tensors > TENSOR_SLACK) {
            fail_msg("entries went (%zu to %zu) while %zu bytes of tensors were idle",
                     before.entries, after.entries, before.tensors);
        }
        before = after;
    }
    print_message("idle blocks %zu -> %zu, idle tensors %zu -> %zu, entries %zu -> %zu; %zu bytes "
                  "charged in their place\n",
                  start.blocks, after.blocks, start.tensors, after.tensors, start.entries,
                  after.entries, charged);
    assert_true(charged >= start.blocks + start.tensors - SLAB_SLACK);
    assert_int_equal(after.tensors, 0);
    assert_int_equal(after.entries, 1);
    assert_int_equal(after.evictions - start.evictions, entries - 1);
    assert_true(after.reclaims > start.reclaims);
    assert_true(shared_budget(&r).denials > 0);
    assert_int_equal(shared_cache(&r, 0).leased, 1);

    shared_lift(&r);
    assert_int_equal(ortp_budget_refund(r.budget, ORTP_ACCOUNT_DECLARED, charged), ORTP_OK);
    guest_leave(&g);
    assert_int_equal(g.status, ORTP_OK);
    assert_true(g.out.cache_hit);
    assert_same_words(&g.out, &r.expected[0][0], 0.0);
    shared_all_right(&r);
    shared_close(&r);
}

/* Hundreds of predictions take an hour in an emulator. */
static void skip_where_slow(void)
{
    if (test_thin() > 1) {
        print_message("skipped: ORTPOOL_TEST_THIN=2\n");
        skip();
    }
}

/* Of two runtimes on one budget, the one's idle memory makes room for the other's runs. */
static void two_runtimes_share(void **state)
{
    (void)state;
    skip_where_slow();
    shared_rig r;
    shared_open(&r, &rows, 2);
    for (size_t turn = 0; turn < 2; turn++) {
        /* What the one model needs is idle in the other's pool, tensors and cache. */
        const size_t idle = turn, busy = 1 - turn;
        shared_all_right(&r);
        ortp_predictor *keeps_nothing = r.predictors[busy];
        assert_int_equal(ortp_predictor_trim(keeps_nothing, 0, true, NULL), ORTP_OK);
        const ortp_cache_info before = shared_cache(&r, idle);
        const ortp_budget_info start = shared_budget(&r);
        assert_int_equal(before.entries, SHARED_SWIPES);
        (void)shared_limit(&r, 0);
        bool right = true;
        for (size_t i = 0; i < SHARED_SWIPES && right; i++) {
            right = shared_predict(&r, busy, i);
        }
        const ortp_budget_info end = shared_budget(&r);
        print_message("turn %zu: %s, %zu of %zu entries left in the other's cache, %llu reclaims\n",
                      turn, right ? "right" : "refused", shared_cache(&r, idle).entries,
                      before.entries, (unsigned long long)(end.reclaims - start.reclaims));
        assert_true(end.reclaims > start.reclaims);
        if (!right) { /* the tiny one's idle memory is not enough for the large one; all of it went */
            assert_int_equal(busy, 0);
            assert_int_equal(shared_cache(&r, idle).entries, 0);
            assert_true(end.denials > start.denials);
        }
    }
    shared_all_right(&r);
    shared_close(&r);
}

/* ---- a run waits, or is refused ---- */

#define POINTS 64

typedef struct encoder {
    ortp_session *session;
    OrtMemoryInfo *info;
    OrtValue *inputs[3], *output;
    float features[POINTS * 6], out[POINTS * 256], expected[POINTS * 256];
    int32_t keys[POINTS], length;
} encoder;

static OrtValue *value(const encoder *e, void *data, size_t bytes, const int64_t *shape,
                       size_t rank, ONNXTensorElementDataType type)
{
    OrtValue *made = NULL;
    assert_null(test_ort_api()->CreateTensorWithDataAsOrtValue(e->info, data, bytes, shape, rank,
                                                               type, &made));
    return made;
}

static ortp_status encode(encoder *e, uint64_t timeout_ms, ortp_error *error)
{
    const char *const inputs[] = {"trajectory_features", "nearest_keys", "actual_length"};
    const char *const outputs[] = {"memory"};
    ortp_run_options options = ORTP_RUN_OPTIONS_INIT;
    options.timeout_ms = timeout_ms;
    memset(e->out, 0, sizeof e->out);
    return ortp_session_run(e->session, &options, inputs, (const OrtValue *const *)e->inputs, 3,
                            outputs, &e->output, 1, error);
}

static encoder *encoder_open(ortp_runtime *runtime)
{
    encoder *e = calloc(1, sizeof *e);
    assert_non_null(e);
    const OrtApi *api = test_ort_api();
    assert_null(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &e->info));
    for (size_t i = 0; i < POINTS; i++) {
        e->keys[i] = (int32_t)(4 + i % 26);
        e->features[i * 6] = (float)i / POINTS;
    }
    e->length = POINTS;
    e->inputs[0] = value(e, e->features, sizeof e->features, (int64_t[]){1, POINTS, 6}, 3,
                         ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
    e->inputs[1] = value(e, e->keys, sizeof e->keys, (int64_t[]){1, POINTS}, 2,
                         ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
    e->inputs[2] = value(e, &e->length, sizeof e->length, (int64_t[]){1}, 1,
                         ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
    e->output = value(e, e->out, sizeof e->out, (int64_t[]){1, POINTS, 256}, 3,
                      ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
    ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
    options.runtime = runtime;
    options.path = test_file(SWIPE_EN "/encoder.onnx");
    options.intra_threads = 1;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_session_create(&options, &e->session, &error), error);
    assert_ok(encode(e, 0, &error), error);
    memcpy(e->expected, e->out, sizeof e->out);
    return e;
}

static void encoder_close(encoder *e)
{
    const OrtApi *api = test_ort_api();
    assert_int_equal(ortp_session_destroy(e->session, NULL), ORTP_OK);
    for (size_t i = 0; i < 3; i++) {
        api->ReleaseValue(e->inputs[i]);
    }
    api->ReleaseValue(e->output);
    api->ReleaseMemoryInfo(e->info);
    free(e);
}

static ortp_session_info session_info(const encoder *e)
{
    ortp_session_info info = ORTP_SESSION_INFO_INIT;
    ortp_session_get_info(e->session, &info);
    return info;
}

/* Gives all back that is idle, and leaves room for `headroom`. */
static void squeeze(shared_rig *r, size_t headroom)
{
    shared_lift(r);
    assert_int_equal(ortp_runtime_trim(r->runtimes[0], ORTP_UNLIMITED, NULL), ORTP_OK);
    (void)shared_limit(r, headroom);
}

static void refused_before_ort(void **state)
{
    (void)state;
    shared_rig r;
    shared_open(&r, &rows, 1);
    encoder *e = encoder_open(r.runtimes[0]);
    const ortp_session_info start = session_info(e);
    assert_true(start.run_bytes > 512 * KIB);
    squeeze(&r, start.run_bytes / 2);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(encode(e, 0, &error), ORTP_E_BUDGET);
    assert_non_null(strstr(error.message, "needs"));
    assert_int_equal(session_info(e).turned_away, start.turned_away + 1);
    assert_int_equal(session_info(e).waits, start.waits);

    const uint64_t now = ortp_runtime_now_ms(r.runtimes[0]);
    assert_int_equal(encode(e, 60, &error), ORTP_E_TIMEOUT);
    assert_true(ortp_runtime_now_ms(r.runtimes[0]) >= now + 60);
    assert_int_equal(session_info(e).turned_away, start.turned_away + 2);
    assert_int_equal(session_info(e).waits, start.waits + 1);
    assert_int_equal(session_info(e).allocs, start.allocs); /* ORT was not entered */
    assert_int_equal(session_info(e).runs, start.runs);

    shared_lift(&r);
    assert_ok(encode(e, 0, &error), error);
    assert_memory_equal(e->out, e->expected, sizeof e->out);
    encoder_close(e);
    shared_all_right(&r);
    shared_close(&r);
}

typedef struct waiter {
    pthread_t thread;
    encoder *e;
    uint64_t timeout_ms;
    ortp_status status;
    ortp_error error;
    atomic_bool done;
} waiter;

static void *wait_and_encode(void *ctx)
{
    waiter *w = ctx;
    w->status = encode(w->e, w->timeout_ms, &w->error);
    atomic_store(&w->done, true);
    return NULL;
}

/* Another model's memory is in use; the run waits until it is given back. */
static void waits_for_memory(void **state)
{
    (void)state;
    shared_rig r;
    shared_open(&r, &rows, 1);
    encoder *e = encoder_open(r.runtimes[0]);
    ortp_pool *pool = ortp_runtime_pool(r.runtimes[0]);
    for (size_t round = 0; round < 5; round++) {
        const ortp_session_info start = session_info(e);
        shared_lift(&r);
        assert_int_equal(ortp_runtime_trim(r.runtimes[0], ORTP_UNLIMITED, NULL), ORTP_OK);
        ortp_block *block; /* held by somebody else, and little beside it */
        assert_int_equal(ortp_pool_acquire(pool, 2 * MIB, ORTP_LABEL_OTHER, &block), ORTP_OK);
        (void)shared_limit(&r, 64 * KIB);
        waiter w = {.e = e, .timeout_ms = 60000, .error = ORTP_ERROR_INIT};
        assert_int_equal(pthread_create(&w.thread, NULL, wait_and_encode, &w), 0);
        while (session_info(e).waits == start.waits && !atomic_load(&w.done)) {
            thrd_yield();
        }
        assert_false(atomic_load(&w.done));
        assert_int_equal(ortp_block_release(block), ORTP_OK);
        assert_int_equal(pthread_join(w.thread, NULL), 0);
        assert_ok(w.status, w.error);
        assert_memory_equal(e->out, e->expected, sizeof e->out);
        assert_int_equal(session_info(e).waits, start.waits + 1);
        assert_int_equal(session_info(e).turned_away, start.turned_away);
        assert_int_equal(session_info(e).runs, start.runs + 1);
    }
    encoder_close(e);
    shared_all_right(&r);
    shared_close(&r);
}

/* ---- threads ---- */

typedef struct worker {
    pthread_t thread;
    const shared_rig *r;
    size_t model, rounds, right, refused;
    const char *wrong; /* the first thing that was */
    atomic_bool *over; /* set in the end */
} worker;

static void *work(void *ctx)
{
    worker *w = ctx;
    for (size_t i = 0; i < w->rounds && w->wrong == NULL; i++) {
        bool refused;
        w->wrong = shared_try(w->r, w->model, i * 3 % SHARED_SWIPES, &refused);
        w->refused += refused ? 1 : 0;
        w->right += w->wrong == NULL && !refused ? 1 : 0;
    }
    atomic_store(w->over, true);
    return NULL;
}

static void start_workers(shared_rig *r, worker workers[2], size_t rounds, atomic_bool over[2])
{
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&over[i], false);
        workers[i] = (worker){.r = r, .model = i, .rounds = rounds, .over = &over[i]};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
}

static void join_workers(worker workers[2])
{
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].wrong != NULL) {
            fail_msg("model %zu: %s after %zu right", i, workers[i].wrong, workers[i].right);
        }
    }
}

/* Each prediction is right or refused, whatever the other thread holds at the moment. */
static void both_under_pressure(void **state)
{
    (void)state;
    skip_where_slow();
    shared_rig r;
    shared_open(&r, &rows, 1);
    size_t right = 0, refused = 0;
    for (size_t headroom = 0; headroom <= 5 * MIB; headroom += MIB) {
        squeeze(&r, headroom);
        worker workers[2];
        atomic_bool over[2];
        start_workers(&r, workers, test_thin() > 0 ? 8 : 30, over);
        join_workers(workers);
        for (size_t i = 0; i < 2; i++) {
            right += workers[i].right;
            refused += workers[i].refused;
        }
        test_assert_ledger(r.budget, ortp_runtime_pool(r.runtimes[0]));
    }
    print_message("%zu right, %zu refused\n", right, refused);
    assert_true(right > 0 && refused > 0);
    shared_all_right(&r);
    shared_close(&r);
}

/* One thread gives back what is idle, by every way there is, while two predict. */
static void trimmed_while_predicting(void **state)
{
    (void)state;
    skip_where_slow();
    shared_rig r;
    shared_open(&r, &rows, 1);
    worker workers[2];
    atomic_bool over[2];
    start_workers(&r, workers, test_thin() > 0 ? 20 : 100, over);
    size_t trims = 0, freed_all = 0;
    while (!atomic_load(&over[0]) || !atomic_load(&over[1])) {
        size_t freed = 0;
        if (trims % 5 == 4) {
            assert_int_equal(ortp_runtime_trim(r.runtimes[0], ORTP_UNLIMITED, &freed), ORTP_OK);
        } else {
            const ortp_pressure pressure = (ortp_pressure)(trims % 5);
            assert_int_equal(ortp_runtime_relieve(r.runtimes[0], pressure, &freed), ORTP_OK);
        }
        freed_all += freed;
        trims++;
        (void)thrd_sleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    join_workers(workers);
    print_message("%zu trims gave %zu bytes back\n", trims, freed_all);
    assert_true(freed_all > 0);
    assert_int_equal(workers[0].refused + workers[1].refused, 0);
    test_assert_ledger(r.budget, ortp_runtime_pool(r.runtimes[0]));
    shared_all_right(&r);
    shared_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_goes_in_order),  cmocka_unit_test(two_runtimes_share),
        cmocka_unit_test(refused_before_ort),  cmocka_unit_test(waits_for_memory),
        cmocka_unit_test(both_under_pressure), cmocka_unit_test(trimmed_while_predicting),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
