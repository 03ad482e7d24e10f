/* SPDX-License-Identifier: MIT */
/*
 * Two typists on threads of their own, each with its samples; the calling thread looks at the memory and for
 * signals. All is put together when they have ended.
 */
#include "typing.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../interrupt.h"
#include "../percentiles.h"
#include "../progress.h"
#include "../swipe_file.h"
#include "typing_plan.h"

#define SWIPES 300u
#define COMPRESSION 10.0
#define PRESSURES 5u
#define LOOK_MS 100.0
#define NAP_MS 20.0 /* how soon the end is seen */

typedef struct sample {
    double t_ms;
    uint64_t us;
    bool hit;
    ortp_pressure pressure; /* just before */
    double pressure_ms;
} sample;

struct session;

typedef struct typist {
    struct session *session;
    pthread_t thread;
    typing_plan plan;
    size_t limit; /* samples; SIZE_MAX: until the other one ends */
    sample *samples;
    size_t count, capacity, corrections;
    atomic_size_t done; /* as count, for the watcher */
} typist;

typedef struct session {
    ortp_runtime *runtime;
    ortp_predictor *predictor;
    const swipe_row *rows;
    double start; /* seconds_now() */
    atomic_bool ended, failed;
    typist typists[2];
} session;

static double now_ms(const session *s)
{
    return (seconds_now() - s->start) * 1000;
}

static void nap(double ms)
{
    const double bounded = fmin(fmax(ms, 0), NAP_MS);
    nanosleep(&(struct timespec){.tv_nsec = (long)(bounded * 1e6)}, NULL);
}

/* ---- typing ---- */

static void fail(session *s, const char *what)
{
    if (!atomic_exchange(&s->failed, true)) {
        fprintf(stderr, "ortpool bench: typing: %s\n", what);
    }
    atomic_store(&s->ended, true);
}

static sample *add_sample(typist *t)
{
    if (t->count == t->capacity) {
        const size_t capacity = t->capacity == 0 ? 512 : t->capacity * 2;
        sample *samples = realloc(t->samples, capacity * sizeof *samples);
        if (samples == NULL) {
            return NULL;
        }
        t->samples = samples;
        t->capacity = capacity;
    }
    sample *added = &t->samples[t->count];
    *added = (sample){0};
    return added;
}

static bool type(typist *t, const typing_event *event)
{
    session *s = t->session;
    sample *taken = add_sample(t);
    if (taken == NULL) {
        fail(s, "no memory for another sample");
        return false;
    }
    /* Giving memory back happens on the thread that types: who waits for a word waits for that as well. */
    const double start_ms = now_ms(s);
    if (event->pressure != ORTP_PRESSURE_NONE) {
        taken->pressure = event->pressure;
        taken->pressure_ms = start_ms;
        (void)ortp_runtime_relieve(s->runtime, event->pressure, NULL);
    }
    const ortp_swipe swipe = swipe_of(&s->rows[event->row]);
    ortp_prediction words = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    taken->t_ms = now_ms(s);
    if (ortp_predictor_predict(s->predictor, &swipe, NULL, &words, &error) != ORTP_OK) {
        fail(s, error.message);
        return false;
    }
    taken->us = (uint64_t)(1e3 * (now_ms(s) - start_ms));
    taken->hit = words.cache_hit;
    t->corrections += event->correction ? 1 : 0;
    t->count++;
    atomic_store(&t->done, t->count);
    return true;
}

/* Each swipe is due a gap after the one before was due, or at once where that took longer. */
static void *type_all(void *ctx)
{
    typist *t = ctx;
    session *s = t->session;
    double due = 0;
    bool on = true;
    while (on && t->count < t->limit) {
        const typing_event event = typing_next(&t->plan);
        due = fmax(due + event.gap_ms, now_ms(s));
        while (now_ms(s) < due && !atomic_load(&s->ended)) {
            nap(due - now_ms(s));
        }
        on = !atomic_load(&s->ended) && type(t, &event);
    }
    if (t->limit != SIZE_MAX) {
        atomic_store(&s->ended, true);
    }
    return NULL;
}

/* ---- memory ---- */

#define LABELS(X)                                                                                  \
    X(tensors, in_use_tensors)                                                                     \
    X(decode, in_use_decode)                                                                       \
    X(cache, in_use_cache)                                                                         \
    X(run, in_use_run)                                                                             \
    X(weights, in_use_weights)                                                                     \
    X(other, in_use_other)                                                                         \
    X(idle, idle)                                                                                  \
    X(metadata, metadata)

enum {
#define LABEL_INDEX(name, field) LABEL_##name,
    LABELS(LABEL_INDEX)
#undef LABEL_INDEX
        LABEL_COUNT
};

typedef struct memory {
    json_t *t_ms, *labels[LABEL_COUNT], *declared, *resident;
} memory;

static void append(json_t *array, uint64_t value)
{
    (void)json_array_append_new(array, json_integer((json_int_t)value));
}

/* Tenths of a millisecond. */
static json_t *time_of(double ms)
{
    return json_real(floor(ms * 10) / 10);
}

static void look(const session *s, memory *m)
{
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(s->runtime, &stats);
    (void)json_array_append_new(m->t_ms, time_of(now_ms(s)));
#define LOOK(name, field) append(m->labels[LABEL_##name], stats.field);
    LABELS(LOOK)
#undef LOOK
    append(m->declared, stats.declared);
    append(m->resident, stats.process_resident);
}

static memory memory_start(void)
{
    memory m = {.t_ms = json_array(), .declared = json_array(), .resident = json_array()};
    for (size_t i = 0; i < LABEL_COUNT; i++) {
        m.labels[i] = json_array();
    }
    return m;
}

