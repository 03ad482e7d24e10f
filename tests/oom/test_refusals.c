/* SPDX-License-Identifier: MIT */
/*
 * ORT's n-th allocation refused, for every n: while a session is created, in its runs, alone and with all
 * later ones, from one thread and from ORT's own. Each time the call ends with a status, everything is
 * given back, and the next call answers as if nothing had been.
 *
 * What refuses is the linker's: ortp__allocator_take() is wrapped, the product has no hook for it.
 *
 * In builds that do not throw (ORTPOOL_THROW=OFF) a refusal is granted above the limit: there each call
 * succeeds and is counted.
 *
 * ORTPOOL_TEST_THIN=1 in the environment: every seventh n. ORTPOOL_TEST_THIN=2: the small
 * graphs alone.
 */
#include "graphs.h"

#include "allocator.h"
#include "machine.h"
#include "needs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- which call is refused ---- */

static struct {
    atomic_bool armed;
    bool from_then_on;
    uint64_t nth;
    _Atomic uint64_t calls, refused;
} refusal;

extern void *__real_ortp__allocator_take(ortp__allocator *allocator, size_t bytes, bool reserve);
void *__wrap_ortp__allocator_take(ortp__allocator *allocator, size_t bytes, bool reserve);
void *__wrap_ortp__allocator_take(ortp__allocator *allocator, size_t bytes, bool reserve)
{
    /* What the creation asks for itself is answered with memory of its own. */
    if (atomic_load(&refusal.armed) && !ortp__allocator_probed(allocator, bytes)) {
        const uint64_t call = atomic_fetch_add(&refusal.calls, 1) + 1;
        if (call == refusal.nth || (refusal.from_then_on && call > refusal.nth)) {
            atomic_fetch_add(&refusal.refused, 1);
            atomic_store(&allocator->refusal, (int)ORTP_E_BUDGET); /* as the real one does */
            return NULL;
        }
    }
    return __real_ortp__allocator_take(allocator, bytes, reserve);
}

static void arm(uint64_t nth, bool from_then_on)
{
    refusal.nth = nth;
    refusal.from_then_on = from_then_on;
    atomic_store(&refusal.calls, 0);
    atomic_store(&refusal.refused, 0);
    atomic_store(&refusal.armed, true);
}

/* Whether one was refused. */
static bool disarm(void)
{
    atomic_store(&refusal.armed, false);
    return atomic_load(&refusal.refused) > 0;
}

/* ---- the sweeps ---- */

typedef struct way {
    const char *name;
    int threads;
    bool parallel;
} way;

static const way ways[] = {
    {"sequential", 1, false},
    {"sequential, 2 threads", 2, false},
    {"parallel", 1, true},
    {"parallel, 2 threads", 2, true},
};
#define WAYS (TEST_ORT_THREADS ? sizeof(ways) / sizeof(ways[0]) : 1)

static uint64_t thin(uint64_t stride)
{
    return test_thin() == 1 && stride < 7 ? 7 : stride;
}

/* The bundled model's graphs take hours in an emulator. */
static bool left_out(graph_kind kind)
{
    return test_thin() > 1 && (kind == GRAPH_ENCODER || kind == GRAPH_DECODER);
}

static void skip_where_left_out(graph_kind kind)
{
    if (left_out(kind)) {
        print_message("skipped: ORTPOOL_TEST_THIN=2\n");
        skip();
    }
}

typedef struct tally {
    uint64_t rounds, refused, overcome, least, most;
} tally;

static void tally_say(const tally *t, graph_kind kind, const way *w, const char *what,
                      bool from_then_on)
{
    const char *path = graph_file(kind);
    const char *name = strrchr(path, '/');
    print_message("%-8s %-12s %-22s %-4s %4llu refused, %llu overcome, of %llu allocations\n", what,
                  name ? name + 1 : path, w->name, from_then_on ? "on" : "once",
                  (unsigned long long)t->refused, (unsigned long long)t->overcome,
                  (unsigned long long)t->most);
}

