/* SPDX-License-Identifier: MIT */
/* The swipes that the benches predict: lines of JSON, as `ortpool predict` reads them. */
#ifndef BENCH_SWIPES_H
#define BENCH_SWIPES_H

#include "swipe_json.h"

#include <ortpool/swipe_features.h>

#define SWIPES_MAX 4096u

typedef struct swipe_set {
    swipe_row rows[SWIPES_MAX];
    size_t count;
} swipe_set;

/* Adds those of a file until there are `most` in all; ends the process where it cannot be read. */
void swipes_add(swipe_set *all, const char *path, size_t most);
/* Borrowed as long as the swipes are there. */
ortp_swipe swipes_get(const swipe_set *all, size_t index);
void swipes_free(swipe_set *all);

#endif
