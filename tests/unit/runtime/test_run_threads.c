/* SPDX-License-Identifier: MIT */
/*
 * Runs of several threads: waiting for memory, one session for all, trims in the middle, blocks warmed
 * for as many as run at the same time. A run is held inside ORT by the counting OrtApi.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include "counting_api.h"
#include "fake_clock.h"
#include "graphs.h"
#include "machine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include <cmocka.h>

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    (void)nanosleep(&time, NULL);
}

/* ---- a run on a thread of its own, held at ORT's door if asked to ---- */

static struct {
    _Atomic size_t inside;
    atomic_bool open;
} gate;
static _Thread_local bool held_here;

static bool hold(counting_call call)
{
    if (call == COUNTING_Run && held_here) {
        atomic_fetch_add(&gate.inside, 1);
        while (!atomic_load(&gate.open)) {
            thrd_yield();
        }
    }
    return false;
}

static const OrtApi *gated_api(void)
{
    const OrtApi *api = counting_api_use(test_ort_api());
    atomic_store(&gate.inside, 0);
    atomic_store(&gate.open, false);
    counting_api_hook(hold);
    return api;
}

typedef struct runner {
    pthread_t thread;
    ortp_session *session;
    const graph_feed *feed;
    graph_place place;
    uint64_t timeout_ms;
    bool held;
    ortp_status status;
    ortp_error error;
    atomic_bool done;
} runner;

static void *run_once(void *ctx)
{
    runner *r = ctx;
    held_here = r->held;
    ortp_run_options options = ORTP_RUN_OPTIONS_INIT;
    options.timeout_ms = r->timeout_ms;
    r->status = graph_run_into(r->session, &options, r->feed, &r->place, &r->error);
    atomic_store(&r->done, true);
    return NULL;
}

/* Started with everything but the place filled in. */
static void runner_start(runner *r)
{
    graph_place_make(&r->place, r->feed);
    atomic_store(&r->done, false);
    assert_int_equal(pthread_create(&r->thread, NULL, run_once, r), 0);
}

/* Returns once it is inside ORT's Run. */
static void runner_start_held(runner *r)
{
    const size_t inside = atomic_load(&gate.inside);
    r->held = true;
    runner_start(r);
    while (atomic_load(&gate.inside) == inside && !atomic_load(&r->done)) {
        thrd_yield();
    }
    assert_false(atomic_load(&r->done));
}

static ortp_status runner_end(runner *r, const graph_answer *expected)
{
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    if (r->status == ORTP_OK) {
        assert_true(graph_answer_equals(expected, r->place.value));
    }
    graph_place_free(&r->place);
    return r->status;
}

/* ---- waiting: room for one and a half runs ---- */

typedef struct world {
    fake_clock clock;
    ortp_runtime *runtime;
    ortp_session *session;
    graph_feed feed;
    graph_answer expected;
    size_t need;
} world;

static void world_open(world *w, bool clock_stands)
{
    memset(w, 0, sizeof *w);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = gated_api();
    if (clock_stands) {
        w->clock.now_ms = 1000;
        options.clock = fake_clock_use(&w->clock);
    }
    w->runtime = test_runtime_create(&options);
    w->session = graph_session(w->runtime, GRAPH_ENCODER, NULL);
    graph_feed_make(&w->feed, GRAPH_ENCODER, 96);
    graph_answer_by_host(&w->expected, w->runtime, &w->feed, 1);
    graph_place place;
    graph_place_make(&place, &w->feed);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(graph_run_into(w->session, NULL, &w->feed, &place, &error), error);
    graph_place_free(&place);
    w->need = test_session_info(w->session).run_bytes;
    assert_int_equal(ortp_runtime_trim(w->runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(w->runtime),
                                           test_charged(w->runtime) + w->need + w->need / 2, NULL),
                     ORTP_OK);
}

