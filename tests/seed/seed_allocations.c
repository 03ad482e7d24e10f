/* SPDX-License-Identifier: MIT */
/*
 * Seed target: the application's and library's allocations per prediction are at least 50 % below
 * those of the usual code on the same path, counted by interposition (interpose.h says what
 * counts).
 *
 * Both sides predict all bundled swipes once to warm up and once counted, on one thread, with the
 * encoder cache off, and must give the same words. Beside it: the count of the whole process, which
 * is mostly ORT's own and which pooling tensors cannot change, and what was allocated for tensors.
 *
 * Broken variant: ortpool used so that it pools nothing: the usual code with its tensors from a
 * pool that keeps none. It must show that a pool in the middle is not yet a gain.
 */
#include "interpose.h"
#include "interpose_check.h"
#include "naive.h"
#include "watch.h"

#include <inttypes.h>
#include <stdlib.h>

#define TARGET 0.50

typedef struct counted {
    seed_heap heap;
    uint64_t tensors; /* created through ORT */
    double per;       /* one over the number of predictions */
} counted;

static double ours(const counted *c)
{
    return (double)(c->heap.outside + c->heap.create_bind) * c->per;
}

static double process(const counted *c)
{
    return ours(c) + (double)c->heap.inside * c->per;
}

static void print_counted(const char *name, const counted *c)
{
    const seed_heap *h = &c->heap;
    printf("  %-8s application and library %8.2f (outside ORT %.2f, in its Create and Bind calls "
           "%.2f; %.0f bytes)\n",
           name, ours(c), (double)h->outside * c->per, (double)h->create_bind * c->per,
           (double)(h->outside_bytes + h->create_bind_bytes) * c->per);
    printf("           whole process           %8.2f (%.0f bytes)\n", process(c),
           (double)(h->outside_bytes + h->create_bind_bytes + h->inside_bytes) * c->per);
    printf("           for tensors: OrtValues created %.2f, aligned operator new %.2f, mappings "
           "%.2f\n",
           (double)c->tensors * c->per, (double)h->aligned_new * c->per,
           (double)h->mappings * c->per);
}

typedef bool (*pass_fn)(void *ctx, const ortp_swipe *swipe, size_t index);

/* One pass to warm up, one counted. */
static bool count_passes(const seed_samples *samples, pass_fn predict, void *ctx, counted *out)
{
    seed_heap heap = {0};
    seed_watch_counts watch = {0};
    for (int pass = 0; pass < 2; pass++) {
        seed_heap_read(&heap);
        seed_watch_read(&watch);
        for (size_t i = 0; i < samples->count; i++) {
            if (!predict(ctx, &samples->items[i].swipe, i)) {
                return false;
            }
        }
    }
    out->heap = seed_heap_since(&heap);
    seed_watch_counts after;
    seed_watch_read(&after);
    out->tensors = after.tensors_created - watch.tensors_created;
    out->per = 1.0 / (double)samples->count;
    return true;
}

typedef struct pass {
    const seed_samples *samples;
    ortp_predictor *predictor;
    naive *naive;
    naive *broken;                /* in the predictor's place, or NULL */
    ortp_prediction *predictions; /* of the subject, one per sample */
} pass;

static bool pass_subject(void *ctx, const ortp_swipe *swipe, size_t index)
{
    pass *p = ctx;
    if (!p->broken) {
        return seed_predict(p->predictor, swipe, &p->predictions[index]);
    }
    naive_words words;
    if (!naive_predict(p->broken, swipe, &words)) {
        return false;
    }
    naive_as_prediction(&words, &p->predictions[index]);
    naive_words_free(&words);
    return true;
}

static bool pass_naive(void *ctx, const ortp_swipe *swipe, size_t index)
{
    pass *p = ctx;
    naive_words words;
    if (!naive_predict(p->naive, swipe, &words)) {
        return false;
    }
    bool agree = naive_agrees(&words, &p->predictions[index], p->samples->items[index].word);
    naive_words_free(&words);
    return agree;
}

