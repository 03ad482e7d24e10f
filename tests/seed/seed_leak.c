/* SPDX-License-Identifier: MIT */
/*
 * Seed target: no leak after 2,000 predictions. Two predictors share a runtime, one batched, one
 * sequential; every swipe comes twice in a row, so that half of the predictions hit the encoder
 * cache; each round of all swipes goes to the other predictor for each swipe than the round before.
 * Narrow beams (4 and 2) keep it short: what is acquired and released is the same.
 *
 * Levels are compared at a quarter, a half and the end, each with the caches cleared:
 *   exactly flat   live OrtValues (created minus released, counted in the OrtApi), blocks out,
 *                  mapped and charged bytes, ortpool's control structures (counted in its
 *                  allocator), heap blocks and bytes allocated outside ORT and still live (by the
 *                  interposer)
 *   flat within    the heap of the whole process (by the interposer), ORT's included. ORT's arena
 *   HEAP_SLACK     keeps a node per free chunk, whose number depends on the order of sizes that
 *                  passed, and its threads keep scratch space: both may wobble, neither grows by
 *                  the prediction. A leak of one block in twenty predictions is above the slack.
 *
 * ctest runs it with the tiny model, and as seed_leak_bundled with the bundled one. Under a sanitizer without the
 * interposer's two (LeakSanitizer looks at the heap there).
 *
 * Broken variant: the defect of the reference application: every encoder run leaves its output
 * tensor unreleased.
 */
#include "interpose.h"
#include "seed.h"
#include "watch.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define PREDICTIONS ((size_t)2000)
#define PREDICTIONS_BROKEN ((size_t)200)
#define HEAP_SLACK_BLOCKS 64
#define HEAP_SLACK_BYTES 16000

enum { BATCHED, SEQUENTIAL, PATHS };

typedef struct level {
    size_t after;
    int64_t values;
    size_t blocks, mapped, charged;
    int64_t control_blocks, control_bytes;
    int64_t outside_blocks, outside_bytes;
    int64_t heap_blocks, heap_bytes;
} level;

typedef struct bench {
    seed_world world;
    ortp_predictor *predictors[PATHS];
    const seed_samples *samples;
    ortp_prediction *expected;
    size_t hits;
    bool broken;
    ortp_tensor *unreleased[PREDICTIONS_BROKEN]; /* the broken variant's */
    size_t unreleased_count;
    float *features;
    int32_t *keys;
} bench;

static level read_level(bench *b, size_t after)
{
    for (size_t i = 0; i < PATHS; i++) {
        ortp_cache_clear(ortp_predictor_cache(b->predictors[i]));
    }
    seed_watch_counts watch;
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    seed_heap heap;
    seed_watch_read(&watch);
    ortp_pool_get_info(b->world.pool, &pool);
    ortp_budget_get_info(b->world.budget, &budget);
    seed_heap_read(&heap);
    return (level){
        .after = after,
        .values = watch.live_values,
        .blocks = pool.in_use_blocks,
        .mapped = budget.mapped_bytes,
        .charged = budget.charged_bytes,
        .control_blocks = atomic_load(&b->world.control.blocks),
        .control_bytes = atomic_load(&b->world.control.bytes),
        .outside_blocks = heap.kept_blocks,
        .outside_bytes = heap.kept_bytes,
        .heap_blocks = heap.live_blocks,
        .heap_bytes = heap.live_bytes,
    };
}

static void print_level(const level *l)
{
    printf("after %4zu: OrtValues %" PRId64
           ", blocks out %zu, mapped %zu, charged %zu, control %" PRId64 " (%" PRId64 " bytes)",
           l->after, l->values, l->blocks, l->mapped, l->charged, l->control_blocks,
           l->control_bytes);
    if (seed_heap_available()) {
        printf(", heap since start outside ORT %" PRId64 " (%" PRId64 " bytes), process %" PRId64
               " (%" PRId64 " bytes)",
               l->outside_blocks, l->outside_bytes, l->heap_blocks, l->heap_bytes);
    }
    printf("\n");
}

static bool within(int64_t a, int64_t b, int64_t slack)
{
    return a - b <= slack && b - a <= slack;
}

/* NULL where nothing grew from a to b, else what did. */
static const char *grown(const level *a, const level *b)
{
    if (a->values != b->values) {
        return "live OrtValues";
    }
    if (a->blocks != b->blocks) {
        return "blocks out";
    }
    if (a->mapped != b->mapped || a->charged != b->charged) {
        return "mapped bytes";
    }
    if (a->control_blocks != b->control_blocks || a->control_bytes != b->control_bytes) {
        return "control structures";
    }
    if (a->outside_blocks != b->outside_blocks || a->outside_bytes != b->outside_bytes) {
        return "heap outside ONNX Runtime";
    }
    if (!within(a->heap_blocks, b->heap_blocks, HEAP_SLACK_BLOCKS) ||
        !within(a->heap_bytes, b->heap_bytes, HEAP_SLACK_BYTES)) {
        return "heap of the process";
    }
    return NULL;
}