static void world_close(world *w)
{
    const ortp_session_info info = test_session_info(w->session);
    assert_int_equal(info.refusals, 0);
    assert_int_equal(info.overdrafts, 0);
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(w->runtime), &pool);
    assert_int_equal(pool.in_use_bytes[ORTP_LABEL_RUN], 0);
    test_assert_ledger(ortp_runtime_budget(w->runtime), ortp_runtime_pool(w->runtime));
    graph_answer_free(&w->expected);
    graph_feed_free(&w->feed);
    assert_int_equal(ortp_session_destroy(w->session, NULL), ORTP_OK);
    test_runtime_destroy(w->runtime);
    assert_int_equal(counting_api_live(), 0);
}

static runner runner_of(const world *w, uint64_t timeout_ms)
{
    return (runner){.session = w->session,
                    .feed = &w->feed,
                    .timeout_ms = timeout_ms,
                    .error = ORTP_ERROR_INIT};
}

static void without_a_timeout_nothing_waits(void **state)
{
    (void)state;
    world w;
    world_open(&w, false);
    runner first = runner_of(&w, 0), second = runner_of(&w, 0);
    runner_start_held(&first);
    const uint64_t calls = counting_api_calls(COUNTING_Run);
    runner_start(&second);
    assert_int_equal(runner_end(&second, &w.expected), ORTP_E_BUDGET);
    assert_non_null(strstr(second.error.message, "bytes"));
    assert_int_equal(counting_api_calls(COUNTING_Run), calls);
    ortp_session_info info = test_session_info(w.session);
    assert_int_equal(info.turned_away, 1);
    assert_int_equal(info.waits, 0);
    atomic_store(&gate.open, true);
    assert_int_equal(runner_end(&first, &w.expected), ORTP_OK);
    world_close(&w);
}

static void a_run_waits_for_another_to_end(void **state)
{
    (void)state;
    world w;
    world_open(&w, false);
    runner first = runner_of(&w, 0);
    runner_start_held(&first);
    runner second = runner_of(&w, 60000);
    runner_start(&second);
    while (test_session_info(w.session).waits == 0 && !atomic_load(&second.done)) {
        thrd_yield();
    }
    sleep_ms(30);
    assert_false(atomic_load(&second.done));
    assert_int_equal(ortp_session_runs(w.session), 1);
    atomic_store(&gate.open, true);
    assert_int_equal(runner_end(&first, &w.expected), ORTP_OK);
    assert_int_equal(runner_end(&second, &w.expected), ORTP_OK);
    const ortp_session_info info = test_session_info(w.session);
    assert_int_equal(info.waits, 1);
    assert_int_equal(info.turned_away, 0);
    assert_int_equal(info.runs, 3);
    world_close(&w);
}

static void *release_block(void *block)
{
    sleep_ms(40);
    return ortp_block_release(block) == ORTP_OK ? block : NULL;
}

static void *release_value(void *value)
{
    sleep_ms(40);
    test_ort_api()->ReleaseValue(value);
    return value;
}

