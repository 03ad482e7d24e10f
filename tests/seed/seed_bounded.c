/* SPDX-License-Identifier: MIT */
/*
 * Seed target: memory is tracked and bounded. Three parts:
 *   1  the budget alone: 16 threads charge and refund at random. The sum that the test itself keeps
 *      around the calls (added after a charge, taken off before a refund, so never above the truth)
 *      is never above the limit, a sampling thread never reads more, and at the end nothing is
 *      charged.
 *   2  real predictions on 4 threads under a limit that just fits, while another thread drops all
 *      idle memory again and again, so that it has to be charged anew. What is charged is sampled
 *      and never above the limit; the words stay right; at quiet points the ledger of stats.h
 *      balances.
 *   3  limits below that: a prediction is denied cleanly or right; after raising the limit all work
 *      again; a predictor that cannot fit is refused; destroyed, everything is back to zero.
 *
 * Broken variant: the seed's own check-then-add budget in part 1 (broken_budget.c).
 */
#define _GNU_SOURCE
#include "budget_subject.h"
#include "seed.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- 1: the budget alone ---- */

#define CHARGERS 16
#define HELD_MAX 8
#define LIMIT ((size_t)1 << 20)

typedef struct contest {
    const budget_subject *budget;
    size_t empty;
    atomic_size_t held; /* the test's own sum */
    atomic_size_t held_peak;
    atomic_size_t read_peak; /* the sampler's */
    atomic_uint_fast64_t granted, denied, samples;
    atomic_bool stop;
} contest;

typedef struct charger {
    contest *contest;
    uint64_t seed;
    size_t rounds;
} charger;

static void raise_to(atomic_size_t *peak, size_t value)
{
    size_t seen = atomic_load(peak);
    while (value > seen && !atomic_compare_exchange_weak(peak, &seen, value)) {
    }
}

static void *charger_main(void *arg)
{
    charger *c = arg;
    contest *k = c->contest;
    size_t mine[HELD_MAX];
    size_t count = 0;
    for (size_t i = 0; i < c->rounds; i++) {
        uint64_t r = seed_random(&c->seed);
        if (r >> 62 == 0) {
            sched_yield(); /* while holding, so that the others meet what is held */
        }
        if (count < HELD_MAX && r % 5 < 3) {
            size_t bytes = 1 + (size_t)((r >> 8) % (LIMIT / 16));
            if (k->budget->charge(k->budget->ctx, bytes)) {
                raise_to(&k->held_peak, atomic_fetch_add(&k->held, bytes) + bytes);
                atomic_fetch_add(&k->granted, 1);
                mine[count++] = bytes;
            } else {
                atomic_fetch_add(&k->denied, 1);
            }
        } else if (count > 0) {
            count--;
            atomic_fetch_sub(&k->held, mine[count]);
            k->budget->refund(k->budget->ctx, mine[count]);
        }
    }
    while (count > 0) {
        count--;
        atomic_fetch_sub(&k->held, mine[count]);
        k->budget->refund(k->budget->ctx, mine[count]);
    }
    return NULL;
}

static void *contest_sampler(void *arg)
{
    contest *k = arg;
    while (!atomic_load(&k->stop)) {
        raise_to(&k->read_peak, k->budget->charged(k->budget->ctx));
        atomic_fetch_add(&k->samples, 1);
        sched_yield();
    }
    return NULL;
}

/* NULL when it held, else what was wrong. */
static const char *run_contest(contest *k, size_t rounds)
{
    pthread_t threads[CHARGERS], sampler;
    charger chargers[CHARGERS];
    size_t started = 0;
    bool sampling = pthread_create(&sampler, NULL, contest_sampler, k) == 0;
    for (; sampling && started < CHARGERS; started++) {
        chargers[started] = (charger){k, 0x9E3779B97F4A7C15u * (started + 1), rounds};
        if (pthread_create(&threads[started], NULL, charger_main, &chargers[started]) != 0) {
            break;
        }
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&k->stop, true);
    if (sampling) {
        pthread_join(sampler, NULL);
    }
    size_t left = k->budget->charged(k->budget->ctx) - k->empty;
    printf("budget (%s), %zu threads: %" PRIu64 " charges granted, %" PRIu64 " denied; limit %zu, "
           "held at most %zu, sampled at most %zu in %" PRIu64 " samples; left %zu\n",
           k->budget->name, started, (uint64_t)atomic_load(&k->granted),
           (uint64_t)atomic_load(&k->denied), LIMIT, atomic_load(&k->held_peak) + k->empty,
           atomic_load(&k->read_peak), (uint64_t)atomic_load(&k->samples), left);
    if (started < CHARGERS) {
        return "threads could not be started";
    }
    if (atomic_load(&k->held_peak) + k->empty > LIMIT || atomic_load(&k->read_peak) > LIMIT) {
        return "the budget was exceeded";
    }
    if (left != 0) {
        return "the budget's sum is not zero at the end";
    }
    if (atomic_load(&k->denied) == 0 || atomic_load(&k->held_peak) < LIMIT / 2) {
        return "the threads never came near the limit";
    }
    return NULL;
}

