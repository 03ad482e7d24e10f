/* SPDX-License-Identifier: MIT */
/* Numbers that follow from a seed alone, on every machine. */
#ifndef ORTPOOL_CLI_RANDOM_H
#define ORTPOOL_CLI_RANDOM_H

#include <stdint.h>

/* The next 64 bits; *state is the seed at first. */
uint64_t random_next(uint64_t *state);
/* 0 to below 1. */
double random_unit(uint64_t *state);
/* Its logarithm is normal: half of all values are below `median`, two in three within a factor of exp(sigma). */
double random_log_normal(uint64_t *state, double median, double sigma);

#endif
