/* SPDX-License-Identifier: MIT */
/* Every row counts in `all`, in one class of length and in one of the lexicon's two. */
#include "score.h"

#include <string.h>

#include "text.h"

const char *score_length_name(length_class class)
{
    static const char *const names[LENGTH_CLASSES] = {"1-3", "4-6", "7+"};
    return names[class];
}

/* 0 is the first candidate; SIZE_MAX: not among them. */
static size_t rank_of(const char *word, const ortp_prediction *p)
{
    for (size_t i = 0; p != NULL && i < p->candidate_count; i++) {
        if (strcmp(word, p->candidates[i].word) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void count(tally *t, size_t rank)
{
    t->rows++;
    t->top1 += rank < 1;
    t->top3 += rank < 3;
    t->top5 += rank < 5;
}

void score_add(score *s, const char *word, bool known, const ortp_prediction *prediction)
{
    s->failed += prediction == NULL;
    size_t rank = word == NULL ? SIZE_MAX : rank_of(word, prediction);
    count(&s->all, rank);
    if (word == NULL) {
        return;
    }
    size_t length = text_points(word);
    count(&s->by_length[length <= 3 ? LENGTH_1_3 : length <= 6 ? LENGTH_4_6 : LENGTH_7_UP], rank);
    count(known ? &s->in_lexicon : &s->out_of_lexicon, rank);
}