static const char *check_budget(bool broken)
{
    budget_subject subject;
    size_t empty = 0;
    bool made = broken ? broken_budget_make(LIMIT, &subject, &empty)
                       : real_budget_make(LIMIT, &subject, &empty);
    if (!made) {
        return "the budget could not be made";
    }
    contest k = {.budget = &subject, .empty = empty};
    const char *wrong = run_contest(&k, SEED_SMALL ? 3000 : 30000);
    subject.destroy(subject.ctx);
    return wrong;
}

/* ---- 2: predictions under a limit that fits ---- */

#define WORKERS 4
#define TRIM_EVERY_MS (SEED_SMALL ? 2 : 20)

typedef struct load {
    ortp_predictor *predictor;
    const seed_samples *samples;
    const ortp_prediction *expected;
    size_t rounds;
    atomic_size_t right, wrong;
    atomic_bool stop;
    size_t charged_peak; /* the sampler's own */
    uint64_t samples_taken, trims;
    ortp_budget *budget;
} load;

typedef struct worker {
    load *load;
    size_t offset;
} worker;

static void *worker_main(void *arg)
{
    worker *w = arg;
    load *l = w->load;
    for (size_t i = 0; i < l->rounds * l->samples->count; i++) {
        size_t at = (i + w->offset) % l->samples->count;
        ortp_prediction prediction = ORTP_PREDICTION_INIT;
        bool same = seed_predict(l->predictor, &l->samples->items[at].swipe, &prediction) &&
                    seed_same_words(&prediction, &l->expected[at]);
        atomic_fetch_add(same ? &l->right : &l->wrong, 1);
    }
    return NULL;
}

