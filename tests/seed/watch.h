/* SPDX-License-Identifier: MIT */
/*
 * A watched OrtApi: a copy of the real table in which the Create* and Bind* calls that a prediction
 * may make tell the interposer that they are under way, and count values made and released.
 *
 * The copy ends with the members of API version 18, all that ortpool uses; later ones are NULL, so
 * that a use of one is a crash and not a silent gap in the count.
 */
#ifndef SEED_WATCH_H
#define SEED_WATCH_H

#include <onnxruntime_c_api.h>

/* One per process; the same table on every call with the same api. */
const OrtApi *seed_watch(const OrtApi *api);

typedef struct seed_watch_counts {
    uint64_t tensors_created; /* CreateTensor* and CreateValue that succeeded */
    uint64_t calls;           /* Create* and Bind* calls, those included */
    int64_t live_values; /* created here minus released: all of a caller that passes its outputs */
} seed_watch_counts;

void seed_watch_read(seed_watch_counts *out);

#endif
