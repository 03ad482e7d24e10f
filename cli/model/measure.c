/* SPDX-License-Identifier: MIT */
/* See measure.h. */
#define _GNU_SOURCE 1

#include "measure.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "heap_counts.h"
#include "interrupt.h"
#include "percentiles.h"
#include "process.h"
#include "progress.h"
#include "spawn_self.h"

/* ---- one run ---- */

static void release_outputs(const subject *s, OrtValue **outputs)
{
    for (size_t i = 0; i < s->ports.output_count; i++) {
        if (outputs[i] != NULL) {
            s->api->ReleaseValue(outputs[i]);
            outputs[i] = NULL;
        }
    }
}

/* Type, shape and bytes of a tensor; false: it is something else. */
static bool look_at(const OrtApi *api, OrtValue *value, ortp_type *type, int64_t *shape,
                    size_t *rank, void **data)
{
    int tensor = 0;
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    OrtStatus *status = api->IsTensor(value, &tensor);
    if (status == NULL && tensor != 0) {
        status = api->GetTensorTypeAndShape(value, &info);
    }
    if (status == NULL && info != NULL) {
        status = api->GetTensorElementType(info, &element);
    }
    if (status == NULL && info != NULL) {
        status = api->GetDimensionsCount(info, rank);
    }
    *type = (ortp_type)element;
    bool known =
        status == NULL && info != NULL && ortp_type_bytes(*type) > 0 && *rank <= ORTP_RANK_MAX;
    if (known) {
        status = api->GetDimensions(info, shape, *rank);
        known = status == NULL;
    }
    if (known) {
        status = api->GetTensorMutableData(value, data);
        known = status == NULL;
    }
    if (info != NULL) {
        api->ReleaseTensorTypeAndShapeInfo(info);
    }
    if (status != NULL) {
        api->ReleaseStatus(status);
    }
    return known;
}

/* Names of outputs are anybody's: what a file name must not have becomes '_'. */
static void file_name(const char *directory, const char *name, const char *end, char *path,
                      size_t capacity)
{
    const int length = snprintf(path, capacity, "%s/", directory);
    size_t at = length > 0 ? (size_t)length : 0;
    for (; *name != '\0' && at + 32 < capacity; name++) {
        const bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                           (*name >= '0' && *name <= '9') || strchr("-_.", *name) != NULL;
        path[at++] = plain ? *name : '_';
    }
    snprintf(path + at, capacity - at, "%s.npy", end);
}

/* Where output i goes; of names that come to the same all but the first get their number. */
static void output_path(const char *directory, const model_ports *ports, size_t i, char *path,
                        size_t capacity)
{
    file_name(directory, ports->outputs[i].name, "", path, capacity);
    for (size_t k = 0; k < i; k++) {
        char other[4096], number[24];
        file_name(directory, ports->outputs[k].name, "", other, sizeof(other));
        if (strcmp(path, other) == 0) {
            snprintf(number, sizeof(number), "-%zu", i);
            file_name(directory, ports->outputs[i].name, number, path, capacity);
            return;
        }
    }
}

typedef struct measuring {
    const measure_options *options;
    subject subject;
    feed feed;
    XXH64_hash_t digest; /* of all outputs of all turns */
    bool digested;       /* there is no output that is no tensor of numbers */
    char error[1024];
    bool budget;
} measuring;

static bool take_outputs(measuring *m, OrtValue **outputs, bool save)
{
    const subject *s = &m->subject;
    for (size_t i = 0; i < s->ports.output_count; i++) {
        ortp_type type;
        int64_t shape[ORTP_RANK_MAX];
        size_t rank, bytes;
        void *data;
        if (!look_at(s->api, outputs[i], &type, shape, &rank, &data)) {
            m->digested = false;
            continue;
        }
        bytes = ortp_type_bytes(type);
        for (size_t d = 0; d < rank; d++) {
            bytes *= (size_t)shape[d];
        }
        m->digest = XXH64(shape, rank * sizeof(*shape), m->digest);
        m->digest = XXH64(data, bytes, m->digest);
        if (save) {
            char path[4096];
            output_path(m->options->save_outputs, &s->ports, i, path, sizeof(path));
            if (!npy_write(path, type, shape, rank, data, m->error, sizeof(m->error))) {
                return false;
            }
        }
    }
    return true;
}