static void *load_sampler(void *arg)
{
    load *l = arg;
    double last_trim = seed_now_ms();
    while (!atomic_load(&l->stop)) {
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(l->budget, &info);
        l->charged_peak =
            info.charged_bytes > l->charged_peak ? info.charged_bytes : l->charged_peak;
        l->samples_taken++;
        if (seed_now_ms() - last_trim > TRIM_EVERY_MS) {
            l->trims += ortp_predictor_trim(l->predictor, 0, true, NULL) == ORTP_OK;
            last_trim = seed_now_ms();
        }
        nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    return NULL;
}

static bool run_load(load *l)
{
    pthread_t threads[WORKERS], sampler;
    worker workers[WORKERS];
    bool sampling = pthread_create(&sampler, NULL, load_sampler, l) == 0;
    size_t started = 0;
    for (; sampling && started < WORKERS; started++) {
        workers[started] = (worker){l, started * 13};
        if (pthread_create(&threads[started], NULL, worker_main, &workers[started]) != 0) {
            break;
        }
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&l->stop, true);
    if (sampling) {
        pthread_join(sampler, NULL);
    }
    return started == WORKERS;
}

static bool set_limit(ortp_budget *budget, size_t bytes)
{
    size_t excess = 0;
    ortp_status status = ortp_budget_set_limit(budget, bytes, &excess);
    if (status != ORTP_OK) {
        printf("  a limit of %zu bytes leaves %zu too many\n", bytes, excess);
    }
    return status == ORTP_OK;
}

/* The words of every swipe, without a limit and on one thread; also what is charged at most. */
static bool learn(load *l, ortp_prediction *expected, size_t *peak)
{
    for (size_t i = 0; i < l->samples->count; i++) {
        if (!seed_predict(l->predictor, &l->samples->items[i].swipe, &expected[i])) {
            return false;
        }
    }
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(l->budget, &info);
    *peak = info.charged_bytes;
    return true;
}

static const char *check_fitting(load *l, size_t *limit)
{
    size_t peak = 0;
    ortp_prediction *expected = calloc(l->samples->count, sizeof(*expected));
    l->expected = expected;
    if (!expected || !seed_warm(l->predictor) || !learn(l, expected, &peak)) {
        return "the words could not be learnt";
    }
    if (!seed_ledger_balanced(l->budget)) {
        return "the ledger does not balance after warm-up";
    }
    *limit = peak + (64u << 10);
    if (!set_limit(l->budget, *limit)) {
        return "the limit that fits does not";
    }
    l->rounds = SEED_SMALL ? 40 : 2;
    if (!run_load(l)) {
        return "threads could not be started";
    }
    printf(
        "predictions, %d threads, limit %zu (%zu charged after warm-up): %zu right, %zu wrong or "
        "denied; charged at most %zu in %" PRIu64 " samples, all idle memory dropped %" PRIu64
        " times\n",
        WORKERS, *limit, peak, atomic_load(&l->right), atomic_load(&l->wrong), l->charged_peak,
        l->samples_taken, l->trims);
    if (l->charged_peak > *limit) {
        return "more was charged than the limit";
    }
    if (atomic_load(&l->wrong) > 0) {
        return "a prediction under a limit that fits failed or gave other words";
    }
    if (l->samples_taken < 100 || l->trims < 3) {
        return "the sampler hardly ran";
    }
    return seed_ledger_balanced(l->budget) ? NULL
                                           : "the ledger does not balance under the limit";
}

/* ---- 3: limits below ---- */

#define LIMIT_STEPS 12

static const char *check_below(load *l, size_t fitting)
{
    size_t denied = 0, right = 0;
    for (size_t step = 0; step < LIMIT_STEPS; step++) {
        /* A limit below what is held is a legal state too, so the excess is of no interest. */
        (void)!ortp_budget_set_limit(l->budget, ORTP_UNLIMITED, NULL);
        if (ortp_predictor_trim(l->predictor, 0, true, NULL) != ORTP_OK) {
            return "idle memory could not be dropped";
        }
        ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(l->budget, &info);
        size_t limit = info.charged_bytes + (fitting - info.charged_bytes) / LIMIT_STEPS * step;
        if (!set_limit(l->budget, limit)) {
            return "a limit of what is held leaves an excess";
        }
        for (size_t i = 0; i < l->samples->count; i += 7) {
            ortp_prediction prediction = ORTP_PREDICTION_INIT;
            ortp_error error = ORTP_ERROR_INIT;
            ortp_status status = ortp_predictor_predict(l->predictor, &l->samples->items[i].swipe,
                                                        NULL, &prediction, &error);
            if (status == ORTP_OK && seed_same_words(&prediction, &l->expected[i])) {
                right++;
            } else if (status == ORTP_E_BUDGET) {
                denied++;
            } else {
                seed_problem("under a low limit", status, &error);
                return "a prediction under a low limit was neither right nor denied";
            }
            ortp_budget_get_info(l->budget, &info);
            if (info.charged_bytes > limit || !seed_ledger_balanced(l->budget)) {
                return "the ledger is wrong under a low limit";
            }
        }
    }
    printf("%d lower limits: %zu predictions denied, %zu right\n", LIMIT_STEPS, denied, right);
    if (denied == 0 || right == 0) {
        return "the lower limits did not both deny and allow";
    }
    if (!set_limit(l->budget, fitting)) {
        return "the limit could not be raised";
    }
    for (size_t i = 0; i < l->samples->count; i++) {
        ortp_prediction prediction = ORTP_PREDICTION_INIT;
        if (!seed_predict(l->predictor, &l->samples->items[i].swipe, &prediction) ||
            !seed_same_words(&prediction, &l->expected[i])) {
            return "after raising the limit the words are not right again";
        }
    }
    return seed_ledger_balanced(l->budget) ? NULL : "the ledger does not balance at the end";
}

static const char *check_refused(const OrtApi *api)
{
    seed_world world;
    if (!seed_world_open(&world, api, ORTP_POOL_STRIPED, 96u << 10)) {
        return "a runtime does not fit into 96 KiB";
    }
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = world.runtime;
    options.model_directory = seed_model_directory();
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_predictor_create(&options, &predictor, &error);
    printf("a predictor in 96 KiB: %s (%s)\n", ortp_status_name(status), error.message);
    ortp_predictor_destroy(predictor, NULL);
    bool closed = seed_world_close(&world);
    if (status != ORTP_E_BUDGET) {
        return "a predictor that cannot fit was not refused by the budget";
    }
    return closed ? NULL : "a refused predictor left something behind";
}

static const char *check_predictions(const OrtApi *api, const seed_samples *samples)
{
    seed_world world;
    load l = {.samples = samples};
    size_t limit = 0;
    if (!seed_world_open(&world, api, ORTP_POOL_THREAD_CACHED, 0)) {
        return "ortpool could not be set up";
    }
    l.budget = world.budget;
    l.predictor = seed_predictor(&world, &(seed_setup){.threads = WORKERS});
    const char *wrong = l.predictor ? check_fitting(&l, &limit) : "no predictor";
    if (!wrong) {
        wrong = check_below(&l, limit);
    }
    ortp_predictor_destroy(l.predictor, NULL);
    free((void *)(uintptr_t)l.expected);
    if (!seed_world_close(&world) && !wrong) {
        wrong = "destroyed, not everything is back to zero";
    }
    return wrong;
}

int main(int argc, char **argv)
{
    bool broken = seed_is_broken(argc, argv);
    const OrtApi *api = seed_open_ort();
    seed_samples samples;
    if (!seed_samples_load(&samples)) {
        return seed_red("no swipes");
    }
    const char *wrong = check_budget(broken);
    if (!wrong) {
        wrong = check_predictions(api, &samples);
    }
    if (!wrong) {
        wrong = check_refused(api);
    }
    seed_samples_free(&samples);
    if (wrong) {
        return seed_red("%s", wrong);
    }
    return seed_green("the budget held at every instant, denials were clean, all came back");
}