/* Not only the end of a run gives memory back. */
static void a_run_waits_for_whatever_comes_free(void **state)
{
    (void)state;
    for (int by_value = 0; by_value < 2; ++by_value) {
        world w;
        world_open(&w, false);
        void *held = NULL;
        if (by_value) { /* an output of a first run keeps its pages of that run's block */
            ortp_budget *budget = ortp_runtime_budget(w.runtime);
            assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
            ortp_session *other = graph_session(w.runtime, GRAPH_ENCODER, NULL);
            OrtValue *value = NULL;
            ortp_error error = ORTP_ERROR_INIT;
            assert_ok(graph_run(other, NULL, &w.feed, &value, &error), error);
            assert_int_equal(ortp_session_destroy(other, NULL), ORTP_OK);
            assert_int_equal(ortp_runtime_trim(w.runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
            held = value;
            assert_int_equal(
                ortp_budget_set_limit(budget, test_charged(w.runtime) + w.need - 8192, NULL),
                ORTP_OK);
        } else {
            ortp_block *block = NULL;
            assert_int_equal(
                ortp_pool_acquire(ortp_runtime_pool(w.runtime), w.need, ORTP_LABEL_OTHER, &block),
                ORTP_OK);
            held = block;
        }
        runner run = runner_of(&w, 30000);
        pthread_t thread;
        assert_int_equal(
            pthread_create(&thread, NULL, by_value ? release_value : release_block, held), 0);
        runner_start(&run);
        assert_int_equal(runner_end(&run, &w.expected), ORTP_OK);
        void *released = NULL;
        assert_int_equal(pthread_join(thread, &released), 0);
        assert_ptr_equal(released, held);
        assert_int_equal(test_session_info(w.session).waits, 1);
        world_close(&w);
    }
}

static void a_timeout_ends_the_wait(void **state)
{
    (void)state;
    world w;
    world_open(&w, false);
    runner first = runner_of(&w, 0);
    runner_start_held(&first);
    const uint64_t calls = counting_api_calls(COUNTING_Run);
    const uint64_t before = ortp_runtime_now_ms(w.runtime);
    runner second = runner_of(&w, 60);
    runner_start(&second);
    assert_int_equal(runner_end(&second, &w.expected), ORTP_E_TIMEOUT);
    assert_true(ortp_runtime_now_ms(w.runtime) >= before + 60);
    assert_int_equal(second.error.status, ORTP_E_TIMEOUT);
    assert_non_null(strstr(second.error.message, "bytes"));
    runner late = runner_of(&w, 1); /* passed at the first look */
    runner_start(&late);
    assert_int_equal(runner_end(&late, &w.expected), ORTP_E_TIMEOUT);
    assert_int_equal(counting_api_calls(COUNTING_Run), calls);
    assert_int_equal(test_session_info(w.session).turned_away, 2);
    atomic_store(&gate.open, true);
    assert_int_equal(runner_end(&first, &w.expected), ORTP_OK);
    runner third = runner_of(&w, 1); /* a run that need not wait cannot time out */
    runner_start(&third);
    assert_int_equal(runner_end(&third, &w.expected), ORTP_OK);
    world_close(&w);
}

static void timeouts_are_by_the_runtimes_clock(void **state)
{
    (void)state;
    world w;
    world_open(&w, true);
    assert_int_equal(ortp_runtime_now_ms(w.runtime), 1000);
    runner first = runner_of(&w, 0), second = runner_of(&w, 10);
    runner_start_held(&first);
    runner_start(&second);
    while (test_session_info(w.session).waits == 0 && !atomic_load(&second.done)) {
        thrd_yield();
    }
    sleep_ms(60);
    assert_false(atomic_load(&second.done)); /* for the runtime no time has passed */
    fake_clock_advance(&w.clock, 9);
    sleep_ms(30);
    assert_false(atomic_load(&second.done));
    fake_clock_advance(&w.clock, 1);
    assert_int_equal(runner_end(&second, &w.expected), ORTP_E_TIMEOUT);
    atomic_store(&gate.open, true);
    assert_int_equal(runner_end(&first, &w.expected), ORTP_OK);
    world_close(&w);
}

/* Many wait for one: each gets its turn, whoever ends. */
static void all_who_wait_get_their_turn(void **state)
{
    (void)state;
    world w;
    world_open(&w, false);
    runner first = runner_of(&w, 0);
    runner others[6];
    runner_start_held(&first);
    for (size_t i = 0; i < 6; ++i) {
        others[i] = runner_of(&w, 60000);
        runner_start(&others[i]);
    }
    while (test_session_info(w.session).waits < 6) {
        thrd_yield();
    }
    atomic_store(&gate.open, true);
    assert_int_equal(runner_end(&first, &w.expected), ORTP_OK);
    for (size_t i = 0; i < 6; ++i) {
        assert_int_equal(runner_end(&others[i], &w.expected), ORTP_OK);
    }
    assert_int_equal(test_session_info(w.session).turned_away, 0);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(w.runtime), &info);
    assert_true(info.charged_bytes <= info.limit_bytes);
    world_close(&w);
}

/* ---- one session, four threads ---- */

enum { THREADS = 4, SHAPES = 4 };

typedef struct crowd {
    ortp_runtime *runtime;
    ortp_session *session;
    graph_feed feeds[SHAPES];
    graph_answer answers[SHAPES];
    size_t rounds;
    bool keeps; /* outputs of ORT's, kept for a while */
    atomic_bool done;
    _Atomic size_t errors, budget, over_limit;
} crowd;

typedef struct member {
    pthread_t thread;
    crowd *all;
    size_t number;
} member;

static void *run_many(void *ctx)
{
    member *m = ctx;
    crowd *all = m->all;
    OrtValue *kept[3] = {NULL};
    size_t kept_shape[3] = {0};
    for (size_t round = 0; round < all->rounds; ++round) {
        const size_t shape = (m->number + round) % SHAPES, slot = round % 3;
        if (kept[slot] && !graph_answer_equals(&all->answers[kept_shape[slot]], kept[slot])) {
            atomic_fetch_add(&all->errors, 1);
        }
        test_ort_api()->ReleaseValue(kept[slot]);
        kept[slot] = NULL;
        const ortp_status status =
            graph_run(all->session, NULL, &all->feeds[shape], &kept[slot], NULL);
        kept_shape[slot] = shape;
        if (status == ORTP_E_BUDGET) {
            atomic_fetch_add(&all->budget, 1);
        } else if (status != ORTP_OK || !graph_answer_equals(&all->answers[shape], kept[slot])) {
            atomic_fetch_add(&all->errors, 1);
        }
        if (!all->keeps) {
            test_ort_api()->ReleaseValue(kept[slot]);
            kept[slot] = NULL;
        }
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(ortp_runtime_budget(all->runtime), &info);
        if (info.charged_bytes > info.limit_bytes) {
            atomic_fetch_add(&all->over_limit, 1);
        }
    }
    for (size_t slot = 0; slot < 3; ++slot) {
        test_ort_api()->ReleaseValue(kept[slot]);
    }
    return NULL;
}

static void *relieve_all_the_time(void *ctx)
{
    crowd *all = ctx;
    for (unsigned turn = 0; !atomic_load(&all->done); ++turn) {
        const ortp_status status =
            turn % 2 == 0
                ? ortp_runtime_trim(all->runtime, turn % 4 == 0 ? ORTP_UNLIMITED : 100000, NULL)
                : ortp_runtime_relieve(all->runtime, (ortp_pressure)(turn / 2 % 4), NULL);
        if (status != ORTP_OK) {
            atomic_fetch_add(&all->errors, 1);
        }
        thrd_yield();
    }
    return NULL;
}

/* half_runs: room for so many halves of the largest run; 0: no limit. */
static void run_crowd(ortp_pool_kind kind, bool parallel, bool relieved, size_t half_runs,
                      graph_kind graph)
{
    if (parallel && !TEST_ORT_THREADS) {
        return;
    }
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.pool_kind = kind;
    ortp_runtime *runtime = test_runtime_create(&options);
    const own_options ways = {.parallel = parallel, .threads = parallel ? 2 : 1};
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(own_session_open(&own, runtime, graph, &ways, &error), error);
    static crowd all;
    memset(&all, 0, sizeof all);
    all.runtime = runtime;
    all.session = own.session;
    all.rounds = 25;
    all.keeps = half_runs == 0;
    static const int64_t sizes[SHAPES] = {17, 32, 64, 96};
    for (size_t i = 0; i < SHAPES; ++i) {
        graph_feed_make(&all.feeds[i], graph, sizes[i]);
        graph_answer_by_host(&all.answers[i], runtime, &all.feeds[i], ways.threads);
    }
    const ortp_session_info fresh = test_session_info(own.session);
    const test_use before = test_use_of(runtime);
    if (half_runs > 0) {
        graph_check(own.session, &all.feeds[SHAPES - 1], &all.answers[SHAPES - 1]);
        assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
        const size_t room = test_session_info(own.session).run_bytes / 2 * half_runs;
        assert_int_equal(
            ortp_budget_set_limit(ortp_runtime_budget(runtime), test_charged(runtime) + room, NULL),
            ORTP_OK);
    }
    member members[THREADS];
    pthread_t reliever;
    if (relieved) {
        assert_int_equal(pthread_create(&reliever, NULL, relieve_all_the_time, &all), 0);
    }
    for (size_t i = 0; i < THREADS; ++i) {
        members[i] = (member){.all = &all, .number = i};
        assert_int_equal(pthread_create(&members[i].thread, NULL, run_many, &members[i]), 0);
    }
    for (size_t i = 0; i < THREADS; ++i) {
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);
    }
    atomic_store(&all.done, true);
    if (relieved) {
        assert_int_equal(pthread_join(reliever, NULL), 0);
    }
    assert_int_equal(all.errors, 0);
    assert_int_equal(all.over_limit, 0);
    assert_true(half_runs > 0 || all.budget == 0);
    const ortp_session_info info = test_session_info(own.session);
    assert_int_equal(info.runs, THREADS * all.rounds - all.budget + (half_runs > 0 ? 1 : 0));
    assert_int_equal(info.live_count, fresh.live_count);
    assert_int_equal(info.live_bytes, fresh.live_bytes);
    assert_int_equal(info.overdraft_bytes, 0);
    test_assert_use(runtime, &before);
    for (size_t i = 0; i < SHAPES; ++i) { /* one more of each */
        assert_int_equal(ortp_budget_set_limit(ortp_runtime_budget(runtime), ORTP_UNLIMITED, NULL),
                         ORTP_OK);
        graph_check(own.session, &all.feeds[i], &all.answers[i]);
        graph_answer_free(&all.answers[i]);
        graph_feed_free(&all.feeds[i]);
    }
    own_session_close(&own);
    test_runtime_destroy(runtime);
}

