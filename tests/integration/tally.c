/* SPDX-License-Identifier: MIT */
/* See tally.h. */
#include "tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void tally_add(tally *t, const swipe_row *row, const ortp_prediction *got)
{
    for (size_t i = 0; i < got->candidate_count && i < 3; i++) {
        if (strcmp(got->candidates[i].word, row->word) == 0) {
            t->top1 += i == 0 ? 1 : 0;
            t->top3++;
        }
    }
    t->rows++;
    t->microseconds += got->microseconds;
    t->decoder_runs += got->decoder_runs;
}

void tally_print(const tally *t, const char *name)
{
    const double rows = (double)t->rows;
    print_message("%-10s top-1 %.1f %%, top-3 %.1f %% of %zu; %.1f ms and %.1f decoder runs each\n",
                  name, 100.0 * (double)t->top1 / rows, 100.0 * (double)t->top3 / rows, t->rows,
                  (double)t->microseconds / 1000.0 / rows, (double)t->decoder_runs / rows);
}
