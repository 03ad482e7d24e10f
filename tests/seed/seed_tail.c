/* SPDX-License-Identifier: MIT */
/*
 * Seed target: tail latency with pools is no worse than without; where the seed spoke of pauses of
 * a garbage collector, C has the allocator, page faults and teardown in the middle of a prediction.
 *
 * pooled: ortpool, batched. unpooled: the usual code, batched (naive.h), same sessions' settings
 * but for memory patterns, same swipes, same search. Encoder cache off. The two take turns swipe by
 * swipe, and who goes first alternates, so that what the machine does meets both alike.
 *
 * A long word takes ten times as long as a short one, so that the tail in milliseconds is only the
 * longest words. Judged is therefore each latency over its swipe's own unpooled median: what is
 * left is pauses. Both are printed.
 *
 * p99 comes with the 95 % interval of its order statistic: its rank is binomial, so that
 * ranks n q +- 1.96 sqrt(n q (1 - q)) bound it without any assumption about the distribution. RED
 * where the whole interval of pooled lies above that of unpooled.
 *
 * Broken variant: the counterpart of a full collection. Before every 25th prediction the subject
 * drops all it has and makes its predictor anew; the pause counts for that prediction.
 */
#include "naive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 14
#define ROUNDS_BROKEN 8
#define COLLECT_EVERY 25

typedef struct subject {
    const seed_world *world;
    ortp_predictor *predictor;
    bool collects; /* the broken one */
    size_t predictions;
} subject;

static const seed_setup setup = {.path = ORTP_PATH_BATCHED, .cache_off = true};

static bool subject_predict(subject *s, const ortp_swipe *swipe, ortp_prediction *out)
{
    s->predictions++;
    if (s->collects && s->predictions % COLLECT_EVERY == 0) {
        ortp_predictor_destroy(s->predictor, NULL);
        s->predictor = seed_predictor(s->world, &setup);
        if (!s->predictor || ortp_predictor_trim(s->predictor, 0, true, NULL) != ORTP_OK) {
            return false;
        }
    }
    return seed_predict(s->predictor, swipe, out);
}

static bool time_pooled(subject *s, const ortp_swipe *swipe, double *ms)
{
    ortp_prediction prediction = ORTP_PREDICTION_INIT;
    double from = seed_now_ms();
    bool ok = subject_predict(s, swipe, &prediction);
    *ms = seed_now_ms() - from;
    return ok;
}

static bool time_unpooled(naive *n, const ortp_swipe *swipe, double *ms)
{
    naive_words words;
    double from = seed_now_ms();
    bool ok = naive_predict(n, swipe, &words);
    naive_words_free(&words);
    *ms = seed_now_ms() - from;
    return ok;
}

typedef struct tail {
    double p50, p99, low, high, max;
} tail;

static tail measure_tail(double *ms, size_t count)
{
    double n = (double)count, q = 0.99, spread = 1.96 * sqrt(n * q * (1 - q));
    tail t = {.p50 = seed_quantile(ms, count, 0.5), .p99 = seed_quantile(ms, count, q)};
    t.low = seed_quantile(ms, count, (n * q - spread) / n);
    t.high = seed_quantile(ms, count, (n * q + spread) / n);
    t.max = ms[count - 1];
    return t;
}

static void print_tail(const char *name, const char *unit, const tail *t)
{
    printf("  %-8s p50 %7.2f   p99 %7.2f (95 %% interval %.2f to %.2f)   max %7.2f %s\n", name,
           t->p50, t->p99, t->low, t->high, t->max, unit);
}

/* Latencies over the unpooled median of their swipe; at [round * swipes + swipe], as they came. */
static void make_relative(double *pooled, double *unpooled, size_t rounds, size_t swipes)
{
    for (size_t i = 0; i < swipes; i++) {
        double own[ROUNDS];
        for (size_t r = 0; r < rounds; r++) {
            own[r] = unpooled[r * swipes + i];
        }
        double median = seed_quantile(own, rounds, 0.5);
        for (size_t r = 0; r < rounds; r++) {
            pooled[r * swipes + i] /= median;
            unpooled[r * swipes + i] /= median;
        }
    }
}

