/* SPDX-License-Identifier: MIT */
/* What the rows predict: the swipes of a file, or, for a model without a keyboard, numbers made up by a fixed seed. */
#ifndef ORTPOOL_CLI_BENCH_INPUTS_H
#define ORTPOOL_CLI_BENCH_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "swipe_file.h"
#include "ways/way.h"

#define INPUTS_MAX 4096u

typedef struct input_set {
    size_t count;
    bool keyboard; /* swipes; else made up */
    swipe_file swipes;
    float *features; /* all of them behind each other, max_points rows each */
    int32_t *keys;
    size_t *lengths;
    size_t points, width; /* max_points, features of a point */
} input_set;

/* The manifest of a folder names a layout or a lexicon. false also where it cannot be read. */
bool inputs_keyboard(const char *folder);
/* `most` of them at most, INPUTS_MAX. Ends the process with a message where there is none. */
void inputs_open(input_set *all, const char *folder, const char *swipes, size_t most);
/* `swipe` is room for what the input then points to. */
way_input inputs_get(const input_set *all, size_t index, ortp_swipe *swipe);
void inputs_close(input_set *all);

#endif
