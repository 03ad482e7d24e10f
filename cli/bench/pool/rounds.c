/* SPDX-License-Identifier: MIT */
/*
 * See rounds.h. In a round, for each size and case all heaps follow each other, beginning with another one each
 * time, so that what the machine does meanwhile falls on all of them.
 */
#include "rounds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "interrupt.h"
#include "loops.h"
#include "percentiles.h"
#include "progress.h"
#include "sample.h"

#define GROWTH_MAX 64.0
#define COUNT_MAX ((size_t)1 << 28)
#define CALIBRATIONS 3
#define FIRST_COUNT (32 * (size_t)LOOP_LIVE)
#define PICO 1e12

typedef struct cell {
    size_t count;      /* of a sample */
    percentiles times; /* picoseconds of a pair */
    uint64_t pairs;
} cell;

typedef struct run {
    heaps *all;
    const size_t *sizes;
    size_t size_count;
    sampler sampler;
    cell cells[CASES][HEAPS][FIGURES_SIZES_MAX];
    char *message;
    size_t capacity;
} run;

size_t rounds_count(size_t count, double seconds)
{
    const double growth = seconds > 0 ? fmin(ROUNDS_SECONDS / seconds, GROWTH_MAX) : GROWTH_MAX;
    const double wanted = ceil((double)count * growth / LOOP_LIVE) * LOOP_LIVE;
    return wanted < (double)COUNT_MAX ? (size_t)wanted : COUNT_MAX;
}

static bool sample(run *r, bench_case which, heap *h, size_t bytes, size_t count, double *seconds)
{
    const bool well = sample_take(&r->sampler, which, h, bytes, count, seconds);
    if (!well) {
        snprintf(r->message, r->capacity, "%s: a block of %zu bytes could not be had or given back",
                 h->name, bytes);
    }
    return well;
}

/*
 * What blocks of these sizes may take at most of the address space: each heap keeps what was out at once, and an
 * arena doubles. Asked for at once, since ONNX Runtime ends the process where it has none.
 */
static bool has_room(run *r)
{
    size_t bytes = 0;
    for (size_t s = 0; s < r->size_count; s++) {
        bytes += r->sizes[s] * (RING_SLOTS + 2) * HEAPS;
    }
    void *pages = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages != MAP_FAILED) {
        (void)munmap(pages, bytes);
        return true;
    }
    snprintf(r->message, r->capacity,
             "no room for blocks of these sizes: they may take %zu MiB of the address space",
             bytes >> 20);
    return false;
}

/*
 * The least of a few, since a count that a pause made small would measure the clock. Where two threads never run at
 * once the count stays 0, to be tried again.
 */
static bool calibrate(run *r, bench_case which, heap *h, size_t bytes, size_t first, cell *c)
{
    size_t count = first;
    while (interrupt_signal() == 0) {
        double least = INFINITY, seconds;
        for (int i = 0; i < CALIBRATIONS; i++) {
            if (!sample(r, which, h, bytes, count, &seconds)) {
                return false;
            }
            least = fmin(least, seconds);
        }
        if (isinf(least)) {
            return true;
        }
        const size_t before = count;
        count = rounds_count(before, least);
        if (least > ROUNDS_SECONDS / 4 || count == before) {
            c->count = count;
            return true;
        }
    }
    return true;
}

static bool take_samples(run *r, bench_case which, heap *h, size_t bytes, cell *c)
{
    if (c->count == 0) {
        return true;
    }
    for (unsigned i = 0; i < ROUNDS_SAMPLES && interrupt_signal() == 0; i++) {
        double seconds;
        if (!sample(r, which, h, bytes, c->count, &seconds)) {
            return false;
        }
        if (isnan(seconds)) {
            continue;
        }
        if (!percentiles_add(&c->times, (uint64_t)(seconds * PICO / (double)c->count))) {
            snprintf(r->message, r->capacity, "no memory for the samples");
            return false;
        }
        c->pairs += c->count * (which == CASE_TWO_THREADS ? 2 : 1);
    }
    return true;
}