/* What a call under a refusal may end with. */
static void expect(ortp_status status, const ortp_error *error, bool hit, tally *t)
{
    const uint64_t calls = atomic_load(&refusal.calls);
    t->most = calls > t->most ? calls : t->most;
    ++t->rounds;
    if (!hit) {
        if (status != ORTP_OK) {
            fail_msg("nothing was refused: %s: %s", ortp_status_name(status), error->message);
        }
        return;
    }
    ++t->refused;
    if (status == ORTP_OK) {
        ++t->overcome;
        return;
    }
    if (!TEST_THROWS || (status != ORTP_E_BUDGET && status != ORTP_E_ORT)) {
        fail_msg("allocation %llu: %s: %s", (unsigned long long)refusal.nth,
                 ortp_status_name(status), error->message);
    }
    assert_int_equal(error->status, status);
    assert_true(error->message[0] != '\0');
}

/* Sequential ones with ortpool's options, parallel ones with the application's. */
static ortp_status create(own_session *own, ortp_runtime *runtime, graph_kind kind, const way *w,
                          ortp_error *error)
{
    own_options options = {.threads = w->threads, .parallel = w->parallel};
    if (w->parallel) {
        return own_session_open(own, runtime, kind, &options, error);
    }
    *own = (own_session){NULL, NULL};
    options.session.struct_size = sizeof(options.session);
    options.session.runtime = runtime;
    options.session.path = graph_file(kind);
    options.session.intra_threads = (uint32_t)w->threads;
    own->session = (ortp_session *)own; /* to be overwritten */
    return ortp_session_create(&options.session, &own->session, error);
}

static own_session must_create(ortp_runtime *runtime, graph_kind kind, const way *w)
{
    own_session own;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(create(&own, runtime, kind, w, &error), error);
    return own;
}

static void sweep_creation(graph_kind kind, int64_t size, const way *w, bool from_then_on,
                           uint64_t stride)
{
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, kind, size);
    graph_answer_by_host(&expected, runtime, &feed, w->threads);
    own_session own = must_create(runtime, kind, w); /* first uses are behind us */
    own_session_close(&own);
    const test_use before = test_use_of(runtime);
    tally t = {0};
    bool hit = true;
    for (uint64_t n = 1; hit; n += stride) {
        ortp_error error = ORTP_ERROR_INIT;
        arm(n, from_then_on);
        const ortp_status status = create(&own, runtime, kind, w, &error);
        hit = disarm();
        expect(status, &error, hit, &t);
        if (status == ORTP_OK) {
            const ortp_session_info info = test_session_info(own.session);
            assert_int_equal(info.overdrafts > 0, hit && !TEST_THROWS);
        } else {
            assert_null(own.session);
            test_assert_use(runtime, &before);
            own = must_create(runtime, kind, w);
        }
        graph_check(own.session, &feed, &expected);
        own_session_close(&own);
        test_assert_use(runtime, &before);
        assert_true(n < 10000);
    }
    tally_say(&t, kind, w, "creation", from_then_on);
    assert_true(t.refused > 0);
    if (TEST_THROWS) {
        assert_true(t.overcome < t.refused);
    }
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    test_runtime_destroy(runtime);
}

/* Each comes once in the life of a session, so for the first time. */
enum { SIZES = 34 };

typedef struct shapes {
    graph_feed feeds[SIZES];
    graph_answer answers[SIZES];
    size_t count;
} shapes;

static void shapes_open(shapes *s, ortp_runtime *runtime, graph_kind kind, size_t count,
                        int64_t first, int threads)
{
    OrtSession *host = graph_host_session(runtime, kind, threads);
    s->count = count;
    for (size_t i = 0; i < count; ++i) {
        graph_feed_make(&s->feeds[i], kind, first + (int64_t)i);
        graph_answer_by(&s->answers[i], host, &s->feeds[i]);
    }
    test_ort_api()->ReleaseSession(host);
}

