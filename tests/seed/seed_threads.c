/* SPDX-License-Identifier: MIT */
/*
 * Seed target: thread safety. 4 threads predict all bundled swipes, each from another place on,
 * several rounds, on one predictor with its cache on; words and scores must be those of one thread,
 * bit for bit. Once with pool A and once with pool B. Under TSan (with the tiny model) it must be
 * clean too.
 *
 * Broken variant: the reference application's defect, trajectory buffers shared between calls
 * (broken_shared.c). On one thread it gives the right words; on four it must not.
 */
#define _GNU_SOURCE
#include "broken_shared.h"
#include "seed.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS (SEED_SMALL ? 20 : 2)

typedef struct job {
    ortp_predictor *predictor;
    shared_predictor *shared; /* the broken subject, or NULL */
    const seed_samples *samples;
    const ortp_prediction *expected;
    unsigned thread;
    size_t rounds;
    size_t done, different, hits;
    bool failed;
} job;

static void *job_main(void *arg)
{
    job *j = arg;
    for (size_t i = 0; i < j->rounds * j->samples->count; i++) {
        /* Twice the same in a row, so that the cache is hit; threads meet on swipes too. */
        size_t at = (i / 2 + j->thread * 11) % j->samples->count;
        const ortp_swipe *swipe = &j->samples->items[at].swipe;
        ortp_prediction prediction = ORTP_PREDICTION_INIT;
        bool ok = j->shared ? shared_predict(j->shared, j->thread, swipe, &prediction)
                            : seed_predict(j->predictor, swipe, &prediction);
        j->failed |= !ok; /* goes on: the broken subject's threads wait for each other */
        if (ok) {
            j->done++;
            j->hits += j->shared == NULL && prediction.cache_hit;
            j->different += !seed_same_words(&prediction, &j->expected[at]);
        }
    }
    return NULL;
}

/* Runs `threads` jobs at once and sums them up in *total. */
static bool run_jobs(const job *model, unsigned threads, job *total)
{
    pthread_t ids[THREADS];
    job jobs[THREADS];
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = *model;
        jobs[i].thread = i;
        if (pthread_create(&ids[i], NULL, job_main, &jobs[i]) != 0) {
            printf("  thread %u could not be started\n", i);
            exit(seed_red("no threads")); /* those that run may wait for it */
        }
    }
    *total = (job){0};
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        total->done += jobs[i].done;
        total->different += jobs[i].different;
        total->hits += jobs[i].hits;
        total->failed |= jobs[i].failed;
    }
    return !total->failed;
}

static bool run_broken(const seed_world *world, job *model, job *total)
{
    bool ok = true;
    const unsigned counts[] = {1, THREADS};
    for (size_t i = 0; ok && i < 2; i++) {
        model->shared = shared_create(world, model->predictor, counts[i]);
        model->rounds = 1;
        ok = model->shared && run_jobs(model, counts[i], total);
        shared_destroy(model->shared);
        printf("  broken subject, %u threads: %zu predictions, %zu differ\n", counts[i],
               total->done, total->different);
        if (i == 0 && total->different > 0) {
            printf("  it must be right on one thread\n");
            ok = false;
        }
    }
    return ok;
}

/* False where it could not be run or left something behind. */
static bool run_pool(const OrtApi *api, ortp_pool_kind kind, const seed_samples *samples,
                     bool broken, job *total)
{
    seed_world world;
    ortp_prediction *expected = calloc(samples->count, sizeof(*expected));
    bool ok = expected && seed_world_open(&world, api, kind, 0);
    if (!ok) {
        free(expected);
        return false;
    }
    job model = {.samples = samples, .expected = expected, .rounds = ROUNDS};
    model.predictor = seed_predictor(&world, &(seed_setup){.threads = THREADS});
    ok = model.predictor && seed_warm(model.predictor);
    for (size_t i = 0; ok && i < samples->count; i++) {
        ok = seed_predict(model.predictor, &samples->items[i].swipe, &expected[i]);
    }
    if (ok) {
        ok = broken ? run_broken(&world, &model, total) : run_jobs(&model, THREADS, total);
        ok = seed_ledger_balanced(world.budget) && ok;
    }
    ortp_predictor_destroy(model.predictor, NULL);
    free(expected);
    return seed_world_close(&world) && ok;
}

int main(int argc, char **argv)
{
    bool broken = seed_is_broken(argc, argv);
    const OrtApi *api = seed_open_ort();
    seed_samples samples;
    if (!seed_samples_load(&samples)) {
        return seed_red("no swipes");
    }
    const ortp_pool_kind kinds[] = {ORTP_POOL_THREAD_CACHED, ORTP_POOL_STRIPED};
    size_t done = 0, different = 0;
    bool ok = true;
    for (size_t i = 0; i < 2 && ok && different == 0; i++) {
        job total = {0};
        ok = run_pool(api, kinds[i], &samples, broken, &total);
        if (ok) {
            printf("pool %c: %d threads, %zu predictions, %zu cache hits, %zu differ from one "
                   "thread\n",
                   "AB"[i], THREADS, total.done, total.hits, total.different);
            done += total.done;
            different += total.different;
            ok = broken || total.hits > 0;
        }
    }
    seed_samples_free(&samples);
    if (!ok) {
        return seed_red("could not be run");
    }
    if (different > 0) {
        return seed_red("results on %d threads differ from those of one thread: %zu of %zu",
                        THREADS, different, done);
    }
    return seed_green("%zu predictions on %d threads, all as on one thread", done, THREADS);
}
