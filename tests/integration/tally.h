/* SPDX-License-Identifier: MIT */
/*
 * How many predictions had their word, and what they cost.
 */
#ifndef TEST_TALLY_H
#define TEST_TALLY_H

#include "rig.h"

typedef struct tally {
    size_t rows, top1, top3;
    uint64_t microseconds, decoder_runs;
} tally;

void tally_add(tally *t, const swipe_row *row, const ortp_prediction *got);
void tally_print(const tally *t, const char *name);

#endif
