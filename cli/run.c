/* SPDX-License-Identifier: MIT */
/*
 * Lines through the jobs: fetching copies a line, a worker parses and predicts it, the result is
 * handed out and counted. Everything a line needs lives in its slot and is used again.
 */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "interrupt.h"
#include "jobs.h"
#include "progress.h"

/* Enough that a slow line does not starve the other threads. */
#define WINDOW_PER_THREAD 4u
/* For memory that other threads' predictions hold; they end in a fraction of that. */
#define PATIENCE_MS 10000u

typedef struct slot {
    line line;
    swipe_row row;
    ortp_prediction prediction;
    bool failed;
    char error[640];
} slot;

typedef struct lines_ctx {
    run *run;
    line_reader *reader;
} lines_ctx;

static bool fetch(void *ctx, void *item)
{
    lines_ctx *c = ctx;
    slot *s = item;
    return line_reader_next(c->reader, &s->line);
}

/* The message is given with its line: "line 3: what". */
static void set_error(slot *s, const char *message)
{
    s->failed = true;
    snprintf(s->error, sizeof(s->error), "line %zu: %s", s->line.number, message);
}

static bool parse(slot *s, bool want_word)
{
    char message[512];
    if (s->line.too_long) {
        (void)swipe_row_parse(&s->row, "", 0, false, message, sizeof(message));
        snprintf(message, sizeof(message), "longer than %zu MB, the limit of a line",
                 LINE_BYTES_MAX >> 20);
    } else if (swipe_row_parse(&s->row, s->line.text, s->line.length, want_word, message,
                               sizeof(message))) {
        return true;
    }
    set_error(s, message);
    return false;
}

/* A number that JSON has no word for is no answer. */
static bool scores_are_finite(const ortp_prediction *p)
{
    for (size_t i = 0; i < p->candidate_count; i++) {
        if (!isfinite(p->candidates[i].score)) {
            return false;
        }
    }
    return true;
}

/*
 * What has no room beside the other threads' predictions waits for one of them to end, until that was of
 * no use once. Only then there is a deadline, which also ends predictions that take long by themselves.
 */
static ortp_status predict(run *r, const ortp_swipe *swipe, ortp_prediction *out, ortp_error *error)
{
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.top = r->options->top;
    ortp_status status = ortp_predictor_predict(r->engine->predictor, swipe, &options, out, error);
    if (status == ORTP_E_BUDGET && r->options->threads > 1 && !atomic_load(&r->impatient)) {
        options.timeout_ms = PATIENCE_MS;
        status = ortp_predictor_predict(r->engine->predictor, swipe, &options, out, error);
        if (status == ORTP_E_TIMEOUT) {
            atomic_store(&r->impatient, true);
        }
    }
    return status;
}

static void work(void *ctx, void *item)
{
    const lines_ctx *c = ctx;
    slot *s = item;
    s->failed = false;
    if (!parse(s, c->run->want_word)) {
        return;
    }
    ortp_swipe swipe = {.x = s->row.x,
                        .y = s->row.y,
                        .t = s->row.t,
                        .count = s->row.count,
                        .width = s->row.width,
                        .height = s->row.height};
    ortp_error error = ORTP_ERROR_INIT;
    s->prediction = (ortp_prediction)ORTP_PREDICTION_INIT;
    ortp_status status = predict(c->run, &swipe, &s->prediction, &error);
    if (status != ORTP_OK) {
        set_error(s, error.message);
    } else if (!scores_are_finite(&s->prediction)) {
        set_error(s, "score is not finite: check the weights in beam of the manifest");
    }
}

static bool emit(void *ctx, void *item)
{
    lines_ctx *c = ctx;
    slot *s = item;
    answer a = {.row = &s->row,
                .prediction = &s->prediction,
                .error = s->failed ? s->error : NULL,
                .line = s->line.number,
                .position = s->line.position};
    c->run->summary.lines++;
    c->run->summary.failed += s->failed ? 1 : 0;
    bool more = c->run->result(c->run->ctx, &a);
    if (!more) {
        interrupt_end_input();
    }
    return more;
}

/* After a signal only what is in progress is answered: a line may take long. */
static bool dropped(void *ctx)
{
    (void)ctx;
    return interrupt_signal() != 0;
}

bool run_open_input(line_reader *reader, const char *name)
{
    if (line_reader_open(reader, name)) {
        return true;
    }
    fprintf(stderr, "ortpool: cannot read '%s': %s\n", name, strerror(reader->error));
    return false;
}

static int exit_code(const run *r, const line_reader *reader)
{
    if (reader->error != 0) {
        fprintf(stderr, "ortpool: reading '%s' failed after line %zu: %s\n", r->options->input,
                reader->number, strerror(reader->error));
        return EXIT_SETUP;
    }
    if (interrupt_signal() != 0) {
        size_t answered = r->summary.lines - r->summary.failed;
        fprintf(stderr, "ortpool: interrupted: %zu line%s answered\n", answered,
                answered == 1 ? "" : "s");
        return 128 + interrupt_signal();
    }
    if (r->summary.lines == 0) {
        fprintf(stderr, "ortpool: no swipes in the input\n");
    }
    return r->summary.failed > 0 ? EXIT_INPUT : EXIT_ANSWERED;
}

int run_lines(run *r, line_reader *reader)
{
    lines_ctx ctx = {.run = r, .reader = reader};
    size_t window = r->options->threads * WINDOW_PER_THREAD;
    slot *slots = calloc(window, sizeof(*slots));
    if (slots == NULL) {
        fprintf(stderr, "ortpool: no memory for %zu lines\n", window);
        return EXIT_SETUP;
    }
    jobs j = {.threads = r->options->threads,
              .window = window,
              .slots = slots,
              .slot_bytes = sizeof(*slots),
              .ctx = &ctx,
              .fetch = fetch,
              .work = work,
              .emit = emit,
              .dropped = dropped};
    double start = seconds_now();
    bool ran = jobs_run(&j);
    r->summary.seconds = fmax(seconds_now() - start, 1e-9); /* to divide by */
    for (size_t i = 0; i < window; i++) {
        line_free(&slots[i].line);
        swipe_row_free(&slots[i].row);
    }
    free(slots);
    if (r->finished != NULL) {
        r->finished(r->ctx);
    }
    if (!ran) {
        fprintf(stderr, "ortpool: no thread could be started\n");
        return EXIT_SETUP;
    }
    return exit_code(r, reader);
}
