/* SPDX-License-Identifier: MIT */
/* See table.h. */
#include "table.h"

#include <math.h>
#include <string.h>

#include "document.h"
#include "size.h"
#include "support.h"
#include "text.h"

#define MIB 1048576.0
#define TITLE 36 /* columns */
/* Of fewer rounds no two have the median between them in 95 % of all cases: 2 * 0.5^5 is above 0.05. */
#define ROUNDS_OF_INTERVAL 6

static void title(FILE *out, const json_t *row)
{
    const char *text = bench_text(row, "title");
    text_pad(out, TITLE - text_put(out, text, TITLE));
}

/* Right-aligned; a dash where there is no figure. */
static void cell(FILE *out, int columns, int decimals, double value)
{
    if (isnan(value)) {
        fprintf(out, " %*s", columns, "-");
    } else {
        fprintf(out, " %*.*f", columns, decimals, value);
    }
}

static double nested(const json_t *row, const char *object, const char *key)
{
    return bench_figure(json_object_get(row, object), key);
}

static const json_t *ratio_to(const json_t *document, const char *baseline)
{
    const json_t *ratios = json_object_get(document, "ratios");
    for (size_t i = 0; i < json_array_size(ratios); i++) {
        const json_t *ratio = json_array_get(ratios, i);
        if (strcmp(bench_text(ratio, "row"), document_headline(document)) == 0 &&
            strcmp(bench_text(ratio, "baseline"), baseline) == 0) {
            return ratio;
        }
    }
    return NULL;
}

/* ---- the three tables ---- */

static void write_times(FILE *out, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    const double rounds = bench_figure(json_object_get(document, "method"), "rounds");
    const char *range = rounds < ROUNDS_OF_INTERVAL ? "(least to most)" : "(95 %)";
    fprintf(out, "%-*s %7s  %-17s %7s %7s  %s is\n", TITLE, "latency, ms", "p50", range, "p90", "p99",
            document_headline(document));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const json_t *ratio = ratio_to(document, bench_text(row, "name"));
        char interval[48];
        snprintf(interval, sizeof(interval), "(%.2f to %.2f)", nested(row, "p50_us", "low") / 1e3,
                 nested(row, "p50_us", "high") / 1e3);
        title(out, row);
        cell(out, 7, 2, bench_figure(row, "p50_us") / 1e3);
        fprintf(out, "  %-17s", interval);
        cell(out, 7, 1, bench_figure(row, "p90_us") / 1e3);
        cell(out, 7, 1, bench_figure(row, "p99_us") / 1e3);
        if (ratio != NULL) {
            fprintf(out, "  %.2fx (%.2f to %.2f)", bench_figure(ratio, "value"),
                    bench_figure(ratio, "low"), bench_figure(ratio, "high"));
        }
        fputc('\n', out);
    }
}

static void tail_line(FILE *out, const char *name, const json_t *tail)
{
    static const char *const keys[] = {"p50_us", "p99_us", "p999_us", "max_us"};
    text_pad(out, TITLE - text_put(out, name, TITLE));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        cell(out, 8, 2, bench_figure(tail, keys[i]) / 1e3);
    }
    cell(out, 14, 2, bench_figure(tail, "p999_us") / bench_figure(tail, "p50_us"));
    fputc('\n', out);
}

/* One swipe, the quickest: not the predictions of the table above. */
static void write_tails(FILE *out, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    const json_t *noise = json_object_get(document, "noise");
    if (!json_is_object(noise)) {
        return;
    }
    char head[64];
    snprintf(head, sizeof(head), "one swipe %.0f times, ms", bench_figure(noise, "predictions"));
    fprintf(out, "\n%-*s %8s %8s %8s %8s %14s\n", TITLE, head, "p50", "p99", "p99.9", "slowest",
            "p99.9 / p50");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (json_is_object(json_object_get(row, "tail"))) {
            tail_line(out, bench_text(row, "title"), json_object_get(row, "tail"));
        }
    }
    tail_line(out, "(an empty loop: the machine's noise)", noise);
}

static void write_counts(FILE *out, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    fprintf(out, "\n%-*s %8s %8s %9s %7s %7s %8s %8s\n", TITLE, "a prediction, after warm-up",
            "tensors", "heap", "heap, KiB", "faults", "memory", "encoder", "decoder");
    fprintf(out, "%-*s %8s %8s %9s %7s %7s %8s %8s\n", TITLE, "", "made", "calls", "asked for", "",
            "calls", "runs", "runs");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        title(out, row);
        cell(out, 8, 2, bench_figure(row, "tensors"));
        cell(out, 8, 0, bench_figure(row, "heap_calls"));
        cell(out, 9, 0, bench_figure(row, "heap_bytes") / 1024);
        cell(out, 7, 2, bench_figure(row, "faults"));
        cell(out, 7, 1, bench_figure(row, "memory_calls"));
        cell(out, 8, 2, bench_figure(row, "encoder_runs"));
        cell(out, 8, 1, bench_figure(row, "decoder_runs"));
        fputc('\n', out);
    }
    const json_t *method = json_object_get(document, "method");
    if (json_is_string(json_object_get(method, "heap_missing"))) {
        fprintf(out, "  tensors and heap: not counted: %s\n", bench_text(method, "heap_missing"));
    }
    if (json_is_false(json_object_get(method, "traced"))) {
        fputs("  memory calls: not counted: strace is not installed, or may not trace\n", out);
    }
}

