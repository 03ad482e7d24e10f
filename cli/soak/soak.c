/* SPDX-License-Identifier: MIT */
/*
 * The watcher: starts the threads, takes checkpoints in even steps of the run, ends it.
 */
#include "soak.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../interrupt.h"
#include "worker.h"

#define WATCH_MS 100u
#define CHECKPOINT_SECONDS 0.2 /* at least, between two */
#define PATIENCE_SECONDS 60.0
#define DEADLINE_SECONDS 4.0 /* more than the longest that a worker gives a prediction */
#define SHOW_SECONDS 0.25
#define WHAT_COLUMNS 7u /* of the live line: "soak  " and one that stays free */
#define MIB 1048576.0

bool soak_start(soak *s, const engine *e, const swipe_file *swipes, const soak_options *options)
{
    *s = (soak){
        .runtime = e->runtime, .predictor = e->predictor, .swipes = swipes, .options = *options};
    if (s->options.patience_seconds <= 0) {
        s->options.patience_seconds = PATIENCE_SECONDS;
    }
    s->reference = calloc(swipes->count, sizeof *s->reference);
    if (s->reference == NULL || !gate_start(&s->gate)) {
        fputs("ortpool soak: no memory\n", stderr);
        free(s->reference);
        s->reference = NULL;
        return false;
    }
    failures_start(&s->failures);
    record_start(&s->record, seconds_now());
    s->chaos = (chaos){.runtime = s->runtime,
                       .predictor = s->predictor,
                       .gate = &s->gate,
                       .failures = &s->failures,
                       .limit = options->budget,
                       .plan = {.random = options->seed}};
    return true;
}

void soak_free(soak *s)
{
    if (s->reference != NULL) {
        free(s->reference);
        gate_destroy(&s->gate);
        failures_end(&s->failures);
        record_end(&s->record);
        s->reference = NULL;
    }
}

static bool start_thread(soak *s, pthread_t *thread, void *(*run)(void *), void *ctx)
{
    gate_join(&s->gate);
    if (pthread_create(thread, NULL, run, ctx) == 0) {
        return true;
    }
    gate_leave(&s->gate);
    return false;
}

static void end_threads(soak *s)
{
    gate_end(&s->gate);
    for (size_t i = 0; i < s->started; i++) {
        (void)pthread_join(s->workers[i].thread, NULL);
    }
    if (s->chaos_started) {
        (void)pthread_join(s->chaos_thread, NULL);
    }
}

/* All or none: with fewer it would be another run than was asked for. */
static bool start_threads(soak *s)
{
    bool ok = start_thread(s, &s->chaos_thread, chaos_run, &s->chaos);
    s->chaos_started = ok;
    for (size_t i = 0; ok && i < s->options.threads; i++) {
        s->workers[i] = (soak_worker){.soak = s,
                                      .random = s->options.seed + (i + 1) * 1000003u,
                                      .last = i % s->swipes->count,
                                      .refused = SIZE_MAX};
        ok = start_thread(s, &s->workers[i].thread, worker_run, &s->workers[i]);
        s->started += ok ? 1 : 0;
    }
    if (!ok) {
        end_threads(s);
    }
    return ok;
}

/* How much of the run is done, 0 to 1. */
static double fraction(const soak *s, uint64_t predictions, double now)
{
    double done = 0;
    if (s->options.predictions > 0) {
        done = (double)predictions / (double)s->options.predictions;
    }
    if (s->options.seconds > 0) {
        done = fmax(done, (now - s->start) / s->options.seconds);
    }
    return fmin(done, 1);
}

/*
 * All threads held, no pressure: what was refused succeeds, the ledger adds up, figures are taken. False: a
 * thread does not come.
 */
static bool quiet_point(soak *s)
{
    const double now = seconds_now();
    const double patience = s->options.patience_seconds + DEADLINE_SECONDS;
    if (!gate_close(&s->gate, (unsigned)(patience * 1000))) {
        failures_add(&s->failures,
                     "a thread does not end its prediction, trim or warm-up within %.0f s",
                     patience);
        return false;
    }
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(s->runtime), &budget);
    limit_watch_check(&s->chaos.watch, &budget, &s->failures);
    workers_recover(s);
    if (s->checkpoint_count < SOAK_CHECKPOINTS) {
        checkpoint *c = &s->checkpoints[s->checkpoint_count++];
        const record_counts counts = record_get(&s->record, NULL);
        c->seconds = now - s->start;
        c->predictions = counts.right + counts.wrong;
        checkpoint_take(c, s->runtime, s->predictor, &s->failures);
    }
    const double end = seconds_now();
    s->paused += end - now;
    record_paused(&s->record, end);
    return true;
}