/* The broken variant's encoder run, whose output nobody releases. */
static bool leak_one(bench *b, const ortp_swipe *swipe)
{
    ortp_predictor *p = b->predictors[BATCHED];
    ortp_error error = ORTP_ERROR_INIT;
    size_t length = 0;
    ortp_status status =
        ortp_swipe_features(ortp_predictor_config(p), swipe, b->features, b->keys, &length, &error);
    if (status == ORTP_OK) {
        ortp_encoder_input input = {b->features, b->keys, length};
        status = ortp_model_encode(ortp_predictor_model(p), &input,
                                   &b->unreleased[b->unreleased_count], &error);
    }
    if (status != ORTP_OK) {
        return seed_problem("the broken subject's encoder run", status, &error);
    }
    b->unreleased_count++;
    return true;
}

/* Prediction number i of the sequence described above. */
static bool predict(bench *b, size_t i)
{
    size_t round = i / (2 * b->samples->count);
    size_t at = i / 2 % b->samples->count;
    size_t path = (at + round) % PATHS;
    ortp_prediction prediction = ORTP_PREDICTION_INIT;
    if (!seed_predict(b->predictors[path], &b->samples->items[at].swipe, &prediction)) {
        return false;
    }
    b->hits += prediction.cache_hit;
    ortp_prediction *expected = &b->expected[at * PATHS + path];
    if (expected->points == 0) {
        *expected = prediction;
    } else if (!seed_same_words(expected, &prediction)) {
        printf("  prediction %zu (%s) gives other words than before\n", i,
               b->samples->items[at].word);
        return false;
    }
    return !(b->broken && i % 2 == 0) || leak_one(b, &b->samples->items[at].swipe);
}

static const char *run(bench *b)
{
    size_t total = b->broken ? PREDICTIONS_BROKEN : PREDICTIONS;
    /* Both predictors see every swipe once; after that nothing is new to anyone. */
    bool broken = b->broken;
    b->broken = false;
    for (size_t i = 0; i < 4 * b->samples->count; i++) {
        if (!predict(b, i)) {
            return "a prediction failed";
        }
    }
    b->broken = broken;
    b->hits = 0;
    if (seed_heap_available()) {
        seed_heap_track();
    }
    level first = {0};
    const char *what = NULL;
    for (size_t i = 1; i <= total && !what; i++) {
        if (!predict(b, i - 1)) {
            return "a prediction failed";
        }
        if (i == total / 4) {
            first = read_level(b, i);
            print_level(&first);
        } else if (i == total / 2 || i == total) {
            level now = read_level(b, i);
            print_level(&now);
            what = grown(&first, &now);
        }
    }
    seed_heap heap;
    seed_heap_read(&heap);
    if (!what && heap.kept_overflow) {
        return "the interposer could not follow all blocks";
    }
    if (!what && (b->hits < total / 4 || b->hits > total * 3 / 4)) {
        printf("  %zu cache hits in %zu predictions\n", b->hits, total);
        return "not the mix of hits and misses that was meant";
    }
    return what;
}

static bool open_bench(bench *b, const OrtApi *api)
{
    if (!seed_world_open(&b->world, api, ORTP_POOL_THREAD_CACHED, 0)) {
        return false;
    }
    b->predictors[BATCHED] =
        seed_predictor(&b->world, &(seed_setup){.path = ORTP_PATH_BATCHED, .beam_width = 4});
    b->predictors[SEQUENTIAL] =
        seed_predictor(&b->world, &(seed_setup){.path = ORTP_PATH_SEQUENTIAL, .beam_width = 2});
    if (!b->predictors[BATCHED] || !b->predictors[SEQUENTIAL] ||
        !seed_warm(b->predictors[BATCHED]) || !seed_warm(b->predictors[SEQUENTIAL])) {
        return false;
    }
    size_t points = ortp_predictor_config(b->predictors[BATCHED])->max_points;
    b->expected = calloc(b->samples->count * PATHS, sizeof(*b->expected));
    b->features = calloc(points * ORTP_SWIPE_FEATURES, sizeof(*b->features));
    b->keys = calloc(points, sizeof(*b->keys));
    return b->expected && b->features && b->keys;
}

static bool close_bench(bench *b)
{
    for (size_t i = 0; i < b->unreleased_count; i++) {
        ortp_tensor_release(b->unreleased[i]);
    }
    for (size_t i = 0; i < PATHS; i++) {
        ortp_predictor_destroy(b->predictors[i], NULL);
    }
    free(b->expected);
    free(b->features);
    free(b->keys);
    return seed_world_close(&b->world);
}

int main(int argc, char **argv)
{
    static bench b;
    b.broken = seed_is_broken(argc, argv);
    const OrtApi *api = seed_watch(seed_open_ort());
    seed_samples samples;
    b.samples = &samples;
    if (!seed_heap_learn() || !seed_samples_load(&samples) || !open_bench(&b, api)) {
        return seed_red("could not be set up");
    }
    const char *what = run(&b);
    printf("%zu of the predictions hit the cache\n", b.hits);
    bool closed = close_bench(&b);
    seed_watch_counts watch;
    seed_watch_read(&watch);
    seed_samples_free(&samples);
    if (what) {
        return seed_red("not flat: %s", what);
    }
    if (!closed || watch.live_values != 0) {
        return seed_red("left at the end: %" PRId64 " OrtValues", watch.live_values);
    }
    return seed_green("flat after %zu predictions, nothing left at the end", PREDICTIONS);
}
