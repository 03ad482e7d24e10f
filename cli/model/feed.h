/* SPDX-License-Identifier: MIT */
/*
 * What a model is fed with: data of files, or seeded random numbers of the shapes asked for; for each of
 * a number of turns, in which shapes may vary.
 */
#ifndef ORTPOOL_CLI_MODEL_FEED_H
#define ORTPOOL_CLI_MODEL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "npy.h"
#include "ports.h"

#define FEED_TURNS_MAX 256u

/* As on the command line. */
typedef struct feed_wishes {
    const char *const *shapes; /* "name=1,3,224,224" */
    size_t shape_count;
    const char *const *files; /* "name=FILE.npy" */
    size_t file_count;
    const char *const *varied; /* "name:axis=a..b", "name:axis=a..b/step" */
    size_t varied_count;
    uint64_t seed;
} feed_wishes;

/* Inputs of one turn: values over buffers of the feed's own, so that filling them costs a run nothing. */
typedef struct feed_turn {
    OrtValue **values; /* one for each input */
    void **buffers;
    size_t bytes;
    int64_t (*shapes)[ORTP_RANK_MAX];
} feed_turn;

typedef struct feed {
    const OrtApi *api;
    const model_ports *ports;
    const char **names;
    feed_turn *turns; /* each of other shapes; 1 where nothing varies */
    size_t turn_count;
} feed;

/* false: `message` (lines separated by newlines) says what is missing or wrong. feed_close() after both. */
bool feed_open(feed *out, const OrtApi *api, const model_ports *ports, const feed_wishes *wishes,
               char *message, size_t message_bytes);
void feed_close(feed *f);

#endif