/* Columns of the terminal, so that the line stays one. */
static size_t columns(void)
{
    struct winsize size = {0};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

static void show(soak *s, double done, double now)
{
    if (!s->bar.on || (s->bar.shown && now - s->bar.last < SHOW_SECONDS)) {
        return;
    }
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(s->runtime, &stats);
    const record_counts counts = record_get(&s->record, NULL);
    const record_recent recent = record_get_recent(&s->record, now);
    char note[160];
    snprintf(note, sizeof note,
             "%.0f %%  %llu, %.0f/s, p50 %.1f p99 %.1f ms, %.1f mapped %.1f MiB resident, "
             "%llu refused",
             100 * done, (unsigned long long)(counts.right + counts.wrong), recent.rate,
             (double)recent.p50 / 1000, (double)recent.p99 / 1000, (double)stats.mapped / MIB,
             (double)stats.process_resident / MIB,
             (unsigned long long)(counts.refused_budget + counts.refused_deadline));
    const size_t room = columns();
    if (room > WHAT_COLUMNS && room - WHAT_COLUMNS < sizeof note) {
        note[room - WHAT_COLUMNS] = '\0';
    }
    progress_update(&s->bar, -1, note);
}

static bool hopeless(soak *s, double now)
{
    double last_words;
    (void)record_get(&s->record, &last_words);
    if (now - last_words < s->options.patience_seconds) {
        return false;
    }
    failures_add(&s->failures, "no prediction succeeded for %.0f seconds", now - last_words);
    return true;
}

static void watch(soak *s)
{
    const double steps = SOAK_CHECKPOINTS;
    double last = s->start;
    double due = 1; /* of the steps */
    bool on = true;
    while (on) {
        const double each = (double)s->options.predictions / steps;
        atomic_store(&s->next_checkpoint,
                     each > 0 ? (uint64_t)fmax(ceil(each * due), 1) : UINT64_MAX);
        gate_wait(&s->gate, WATCH_MS);
        const double now = seconds_now();
        const record_counts counts = record_get(&s->record, NULL);
        const double done = fraction(s, counts.right + counts.wrong, now);
        s->enough = done >= 1;
        on = !s->enough && interrupt_signal() == 0 && !hopeless(s, now);
        show(s, done, now);
        if (!on || (done * steps >= due && now - last >= CHECKPOINT_SECONDS)) {
            s->stuck = !quiet_point(s);
            on = on && !s->stuck;
            due = floor(done * steps) + 1;
            last = seconds_now();
            if (on) {
                gate_open(&s->gate);
            }
        }
    }
}

bool soak_run(soak *s)
{
    progress_start(&s->bar, "soak", 0, s->options.quiet);
    s->start = seconds_now();
    record_paused(&s->record, s->start);
    (void)limit_watch_start(&s->chaos.watch, ortp_runtime_budget(s->runtime), s->options.budget);
    if (!start_threads(s)) {
        fprintf(stderr, "ortpool soak: %zu threads could not be started\n", s->options.threads + 1);
        return false;
    }
    watch(s);
    if (!s->stuck) {
        end_threads(s);
    }
    s->seconds = seconds_now() - s->start;
    progress_clear(&s->bar);
    return true;
}

static growth judge(soak *s, const char *what, bool heap)
{
    uint64_t values[SOAK_CHECKPOINTS];
    for (size_t i = 0; i < s->checkpoint_count; i++) {
        values[i] = heap ? s->checkpoints[i].heap : s->checkpoints[i].mapped;
    }
    const growth g = growth_judge(values, s->checkpoint_count,
                                  heap ? SOAK_HEAP_ALLOWANCE : SOAK_MAPPED_ALLOWANCE);
    if (g.grown) {
        failures_add(&s->failures, "%s grew from %llu to %llu bytes", what,
                     (unsigned long long)g.first, (unsigned long long)g.last);
    }
    return g;
}

static void destroy(soak *s, engine *e)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_predictor_destroy(e->predictor, &error);
    if (status != ORTP_OK) {
        failures_add(&s->failures, "the predictor does not end: %s", error.message);
        return; /* engine_close() tries once more */
    }
    e->predictor = NULL;
    (void)ortp_runtime_trim(e->runtime, ORTP_UNLIMITED, NULL);
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(e->runtime, &stats);
    ledger_check_empty(&stats, &s->failures);
    /* The budget with it, which takes nothing charged but itself. */
    status = ortp_runtime_destroy(e->runtime, &error);
    if (status == ORTP_OK) {
        e->runtime = NULL;
    } else {
        failures_add(&s->failures, "at the end: %s", error.message);
    }
}

bool soak_finish(soak *s, engine *e)
{
    if (!s->stuck) {
        destroy(s, e);
    }
    s->mapped = judge(s, "what ortpool maps", false);
    s->heap = judge(s, "the heap", true);
    const record_counts counts = record_get(&s->record, NULL);
    if (counts.right == 0 && (s->enough || counts.refused_budget + counts.refused_deadline > 0)) {
        failures_add(&s->failures, "no prediction gave the right words");
    }
    return s->failures.count == 0;
}
