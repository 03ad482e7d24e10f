/* SPDX-License-Identifier: MIT */
/* See row.h. */
#include "row.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <malloc.h>

#include "child.h"
#include "commands.h"
#include "heap_counts.h"
#include "inputs.h"
#include "process.h"
#include "rows.h"
#include "support.h"
#include "text.h"
#include "ways/timed_api.h"

#define TOP 3u /* candidates */

/* Counters as they stand, or what a round added to them. */
typedef struct tally {
    heap_counts heap;
    timed_counts timed;
    long faults;
} tally;

/* What a swipe gave the first time. */
typedef struct answer {
    ortp_candidate candidates[TOP];
    size_t count;
} answer;

typedef struct row {
    const row_options *options;
    const row_kind *kind; /* NULL: the noise floor */
    bool counts_heap;
    input_set inputs;
    answer *answers;
    double *us;
    way *way;
    size_t hits, other_words;
} row;

/* ---- one prediction ---- */

static tally tally_now(const row *r)
{
    tally now = {.timed = timed_api_read(), .faults = process_minor_faults()};
    if (r->counts_heap) {
        (void)heap_counts_read(&now.heap);
    }
    return now;
}

static double predict(row *r, size_t index, ortp_prediction *out)
{
    ortp_swipe swipe;
    const way_input input = inputs_get(&r->inputs, index, &swipe);
    memset(out, 0, sizeof(*out)); /* its pages are there before anything is counted */
    out->struct_size = sizeof(*out);
    const double start = bench_now_us();
    r->way->predict(r->way, &input, out);
    return bench_now_us() - start;
}

static void keep_answer(row *r, size_t index, const ortp_prediction *p)
{
    answer *a = &r->answers[index];
    a->count = p->candidate_count < TOP ? p->candidate_count : TOP;
    memcpy(a->candidates, p->candidates, a->count * sizeof(a->candidates[0]));
}

static void compare_answer(row *r, size_t index, const ortp_prediction *p)
{
    const answer *a = &r->answers[index];
    bool same = (p->candidate_count < TOP ? p->candidate_count : TOP) == a->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(p->candidates[i].word, a->candidates[i].word) == 0;
    }
    r->other_words += !same;
    r->hits += p->cache_hit;
}

/* ---- lines ---- */

static void write_answer(const answer *a)
{
    fputc('[', stdout);
    for (size_t i = 0; i < a->count; i++) {
        printf("%s[", i > 0 ? "," : "");
        text_put_json(stdout, a->candidates[i].word);
        printf(",%.6f]", a->candidates[i].score);
    }
    fputc(']', stdout);
}

static void end_line(void)
{
    fputs("}\n", stdout);
    fflush(stdout);
}

static void write_u64(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

static void write_times(const double *us, size_t count)
{
    printf("{\"us\":[");
    for (size_t i = 0; i < count; i++) {
        printf("%s%.1f", i > 0 ? "," : "", us[i]);
    }
    fputc(']', stdout);
}

/* What a round added up to, and what the process holds after it. */
static void write_counts(const row *r, const tally *sum, const way_taken *before)
{
    const timed_runs *encoder = &sum->timed.encoder, *decoder = &sum->timed.decoder;
    const way_taken taken = r->way->taken(r->way);
    const process_memory memory = process_memory_now();
    printf(",\"encoder_us\":%.1f,\"decoder_us\":%.1f", encoder->us, decoder->us);
    write_u64("encoder_runs", encoder->runs);
    write_u64("decoder_runs", decoder->runs);
    write_u64("hits", r->hits);
    write_u64("other_words", r->other_words);
    write_u64("faults", (uint64_t)sum->faults);
    write_u64("tensors", sum->timed.tensors + taken.tensors - before->tensors);
    write_u64("mappings", taken.mappings - before->mappings);
    write_u64("mapped", taken.mapped);
    write_u64("mapped_peak", taken.mapped_peak);
    const struct mallinfo2 heap = mallinfo2();
    write_u64("heap_in_use", heap.uordblks + heap.hblkhd);
    printf(",\"anonymous\":%lld,\"resident_peak\":%lld", (long long)memory.anonymous,
           (long long)memory.resident_peak);
    if (r->counts_heap) {
        write_u64("heap_calls", sum->heap.calls);
        write_u64("heap_bytes", sum->heap.bytes);
        write_u64("aligned_new", sum->heap.aligned_new);
        write_u64("encoder_heap_calls", encoder->heap_calls);
        write_u64("encoder_heap_bytes", encoder->heap_bytes);
        write_u64("decoder_heap_calls", decoder->heap_calls);
        write_u64("decoder_heap_bytes", decoder->heap_bytes);
    }
    end_line();
}

/* ---- what is asked for ---- */

static void first_time(row *r, const char *ort, double load_us, double warm_us)
{
    static ortp_prediction out = ORTP_PREDICTION_INIT;
    const size_t count = r->inputs.count;
    double first_us = 0;
    for (size_t k = 0; k < (r->options->once ? 1 : count); k++) {
        const size_t i = (r->options->first + k) % count;
        const double us = predict(r, i, &out);
        keep_answer(r, i, &out);
        first_us = k == 0 ? us : first_us;
    }
    printf("{\"ort\":\"%s\",\"load_us\":%.1f,\"warm_us\":%.1f,\"first_us\":%.1f,\"words\":[", ort,
           load_us, warm_us, first_us);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? "," : "", stdout);
        write_answer(&r->answers[i]);
    }
    fputc(']', stdout);
    end_line();
}