static void shapes_close(shapes *s)
{
    for (size_t i = 0; i < s->count; ++i) {
        graph_answer_free(&s->answers[i]);
        graph_feed_free(&s->feeds[i]);
    }
}

static void sweep_runs(graph_kind kind, const shapes *s, const way *w, bool from_then_on,
                       uint64_t stride)
{
    ortp_runtime *runtime = test_runtime_create(NULL);
    own_session own = must_create(runtime, kind, w);
    if (s->count == 1) { /* what it needs is known from the start */
        graph_check(own.session, &s->feeds[0], &s->answers[0]);
        graph_check(own.session, &s->feeds[0], &s->answers[0]);
    }
    test_use before = test_use_of(runtime);
    ortp_session_info info_before = test_session_info(own.session);
    tally t = {0};
    uint64_t refusals = 0, overdrafts = 0; /* of sessions before this one */
    bool hit = true;
    for (uint64_t n = 1; hit; n += stride) {
        const size_t shape = (size_t)(n - 1) % s->count;
        if (s->count > 1 && shape == 0 && n > 1) { /* all were seen: a session that knows none */
            const ortp_session_info ended = test_session_info(own.session);
            refusals += ended.refusals;
            overdrafts += ended.overdrafts;
            own_session_close(&own);
            own = must_create(runtime, kind, w);
            before = test_use_of(runtime);
            info_before = test_session_info(own.session);
        }
        const uint64_t runs = ortp_session_runs(own.session);
        ortp_error error = ORTP_ERROR_INIT;
        OrtValue *output = NULL;
        arm(n, from_then_on);
        const ortp_status status = graph_run(own.session, NULL, &s->feeds[shape], &output, &error);
        hit = disarm();
        expect(status, &error, hit, &t);
        if (status == ORTP_OK) {
            assert_true(graph_answer_equals(&s->answers[shape], output));
            test_ort_api()->ReleaseValue(output);
        } else {
            assert_null(output);
        }
        assert_int_equal(ortp_session_runs(own.session), runs + (status == ORTP_OK ? 1 : 0));
        const ortp_session_info info = test_session_info(own.session);
        assert_int_equal(info.live_count, info_before.live_count);
        assert_int_equal(info.live_bytes, info_before.live_bytes);
        assert_int_equal(info.overdraft_bytes, 0);
        assert_int_equal(info.turned_away, 0);
        test_assert_use(runtime, &before);
        graph_check(own.session, &s->feeds[shape], &s->answers[shape]);
        test_assert_use(runtime, &before);
        assert_true(n < 10000);
    }
    const ortp_session_info info = test_session_info(own.session);
    refusals += info.refusals;
    overdrafts += info.overdrafts;
    assert_true(refusals >= t.refused);
    assert_int_equal(overdrafts, TEST_THROWS ? 0 : refusals);
    tally_say(&t, kind, w, s->count == 1 ? "run" : "new run", from_then_on);
    assert_true(t.refused > 0);
    if (TEST_THROWS) { /* nothing in a run is ORT's to do without */
        assert_int_equal(t.overcome, 0);
    }
    own_session_close(&own);
    test_runtime_destroy(runtime);
}

/* New shapes in full by one thread and by most; what is known, in full by all. */
static void sweep_both_runs(graph_kind kind, int64_t size, const way *w)
{
    const bool full = w->parallel == (w->threads > 1);
    static shapes known, fresh;
    ortp_runtime *runtime = test_runtime_create(NULL);
    shapes_open(&known, runtime, kind, 1, size, w->threads);
    shapes_open(&fresh, runtime, kind, SIZES, 1, w->threads);
    for (int on = 0; on < 2; ++on) {
        sweep_runs(kind, &known, w, on != 0, thin(1));
        sweep_runs(kind, &fresh, w, on != 0, thin(full ? 1 : 4));
    }
    shapes_close(&known);
    shapes_close(&fresh);
    test_runtime_destroy(runtime);
}