/* Every turn twice, untimed: shapes are learned, and where outputs come to lie; outputs are looked at. */
static bool visit_all(measuring *m, double *first_ms, progress *bar)
{
    OrtValue **outputs = calloc(m->subject.ports.output_count + 1, sizeof(*outputs));
    if (outputs == NULL) {
        snprintf(m->error, sizeof(m->error), "no memory for outputs");
        return false;
    }
    bool well = true;
    m->digested = true;
    const size_t turns = m->feed.turn_count;
    for (size_t visit = 0; visit < 2 * turns && well && interrupt_signal() == 0; visit++) {
        const size_t t = visit % turns;
        subject_error error = {0};
        const double start = seconds_now();
        well = subject_run(&m->subject, (const OrtValue *const *)m->feed.turns[t].values,
                           m->feed.names, outputs, false, &error);
        if (visit == 0) {
            *first_ms = 1e3 * (seconds_now() - start);
        }
        if (well && visit < turns) {
            well = take_outputs(m, outputs, t == 0 && m->options->save_outputs != NULL);
        } else if (!well) {
            m->budget = error.budget;
            memcpy(m->error, error.message, sizeof(m->error));
        }
        release_outputs(&m->subject, outputs);
        progress_update(bar, (double)(visit + 1) / (double)(2 * turns), "shapes seen");
    }
    free(outputs);
    return well;
}

/* ---- the timed runs ---- */

typedef struct worker {
    pthread_t thread;
    bool started;
    measuring *m;
    atomic_size_t *next;
    size_t number;
    progress *bar; /* the first one's */
    percentiles times;
    long faults;
    subject_error error;
    bool failed;
} worker;

static long faults_of_thread(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_minflt : 0;
}

static void *work(void *ctx)
{
    worker *w = ctx;
    const measuring *m = w->m;
    OrtValue **outputs = calloc(m->subject.ports.output_count + 1, sizeof(*outputs));
    w->failed = outputs == NULL;
    const size_t repeat = m->options->repeat;
    size_t i = 0;
    while (!w->failed && interrupt_signal() == 0 && (i = atomic_fetch_add(w->next, 1)) < repeat) {
        const feed_turn *turn = &m->feed.turns[i % m->feed.turn_count];
        const long faults = faults_of_thread();
        const double start = seconds_now();
        w->failed = !subject_run(&m->subject, (const OrtValue *const *)turn->values, m->feed.names,
                                 outputs, false, &w->error);
        const double seconds = seconds_now() - start;
        w->faults += faults_of_thread() - faults;
        release_outputs(&m->subject, outputs);
        if (!w->failed) {
            w->failed = !percentiles_add(&w->times, (uint64_t)(seconds * 1e9));
        }
        if (w->bar != NULL) {
            progress_update(w->bar, (double)i / (double)repeat, "runs");
        }
    }
    if (w->failed) { /* nobody needs go on */
        atomic_store(w->next, repeat);
    }
    free(outputs);
    return NULL;
}

typedef struct timing {
    percentiles times;
    double seconds;
    long faults;
    uint64_t heap;
    bool heap_counted;
} timing;

