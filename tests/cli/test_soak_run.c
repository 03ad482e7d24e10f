/* SPDX-License-Identifier: MIT */
/*
 * Whole runs of `ortpool soak` on the tiny model: one that is well, and one for each thing that goes wrong, done
 * to it from outside through the public interface.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "soak/soak.h"
#include "test_ort.h"

#define TINY "tests/graphs/tiny"
#define SAMPLES "models/swipe-en/samples.jsonl"

/* Under a sanitizer the heap is not the C library's. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_KNOWN false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEAP_KNOWN false
#endif
#endif
#ifndef HEAP_KNOWN
#define HEAP_KNOWN true
#endif

typedef struct rig {
    engine engine;
    swipe_file swipes;
    soak *soak;
} rig;

static void rig_open(rig *r, const soak_options *options)
{
    *r = (rig){0};
    const run_options open = {.model = test_file(TINY), .threads = options->threads, .json = true};
    assert_true(swipe_file_read(&r->swipes, test_file(SAMPLES)));
    assert_int_equal(engine_open(&r->engine, &open, false), EXIT_ANSWERED);
    r->soak = malloc(sizeof *r->soak);
    assert_non_null(r->soak);
    assert_true(soak_start(r->soak, &r->engine, &r->swipes, options));
    assert_true(soak_reference(r->soak));
}

static void rig_close(rig *r)
{
    soak_free(r->soak);
    free(r->soak);
    swipe_file_free(&r->swipes);
    assert_int_equal(engine_close(&r->engine, EXIT_ANSWERED), EXIT_ANSWERED);
}

static soak_options seconds(double seconds, size_t threads)
{
    return (soak_options){
        .seconds = seconds, .threads = threads, .budget = ORTP_UNLIMITED, .seed = 3, .quiet = true};
}

static bool said(const soak *s, const char *what)
{
    for (size_t i = 0; i < s->failures.count && i < FAILURES_KEPT; i++) {
        if (strstr(s->failures.kept[i], what) != NULL) {
            return true;
        }
    }
    return false;
}

/* A failure and no other: the words are in one that is kept. */
static void assert_failed(rig *r, const char *what)
{
    assert_false(soak_finish(r->soak, &r->engine));
    if (!said(r->soak, what)) {
        fail_msg("no failure says '%s', the first is '%s'", what, r->soak->failures.kept[0]);
    }
}

static void assert_good(rig *r)
{
    if (!soak_finish(r->soak, &r->engine)) {
        fail_msg("%zu failures, the first: %s", r->soak->failures.count, r->soak->failures.kept[0]);
    }
}

/* ---- something done to the runtime meanwhile, again and again ---- */

typedef struct vandal {
    pthread_t thread;
    rig *rig;
    void (*act)(struct vandal *v);
    atomic_bool ended;
    size_t count;
    void *held[4096];
} vandal;

static void *vandalise(void *ctx)
{
    vandal *v = ctx;
    while (!atomic_load(&v->ended) && v->count < sizeof v->held / sizeof v->held[0]) {
        v->act(v);
        v->count++;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return NULL;
}

static void run_with(rig *r, vandal *v, void (*act)(vandal *v))
{
    *v = (vandal){.rig = r, .act = act};
    assert_int_equal(pthread_create(&v->thread, NULL, vandalise, v), 0);
    assert_true(soak_run(r->soak));
    atomic_store(&v->ended, true);
    assert_int_equal(pthread_join(v->thread, NULL), 0);
    assert_true(v->count > 0);
}

/* ---- the tests ---- */

static void a_run_that_is_well(void **state)
{
    (void)state;
    const soak_options options = seconds(2, 4);
    rig r;
    rig_open(&r, &options);
    assert_true(soak_run(r.soak));
    assert_good(&r);
    const record_counts *c = &r.soak->record.counts;
    assert_true(c->right > 0 && c->wrong == 0 && c->failed == 0);
    assert_true(r.soak->enough && r.soak->checkpoint_count > 1);
    assert_true(r.soak->record.hits.count > 0 && r.soak->record.misses.count > 0);
    assert_int_equal(r.soak->record.hits.count + r.soak->record.misses.count, c->right);
    rig_close(&r);
}

static void as_many_as_asked_for(void **state)
{
    (void)state;
    const soak_options options = {
        .predictions = 300, .threads = 3, .budget = ORTP_UNLIMITED, .quiet = true};
    rig r;
    rig_open(&r, &options);
    assert_true(soak_run(r.soak));
    assert_good(&r);
    assert_true(r.soak->enough && r.soak->record.counts.right >= 300);
    rig_close(&r);
}

static void wrong_words(void **state)
{
    (void)state;
    const soak_options options = seconds(1, 2);
    rig r;
    rig_open(&r, &options);
    (void)strcpy(r.soak->reference[0].candidates[0].word, "another");
    assert_true(soak_run(r.soak));
    assert_failed(&r, "expected 'another'");
    assert_true(r.soak->record.counts.wrong > 0 && r.soak->record.counts.right > 0);
    rig_close(&r);
}

static void lost_bytes(void **state)
{
    (void)state;
    const soak_options options = seconds(1, 2);
    rig r;
    rig_open(&r, &options);
    ortp_budget *budget = ortp_runtime_budget(r.engine.runtime);
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_BLOCKS, 1, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    assert_true(soak_run(r.soak));
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 1), ORTP_OK);
    assert_failed(&r, "1 lost");
    rig_close(&r);
}