/* ---- tests ---- */

static void refused_in_runs_of_the_encoder(void **state)
{
    (void)state;
    skip_where_left_out(GRAPH_ENCODER);
    for (size_t i = 0; i < WAYS; ++i) {
        sweep_both_runs(GRAPH_ENCODER, 32, &ways[i]);
    }
}

static void refused_in_runs_of_the_decoder(void **state)
{
    (void)state;
    skip_where_left_out(GRAPH_DECODER);
    for (size_t i = 0; i < WAYS; ++i) {
        sweep_both_runs(GRAPH_DECODER, 8, &ways[i]);
    }
}

static void refused_in_runs_of_small_graphs(void **state)
{
    (void)state;
    static const graph_kind kinds[] = {GRAPH_ADD, GRAPH_TWO, GRAPH_TINY_ENCODER,
                                       GRAPH_TINY_DECODER};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); ++k) {
        for (size_t i = 0; i < WAYS; ++i) {
            sweep_both_runs(kinds[k], 20, &ways[i]);
        }
    }
}

/* Creation asks on the creating thread, however many ORT has: one way in full, the others thinly. */
static void refused_in_creations(void **state)
{
    (void)state;
    static const struct {
        graph_kind kind;
        int64_t size;
    } graphs[] = {
        {GRAPH_TINY_ENCODER, 20}, {GRAPH_TINY_DECODER, 5}, {GRAPH_ENCODER, 32}, {GRAPH_DECODER, 8}};
    for (size_t g = 0; g < sizeof(graphs) / sizeof(graphs[0]); ++g) {
        for (size_t i = 0; i < WAYS && !left_out(graphs[g].kind); ++i) {
            const bool full = i == 0 || g < 2;
            for (int on = 0; on < 2; ++on) {
                sweep_creation(graphs[g].kind, graphs[g].size, &ways[i], on != 0,
                               thin(full ? 1 : 5));
            }
        }
    }
}

/* A failed first run and a failed creation leave nothing in the figures that outlive them. */
static void refusals_are_counted(void **state)
{
    (void)state;
    ortp_runtime *runtime = test_runtime_create(NULL);
    graph_feed feed;
    graph_answer expected;
    graph_feed_make(&feed, GRAPH_ENCODER, 32);
    graph_answer_by_host(&expected, runtime, &feed, 1);
    own_session own = must_create(runtime, GRAPH_ENCODER, &ways[0]);
    for (uint64_t n = 1; n <= 5; ++n) {
        OrtValue *output = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        arm(n * 20, false);
        const ortp_status status = graph_run(own.session, NULL, &feed, &output, &error);
        assert_true(disarm());
        assert_int_equal(status, TEST_THROWS ? ORTP_E_BUDGET : ORTP_OK);
        test_ort_api()->ReleaseValue(output);
        const ortp_session_info info = test_session_info(own.session);
        assert_int_equal(info.refusals, n);
        assert_int_equal(info.overdrafts, TEST_THROWS ? 0 : n);
        ortp_stats stats = ORTP_STATS_INIT;
        assert_int_equal(ortp_stats_collect(runtime, &stats), ORTP_OK);
        assert_int_equal(stats.ort_refusals, n);
        assert_int_equal(stats.overdraft, 0);
    }
    graph_check(own.session, &feed, &expected);
    own_session_close(&own);
    graph_answer_free(&expected);
    graph_feed_free(&feed);
    test_runtime_destroy(runtime);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_in_runs_of_small_graphs),
        cmocka_unit_test(refused_in_runs_of_the_encoder),
        cmocka_unit_test(refused_in_runs_of_the_decoder),
        cmocka_unit_test(refused_in_creations),
        cmocka_unit_test(refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
