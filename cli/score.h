/* SPDX-License-Identifier: MIT */
/* Counts of an evaluation: how often the word was first, among three, among five. */
#ifndef ORTPOOL_CLI_SCORE_H
#define ORTPOOL_CLI_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include <ortpool/predictor.h>

/* rows counts failed ones too: they are wrong. */
typedef struct tally {
    size_t rows, top1, top3, top5;
} tally;

typedef enum length_class {
    LENGTH_1_3 = 0,
    LENGTH_4_6 = 1,
    LENGTH_7_UP = 2,
} length_class;
#define LENGTH_CLASSES 3

typedef struct score {
    tally all;
    tally by_length[LENGTH_CLASSES];
    tally in_lexicon, out_of_lexicon;
    size_t failed;
} score;

/* "1-3", "4-6", "7+". */
const char *score_length_name(length_class class);
/* Counts one row. word: NULL where the line had none (it counts as failed, in `all` only). */
void score_add(score *s, const char *word, bool known, const ortp_prediction *prediction);

#endif
