/* SPDX-License-Identifier: MIT */
/*
 * Swipe typing, the reference workload: keyboard layout, features, shapes, lexicon,
 * predictor. Link ortpool::swipe. Not part of ortpool.h, since it is one use of the library.
 *
 *     swipe (x,y,t) -> features -> encoder cache --hit--> lease
 *                                      | miss: encoder run -> put -> lease
 *     lease -> beam search over the lexicon -> words; everything given back
 */
#ifndef ORTPOOL_SWIPE_H
#define ORTPOOL_SWIPE_H

#include <ortpool/lexicon.h>
#include <ortpool/predictor.h>
#include <ortpool/swipe_features.h>
#include <ortpool/swipe_shape.h>

#endif