static bool run_all(measuring *m, timing *out, progress *bar)
{
    worker *workers = calloc(m->options->threads, sizeof(*workers));
    if (workers == NULL) {
        snprintf(m->error, sizeof(m->error), "no memory for threads");
        return false;
    }
    atomic_size_t next = 0;
    heap_counts before, after;
    out->heap_counted = heap_counts_read(&before);
    const double start = seconds_now();
    for (size_t i = 0; i < m->options->threads; i++) {
        workers[i] = (worker){.m = m, .next = &next, .number = i, .bar = i == 0 ? bar : NULL};
        if (i > 0) {
            workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
        }
    }
    (void)work(&workers[0]);
    bool well = true;
    for (size_t i = 0; i < m->options->threads; i++) {
        worker *w = &workers[i];
        if (w->started) {
            (void)pthread_join(w->thread, NULL);
        }
    }
    out->seconds = seconds_now() - start;
    (void)heap_counts_read(&after);
    out->heap = after.calls - before.calls;
    for (size_t i = 0; i < m->options->threads; i++) {
        worker *w = &workers[i];
        out->faults += w->faults;
        for (size_t k = 0; k < w->times.count; k++) {
            (void)percentiles_add(&out->times, w->times.values[k]);
        }
        percentiles_free(&w->times);
        if (w->failed && well) {
            well = false;
            m->budget = w->error.budget;
            snprintf(m->error, sizeof(m->error), "%s",
                     w->error.message[0] != '\0' ? w->error.message
                                                 : "no memory to keep the times");
        }
    }
    free(workers);
    return well;
}

/* ---- the figures ---- */

/* What is answered. */
typedef struct row {
    json_t *json;
    bool lost; /* no memory for some of it */
} row;

/* value: the row's from here on; NULL: there was no memory for it. */
static void put(row *out, const char *key, json_t *value)
{
    out->lost = json_object_set_new(out->json, key, value) != 0 || out->lost;
}

static json_t *bytes_or_null(int64_t bytes)
{
    return bytes < 0 ? json_null() : json_integer(bytes);
}

static void put_times(row *out, timing *t, bool counted)
{
    const double runs = t->times.count > 0 ? (double)t->times.count : 1;
    static const struct {
        const char *key;
        double percent;
    } ranks[] = {{"min_ms", 0}, {"p50_ms", 50}, {"p90_ms", 90}, {"p99_ms", 99}, {"max_ms", 100}};
    put(out, "runs", json_integer((json_int_t)t->times.count));
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
        put(out, ranks[i].key,
            t->times.count > 0
                ? json_real((double)percentiles_get(&t->times, ranks[i].percent) / 1e6)
                : json_null());
    }
    put(out, "runs_per_second",
        json_real(t->seconds > 0 ? (double)t->times.count / t->seconds : 0));
    put(out, "faults_per_run", json_real((double)t->faults / runs));
    put(out, "heap_allocations_per_run", counted ? json_real((double)t->heap / runs) : json_null());
}

/* The ledger, after the runs and after trim: what only ortpool can tell. NULL: no memory for it. */
static json_t *ledger_of(const subject *s)
{
    if (s->kind != SUBJECT_ORTPOOL) {
        return json_null();
    }
    ortp_stats stats = ORTP_STATS_INIT;
    char text[8192];
    json_t *out = NULL;
    if (ortp_stats_collect(s->runtime, &stats) == ORTP_OK &&
        ortp_stats_write(&stats, ORTP_STATS_JSON, text, sizeof(text), NULL) == ORTP_OK) {
        out = json_loads(text, 0, NULL);
    }
    return out;
}

static void put_failure(const measuring *m, row *out)
{
    put(out, "error", json_string_nocheck(m->error));
    put(out, "budget", json_boolean(m->budget));
}

static bool can_save(measuring *m)
{
    const char *directory = m->options->save_outputs;
    if (directory == NULL || mkdir(directory, 0777) == 0 || errno == EEXIST) {
        return true;
    }
    snprintf(m->error, sizeof(m->error), "--save-outputs '%s': %s", directory, strerror(errno));
    return false;
}

