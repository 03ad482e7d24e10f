/* SPDX-License-Identifier: MIT */
/* See swipes.h. */
#include "swipes.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>

void swipes_add(swipe_set *all, const char *path, size_t most)
{
    FILE *file = fopen(path, "r");
    char *line = NULL, message[256];
    size_t capacity = 0;
    ssize_t length;
    if (!file) {
        bench_die(path, "cannot be read");
    }
    most = most < SWIPES_MAX ? most : SWIPES_MAX;
    while (all->count < most && (length = getline(&line, &capacity, file)) > 0) {
        if (!swipe_row_parse(&all->rows[all->count++], line, (size_t)length, false, message,
                             sizeof(message))) {
            bench_die(path, message);
        }
    }
    free(line);
    (void)fclose(file);
}

ortp_swipe swipes_get(const swipe_set *all, size_t index)
{
    const swipe_row *row = &all->rows[index];
    return (ortp_swipe){row->x, row->y, row->t, row->count, row->width, row->height};
}

void swipes_free(swipe_set *all)
{
    for (size_t i = 0; i < all->count; i++) {
        swipe_row_free(&all->rows[i]);
    }
}
