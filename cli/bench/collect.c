/* SPDX-License-Identifier: MIT */
/* See collect.h. */
#include "collect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "support.h"
#include "tail.h"
#include "trace.h"

/* ---- steps ---- */

static size_t own_rows(const collect_options *o)
{
    size_t count = 0;
    for (size_t i = 0; i < o->row_count; i++) {
        count += o->rows[i]->own && !o->rows[i]->cached;
    }
    return count;
}

/* Weighed alike, which is near enough for a bar. */
static size_t count_steps(const collect_options *o)
{
    const size_t own = own_rows(o), counting = 3, tracing = 3;
    return o->row_count * (counting + tracing + o->starts + o->rounds + 2) + own * o->starts +
           o->tail / 100 * (own + 1) + 1;
}

/* What is preloaded into a row's process; a count of the heap stands in front of it. */
static row_about about_of(const collection *c, const row_kind *kind, bool count_heap)
{
    return (row_about){.count_heap = count_heap,
                       .preload = kind->mimalloc && !count_heap ? c->options->mimalloc : NULL};
}

/* ---- allocations ---- */

/* A process in which a round was predicted before the one that is counted. */
static json_t *count_row(collection *c, const row_kind *kind)
{
    row_options options;
    row_process process;
    const row_about about = about_of(c, kind, true);
    collection_row_options(c, kind, &options);
    if (!row_process_start(&process, &options, &about)) {
        return NULL;
    }
    json_t *first = row_process_ask(&process, NULL);
    json_t *before = first != NULL ? row_process_ask(&process, "round\n") : NULL;
    json_t *counted = before != NULL ? row_process_ask(&process, "round\n") : NULL;
    json_decref(first);
    json_decref(before);
    if (!row_process_end(&process, counted == NULL)) {
        json_decref(counted);
        return NULL;
    }
    return counted;
}

static bool count_all(collection *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!collection_step(c, "counting", c->rows[i].kind->name)) {
            return false;
        }
        c->rows[i].counted = count_row(c, c->rows[i].kind);
        if (c->rows[i].counted == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- starts ---- */

static bool start_once(collection *c, const row_kind *kind, size_t swipe, bool cold, json_t *into)
{
    row_options options;
    row_process process;
    const row_about about = about_of(c, kind, false);
    collection_row_options(c, kind, &options);
    options.first = swipe;
    options.once = true;
    options.cold = cold;
    if (!row_process_start(&process, &options, &about)) {
        return false;
    }
    json_t *first = row_process_ask(&process, NULL);
    const bool ended = row_process_end(&process, first == NULL);
    if (first == NULL || !ended) {
        json_decref(first);
        return false;
    }
    bench_put(first, "swipe", json_integer((json_int_t)swipe));
    (void)json_object_del(first, "words");
    bench_append(into, first);
    return true;
}

/* Each start of a row predicts another swipe. */
static bool start_all(collection *c)
{
    const size_t swipes = json_array_size(json_object_get(c->rows[0].counted, "us"));
    for (size_t s = 0; s < c->options->starts; s++) {
        for (size_t i = 0; i < c->count; i++) {
            collected_row *row = &c->rows[i];
            if (row->kind->cached) {
                continue;
            }
            if (!collection_step(c, "starting", row->kind->name) ||
                !start_once(c, row->kind, s % swipes, true, row->cold) ||
                (row->kind->own && !start_once(c, row->kind, s % swipes, false, row->warm))) {
                return false;
            }
        }
    }
    return true;
}

/* ---- times ---- */

static bool open_all(collection *c)
{
    for (size_t i = 0; i < c->count; i++) {
        collected_row *row = &c->rows[i];
        row_options options;
        const row_about about = about_of(c, row->kind, false);
        collection_row_options(c, row->kind, &options);
        if (!collection_step(c, "opening", row->kind->name) ||
            !row_process_start(&row->process, &options, &about)) {
            return false;
        }
        row->first = row_process_ask(&row->process, NULL);
        if (row->first == NULL) {
            (void)row_process_end(&row->process, true);
            return false;
        }
    }
    return true;
}

/* All rows one after the other, each round beginning with another; the first round is not kept. */
static bool time_all(collection *c)
{
    for (size_t round = 0; round <= c->options->rounds; round++) {
        for (size_t k = 0; k < c->count; k++) {
            collected_row *row = &c->rows[(round + k) % c->count];
            if (!collection_step(c, round == 0 ? "warming up" : "timing", row->kind->name)) {
                return false;
            }
            json_t *answer = row_process_ask(&row->process, "round\n");
            if (answer == NULL) {
                return false;
            }
            if (round == 0) {
                json_decref(answer);
            } else {
                bench_append(row->rounds, answer);
            }
        }
    }
    return true;
}

static bool end_all(collection *c)
{
    bool well = true;
    for (size_t i = 0; i < c->count; i++) {
        well = row_process_end(&c->rows[i].process, false) && well;
    }
    return well;
}

/* After a signal or a row's end: the rounds that every row has. false: there is none. */
static bool keep_whole_rounds(collection *c)
{
    size_t whole = c->options->rounds;
    for (size_t i = 0; i < c->count; i++) {
        const size_t rounds = json_array_size(c->rows[i].rounds);
        whole = rounds < whole ? rounds : whole;
    }
    for (size_t i = 0; i < c->count; i++) {
        collected_row *row = &c->rows[i];
        while (json_array_size(row->rounds) > whole) {
            (void)json_array_remove(row->rounds, whole);
        }
        free(row->tail_us); /* not all of it was measured */
        row->tail_us = NULL;
    }
    free(c->spin_tail_us);
    c->spin_tail_us = NULL;
    return whole > 0;
}

/* ---- all of it ---- */

bool collect(const collect_options *options, collection *out)
{
    *out = (collection){.options = options, .count = options->row_count};
    for (size_t i = 0; i < options->row_count; i++) {
        out->rows[i] = (collected_row){.kind = options->rows[i],
                                       .rounds = bench_json(json_array()),
                                       .cold = bench_json(json_array()),
                                       .warm = bench_json(json_array()),
                                       .memory_calls = NAN};
    }
    out->total = count_steps(options);
    progress_start(&out->bar, "benchmarking", 0.3, false); /* on a terminal only */
    /* What takes processes of its own comes first; then the timed ones live, and no others. */
    bool well = count_all(out) && trace_rows(out) && start_all(out) && open_all(out) &&
                time_all(out) && tail_rows(out) && end_all(out);
    progress_clear(&out->bar);
    if (!well) {
        out->cut_short = true;
        well = keep_whole_rounds(out);
    }
    return well;
}
