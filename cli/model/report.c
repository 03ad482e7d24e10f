/* SPDX-License-Identifier: MIT */
/* See report.h. */
#include "report.h"

#include <stdbool.h>
#include <string.h>

#include "size.h"
#include "text.h"

#define MIB 1048576.0
#define LABEL_COLUMNS 30

/* A figure by its path, "ledger.idle"; false where it is not there or null. */
static bool figure(const json_t *row, const char *path, double *value)
{
    const json_t *at = row;
    char key[64];
    for (const char *from = path; at != NULL && *from != '\0';) {
        const size_t length = strcspn(from, ".");
        snprintf(key, sizeof(key), "%.*s", (int)length, from);
        at = json_object_get(at, key);
        from += length + (from[length] == '.' ? 1 : 0);
    }
    if (!json_is_number(at)) {
        return false;
    }
    *value = json_number_value(at);
    return true;
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text != NULL ? text : "";
}

static const json_t *row_of(const json_t *const *rows, size_t count, const char *allocator)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text_of(rows[i], "allocator"), allocator) == 0) {
            return rows[i];
        }
    }
    return NULL;
}

typedef enum unit { MILLISECONDS, NUMBER, MEBIBYTES } unit;

static const struct {
    const char *label, *path, *less; /* less: another figure that is taken off */
    unit unit;
} lines[] = {
    {"loading", "load_ms", NULL, MILLISECONDS},
    {"first run", "first_ms", NULL, MILLISECONDS},
    {"a run: p50", "p50_ms", NULL, MILLISECONDS},
    {"       p90", "p90_ms", NULL, MILLISECONDS},
    {"       p99", "p99_ms", NULL, MILLISECONDS},
    {"runs per second", "runs_per_second", NULL, NUMBER},
    {"page faults per run", "faults_per_run", NULL, NUMBER},
    {"heap allocations per run", "heap_allocations_per_run", NULL, NUMBER},
    {"the session holds", "loaded_bytes", "before_bytes", MEBIBYTES},
    {"during the runs, peak, more by", "grown_peak_bytes", NULL, MEBIBYTES},
    {"after the runs, more by", "warm_bytes", "loaded_bytes", MEBIBYTES},
    {"after trim, more by", "trimmed_bytes", "loaded_bytes", MEBIBYTES},
    {"resident, peak", "resident_peak_bytes", NULL, MEBIBYTES},
    {"charged to the budget, peak", "charged_peak_bytes", NULL, MEBIBYTES},
    {"  mapped for weights", "ledger.in_use_weights", NULL, MEBIBYTES},
    {"  mapped for runs, peak", "run_peak_bytes", NULL, MEBIBYTES},
    {"    idle now", "ledger.idle", NULL, MEBIBYTES},
    {"    after trim", "ledger_after_trim.idle", NULL, MEBIBYTES},
    {"    largest need of a run", "need_bytes", NULL, MEBIBYTES},
    {"  declared: ORT holds elsewhere", "declared_bytes", NULL, MEBIBYTES},
};

static bool line_value(const json_t *row, size_t line, double *value)
{
    double less = 0;
    if (!figure(row, lines[line].path, value) ||
        (lines[line].less != NULL && !figure(row, lines[line].less, &less))) {
        return false;
    }
    *value -= less;
    return true;
}

static void put_value(FILE *file, unit u, double value)
{
    if (u == MILLISECONDS) {
        const bool small = value < 1;
        fprintf(file, small ? "%11.1f us " : "%11.2f ms ", small ? 1e3 * value : value);
    } else if (u == MEBIBYTES) {
        fprintf(file, "%11.1f MiB", value / MIB);
    } else {
        fprintf(file, "%11.1f    ", value);
    }
}

/* Why no process counted its heap; "": some did. */
static const char *heap_missing(const json_t *const *rows, size_t count)
{
    double value;
    const char *why = "";
    for (size_t i = 0; i < count; i++) {
        if (figure(rows[i], "heap_allocations_per_run", &value)) {
            return "";
        }
        why = text_of(rows[i], "heap_missing");
    }
    return why;
}

static void put_lines(FILE *file, const json_t *const *rows, size_t count)
{
    for (size_t line = 0; line < sizeof(lines) / sizeof(lines[0]); line++) {
        double value;
        bool any = false;
        for (size_t i = 0; i < count; i++) {
            any = any || line_value(rows[i], line, &value);
        }
        if (!any) {
            const char *why = strcmp(lines[line].path, "heap_allocations_per_run") == 0
                                  ? heap_missing(rows, count)
                                  : "";
            if (*why != '\0') {
                fprintf(file, "%-*snot counted: %s\n", LABEL_COLUMNS, lines[line].label, why);
            }
            continue;
        }
        fprintf(file, "%-*s", LABEL_COLUMNS, lines[line].label);
        for (size_t i = 0; i < count; i++) {
            if (line_value(rows[i], line, &value)) {
                put_value(file, lines[line].unit, value);
            } else {
                fprintf(file, "%15s", "-   ");
            }
        }
        fputc('\n', file);
    }
}