/* Both sides agree on the words; also the warm-up of the naive side. */
static bool agree(subject *s, naive *n, const seed_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        ortp_prediction prediction = ORTP_PREDICTION_INIT;
        naive_words words;
        if (!seed_predict(s->predictor, &samples->items[i].swipe, &prediction) ||
            !naive_predict(n, &samples->items[i].swipe, &words)) {
            return false;
        }
        bool same = naive_agrees(&words, &prediction, samples->items[i].word);
        naive_words_free(&words);
        if (!same) {
            return false;
        }
    }
    return true;
}

static bool run_rounds(subject *s, naive *n, const seed_samples *samples, size_t rounds,
                       double *pooled, double *unpooled)
{
    size_t at = 0;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < samples->count; i++, at++) {
            const ortp_swipe *swipe = &samples->items[i].swipe;
            bool first = (i + round) % 2 == 0;
            if ((first && !time_pooled(s, swipe, &pooled[at])) ||
                !time_unpooled(n, swipe, &unpooled[at]) ||
                (!first && !time_pooled(s, swipe, &pooled[at]))) {
                return false;
            }
        }
    }
    return true;
}

/* Prints both views and judges the relative one; sorts the latencies. */
static int judge(double *pooled, double *unpooled, size_t rounds, size_t swipes, const char *name)
{
    size_t count = rounds * swipes;
    double *ms = malloc(2 * count * sizeof(*ms));
    if (!ms) {
        return seed_red("no memory");
    }
    memcpy(ms, pooled, count * sizeof(*ms));
    memcpy(ms + count, unpooled, count * sizeof(*ms));
    make_relative(pooled, unpooled, rounds, swipes);
    tail with_ms = measure_tail(ms, count), without_ms = measure_tail(ms + count, count);
    tail with = measure_tail(pooled, count), without = measure_tail(unpooled, count);
    free(ms);
    printf("batched, cache off, %zu predictions each, taking turns:\n", count);
    print_tail("unpooled", "ms", &without_ms);
    print_tail(name, "ms", &with_ms);
    printf("over the unpooled median of the same swipe:\n");
    print_tail("unpooled", "times", &without);
    print_tail(name, "times", &with);
    if (with.low > without.high) {
        return seed_red("the pooled p99 is above the unpooled one: %.2f times",
                        with.p99 / without.p99);
    }
    return seed_green("the pooled p99 is %.2f times the unpooled one", with.p99 / without.p99);
}

int main(int argc, char **argv)
{
    bool broken = seed_is_broken(argc, argv);
    const OrtApi *api = seed_open_ort();
    seed_samples samples;
    seed_world world;
    if (!seed_samples_load(&samples) || !seed_world_open(&world, api, ORTP_POOL_THREAD_CACHED, 0)) {
        return seed_red("could not be set up");
    }
    size_t rounds = broken ? ROUNDS_BROKEN : ROUNDS, swipes = samples.count;
    double *pooled = calloc(rounds * swipes, sizeof(*pooled));
    double *unpooled = calloc(rounds * swipes, sizeof(*unpooled));
    subject s = {&world, seed_predictor(&world, &setup), false, 0};
    /* The naive code borrows from this one; the broken subject loses its own. */
    ortp_predictor *settings = seed_predictor(&world, &setup);
    naive *n =
        settings ? naive_create(api, ortp_runtime_env(world.runtime), settings, setup.path) : NULL;
    bool ok =
        pooled && unpooled && s.predictor && n && seed_warm(s.predictor) && agree(&s, n, &samples);
    s.collects = broken;
    ok = ok && run_rounds(&s, n, &samples, rounds, pooled, unpooled);
    naive_destroy(n);
    ortp_predictor_destroy(settings, NULL);
    ortp_predictor_destroy(s.predictor, NULL);
    seed_samples_free(&samples);
    ok = seed_world_close(&world) && ok;
    int result = ok ? judge(pooled, unpooled, rounds, swipes, broken ? "broken" : "pooled")
                    : seed_red("could not be measured, or the words differ");
    free(pooled);
    free(unpooled);
    return result;
}