static void four_threads_on_one_session(void **state)
{
    (void)state;
    run_crowd(ORTP_POOL_THREAD_CACHED, false, false, 0, GRAPH_ENCODER);
    run_crowd(ORTP_POOL_STRIPED, false, false, 0, GRAPH_ENCODER);
    run_crowd(ORTP_POOL_THREAD_CACHED, true, false, 0, GRAPH_TINY_ENCODER);
    run_crowd(ORTP_POOL_STRIPED, true, false, 0, GRAPH_TINY_ENCODER);
}

static void trim_and_relief_in_the_middle_of_runs(void **state)
{
    (void)state;
    run_crowd(ORTP_POOL_THREAD_CACHED, false, true, 0, GRAPH_TINY_ENCODER);
    run_crowd(ORTP_POOL_STRIPED, false, true, 0, GRAPH_ENCODER);
    run_crowd(ORTP_POOL_THREAD_CACHED, true, true, 0, GRAPH_TINY_ENCODER);
}

static void a_limit_that_not_all_fit_under(void **state)
{
    (void)state;
    /* Refused runs are made again: in an emulator those of a small graph. */
    const graph_kind kind = test_thin() > 1 ? GRAPH_TINY_ENCODER : GRAPH_ENCODER;
    run_crowd(ORTP_POOL_THREAD_CACHED, false, false, 3, kind);
    run_crowd(ORTP_POOL_STRIPED, false, true, 4, kind);
    run_crowd(ORTP_POOL_STRIPED, true, false, 3, kind);
}