/* Whether all gave the same outputs, bit for bit; shapes of the turns are the same by construction. */
static void put_outputs(FILE *file, const json_t *const *rows, size_t count)
{
    bool same = true, known = true;
    for (size_t i = 0; i < count; i++) {
        known = known && *text_of(rows[i], "outputs") != '\0';
        same = same && strcmp(text_of(rows[i], "outputs"), text_of(rows[0], "outputs")) == 0;
    }
    if (count > 1) {
        fprintf(file, "\nOutputs: %s\n",
                !known ? "not compared: some are no tensors of numbers"
                : same ? "the same from all, bit for bit"
                       : "NOT the same from all");
    }
}

/*
 * How our time compares: a difference counts where the median and the runs per second both show one of 3 %
 * or more to the same side, and then as the smaller.
 */
static void time_text(double by_median, double by_rate, char *text, size_t capacity)
{
    double ratio = 1;
    if (by_median > 1 && by_rate > 1) {
        ratio = by_median < by_rate ? by_median : by_rate;
    } else if (by_median < 1 && by_rate < 1) {
        ratio = by_median > by_rate ? by_median : by_rate;
    }
    if (ratio > 0.97 && ratio < 1.03) {
        snprintf(text, capacity, "as fast");
    } else if (ratio < 1) {
        snprintf(text, capacity, "%.0f %% faster", 100 * (1 - ratio));
    } else if (ratio < 2) {
        snprintf(text, capacity, "%.0f %% slower", 100 * (ratio - 1));
    } else {
        snprintf(text, capacity, "%.1f times as slow", ratio);
    }
}

/*
 * What ortpool gained or lost against ORT's arena, and why. Memory of the runs counts as it is held between
 * them; differences of less than a MiB are none.
 */
static void put_sentence(FILE *file, const json_t *const *rows, size_t count)
{
    const json_t *ours = row_of(rows, count, "ortpool");
    const json_t *theirs = row_of(rows, count, "ort");
    double our_time, their_time, our_rate, their_rate, a, b, our_heap, their_heap;
    if (ours == NULL || theirs == NULL || !figure(ours, "p50_ms", &our_time) ||
        !figure(theirs, "p50_ms", &their_time) || !figure(ours, "runs_per_second", &our_rate) ||
        !figure(theirs, "runs_per_second", &their_rate) || our_rate <= 0) {
        return;
    }
    char time[64];
    time_text(our_time / their_time, their_rate / our_rate, time, sizeof(time));
    fprintf(file, "\nAgainst ORT's arena, a run in ortpool's memory is %s", time);
    double loaded_a, loaded_b;
    if (figure(ours, "warm_bytes", &a) && figure(theirs, "warm_bytes", &b) &&
        figure(ours, "before_bytes", &loaded_a) && figure(theirs, "before_bytes", &loaded_b)) {
        const double gained = (b - loaded_b) - (a - loaded_a);
        if (gained > MIB) {
            fprintf(file,
                    ", and the process holds %.1f MiB less after the runs, since a run's block is "
                    "as large as its need",
                    gained / MIB);
        } else if (gained < -MIB) {
            fprintf(file, ", and the process holds %.1f MiB more after the runs", -gained / MIB);
        } else {
            fputs(", and the process holds as much after the runs", file);
        }
    }
    double trimmed_a, trimmed_b;
    if (figure(ours, "trimmed_bytes", &trimmed_a) && figure(theirs, "trimmed_bytes", &trimmed_b) &&
        figure(ours, "warm_bytes", &a) && a - trimmed_a > MIB) {
        fprintf(file, "; trim gives %.1f MiB back", (a - trimmed_a) / MIB);
    }
    if (figure(ours, "heap_allocations_per_run", &our_heap) &&
        figure(theirs, "heap_allocations_per_run", &their_heap) && our_heap > 1.05 * their_heap) {
        fprintf(file,
                ".\nIt makes %.0f heap allocations a run in place of %.0f: ORT's memory patterns "
                "are off, whose "
                "key confuses shapes",
                our_heap, their_heap);
    }
    fputs(".\n", file);
}

static bool interrupted(const json_t *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (json_is_true(json_object_get(rows[i], "interrupted"))) {
            return true;
        }
    }
    return false;
}

void report_table(FILE *file, const char *model, const json_t *const *rows, size_t count)
{
    double runs = 0, shapes = 0;
    (void)figure(rows[0], "runs", &runs);
    (void)figure(rows[0], "shapes", &shapes);
    text_put(file, model, SIZE_MAX);
    fprintf(file, " on ONNX Runtime %s: %.0f run%s of %.0f shape%s\n\n%-*s",
            text_of(rows[0], "onnxruntime"), runs, runs == 1 ? "" : "s", shapes,
            shapes == 1 ? "" : "s", LABEL_COLUMNS, "");
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "%11s    ", text_of(rows[i], "allocator"));
    }
    fputc('\n', file);
    put_lines(file, rows, count);
    put_outputs(file, rows, count);
    if (interrupted(rows, count)) {
        fputs("\nInterrupted: not all runs were made.\n", file);
    } else {
        put_sentence(file, rows, count);
    }
}
