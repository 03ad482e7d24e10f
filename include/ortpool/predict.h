/* SPDX-License-Identifier: MIT */
/*
 * libortpool-predict: encoder-decoder models and swipe typing on libortpool's memory. Link ortpool::predict, which
 * brings ortpool::ortpool along. This header includes all others of that library; each of them is the manual of
 * one concept. It includes what they use of ortpool.h, but not all of it.
 *
 *     swipe (x,y,t) -> features -> encoder cache --hit--> lease
 *                                      | miss: encoder run -> put -> lease
 *     lease -> beam search over the lexicon -> words; everything given back
 */
#ifndef ORTPOOL_PREDICT_H
#define ORTPOOL_PREDICT_H

#include <ortpool/decoder.h>
#include <ortpool/lexicon.h>
#include <ortpool/model.h>
#include <ortpool/predictor.h>
#include <ortpool/swipe_features.h>
#include <ortpool/swipe_shape.h>

#endif