/* Takes what is in `m`. */
static json_t *memory_object(memory *m)
{
    static const char *const names[] = {
#define LABEL_NAME(name, field) #name,
        LABELS(LABEL_NAME)
#undef LABEL_NAME
    };
    json_t *labels = json_array();
    for (size_t i = 0; i < LABEL_COUNT; i++) {
        (void)json_array_append_new(
            labels, json_pack("{s:s,s:o}", "name", names[i], "bytes", m->labels[i]));
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "t_ms", m->t_ms, "labels", labels, "declared",
                     m->declared, "resident", m->resident);
}

/* ---- the object ---- */

/* Both threads' samples by time. */
static json_t *samples_of(const session *s)
{
    const typist *t = s->typists;
    json_t *made = json_array();
    size_t at[2] = {0, 0};
    while (at[0] < t[0].count || at[1] < t[1].count) {
        const bool second =
            at[0] == t[0].count ||
            (at[1] < t[1].count && t[1].samples[at[1]].t_ms < t[0].samples[at[0]].t_ms);
        const sample *next = &t[second].samples[at[second]++];
        (void)json_array_append_new(made,
                                    json_pack("[o,I,i,i]", time_of(next->t_ms),
                                              (json_int_t)next->us, (int)second, (int)next->hit));
    }
    return made;
}

static json_t *pressure_of(const typist *t, json_t *after)
{
    json_t *made = json_array();
    for (size_t i = 0; i < t->count; i++) {
        const sample *s = &t->samples[i];
        if (s->pressure != ORTP_PRESSURE_NONE) {
            const char *name = s->pressure == ORTP_PRESSURE_CRITICAL ? "critical" : "moderate";
            (void)json_array_append_new(made, json_pack("[o,s]", time_of(s->pressure_ms), name));
            append(after, s->us);
        }
    }
    return made;
}

/* NULL: no memory. */
static json_t *object(const session *s, double seconds, memory *m)
{
    percentiles all = {0};
    percentiles hits = {0};
    bool ok = true;
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < s->typists[i].count; k++) {
            const sample *one = &s->typists[i].samples[k];
            ok = ok && percentiles_add(&all, one->us) &&
                 (!one->hit || percentiles_add(&hits, one->us));
        }
    }
    json_t *after = json_array();
    json_t *pressure = pressure_of(&s->typists[0], after);
    json_t *hit_p50 =
        hits.count > 0 ? json_integer((json_int_t)percentiles_get(&hits, 50)) : json_null();
    json_t *made = json_pack(
        "{s:I,s:f,s:i,s:I,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:o}", "swipes",
        (json_int_t)s->typists[0].count, "seconds", seconds, "threads", 2, "corrections",
        (json_int_t)s->typists[0].corrections, "samples", samples_of(s), "pressure", pressure,
        "memory", memory_object(m), "p50_us", (json_int_t)percentiles_get(&all, 50), "p99_us",
        (json_int_t)percentiles_get(&all, 99), "max_us", (json_int_t)percentiles_get(&all, 100),
        "hits", (json_int_t)hits.count, "hit_p50_us", hit_p50, "after_pressure_us", after);
    percentiles_free(&all);
    percentiles_free(&hits);
    if (!ok || made == NULL) {
        json_decref(made);
        fputs("ortpool bench: typing: no memory for the samples\n", stderr);
        return NULL;
    }
    return made;
}

/* ---- the session ---- */

static void watch(session *s, memory *m, const typing_options *options)
{
    double due = 0;
    while (!atomic_load(&s->ended)) {
        nap(due - now_ms(s));
        if (interrupt_signal() != 0) {
            atomic_store(&s->ended, true);
        }
        if (now_ms(s) >= due) {
            look(s, m);
            due = now_ms(s) + LOOK_MS;
            if (options->progress != NULL) {
                options->progress(options->progress_ctx, (double)atomic_load(&s->typists[0].done) /
                                                             (double)s->typists[0].limit);
            }
        }
    }
}

static void start(session *s, const typing_options *options, size_t row_count)
{
    const size_t swipes = options->swipes > 0 ? options->swipes : SWIPES;
    const double compression = options->compression > 0 ? options->compression : COMPRESSION;
    for (size_t i = 0; i < 2; i++) {
        s->typists[i] = (typist){.session = s,
                                 .plan = {.random = options->seed + i,
                                          .compression = compression,
                                          .rows = row_count,
                                          .first = i,
                                          .stride = 2,
                                          .corrects = i == 0},
                                 .limit = i == 0 ? swipes : SIZE_MAX};
    }
    s->typists[0].plan.pressure_every = swipes / PRESSURES;
}

json_t *typing_run(ortp_runtime *runtime, ortp_predictor *predictor, const swipe_row *rows,
                   size_t row_count, const typing_options *options)
{
    session s = {.runtime = runtime, .predictor = predictor, .rows = rows, .start = seconds_now()};
    start(&s, options, row_count);
    memory m = memory_start();
    size_t started = 0;
    while (started < 2 &&
           pthread_create(&s.typists[started].thread, NULL, type_all, &s.typists[started]) == 0) {
        started++;
    }
    if (started < 2) {
        fail(&s, "no thread could be started");
    }
    watch(&s, &m, options);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(s.typists[i].thread, NULL);
    }
    const double seconds = seconds_now() - s.start;
    look(&s, &m);
    json_t *made = object(&s, seconds, &m);
    if (atomic_load(&s.failed) || interrupt_signal() != 0) {
        json_decref(made);
        made = NULL;
    }
    free(s.typists[0].samples);
    free(s.typists[1].samples);
    return made;
}
