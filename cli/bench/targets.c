/* SPDX-License-Identifier: MIT */
/*
 * What was wanted beside what was reached: the targets that the project started from ("seed"), and those it set itself
 * since ("design"). A target whose figure was not measured is named all the same, with no verdict.
 */
#include "document.h"

#include <math.h>
#include <string.h>

#include "support.h"

#define TEXT 224

static void add(json_t *document, const char *table, const char *figure, const char *wanted,
                const char *reached, json_t *holds)
{
    json_t *target = bench_json(json_object());
    bench_put(target, "table", json_string(table));
    bench_put(target, "figure", json_string(figure));
    bench_put(target, "wanted", json_string(wanted));
    bench_put(target, "reached", json_string(reached));
    bench_put(target, "holds", holds);
    bench_append(json_object_get(document, "targets"), target);
}

static void add_missing(json_t *document, const char *table, const char *figure, const char *wanted,
                        const char *why)
{
    add(document, table, figure, wanted, why, json_null());
}

static const json_t *ratio_of(const json_t *document, const char *row, const char *baseline)
{
    const json_t *ratios = json_object_get(document, "ratios");
    for (size_t i = 0; i < json_array_size(ratios); i++) {
        const json_t *ratio = json_array_get(ratios, i);
        if (strcmp(bench_text(ratio, "row"), row) == 0 &&
            strcmp(bench_text(ratio, "baseline"), baseline) == 0) {
            return ratio;
        }
    }
    return NULL;
}

/* The baseline on the export that most applications have, or on the model's own graphs where that is all there is. */
static const char *usual_of(const json_t *document, const char *usual, const char *fused)
{
    return document_row(document, usual) != NULL ? usual : fused;
}

static double rest_calls(const json_t *row)
{
    return bench_figure(json_object_get(json_object_get(row, "phases"), "rest"), "heap_calls");
}

/* ---- kinds of figures ---- */

static void add_faster(json_t *document, const char *row, const char *baseline, double least)
{
    char figure[TEXT], wanted[TEXT], reached[TEXT];
    const json_t *ratio = ratio_of(document, row, baseline);
    snprintf(figure, sizeof(figure), "p50: %s against %s", row, baseline);
    snprintf(wanted, sizeof(wanted), "%gx as fast", least);
    if (ratio == NULL) {
        add_missing(document, "design", figure, wanted, "a row is missing");
        return;
    }
    snprintf(reached, sizeof(reached), "%.2fx (%.2f to %.2f)", bench_figure(ratio, "value"),
             bench_figure(ratio, "low"), bench_figure(ratio, "high"));
    add(document, "design", figure, wanted, reached,
        json_boolean(bench_figure(ratio, "value") >= least));
}

static void add_fewer(json_t *document, const char *table, const char *what, const char *row,
                      const char *baseline, double least, bool rest)
{
    char figure[TEXT], wanted[TEXT], reached[TEXT];
    const json_t *a = document_row(document, row), *b = document_row(document, baseline);
    const double own = rest ? rest_calls(a) : bench_figure(a, "heap_calls");
    const double other = rest ? rest_calls(b) : bench_figure(b, "heap_calls");
    snprintf(figure, sizeof(figure), "%s: %s against %s", what, row, baseline);
    snprintf(wanted, sizeof(wanted), "-%g %%", 100 * least);
    if (isnan(own) || isnan(other) || other <= 0) {
        add_missing(document, table, figure, wanted, "not counted");
        return;
    }
    const double less = 1 - own / other;
    snprintf(reached, sizeof(reached), "%+.1f %% (%.1f instead of %.1f a prediction)", -100 * less,
             own, other);
    add(document, table, figure, wanted, reached, json_boolean(less >= least));
}

static void add_most(json_t *document, const char *table, const char *figure, double value,
                     double most, const char *format)
{
    char wanted[TEXT], reached[TEXT];
    if (most > 0) {
        snprintf(wanted, sizeof(wanted), "%g at most", most);
    } else {
        snprintf(wanted, sizeof(wanted), "0");
    }
    if (isnan(value)) {
        add_missing(document, table, figure, wanted, "not measured");
        return;
    }
    snprintf(reached, sizeof(reached), format, value); /* NOLINT: formats are literals below */
    add(document, table, figure, wanted, reached, json_boolean(value <= most));
}