static bool open_pass(pass *p, const seed_world *world, const OrtApi *api, ortp_path path,
                      bool broken)
{
    OrtEnv *env = ortp_runtime_env(world->runtime);
    p->predictions = calloc(p->samples->count, sizeof(*p->predictions));
    p->predictor = seed_predictor(world, &(seed_setup){.path = path, .cache_off = true});
    if (!p->predictions || !p->predictor || !seed_warm(p->predictor)) {
        return false;
    }
    p->naive = naive_create(api, env, p->predictor, path);
    if (broken) {
        p->broken = naive_create(api, env, p->predictor, path);
        return p->naive && p->broken && naive_use_idle_pool(p->broken, world->runtime);
    }
    return p->naive != NULL;
}

/* False where it could not be measured; *reduction is the figure. */
static bool compare_path(const seed_world *world, const OrtApi *api, const seed_samples *samples,
                         ortp_path path, bool broken, double *reduction, bool *made_tensors)
{
    pass p = {.samples = samples};
    counted subject_count = {0}, naive_count = {0};
    bool ok = open_pass(&p, world, api, path, broken) &&
              count_passes(samples, pass_subject, &p, &subject_count) &&
              count_passes(samples, pass_naive, &p, &naive_count);
    if (ok) {
        printf("%s, per prediction over %zu swipes:\n",
               path == ORTP_PATH_BATCHED ? "batched" : "sequential", samples->count);
        print_counted("naive", &naive_count);
        print_counted(broken ? "broken" : "ortpool", &subject_count);
        *reduction = 1 - ours(&subject_count) / ours(&naive_count);
        *made_tensors = subject_count.tensors + subject_count.heap.mappings > 0;
        printf("  reduction: application and library %.2f %% (target %.0f %%), whole process "
               "%.2f %%\n",
               100 * *reduction, 100 * TARGET,
               100 * (1 - process(&subject_count) / process(&naive_count)));
        /* A measurement that saw nothing is no result. */
        ok = naive_count.heap.outside > samples->count && naive_count.tensors > samples->count &&
             subject_count.heap.inside > samples->count;
        if (!ok) {
            printf("  the interposer saw less than there must have been\n");
        }
    }
    naive_destroy(p.naive);
    naive_destroy(p.broken);
    ortp_predictor_destroy(p.predictor, NULL);
    free(p.predictions);
    return ok;
}

int main(int argc, char **argv)
{
    bool broken = seed_is_broken(argc, argv);
    if (!seed_heap_available()) {
        printf("skipped: built without the interposer\n");
        return SEED_SKIP;
    }
    const OrtApi *api = seed_open_ort();
    const OrtApi *watched = seed_watch(api);
    seed_samples samples;
    seed_world world;
    if (!seed_heap_learn() || !seed_samples_load(&samples) ||
        !seed_world_open(&world, watched, ORTP_POOL_THREAD_CACHED, 0)) {
        return seed_red("could not be set up");
    }
    if (!seed_heap_check(api, watched)) {
        return seed_red("the interposer does not count right");
    }
    double worst = 1;
    bool made_tensors = false;
    const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL};
    for (size_t i = 0; i < 2 && worst >= TARGET; i++) {
        double reduction = 0;
        bool made = false;
        if (!compare_path(&world, watched, &samples, paths[i], broken, &reduction, &made)) {
            return seed_red("could not be measured, or the words differ");
        }
        worst = reduction < worst ? reduction : worst;
        made_tensors |= made;
    }
    seed_samples_free(&samples);
    bool closed = seed_world_close(&world);
    if (worst < TARGET) {
        return seed_red("only %.1f %% fewer allocations than the usual code", 100 * worst);
    }
    if (made_tensors) {
        return seed_red("tensors or mappings were made after warm-up");
    }
    if (!closed) {
        return seed_red("something was left behind");
    }
    return seed_green("%.1f %% fewer allocations than the usual code, at least", 100 * worst);
}
