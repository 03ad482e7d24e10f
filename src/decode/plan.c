/* SPDX-License-Identifier: MIT */
/*
 * What a warm model and its predictions take, from the manifest and the sizes of the graphs' files
 * alone: the list of the blocks that warm-up has ready, which the pool itself then adds up.
 */
#include "decode_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Per bucket: features, keys, mask, memory, cache key. Once: the length; the decoder's buffers. */
#define NEEDS_MAX (ORTP_BUCKETS_MAX * 5u + 1u + ORTP__BUFFER_COUNT)

typedef struct list {
    ortp_pool_need needs[NEEDS_MAX];
    size_t count;
} list;

/* The bytes of a file; false, with errno, where it cannot be opened or has no size. */
static bool file_bytes(const char *path, size_t *out)
{
    FILE *file = ortp__file_open(path);
    if (file == NULL) {
        return false;
    }
    const long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    (void)fclose(file);
    *out = size >= 0 ? (size_t)size : 0;
    return size >= 0;
}

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

static void add_cache(list *l, const ortp_manifest *m, size_t threads, size_t cache_entries)
{
    const size_t count = memories(threads, cache_entries);
    for (size_t i = 0; i < m->bucket_count; i++) {
        const size_t source = m->buckets[i];
        add(l, product(source, m->hidden, sizeof(float)), count);
        const size_t row = m->features * sizeof(float) + sizeof(int32_t);
        add(l, ortp__product(source, row) + sizeof(int32_t), cache_entries > 0 ? count : 0);
    }
}

static void add_buffers(list *l, const ortp_manifest *m, size_t rows, size_t threads)
{
    ortp__buffer_shape shapes[ORTP__BUFFER_COUNT];
    ortp__buffer_shapes(m, ORTP_TYPE_INT64, ORTP_TYPE_INT64, rows, m->max_points, shapes);
    for (size_t i = 0; i < ORTP__BUFFER_COUNT; i++) {
        add(l, ortp__buffer_bytes(&shapes[i]), threads);
    }
}

static size_t bytes_of(const list *l)
{
    return ortp_pool_warm_bytes(NULL, l->needs, l->count);
}

static ortp_status add_files(const ortp_manifest *m, ortp_plan *plan, ortp_error *error)
{
    const char *paths[] = {m->encoder_path, m->decoder_path};
    for (size_t i = 0; i < ORTP__COUNT(paths); i++) {
        size_t bytes = 0;
        if (!file_bytes(paths[i], &bytes)) {
            char reason[ORTP__ERRNO_BYTES];
            const int number = errno;
            return ortp__fail(error, ortp__open_status(number), "%s: cannot be opened: %s",
                              paths[i], ortp__errno_text(number, reason));
        }
        plan->declared_bytes += bytes;
    }
    return ORTP_OK;
}

ortp_status ortp_plan_estimate(const ortp_manifest *manifest, size_t beam_width, ortp_path path,
                               size_t threads, size_t cache_entries, ortp_plan *out,
                               ortp_error *error)
{
    if (manifest == NULL || out == NULL || threads == 0 || beam_width > ORTP_BEAM_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "plan: a manifest, at least 1 thread and at most %u beams are needed",
                          ORTP_BEAM_MAX);
    }
    memset(out, 0, sizeof *out);
    ortp_plan plan = {0};
    const ortp_status status = add_files(manifest, &plan, error);
    if (status != ORTP_OK) {
        return status;
    }
    const size_t width = beam_width > 0 ? beam_width : manifest->beam_width;
    const size_t rows = path == ORTP_PATH_BATCHED ? width : 1;
    const bool countable = threads <= SIZE_MAX / 4 && cache_entries <= SIZE_MAX / 4;
    list l = {.count = 0};
    size_t sum = SIZE_MAX;
    if (countable) {
        /* Each part is what it adds to those before it, since they share slabs. */
        add_inputs(&l, manifest, threads);
        plan.tensor_bytes = bytes_of(&l);
        add_cache(&l, manifest, threads, cache_entries);
        plan.cache_bytes = bytes_of(&l) - plan.tensor_bytes;
        add_buffers(&l, manifest, rows, threads);
        sum = bytes_of(&l);
        plan.decode_bytes = sum - plan.cache_bytes - plan.tensor_bytes;
    }
    if (sum > SIZE_MAX - plan.declared_bytes) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "plan: %zu threads and %zu cache entries need more than can be addressed",
                          threads, cache_entries);
    }
    plan.total_bytes = plan.declared_bytes + sum;
    *out = plan;
    return ORTP_OK;
}