/* ---- the seed's table ---- */

static void add_first_prediction(json_t *document, const json_t *row)
{
    static const char figure[] =
        "latency of the first prediction: after warm-up, against a cold start that loads first";
    char reached[TEXT];
    const double cold = bench_figure(row, "first_loading_us");
    const double warm = bench_figure(row, "first_warm_us");
    const double open = bench_figure(row, "first_cold_us");
    if (isnan(cold) || isnan(warm)) {
        add_missing(document, "seed", figure, "-30 %", "no starts were measured");
        return;
    }
    snprintf(reached, sizeof(reached),
             "%+.0f %% (%.1f instead of %.1f ms); against one that finds sessions open %+.0f %% "
             "(%.1f ms); the warm-up takes %.0f ms",
             100 * (warm / cold - 1), warm / 1e3, cold / 1e3, 100 * (warm / open - 1), open / 1e3,
             bench_figure(row, "warm_us") / 1e3);
    add(document, "seed", figure, "-30 %", reached, json_boolean(warm <= 0.7 * cold));
}

static void add_growth(json_t *document, const json_t *row)
{
    char bounded[TEXT], leak[TEXT], figure[TEXT];
    const double mapped = bench_figure(row, "mapped_growth");
    const double heap = bench_figure(row, "heap_growth");
    const double predictions = bench_figure(row, "predictions");
    if (isnan(mapped)) {
        add_missing(document, "seed", "bounded memory: mapped, first round to last", "+0 bytes",
                    "not measured: it takes two rounds");
        return;
    }
    snprintf(bounded, sizeof(bounded), "%+.0f bytes", mapped);
    add(document, "seed", "bounded memory: mapped, first round to last", "+0 bytes", bounded,
        json_boolean(mapped <= 0));
    /* What libraries keep per thread moves by a block or two; a leak goes on. */
    snprintf(figure, sizeof(figure), "no leak: heap in use, first round to last, %.0f predictions",
             predictions);
    snprintf(leak, sizeof(leak), "%+.0f bytes", heap);
    add(document, "seed", figure, "at most +1 KiB", leak, json_boolean(heap <= 1024));
}

static void add_pauses(json_t *document)
{
    static const char figure[] = "no pauses while typing: slowest of a session over its median";
    char reached[TEXT];
    const json_t *typing = json_object_get(document, "typing");
    const double p50 = bench_figure(typing, "p50_us"), max = bench_figure(typing, "max_us");
    if (isnan(max) || isnan(p50)) {
        add_missing(document, "seed", figure, "below 100 ms", "no typing session");
        return;
    }
    snprintf(reached, sizeof(reached), "%.1f ms, %.1fx of %.1f ms", max / 1e3, max / p50,
             p50 / 1e3);
    add(document, "seed", figure, "below 100 ms", reached, json_boolean(max < 100e3));
}

static void add_seed(json_t *document)
{
    const char *naive = usual_of(document, "naive-usual", ROW_NAIVE);
    const char *own = document_headline(document);
    const json_t *row = document_row(document, own);
    add_fewer(document, "seed", "allocations of application and library", own, naive, 0.5, true);
    add_first_prediction(document, row);
    add_growth(document, row);
    add_missing(document, "seed", "thread safety", "shown",
                "by tests (ThreadSanitizer) and `ortpool soak`");
    add_pauses(document);
}

/* ---- the design's ---- */

static void add_tail(json_t *document, const char *name)
{
    char figure[TEXT], reached[TEXT];
    const json_t *tail = json_object_get(document_row(document, name), "tail");
    const json_t *noise = json_object_get(document, "noise");
    const double ratio = bench_figure(tail, "p999_us") / bench_figure(tail, "p50_us");
    const double floor = bench_figure(noise, "p999_us") / bench_figure(noise, "p50_us");
    snprintf(figure, sizeof(figure), "p99.9 over p50, one swipe: %s", name);
    if (isnan(ratio)) {
        add_missing(document, "design", figure, "1.5 at most", "not measured (--tail)");
        return;
    }
    snprintf(reached, sizeof(reached), "%.2f of %.0f predictions (an empty loop: %.2f)", ratio,
             bench_figure(tail, "predictions"), floor);
    add(document, "design", figure, "1.5 at most", reached, json_boolean(ratio <= 1.5));
}

