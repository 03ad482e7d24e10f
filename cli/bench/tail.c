/* SPDX-License-Identifier: MIT */
/*
 * The far end of the distribution: one swipe predicted again and again by ortpool's rows in turns, and beside them a
 * loop of equal length, so that what the machine adds is seen. It is the swipe that takes least: what disturbs it weighs
 * most there.
 */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

#include "intervals.h"
#include "support.h"

#define CHUNK 100u /* predictions in a row, before another row's turn */

static double *room(size_t count)
{
    double *us = calloc(count, sizeof(*us));
    if (us == NULL) {
        bench_die("the tail", "no memory left");
    }
    return us;
}

/* Medians over rounds, by swipe; the least of them. */
static size_t quickest_swipe(const collected_row *row, double *its_us)
{
    const size_t rounds = json_array_size(row->rounds);
    const size_t swipes = json_array_size(json_object_get(json_array_get(row->rounds, 0), "us"));
    double *of_round = room(rounds);
    size_t found = 0;
    for (size_t i = 0; i < swipes; i++) {
        for (size_t r = 0; r < rounds; r++) {
            const json_t *us = json_object_get(json_array_get(row->rounds, r), "us");
            of_round[r] = json_number_value(json_array_get(us, i));
        }
        const double median = interval_median(of_round, rounds).value;
        if (i == 0 || median < *its_us) {
            found = i;
            *its_us = median;
        }
    }
    free(of_round);
    return found;
}

static bool tail_chunk(row_process *process, size_t swipe, size_t count, double *us)
{
    char line[64];
    snprintf(line, sizeof(line), "tail %zu %zu\n", swipe, count);
    json_t *answer = row_process_ask(process, line);
    const json_t *list = json_object_get(answer, "us");
    for (size_t i = 0; i < count && list != NULL; i++) {
        us[i] = json_number_value(json_array_get(list, i));
    }
    const bool whole = json_array_size(list) == count;
    json_decref(answer);
    return whole;
}

static bool has_tail(const collected_row *row)
{
    return row->kind->own && !row->kind->cached;
}

static bool tail_turns(collection *c, row_process *spin)
{
    const size_t tail = c->options->tail;
    for (size_t done = 0; done < tail; done += CHUNK) {
        const size_t count = tail - done < CHUNK ? tail - done : CHUNK;
        if (!collection_step(c, "tail", ROW_SPIN) ||
            !tail_chunk(spin, 0, count, c->spin_tail_us + done)) {
            return false;
        }
        for (size_t i = 0; i < c->count; i++) {
            collected_row *row = &c->rows[i];
            if (has_tail(row) &&
                (!collection_step(c, "tail", row->kind->name) ||
                 !tail_chunk(&row->process, c->tail_swipe, count, row->tail_us + done))) {
                return false;
            }
        }
    }
    return true;
}

bool tail_rows(collection *c)
{
    const collected_row *measure = NULL; /* whose time the loop has */
    for (size_t i = 0; i < c->count; i++) {
        collected_row *row = &c->rows[i];
        if (c->options->tail > 0 && has_tail(row)) {
            row->tail_us = room(c->options->tail);
            if (measure == NULL || strcmp(row->kind->name, ROW_INCREMENTAL) == 0) {
                measure = row;
            }
        }
    }
    if (measure == NULL) {
        return true;
    }
    row_options options;
    row_process spin;
    c->tail_swipe = quickest_swipe(measure, &c->spin_us);
    c->spin_tail_us = room(c->options->tail);
    collection_row_options(c, measure->kind, &options);
    options.name = ROW_SPIN;
    options.spin_us = c->spin_us;
    if (!row_process_start(&spin, &options, NULL)) {
        return false;
    }
    json_t *first = row_process_ask(&spin, NULL);
    const bool well = first != NULL && tail_turns(c, &spin);
    json_decref(first);
    return row_process_end(&spin, !well) && well;
}