static void measure_opened(measuring *m, row *out, process_memory before, double load_ms)
{
    progress bar;
    char what[64];
    snprintf(what, sizeof(what), "running (%s)", subject_names[m->subject.kind]);
    progress_start(&bar, what, 0.5, m->options->quiet);
    const process_memory loaded = process_memory_now();
    const bool reset = process_reset_peak();
    double first_ms = 0;
    timing t = {0};
    const bool well = can_save(m) && visit_all(m, &first_ms, &bar) && run_all(m, &t, &bar);
    progress_clear(&bar);
    if (!well) {
        percentiles_free(&t.times);
        put_failure(m, out);
        return;
    }
    put(out, "load_ms", json_real(load_ms));
    put(out, "first_ms", json_real(first_ms));
    put(out, "shapes", json_integer((json_int_t)m->feed.turn_count));
    put(out, "input_bytes", json_integer((json_int_t)m->feed.turns[0].bytes));
    put_times(out, &t, t.heap_counted);
    const char *missing = t.heap_counted ? NULL : spawn_heap_count_missing();
    if (missing != NULL) {
        put(out, "heap_missing", json_string(missing));
    }
    percentiles_free(&t.times);
    const process_memory warm = process_memory_now();
    put(out, "ledger", ledger_of(&m->subject));
    subject_trim(&m->subject, (const OrtValue *const *)m->feed.turns[0].values, m->feed.names);
    const process_memory trimmed = process_memory_now();
    put(out, "ledger_after_trim", ledger_of(&m->subject));
    put(out, "before_bytes", bytes_or_null(before.anonymous));
    put(out, "loaded_bytes", bytes_or_null(loaded.anonymous));
    put(out, "warm_bytes", bytes_or_null(warm.anonymous));
    put(out, "trimmed_bytes", bytes_or_null(trimmed.anonymous));
    const int64_t peak = warm.resident_peak > loaded.resident_peak ? warm.resident_peak
                                                                   : loaded.resident_peak;
    put(out, "resident_peak_bytes", bytes_or_null(peak));
    put(out, "grown_peak_bytes", /* resident memory of the runs: their peak less what the session held */
        reset ? bytes_or_null(warm.resident_peak - loaded.resident) : json_null());
    if (m->subject.kind == SUBJECT_ORTPOOL) {
        ortp_session_info info = ORTP_SESSION_INFO_INIT;
        ortp_session_get_info(m->subject.session, &info);
        put(out, "need_bytes", /* the most that runs asked for at once, weights left out */
            json_integer((json_int_t)(info.live_bytes_peak - m->subject.live_bytes)));
        ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
        ortp_budget_get_info(ortp_runtime_budget(m->subject.runtime), &budget);
        put(out, "charged_peak_bytes", /* of session and runs */
            json_integer((json_int_t)(budget.peak_bytes > m->subject.charged_peak
                                          ? budget.peak_bytes
                                          : m->subject.charged_peak)));
        put(out, "run_peak_bytes", /* the most that was mapped beside the session */
            json_integer((json_int_t)(budget.mapped_peak_bytes - m->subject.mapped_bytes)));
        put(out, "declared_bytes",
            json_integer((json_int_t)ortp_session_declared_bytes(m->subject.session)));
    }
    char digest[32];
    snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)m->digest);
    put(out, "outputs", m->digested ? json_string(digest) : json_null());
    put(out, "interrupted", json_boolean(interrupt_signal() != 0));
}

json_t *measure(const ort_library *library, const measure_options *options)
{
    measuring m = {.options = options};
    row out = {json_object(), false};
    put(&out, "allocator", json_string(subject_names[options->subject.kind]));
    put(&out, "onnxruntime", json_string(library->version));
    const process_memory before = process_memory_now();
    const double start = seconds_now();
    subject_error error;
    if (!subject_open(&m.subject, library, &options->subject, &error)) {
        m.budget = error.budget;
        memcpy(m.error, error.message, sizeof(m.error));
        put_failure(&m, &out);
    } else {
        const double load_ms = 1e3 * (seconds_now() - start);
        if (feed_open(&m.feed, library->api, &m.subject.ports, &options->feed, m.error,
                      sizeof(m.error))) {
            measure_opened(&m, &out, before, load_ms);
        } else {
            put_failure(&m, &out);
        }
        feed_close(&m.feed);
    }
    subject_close(&m.subject);
    if (out.lost) {
        json_decref(out.json);
        return NULL;
    }
    return out.json;
}