static void add_first_over_steady(json_t *document, const char *name, const json_t *ratio)
{
    char figure[TEXT], reached[TEXT];
    const double value = bench_figure(ratio, "value");
    snprintf(figure, sizeof(figure), "first prediction after warm-up over the steady one: %s",
             name);
    if (isnan(value)) {
        add_missing(document, "design", figure, "1.1 at most", "no starts were measured");
        return;
    }
    snprintf(reached, sizeof(reached), "%.3f (%.3f to %.3f)", value, bench_figure(ratio, "low"),
             bench_figure(ratio, "high"));
    add(document, "design", figure, "1.1 at most", reached, json_boolean(value <= 1.1));
}

static void add_own_row(json_t *document, const char *name)
{
    char figure[TEXT];
    const json_t *row = document_row(document, name);
    snprintf(figure, sizeof(figure), "tensor buffers allocated per prediction: %s", name);
    add_most(document, "design", figure, bench_figure(row, "tensors"), 0, "%.3f");
    snprintf(figure, sizeof(figure), "minor faults per prediction: %s", name);
    add_most(document, "design", figure, bench_figure(row, "faults"), 0, "%.3f");
    add_first_over_steady(document, name, json_object_get(row, "first_warm_ratio"));
    add_tail(document, name);
}

/* Of the two that are shipped; others have no target. */
static void add_sizes(json_t *document)
{
    const json_t *models = json_object_get(document, "models");
    for (size_t i = 0; document_row(document, "int8") != NULL && i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i);
        const bool quantised = strcmp(bench_text(model, "role"), "int8") == 0;
        if (quantised || strcmp(bench_text(model, "role"), "model") == 0) {
            add_most(document, "design", quantised ? "MB of graphs, int8" : "MB of graphs, fp32",
                     bench_figure(model, "graph_bytes") / 1e6, quantised ? 6 : 20, "%.1f");
        }
    }
}

static void add_design(json_t *document)
{
    const char *naive = usual_of(document, "naive-usual", ROW_NAIVE);
    const char *well_used = usual_of(document, "well-used-usual", ROW_WELL_USED);
    const json_t *rows = json_object_get(document, "rows");
    add_faster(document, ROW_INCREMENTAL, naive, 6);
    add_faster(document, ROW_INCREMENTAL, well_used, 3.5);
    if (strcmp(well_used, ROW_WELL_USED) != 0) {
        add_faster(document, ROW_INCREMENTAL, ROW_NAIVE, 6);
        add_faster(document, ROW_INCREMENTAL, ROW_WELL_USED, 3.5);
    }
    if (document_row(document, "int8") != NULL) {
        add_faster(document, "int8", naive, 10);
    }
    add_fewer(document, "design", "allocations of application and library", ROW_INCREMENTAL, naive,
              0.99, true);
    add_fewer(document, "design", "heap allocations of the process", ROW_INCREMENTAL, naive, 0.93,
              false);
    if (strcmp(naive, ROW_NAIVE) != 0) {
        add_fewer(document, "design", "heap allocations of the process", ROW_INCREMENTAL, ROW_NAIVE,
                  0.85, false);
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (json_is_true(json_object_get(row, "own")) &&
            strcmp(bench_text(row, "name"), "hits") != 0) {
            add_own_row(document, bench_text(row, "name"));
        }
    }
}

void targets_add(json_t *document)
{
    bench_put(document, "targets", json_array());
    add_seed(document);
    add_design(document);
    const json_t *pool = json_object_get(json_object_get(document, "pool"), "targets");
    for (size_t i = 0; i < json_array_size(pool); i++) {
        bench_append(json_object_get(document, "targets"), json_deep_copy(json_array_get(pool, i)));
    }
    if (json_array_size(pool) == 0) {
        add_missing(document, "design", "pool A against empty calls, two threads against one",
                    "2x; 1.15x", "not measured (--pool)");
    }
    add_sizes(document);
    add_missing(document, "design", "peak mapped over the largest need, shapes changing", "1.15",
                "not measured here: scripts/bench_memory.py, docs/ort-memory.md");
    add_missing(document, "design", "words on validation swipes", "the model's notes",
                "not measured here: `ortpool eval`, models/swipe-en/README.md");
}
