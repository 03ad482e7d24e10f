/* SPDX-License-Identifier: MIT */
/*
 * The log-softmax, in double, shifted by the largest logit so that no exponential overflows.
 */
#include "decode_internal.h"

#include <math.h>

void ortp__log_softmax(const float *logits, size_t count, double *out)
{
    double largest = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if ((double)logits[i] > largest) {
            largest = (double)logits[i];
        }
    }
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += exp((double)logits[i] - largest);
    }
    const double log_sum = log(sum);
    for (size_t i = 0; i < count; i++) {
        out[i] = (double)logits[i] - largest - log_sum;
    }
}