static void set_other_limit(vandal *v)
{
    ortp_budget *budget = ortp_runtime_budget(v->rig->soak->runtime);
    const ortp_status status = ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL);
    assert(status == ORTP_OK);
    (void)status;
}

static void limits_not_held(void **state)
{
    (void)state;
    const soak_options options = seconds(2, 2);
    rig r;
    rig_open(&r, &options);
    vandal v;
    run_with(&r, &v, set_other_limit);
    assert_failed(&r, "the limit is ");
    rig_close(&r);
}

static void keep_heap(vandal *v)
{
    v->held[v->count] = malloc((size_t)24 << 10);
}

static void a_heap_that_grows(void **state)
{
    (void)state;
    if (!HEAP_KNOWN) {
        skip();
    }
    const soak_options options = seconds(4, 2);
    rig r;
    rig_open(&r, &options);
    static vandal v;
    run_with(&r, &v, keep_heap);
    assert_failed(&r, "the heap grew");
    for (size_t i = 0; i < v.count; i++) {
        free(v.held[i]);
    }
    rig_close(&r);
}

static void keep_block(vandal *v)
{
    ortp_block *block = NULL;
    if (ortp_pool_acquire(ortp_runtime_pool(v->rig->soak->runtime), (size_t)4 << 10,
                          ORTP_LABEL_OTHER, &block) == ORTP_OK) {
        v->held[v->count] = block;
    }
}

static void mapped_memory_that_grows(void **state)
{
    (void)state;
    const soak_options options = seconds(4, 2);
    rig r;
    rig_open(&r, &options);
    static vandal v;
    run_with(&r, &v, keep_block);
    for (size_t i = 0; i < v.count; i++) {
        assert_int_equal(ortp_block_release(v.held[i]), ORTP_OK);
    }
    assert_failed(&r, "what ortpool maps grew");
    rig_close(&r);
}

/* It is seen twice: in the ledger, and by the runtime, which then does not end. */
static void a_block_that_is_left(void **state)
{
    (void)state;
    const soak_options options = seconds(0.5, 1);
    rig r;
    rig_open(&r, &options);
    ortp_block *block = NULL;
    assert_int_equal(
        ortp_pool_acquire(ortp_runtime_pool(r.engine.runtime), 100, ORTP_LABEL_OTHER, &block),
        ORTP_OK);
    assert_true(soak_run(r.soak));
    assert_failed(&r, "at the end, without the predictor: ");
    assert_true(said(r.soak, "at the end: "));
    assert_int_equal(ortp_block_release(block), ORTP_OK);
    rig_close(&r);
}

/* The limit is raised to too little: everything is refused, which is told after a while. */
static void nothing_succeeds(void **state)
{
    (void)state;
    soak_options options = seconds(60, 2);
    options.budget = 1;
    options.patience_seconds = 1;
    rig r;
    rig_open(&r, &options);
    assert_true(soak_run(r.soak));
    assert_failed(&r, "no prediction succeeded for ");
    assert_true(said(r.soak, "no prediction gave the right words"));
    assert_true(r.soak->record.counts.refused_budget > 0);
    rig_close(&r);
}

/* A reclaimer that does not come back, for as long as it is told to. */
static size_t hold_on(void *ctx, size_t bytes_wanted)
{
    (void)bytes_wanted;
    while (atomic_load((atomic_bool *)ctx)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}

static void a_thread_that_does_not_come(void **state)
{
    (void)state;
    soak_options options = seconds(60, 2);
    options.patience_seconds = 1;
    rig r;
    rig_open(&r, &options);
    atomic_bool holding = true;
    ortp_budget *budget = ortp_runtime_budget(r.engine.runtime);
    ortp_reclaimer *reclaimer;
    assert_int_equal(
        ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_TENSORS, hold_on, &holding, &reclaimer),
        ORTP_OK);
    assert_true(soak_run(r.soak));
    assert_true(r.soak->stuck);
    assert_failed(&r, "a thread does not end its prediction, trim or warm-up within 5 s");
    assert_non_null(r.engine.runtime); /* in use */
    atomic_store(&holding, false);
    gate_end(&r.soak->gate);
    assert_int_equal(pthread_join(r.soak->chaos_thread, NULL), 0);
    for (size_t i = 0; i < r.soak->started; i++) {
        assert_int_equal(pthread_join(r.soak->workers[i].thread, NULL), 0);
    }
    ortp_budget_remove_reclaimer(budget, reclaimer);
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_is_well),
        cmocka_unit_test(as_many_as_asked_for),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(lost_bytes),
        cmocka_unit_test(limits_not_held),
        cmocka_unit_test(a_heap_that_grows),
        cmocka_unit_test(mapped_memory_that_grows),
        cmocka_unit_test(a_block_that_is_left),
        cmocka_unit_test(nothing_succeeds),
        cmocka_unit_test(a_thread_that_does_not_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
