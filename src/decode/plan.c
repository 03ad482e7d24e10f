/* SPDX-License-Identifier: MIT */
/*
 * What predictions will take, from the manifest and the sizes of the graphs' files alone. Blocks
 * are counted as the pool rounds them, with its default alignment.
 */
#include "classes.h"
#include "decode_internal.h"

#include <stdio.h>
#include <string.h>

/* The bytes of a file; false where it cannot be opened or has no size. */
static bool file_bytes(const char *path, size_t *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    const long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    (void)fclose(file);
    *out = size >= 0 ? (size_t)size : 0;
    return size >= 0;
}

static size_t footprint(const ortp__classes *classes, size_t bytes)
{
    ortp__size size;
    if (bytes == 0 || !ortp__classes_resolve(classes, bytes, &size)) {
        return bytes;
    }
    return size.small ? classes->strides[size.index] : size.mapping;
}

/* The encoder's inputs for one run; ports whose width the graph decides count as the narrow one. */
static size_t encoder_inputs(const ortp__classes *classes, const ortp_manifest *m, size_t source)
{
    size_t bytes = footprint(classes, source * m->features * sizeof(float));
    if (m->encoder.keys != NULL) {
        bytes += footprint(classes, source * sizeof(int32_t));
    }
    if (m->encoder.length != NULL) {
        bytes += footprint(classes, sizeof(int32_t));
    }
    if (m->encoder.source_mask != NULL) {
        bytes += footprint(classes, source * sizeof(bool));
    }
    return bytes;
}

static size_t cache_key(const ortp__classes *classes, const ortp_manifest *m, size_t source)
{
    const size_t keys = m->encoder.keys != NULL ? source * sizeof(int32_t) : 0;
    return footprint(classes, source * m->features * sizeof(float) + keys);
}

static size_t decoder_buffers(const ortp__classes *classes, const ortp_manifest *m, size_t rows,
                              size_t source)
{
    ortp__buffer_shape shapes[ORTP__BUFFER_COUNT];
    ortp__buffer_shapes(m, ORTP_TYPE_INT32, ORTP_TYPE_INT32, rows, source, shapes);
    size_t bytes = 0;
    for (size_t i = 0; i < ORTP__BUFFER_COUNT; i++) {
        bytes += footprint(classes, ortp__buffer_bytes(&shapes[i]));
    }
    return bytes;
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
    const char *paths[] = {manifest->encoder_path, manifest->decoder_path};
    ortp_plan plan = {0};
    for (size_t i = 0; i < ORTP__COUNT(paths); i++) {
        size_t bytes = 0;
        if (!file_bytes(paths[i], &bytes)) {
            return ortp__fail(error, ORTP_E_NOTFOUND, "%s: cannot be opened", paths[i]);
        }
        plan.declared_bytes += bytes;
    }
    ortp__classes classes;
    ortp__classes_init(&classes, 64, ortp__page_size());
    const size_t source = manifest->max_points;
    const size_t width = beam_width > 0 ? beam_width : manifest->beam_width;
    const size_t rows = path == ORTP_PATH_BATCHED ? width : 1;
    const size_t memory = footprint(&classes, source * manifest->hidden * sizeof(float));
    plan.tensor_bytes = threads * encoder_inputs(&classes, manifest, source);
    plan.cache_bytes =
        (cache_entries + threads) * memory + cache_entries * cache_key(&classes, manifest, source);
    plan.decode_bytes = threads * decoder_buffers(&classes, manifest, rows, source);
    plan.total_bytes =
        plan.declared_bytes + plan.tensor_bytes + plan.cache_bytes + plan.decode_bytes;
    *out = plan;
    return ORTP_OK;
}
