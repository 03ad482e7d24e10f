/* SPDX-License-Identifier: MIT */
/* See collection.h. */
#include "collection.h"

#include <stdio.h>
#include <stdlib.h>

#include "interrupt.h"

bool collection_step(collection *c, const char *what, const char *row)
{
    char note[96];
    snprintf(note, sizeof(note), "%s: %s", what, row);
    progress_update(&c->bar, (double)c->done / (double)c->total, note);
    c->done++;
    return interrupt_signal() == 0;
}

void collection_row_options(const collection *c, const row_kind *kind, row_options *out)
{
    const collect_options *o = c->options;
    *out = (row_options){.name = kind->name,
                         .folder = o->folders[kind->model],
                         .swipes = o->swipes,
                         .most = o->most,
                         .beam = o->beam};
}

void collection_free(collection *c)
{
    for (size_t i = 0; i < c->count; i++) {
        collected_row *row = &c->rows[i];
        (void)row_process_end(&row->process, true);
        json_decref(row->first);
        json_decref(row->counted);
        json_decref(row->rounds);
        json_decref(row->cold);
        json_decref(row->warm);
        free(row->tail_us);
    }
    free(c->spin_tail_us);
    *c = (collection){0};
}
