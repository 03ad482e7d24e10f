/* SPDX-License-Identifier: MIT */
/*
 * What a warm model and its predictions take, from the manifest and the sizes of the graphs' files
 * alone: the list of the blocks that warm-up has ready, which the pool itself then adds up.
 */
#include "decode_internal.h"
#include "graph_bytes.h"

#include <string.h>

/* Per bucket: features, keys, mask, encoded, cache key. Once: the length; the decoder's buffers. */
#define NEEDS_MAX (ORTP_BUCKETS_MAX * 5u + 1u + ORTP__BUFFER_COUNT)

typedef struct list {
    ortp_pool_need needs[NEEDS_MAX];
    size_t count;
} list;

static void add(list *l, size_t bytes, size_t count)
{
    if (bytes > 0 && count > 0) {
        l->needs[l->count++] = (ortp_pool_need){.bytes = bytes, .count = count};
    }
}

static size_t product(size_t a, size_t b, size_t c)
{
    return ortp__product(ortp__product(a, b), c);
}

/* The encoder's inputs of `threads` runs; whole numbers, of which the graph decides, as int64. */
static void add_inputs(list *l, const ortp_manifest *m, size_t threads)
{
    for (size_t i = 0; i < m->bucket_count; i++) {
        const size_t source = m->buckets[i];
        add(l, product(source, m->features, sizeof(float)), threads);
        add(l, m->encoder.keys != NULL ? source * sizeof(int64_t) : 0, threads);
        add(l, m->encoder.source_mask != NULL ? source * sizeof(bool) : 0, threads);
    }
    add(l, m->encoder.length != NULL ? sizeof(int64_t) : 0, threads);
}

/*
 * Besides the entries in the table each thread may hold one that was evicted meanwhile and be about
 * to free another; alone it cannot do both. Without a cache each has the one it works on.
 */
static size_t memories(size_t threads, size_t cache_entries)
{
    return cache_entries > 0 ? cache_entries + 2 * threads - 1 : threads;
}

static void add_cache(list *l, const ortp_manifest *m, ortp_path path, size_t threads,
                      size_t cache_entries)
{
    const size_t count = memories(threads, cache_entries);
    for (size_t i = 0; i < m->bucket_count; i++) {
        const size_t source = m->buckets[i];
        ortp__buffer_shape encoded;
        ortp__encoded_shape(m, path, source, &encoded);
        add(l, ortp__buffer_bytes(&encoded), count);
        const size_t row = m->features * sizeof(float) + sizeof(int32_t);
        add(l, ortp__product(source, row) + sizeof(int32_t), cache_entries > 0 ? count : 0);
    }
}

static void add_buffers(list *l, const ortp_manifest *m, ortp_path path, size_t rows, size_t width,
                        size_t threads)
{
    const ortp__buffer_kind kind = {.path = path,
                                    .token_type = ORTP_TYPE_INT64,
                                    .length_type = ORTP_TYPE_INT64,
                                    .weighed = m->ctc_weight > 0.0 ? width : 0};
    ortp__buffer_shape shapes[ORTP__BUFFER_COUNT];
    ortp__buffer_shapes(m, &kind, rows, m->max_points, shapes);
    for (size_t i = 0; i < ORTP__BUFFER_COUNT; i++) {
        add(l, ortp__buffer_bytes(&shapes[i]), threads);
    }
}

static size_t bytes_of(const list *l)
{
    return ortp_pool_warm_bytes(NULL, l->needs, l->count);
}

/* With the weights that the graphs keep in files beside them. */
static ortp_status add_files(const ortp_manifest *m, bool step, ortp_plan *plan, ortp_error *error)
{
    const char *paths[] = {m->encoder_path, step ? m->step_path : m->decoder_path};
    for (size_t i = 0; i < ORTP__COUNT(paths); i++) {
        uint64_t bytes = 0;
        const ortp_status status = ortp__graph_file_bytes(paths[i], &bytes, error);
        if (status != ORTP_OK) {
            return status;
        }
        plan->declared_bytes += (size_t)bytes;
    }
    return ORTP_OK;
}

ortp_status ortp_plan_estimate(const ortp_manifest *manifest, size_t beam_width, ortp_path path,
                               size_t threads, size_t cache_entries, ortp_plan *out,
                               ortp_error *error)
{
    if (manifest == NULL || out == NULL || threads == 0 || beam_width > ORTP_BEAM_MAX ||
        !ortp__path_known(path)) {
        return ortp__fail(
            error, ORTP_E_INVAL,
            "plan: a manifest, a path, at least 1 thread and at most %u beams are needed",
            ORTP_BEAM_MAX);
    }
    ortp_status status = ortp__out_check(out);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "plan: out without struct_size");
    }
    ortp_plan plan = ORTP_PLAN_INIT;
    (void)ortp__out_fill(out, &plan, sizeof plan); /* zero after a failure, too */
    if (path == ORTP_PATH_INCREMENTAL && manifest->step_path == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "%s: graphs.decoder_step: none, expected for the incremental path",
                          manifest->path);
    }
    const bool step =
        path == ORTP_PATH_INCREMENTAL || (path == ORTP_PATH_AUTO && manifest->step_path != NULL);
    status = add_files(manifest, step, &plan, error);
    if (status != ORTP_OK) {
        return status;
    }
    const size_t width = beam_width > 0 ? beam_width : manifest->beam_width;
    const size_t rows = path == ORTP_PATH_SEQUENTIAL ? 1 : width;
    const ortp_path runs = step ? ORTP_PATH_INCREMENTAL : ORTP_PATH_BATCHED;
    const bool countable = threads <= SIZE_MAX / 4 && cache_entries <= SIZE_MAX / 4;
    list l = {.count = 0};
    size_t sum = SIZE_MAX;
    if (countable) {
        /* Each part is what it adds to those before it, since they share slabs. */
        add_inputs(&l, manifest, threads);
        plan.tensor_bytes = bytes_of(&l);
        add_cache(&l, manifest, runs, threads, cache_entries);
        plan.cache_bytes = bytes_of(&l) - plan.tensor_bytes;
        add_buffers(&l, manifest, runs, rows, width, threads);
        sum = bytes_of(&l);
        plan.decode_bytes = sum - plan.cache_bytes - plan.tensor_bytes;
    }
    if (sum > SIZE_MAX - plan.declared_bytes) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "plan: %zu threads and %zu cache entries need more than can be addressed",
                          threads, cache_entries);
    }
    plan.total_bytes = plan.declared_bytes + sum;
    return ortp__out_fill(out, &plan, sizeof plan);
}
