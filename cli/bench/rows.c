/* SPDX-License-Identifier: MIT */
/* See rows.h. */
#include "rows.h"

#include <string.h>

#include "support.h"

#define INT8 ROW_MODEL_INT8
#define USUAL ROW_MODEL_USUAL

const row_kind row_kinds[] = {
    {.name = "naive-usual", .title = "naive, usual export", .model = USUAL},
    {.name = ROW_NAIVE, .title = "naive"},
    {.name = "well-used-usual", .title = "ORT well used, usual export", .model = USUAL},
    {.name = ROW_WELL_USED, .title = "ORT well used"},
    {.name = "no-arena", .title = "ORT well used, arena off"},
    {.name = "mimalloc", .title = "ORT well used, arena off, mimalloc", .mimalloc = true},
    {.name = "sequential", .title = "ortpool, sequential", .own = true},
    {.name = ROW_BATCHED, .title = "ortpool, batched", .own = true},
    {.name = ROW_INCREMENTAL, .title = "ortpool, incremental", .own = true},
    {.name = "int8", .title = "ortpool, incremental, int8", .model = INT8, .own = true},
    {.name = "hits", .title = "ortpool, encoder cache hits", .own = true, .cached = true},
};
const size_t row_kind_count = sizeof(row_kinds) / sizeof(row_kinds[0]);

static bool is(const char *name, const char *other)
{
    return strcmp(name, other) == 0;
}

const row_kind *row_kind_find(const char *name)
{
    for (size_t i = 0; i < row_kind_count; i++) {
        if (is(row_kinds[i].name, name)) {
            return &row_kinds[i];
        }
    }
    return NULL;
}

static way *own(const way_setup *setup, ortp_path path)
{
    return setup->keyboard ? pooled_open(setup, path, false) : pooled_model_open(setup, path);
}

way *row_open(const char *name, way_setup *setup, double spin_us)
{
    setup->no_arena = is(name, "no-arena") || is(name, "mimalloc");
    if (is(name, ROW_SPIN)) {
        return spin_open(spin_us);
    }
    if (strncmp(name, "naive", strlen("naive")) == 0) {
        return usual_open(setup);
    }
    if (is(name, "sequential")) {
        return own(setup, ORTP_PATH_SEQUENTIAL);
    }
    if (is(name, ROW_BATCHED)) {
        return own(setup, ORTP_PATH_BATCHED);
    }
    if (is(name, ROW_INCREMENTAL) || is(name, "int8")) {
        return own(setup, ORTP_PATH_INCREMENTAL);
    }
    if (is(name, "hits")) {
        return pooled_open(setup, ORTP_PATH_AUTO, true);
    }
    return well_used_open(setup);
}