/* ---- warmed ---- */

static void warmed_runs_map_nothing(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    for (int kind = ORTP_POOL_THREAD_CACHED; kind <= (int)ORTP_POOL_STRIPED; ++kind) {
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.api = gated_api();
        options.pool_kind = (ortp_pool_kind)kind;
        ortp_runtime *runtime = test_runtime_create(&options);
        ortp_session *session = graph_session(runtime, GRAPH_ENCODER, NULL);
        ortp_pool_info before = ORTP_POOL_INFO_INIT, after = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(ortp_runtime_pool(runtime), &before);
        assert_int_equal(ortp_session_warm_runs(session, 4), ORTP_OK); /* nothing is known yet */
        ortp_pool_get_info(ortp_runtime_pool(runtime), &after);
        assert_int_equal(after.maps, before.maps);
        graph_feed feeds[COUNT];
        graph_answer answers[COUNT];
        graph_place place;
        ortp_error error = ORTP_ERROR_INIT;
        static const int64_t sizes[COUNT] = {150, 150, 64};
        for (size_t i = 0; i < COUNT; ++i) {
            graph_feed_make(&feeds[i], GRAPH_ENCODER, sizes[i]);
            graph_answer_by_host(&answers[i], runtime, &feeds[i], 1);
            graph_place_make(&place, &feeds[i]);
            assert_ok(graph_run_into(session, NULL, &feeds[i], &place, &error), error);
            graph_place_free(&place);
        }
        assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
        const size_t need = test_session_info(session).run_bytes;
        const size_t charged = test_charged(runtime);
        ortp_budget *budget = ortp_runtime_budget(runtime);
        assert_int_equal(ortp_budget_set_limit(budget, charged + need * 2, NULL), ORTP_OK);
        assert_int_equal(ortp_session_warm_runs(session, COUNT), ORTP_E_BUDGET);
        assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
        assert_int_equal(ortp_session_warm_runs(session, COUNT), ORTP_OK);
        assert_true(test_charged(runtime) >= charged + COUNT * need);
        const size_t warm = test_charged(runtime);
        assert_int_equal(ortp_session_warm_runs(session, COUNT), ORTP_OK); /* they are there */
        assert_int_equal(test_charged(runtime), warm);

        ortp_pool_get_info(ortp_runtime_pool(runtime), &before);
        runner runners[COUNT];
        for (size_t i = 0; i < COUNT; ++i) { /* all inside at the same time */
            runners[i] = (runner){.session = session, .feed = &feeds[i]};
            runner_start_held(&runners[i]);
        }
        assert_int_equal(gate.inside, COUNT);
        atomic_store(&gate.open, true);
        for (size_t i = 0; i < COUNT; ++i) {
            assert_int_equal(runner_end(&runners[i], &answers[i]), ORTP_OK);
        }
        ortp_pool_get_info(ortp_runtime_pool(runtime), &after);
        assert_int_equal(after.maps, before.maps);
        assert_int_equal(after.reuses - before.reuses, after.acquires - before.acquires);
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(budget, &info);
        assert_int_equal(info.account_bytes[ORTP_ACCOUNT_BLOCKS],
                         after.idle_bytes + after.in_use_bytes[ORTP_LABEL_WEIGHTS]);
        for (size_t i = 0; i < COUNT; ++i) {
            graph_answer_free(&answers[i]);
            graph_feed_free(&feeds[i]);
        }
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        test_runtime_destroy(runtime);
        assert_int_equal(counting_api_live(), 0);
    }
}

