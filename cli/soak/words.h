/* SPDX-License-Identifier: MIT */
/* Whether a prediction is the one that was made without pressure. */
#ifndef ORTPOOL_CLI_SOAK_WORDS_H
#define ORTPOOL_CLI_SOAK_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <ortpool/predictor.h>

/*
 * The same words in the same order with the same scores, bit for bit: path, width and shapes are the same, so
 * ONNX Runtime computes the same. False: the first difference in `message`.
 */
bool words_same(const ortp_prediction *expected, const ortp_prediction *found, char *message,
                size_t capacity);

#endif