static void add(tally *sum, const tally *from, const tally *to)
{
    sum->heap.calls += to->heap.calls - from->heap.calls;
    sum->heap.bytes += to->heap.bytes - from->heap.bytes;
    sum->heap.aligned_new += to->heap.aligned_new - from->heap.aligned_new;
    sum->faults += to->faults - from->faults;
    sum->timed.tensors += to->timed.tensors - from->timed.tensors;
    const timed_runs *a[] = {&from->timed.encoder, &from->timed.decoder};
    const timed_runs *b[] = {&to->timed.encoder, &to->timed.decoder};
    timed_runs *into[] = {&sum->timed.encoder, &sum->timed.decoder};
    for (int i = 0; i < 2; i++) {
        into[i]->us += b[i]->us - a[i]->us;
        into[i]->runs += b[i]->runs - a[i]->runs;
        into[i]->heap_calls += b[i]->heap_calls - a[i]->heap_calls;
        into[i]->heap_bytes += b[i]->heap_bytes - a[i]->heap_bytes;
    }
}

static void round_of(row *r)
{
    static ortp_prediction out = ORTP_PREDICTION_INIT;
    tally sum = {0};
    const way_taken taken = r->way->taken(r->way);
    r->hits = r->other_words = 0;
    for (size_t i = 0; i < r->inputs.count; i++) {
        if (r->kind != NULL && r->kind->cached) {
            (void)predict(r, i, &out); /* puts it into the cache */
        }
        const tally before = tally_now(r);
        r->us[i] = predict(r, i, &out);
        const tally after = tally_now(r);
        add(&sum, &before, &after);
        compare_answer(r, i, &out);
    }
    write_times(r->us, r->inputs.count);
    write_counts(r, &sum, &taken);
}

static void tail_of(row *r, size_t index, size_t count)
{
    static ortp_prediction out = ORTP_PREDICTION_INIT;
    (void)predict(r, index,
                  &out); /* brings back what other processes took from the processor's caches */
    for (size_t i = 0; i < count; i++) {
        r->us[i] = predict(r, index, &out);
    }
    write_times(r->us, count);
    end_line();
}

/* A call that does nothing and that nothing else makes. */
static void mark(void)
{
    (void)madvise(NULL, 0, MADV_NORMAL);
    fputc('{', stdout);
    end_line();
}

static void serve(row *r)
{
    char line[64];
    size_t index, count;
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (strcmp(line, "round\n") == 0) {
            round_of(r);
        } else if (strcmp(line, "mark\n") == 0) {
            mark();
        } else if (sscanf(line, "tail %zu %zu\n", &index, &count) == 2 && index < r->inputs.count &&
                   count <= INPUTS_MAX) {
            tail_of(r, index, count);
        } else {
            bench_die("a row's process", "was told what it does not know");
        }
    }
}

int row_serve(const row_options *options)
{
    static row r;
    char message[2048];
    ort_library library;
    heap_counts ignored;
    child_begin();
    r.options = options;
    r.kind = row_kind_find(options->name);
    r.counts_heap = heap_counts_read(&ignored);
    inputs_open(&r.inputs, options->folder, options->swipes,
                options->most > 0 ? options->most : INPUTS_MAX);
    r.answers = calloc(INPUTS_MAX, sizeof(*r.answers));
    r.us = calloc(INPUTS_MAX, sizeof(*r.us));
    if (r.answers == NULL || r.us == NULL) {
        bench_die(options->name, "no memory for the answers");
    }
    if (!ort_library_open(&library, message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    way_setup setup = {.directory = options->folder,
                       .beam_width = options->beam,
                       .ort_version = library.version,
                       .keyboard = r.inputs.keyboard};
    setup.api = timed_api(&library, &setup.api_version, r.counts_heap);
    if (options->preloaded &&
        dlsym(RTLD_DEFAULT, "mi_version") == NULL) {
        bench_die(options->name, "libmimalloc was not preloaded");
    }
    const double start = bench_now_us();
    r.way = row_open(options->name, &setup, options->spin_us);
    const double opened = bench_now_us();
    if (r.way->warm != NULL && !options->cold) {
        r.way->warm(r.way);
    }
    first_time(&r, library.version, opened - start, bench_now_us() - opened);
    serve(&r);
    r.way->close(r.way);
    inputs_close(&r.inputs);
    free(r.answers);
    free(r.us);
    return EXIT_ANSWERED;
}
