/* SPDX-License-Identifier: MIT */
/*
 * ortpool: bounded, pooled, pre-warmed memory for ONNX Runtime. This header includes all others;
 * each of them is the manual of one concept.
 */
#ifndef ORTPOOL_ORTPOOL_H
#define ORTPOOL_ORTPOOL_H

#include <ortpool/budget.h>
#include <ortpool/decoder.h>
#include <ortpool/encoder_cache.h>
#include <ortpool/log.h>
#include <ortpool/model.h>
#include <ortpool/pool.h>
#include <ortpool/runtime.h>
#include <ortpool/session.h>
#include <ortpool/stats.h>
#include <ortpool/status.h>
#include <ortpool/tensor.h>
#include <ortpool/warmup.h>

#endif