static bool probe(run *r, heap *h, size_t bytes)
{
    h->taken++;
    if (!loop_probe(&h->calls, bytes)) {
        snprintf(r->message, r->capacity, "%s: no block of %zu bytes", h->name, bytes);
        return false;
    }
    return true;
}

/* number 0: the round that is not counted. */
static bool visit(run *r, size_t number, bench_case which, heap_id id, size_t s)
{
    heap *h = &r->all->of[id];
    cell *c = &r->cells[which][id][s];
    const size_t bytes = r->sizes[s];
    if (h->absent[0] != '\0') {
        return true;
    }
    if (number == 0 && which == CASE_PAIR && !probe(r, h, bytes)) {
        return false;
    }
    if (c->count == 0) {
        /* Two threads begin with a quarter of what one does; of a hand-over little is known. */
        const size_t pairs = r->cells[CASE_PAIR][id][s].count;
        const size_t first = which == CASE_TWO_THREADS && pairs > 0
                                 ? rounds_count(pairs, 4 * ROUNDS_SECONDS)
                                 : FIRST_COUNT;
        if (!calibrate(r, which, h, bytes, first, c)) {
            return false;
        }
    }
    return number == 0 || take_samples(r, which, h, bytes, c);
}

static bool round_of(run *r, size_t number, progress *bar, size_t rounds)
{
    for (size_t s = 0; s < r->size_count; s++) {
        char note[48];
        snprintf(note, sizeof(note), "%zu bytes", r->sizes[s]);
        for (bench_case which = 0; which < CASES; which++) {
            const double done = (double)(s * CASES + which) / (double)(r->size_count * CASES);
            progress_update(bar, ((double)number + done) / (double)(rounds + 1), note);
            for (size_t i = 0; i < HEAPS && interrupt_signal() == 0; i++) {
                if (!visit(r, number, which, (heap_id)((number + i) % HEAPS), s)) {
                    return false;
                }
            }
        }
    }
    return heaps_check(r->all, r->message, r->capacity);
}

/* The samples become figures, and are given back. */
static void gather(run *r, figures *out)
{
    for (int which = 0; which < CASES; which++) {
        for (int id = 0; id < HEAPS; id++) {
            for (size_t s = 0; s < r->size_count; s++) {
                cell *c = &r->cells[which][id][s];
                figure *f = &out->of[which][id][s];
                if (c->times.count > 0) {
                    f->min = (double)percentiles_get(&c->times, 0) / 1e3;
                    f->median = (double)percentiles_get(&c->times, 50) / 1e3;
                    f->pairs = c->pairs;
                }
                percentiles_free(&c->times);
            }
        }
    }
}

bool rounds_run(heaps *all, const size_t *sizes, size_t size_count, size_t rounds, bool quiet,
                figures *out, char *message, size_t capacity)
{
    figures_start(out, sizes, size_count);
    run *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        snprintf(message, capacity, "no memory for the samples");
        return false;
    }
    r->all = all;
    r->sizes = sizes;
    r->size_count = size_count;
    r->message = message;
    r->capacity = capacity;
    if (!has_room(r)) {
        free(r);
        return false;
    }
    const int error = crew_open(&r->sampler.crew);
    if (error != 0) {
        snprintf(message, capacity, "no second thread can be started: %s", strerror(error));
        free(r);
        return false;
    }
    progress bar;
    progress_start(&bar, "measuring the pool", 0.5, quiet);
    bool well = true;
    for (size_t number = 0; number <= rounds && well && interrupt_signal() == 0; number++) {
        well = round_of(r, number, &bar, rounds);
    }
    progress_clear(&bar);
    crew_close(&r->sampler.crew);
    gather(r, out);
    out->disturbed = r->sampler.disturbed;
    free(r);
    return well;
}
