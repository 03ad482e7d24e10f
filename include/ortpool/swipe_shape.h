/* SPDX-License-Identifier: MIT */
/*
 * Shape matching: how far a swipe lies from the straight path through a word's keys.
 *
 * A shape is a path as points at equal distances along it, both ends among them, so that time and
 * speed do not count; a path that goes nowhere has all its points in one place. Places and
 * distances are in keys: x in widths of a key from the left edge of the letter area, y in heights
 * of a row from its top. The distance of two shapes is the mean of the distances between points of
 * the same number; neither scale nor place is normalised, so that a word drawn a row too low is one
 * key away from itself. Source: Kristensson and Zhai, "SHARK2: A Large Vocabulary Shorthand Writing
 * System for Pen-based Computers", 2004, proportional shape matching without its normalisation.
 *
 * All pointers are borrowed for the call and none may be NULL; a shape is a plain value of the
 * caller's. Nothing is allocated.
 */
#ifndef ORTPOOL_SWIPE_SHAPE_H
#define ORTPOOL_SWIPE_SHAPE_H

#include <ortpool/swipe_features.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORTP_SWIPE_SHAPE_POINTS 48u

typedef struct ortp_swipe_shape {
    size_t struct_size;
    double x[ORTP_SWIPE_SHAPE_POINTS], y[ORTP_SWIPE_SHAPE_POINTS];
} ortp_swipe_shape;
#define ORTP_SWIPE_SHAPE_INIT ORTP_STRUCT_INIT(ortp_swipe_shape)

/*
 * The shape of a swipe, from its features as ortp_swipe_features() writes them with the same config:
 * [length, ORTP_SWIPE_FEATURES], length at least 1, of which the positions are read. Errors:
 * VERSION (the struct_size of out left 0). Thread-safe: yes.
 */
ORTP_API ortp_status ortp_swipe_shape_of(const ortp_swipe_config *config, const float *features,
                                         size_t length, ortp_swipe_shape *out);
/*
 * How far `shape` is from the straight path through the keys of `word`, 0 or more. Characters that
 * the layout of `config` has no key for are passed over; 0 where none is left. A word of one key is
 * a path that stays there. Thread-safe: yes.
 */
ORTP_API double ortp_swipe_shape_distance(const ortp_swipe_config *config,
                                          const ortp_swipe_shape *shape, const char *word);

#ifdef __cplusplus
}
#endif
#endif
