/* SPDX-License-Identifier: MIT */
/* See figures.h. */
#include "figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PAIR_MAX 2.0
#define THREADS_MAX 1.15

const char *const case_names[CASES] = {"pair", "two-threads", "hand-over", "live-16"};
const char *const case_titles[CASES] = {
    "one thread acquires and releases (a second one alive, asleep); contents not touched",
    "two threads, blocks of their own, not touched; a pair of the slower thread",
    "one thread acquires, the other releases, through a ring of 32; per block",
    "16 blocks live, last in first out, the first line of each written",
};

void figures_start(figures *f, const size_t *sizes, size_t count)
{
    *f = (figures){.size_count = count};
    memcpy(f->sizes, sizes, count * sizeof(*sizes));
    for (int c = 0; c < CASES; c++) {
        for (int h = 0; h < HEAPS; h++) {
            for (size_t s = 0; s < FIGURES_SIZES_MAX; s++) {
                f->of[c][h][s].min = f->of[c][h][s].median = NAN;
            }
        }
    }
}

double figures_slowdown(const figures *f, heap_id id, size_t size)
{
    return f->of[CASE_TWO_THREADS][id][size].median / f->of[CASE_PAIR][id][size].median;
}

static bool small(const figures *f, size_t size)
{
    return f->sizes[size] < FIGURES_SMALL_MAX;
}

/* By the least of the samples, which is the code's cost; the machine's share is in the median. */
static void judge_pair(const figures *f, verdict *out)
{
    double worst = 0, worst_median = 0;
    size_t at = 0;
    bool whole = true;
    for (size_t s = 0; s < f->size_count; s++) {
        const figure *own = &f->of[CASE_PAIR][HEAP_POOL_A][s];
        const figure *floor = &f->of[CASE_PAIR][HEAP_FLOOR][s];
        whole = whole && !(small(f, s) && isnan(own->min / floor->min));
        if (small(f, s) && own->min / floor->min > worst) { /* false for NAN */
            worst = own->min / floor->min;
            worst_median = own->median / floor->median;
            at = s;
        }
    }
    out->figure = "pool A under 64 KB, a pair against the empty calls";
    out->wanted = "at most 2x";
    out->holds = worst > PAIR_MAX ? 0 : worst > 0 && whole ? 1 : -1;
    if (worst > 0) {
        snprintf(out->reached, sizeof(out->reached),
                 "at most %.2fx: %.1f against %.1f ns at %zu B (medians %.2fx)", worst,
                 f->of[CASE_PAIR][HEAP_POOL_A][at].min, f->of[CASE_PAIR][HEAP_FLOOR][at].min,
                 f->sizes[at], worst_median);
    }
}

/*
 * By medians: the least of the samples is the one in which the threads met least. Where the empty calls
 * slow down as well, the machine had no two processors to give, and only more than that counts against the pool.
 * Each size by itself: one that is missed is not hidden by one where the machine failed.
 */
static int judge_size(const figures *f, size_t s)
{
    const double slowdown = figures_slowdown(f, HEAP_POOL_A, s);
    const double floor = figures_slowdown(f, HEAP_FLOOR, s);
    if (isnan(slowdown) || isnan(floor)) {
        return -1;
    }
    return slowdown <= THREADS_MAX ? 1 : slowdown > THREADS_MAX * fmax(floor, 1) ? 0 : -1;
}

static void judge_threads(const figures *f, verdict *out)
{
    size_t at = f->size_count, small_sizes = 0;
    int all = 1;
    for (size_t s = 0; s < f->size_count; s++) {
        if (!small(f, s)) {
            continue;
        }
        const int holds = judge_size(f, s);
        small_sizes++;
        all = holds == 0 || all == 0 ? 0 : holds < all ? holds : all;
        const double slowdown = figures_slowdown(f, HEAP_POOL_A, s);
        const double shown = at < f->size_count ? figures_slowdown(f, HEAP_POOL_A, at) : 0;
        const bool shown_missed = at < f->size_count && judge_size(f, at) == 0;
        /* The worst of those that are missed, else the worst. */
        if (!isnan(slowdown) && !isnan(figures_slowdown(f, HEAP_FLOOR, s)) &&
            (holds == 0) >= shown_missed && (slowdown > shown || (holds == 0 && !shown_missed))) {
            at = s;
        }
    }
    out->figure = "pool A under 64 KB, two threads against one";
    out->wanted = "at most 1.15x";
    out->holds = at < f->size_count && small_sizes > 0 ? all : -1;
    if (at < f->size_count) {
        snprintf(out->reached, sizeof(out->reached),
                 "at most %.3fx: %.1f against %.1f ns at %zu B; empty calls %.3fx (medians)",
                 figures_slowdown(f, HEAP_POOL_A, at),
                 f->of[CASE_TWO_THREADS][HEAP_POOL_A][at].median,
                 f->of[CASE_PAIR][HEAP_POOL_A][at].median, f->sizes[at],
                 figures_slowdown(f, HEAP_FLOOR, at));
    }
}

/* Faster is: by the least of the samples and by the median. */
static void judge_mimalloc(const figures *f, heap_id id, bool large_only, verdict *out)
{
    char slower[160] = "";
    size_t compared = 0, lost = 0, length = 0;
    double least = INFINITY;
    for (size_t s = 0; s < f->size_count; s++) {
        const figure *own = &f->of[CASE_PAIR][id][s];
        const figure *theirs = &f->of[CASE_PAIR][HEAP_MIMALLOC][s];
        if ((large_only && small(f, s)) || isnan(own->min) || isnan(theirs->min)) {
            continue;
        }
        const double times = fmin(theirs->min / own->min, theirs->median / own->median);
        compared++;
        least = fmin(least, times);
        if (times <= 1) {
            lost++;
            length += (size_t)snprintf(slower + length, sizeof(slower) - length, "%s%zu",
                                       lost > 1 ? ", " : "", f->sizes[s]);
            length = length < sizeof(slower) ? length : sizeof(slower) - 1;
        }
    }
    out->wanted = "faster than mimalloc at each size";
    out->holds = compared > 0 ? lost == 0 : -1;
    if (compared > 0 && lost == 0) {
        snprintf(out->reached, sizeof(out->reached), "at least %.2f times as fast at %zu sizes",
                 least, compared);
    } else if (compared > 0) {
        snprintf(out->reached, sizeof(out->reached), "not at %zu of %zu sizes: %s B", lost,
                 compared, slower);
    }
}

void figures_judge(const figures *f, verdict out[VERDICTS])
{
    for (size_t i = 0; i < VERDICTS; i++) {
        out[i] = (verdict){.reached = "not measured"};
    }
    judge_pair(f, &out[0]);
    judge_threads(f, &out[1]);
    out[2].figure = "pool B, a pair";
    judge_mimalloc(f, HEAP_POOL_B, false, &out[2]);
    out[3].figure = "pool A from 64 KB, a pair";
    judge_mimalloc(f, HEAP_POOL_A, true, &out[3]);
}
