/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <stdio.h>
#include <string.h>

static bool differ(const ortp_candidate *a, const ortp_candidate *b)
{
    return strcmp(a->word, b->word) != 0 || memcmp(&a->score, &b->score, sizeof a->score) != 0;
}

bool words_same(const ortp_prediction *expected, const ortp_prediction *found, char *message,
                size_t capacity)
{
    if (expected->candidate_count != found->candidate_count) {
        snprintf(message, capacity, "%zu candidates, expected %zu", found->candidate_count,
                 expected->candidate_count);
        return false;
    }
    for (size_t i = 0; i < expected->candidate_count; i++) {
        const ortp_candidate *right = &expected->candidates[i];
        const ortp_candidate *got = &found->candidates[i];
        if (differ(right, got)) {
            snprintf(message, capacity, "candidate %zu is '%s' (%.17g), expected '%s' (%.17g)",
                     i + 1, got->word, got->score, right->word, right->score);
            return false;
        }
    }
    return true;
}