static void write_starts(FILE *out, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    fprintf(out, "\n%-*s %8s %8s %8s %8s %10s %10s %8s\n", TITLE, "starts, ms; peaks, MiB",
            "loading", "first", "warm-up", "first", "resident", "anonymous", "mapped");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        title(out, row);
        cell(out, 8, 1, bench_figure(row, "load_us") / 1e3);
        cell(out, 8, 1, bench_figure(row, "first_cold_us") / 1e3);
        cell(out, 8, 1, bench_figure(row, "warm_us") / 1e3);
        cell(out, 8, 1, bench_figure(row, "first_warm_us") / 1e3);
        cell(out, 10, 1, bench_figure(row, "peak_resident") / MIB);
        cell(out, 10, 1, bench_figure(row, "peak_anonymous") / MIB);
        cell(out, 8, 1, bench_figure(row, "peak_mapped") / MIB);
        fputc('\n', out);
    }
}

/* ---- what else was measured ---- */

static void write_typing(FILE *out, const json_t *document)
{
    const json_t *typing = json_object_get(document, "typing");
    if (json_is_object(typing)) {
        fprintf(out,
                "\nTyping, %.0f swipes in %.0f s beside a second thread, memory given back "
                "meanwhile: p50 %.1f, p99 %.1f, slowest %.1f ms\n",
                bench_figure(typing, "swipes"), bench_figure(typing, "seconds"),
                bench_figure(typing, "p50_us") / 1e3, bench_figure(typing, "p99_us") / 1e3,
                bench_figure(typing, "max_us") / 1e3);
        if (!isnan(bench_figure(typing, "hit_p50_us"))) {
            fprintf(out, "%.0f encoder cache hits, p50 %.1f ms\n", bench_figure(typing, "hits"),
                    bench_figure(typing, "hit_p50_us") / 1e3);
        }
    }
}

static void write_targets(FILE *out, const json_t *document)
{
    const json_t *targets = json_object_get(document, "targets");
    const char *table = "";
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        const json_t *holds = json_object_get(target, "holds");
        if (strcmp(table, bench_text(target, "table")) != 0) {
            table = bench_text(target, "table");
            fprintf(out, "\nTargets: %s\n",
                    strcmp(table, "seed") == 0 ? "what the project started from"
                                               : "what it set itself since");
        }
        fprintf(out, "  %-5s %s: wanted %s, reached: %s\n",
                json_is_true(holds)    ? "yes"
                : json_is_false(holds) ? "NO"
                                       : "-",
                bench_text(target, "figure"), bench_text(target, "wanted"),
                bench_text(target, "reached"));
    }
}

static void write_words(FILE *out, const json_t *document)
{
    const json_t *words = json_object_get(document, "words");
    const json_t *notes = json_object_get(words, "notes");
    fprintf(out, "\n%s\n",
            json_is_true(json_object_get(words, "same"))
                ? "Words: every row of the same weights found the same ones, in every round."
                : "WORDS DIFFER: these figures compare nothing.");
    for (size_t i = 0; i < json_array_size(notes); i++) {
        fputs("  ", out);
        (void)text_put(out, json_string_value(json_array_get(notes, i)), SIZE_MAX);
        fputc('\n', out);
    }
}

static void write_count(FILE *out, const char *before, const json_t *object, const char *key,
                        const char *behind)
{
    const double value = bench_figure(object, key);
    if (!isnan(value)) {
        fprintf(out, "%s%.0f%s", before, value, behind);
    }
}

/* Each model's folder once. */
static void write_models(FILE *out, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    fputs("models: ", out);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *model = bench_text(json_array_get(rows, i), "model");
        bool said = false;
        for (size_t k = 0; k < i; k++) {
            said = said || strcmp(bench_text(json_array_get(rows, k), "model"), model) == 0;
        }
        if (!said) {
            fputs(i > 0 ? ", " : "", out);
            (void)text_put(out, model, 40);
        }
    }
    fputs("; what the columns mean: docs/bench.md\n", out);
}

static void write_head(FILE *out, const json_t *document)
{
    const json_t *machine = json_object_get(document, "machine");
    const json_t *method = json_object_get(document, "method");
    fprintf(out, "ortpool %s on ONNX Runtime %s; ", bench_text(document, "ortpool"),
            bench_text(document, "ort"));
    (void)text_put(out, bench_text(machine, "cpu"), 60);
    write_count(out, ", ", machine, "cores", " cores");
    write_count(out, "\n", method, "swipes", " swipes, ");
    write_count(out, "", method, "rounds", " rounds, ");
    fputs("one thread of ONNX Runtime, encoder cache off but for hits\n", out);
    write_models(out, document);
    fputs(json_is_true(json_object_get(method, "cut_short"))
              ? "CUT SHORT: what was measured until then\n\n"
              : "\n",
          out);
}

void table_write(FILE *out, const json_t *document)
{
    write_head(out, document);
    write_times(out, document);
    write_counts(out, document);
    write_starts(out, document);
    write_tails(out, document);
    write_typing(out, document);
    write_targets(out, document);
    write_words(out, document);
}