/* A run of a small graph needs a block as well. */
static void warmed_runs_of_small_graphs(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = gated_api();
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_session *session = graph_session(runtime, GRAPH_TWO, NULL);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_TWO, 4);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    graph_check(session, &feed, &expected);
    assert_int_equal(ortp_runtime_trim(runtime, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_int_equal(ortp_session_warm_runs(session, COUNT), ORTP_OK);
    ortp_pool_info before = ORTP_POOL_INFO_INIT, after = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(runtime), &before);
    runner runners[COUNT];
    for (size_t i = 0; i < COUNT; ++i) {
        runners[i] = (runner){.session = session, .feed = &feed};
        runner_start_held(&runners[i]);
    }
    atomic_store(&gate.open, true);
    for (size_t i = 0; i < COUNT; ++i) {
        assert_int_equal(runner_end(&runners[i], &expected), ORTP_OK);
    }
    ortp_pool_get_info(ortp_runtime_pool(runtime), &after);
    assert_int_equal(after.maps, before.maps);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_timeout_nothing_waits),
        cmocka_unit_test(a_run_waits_for_another_to_end),
        cmocka_unit_test(a_run_waits_for_whatever_comes_free),
        cmocka_unit_test(a_timeout_ends_the_wait),
        cmocka_unit_test(timeouts_are_by_the_runtimes_clock),
        cmocka_unit_test(all_who_wait_get_their_turn),
        cmocka_unit_test(four_threads_on_one_session),
        cmocka_unit_test(trim_and_relief_in_the_middle_of_runs),
        cmocka_unit_test(a_limit_that_not_all_fit_under),
        cmocka_unit_test(warmed_runs_map_nothing),
        cmocka_unit_test(warmed_runs_of_small_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
