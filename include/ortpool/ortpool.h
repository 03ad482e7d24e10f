/* SPDX-License-Identifier: MIT */
/*
 * libortpool: bounded, pooled, pre-warmed memory for ONNX Runtime. Link ortpool::ortpool. This header
 * includes all others of that library; each of them is the manual of one concept. Encoder-decoder models and
 * swipe typing are in predict.h, which is another library's.
 */
#ifndef ORTPOOL_ORTPOOL_H
#define ORTPOOL_ORTPOOL_H

#include <ortpool/budget.h>
#include <ortpool/encoder_cache.h>
#include <ortpool/log.h>
#include <ortpool/pool.h>
#include <ortpool/runtime.h>
#include <ortpool/session.h>
#include <ortpool/stats.h>
#include <ortpool/status.h>
#include <ortpool/tensor.h>
#include <ortpool/warmup.h>

#endif
