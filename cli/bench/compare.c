/* SPDX-License-Identifier: MIT */
/*
 * See compare.h. A time's ratio has an interval by the bootstrap over rounds: rounds of either side are drawn again with
 * replacement, 2,000 times, and the middle 95 % of the ratios of their medians stand; of few rounds that says less than
 * it sounds. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, 13.3. Counts have none.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "commands.h"
#include "document.h"
#include "intervals.h"
#include "random.h"
#include "support.h"
#include "text.h"

#define DRAWS 2000u
#define ROUNDS_MAX 1000u

typedef struct change {
    interval ratio;
    bool worse, better;
} change;

/* ---- figures ---- */

static size_t rounds_of(const json_t *row, double *out)
{
    const json_t *rounds = json_object_get(row, "round_p50_us");
    const size_t count = json_array_size(rounds);
    for (size_t i = 0; i < count && i < ROUNDS_MAX; i++) {
        out[i] = json_number_value(json_array_get(rounds, i));
    }
    return count < ROUNDS_MAX ? count : ROUNDS_MAX;
}

static double drawn_median(const double *values, size_t count, uint64_t *state)
{
    double drawn[ROUNDS_MAX];
    for (size_t i = 0; i < count; i++) {
        drawn[i] = values[random_next(state) % count];
    }
    return interval_median(drawn, count).value;
}

/* Of medians, later over earlier; false: no rounds. */
static bool time_ratio(const json_t *a, const json_t *b, interval *out)
{
    static double ratios[DRAWS], earlier[ROUNDS_MAX], later[ROUNDS_MAX];
    const size_t n = rounds_of(a, earlier), m = rounds_of(b, later);
    uint64_t state = 1;
    if (n == 0 || m == 0) {
        return false;
    }
    for (size_t i = 0; i < DRAWS; i++) {
        ratios[i] = drawn_median(later, m, &state) / drawn_median(earlier, n, &state);
    }
    qsort(ratios, DRAWS, sizeof(*ratios), bench_rising);
    out->value = interval_median(later, m).value / interval_median(earlier, n).value;
    out->low = ratios[DRAWS * 25 / 1000];
    out->high = ratios[DRAWS * 975 / 1000];
    return true;
}

/*
 * A count's ratio. `slack`: so much more is none: a page of a library that the system dropped and brought back is a
 * fault, and nobody's.
 */
static bool count_ratio(const json_t *a, const json_t *b, const char *key, double slack,
                        interval *out)
{
    const double earlier = bench_figure(a, key), later = bench_figure(b, key);
    if (isnan(earlier) || isnan(later)) {
        return false;
    }
    const double ratio = earlier > 0 ? later / earlier : later > 0 ? INFINITY : 1;
    *out = fabs(later - earlier) <= slack ? (interval){1, 1, 1} : (interval){ratio, ratio, ratio};
    return true;
}

static change judge(interval ratio, double noise)
{
    return (change){.ratio = ratio,
                    .worse = ratio.low > 1 && ratio.value > 1 + noise,
                    .better = ratio.high < 1 && ratio.value < 1 - noise};
}

/* ---- the table ---- */

static void write_change(FILE *out, const char *row, const char *figure, change c)
{
    text_pad(out, 34 - text_put(out, row, 34));
    fprintf(out, " %-24s", figure);
    if (c.ratio.low < c.ratio.high) {
        fprintf(out, " %6.3f (%.3f to %.3f)", c.ratio.value, c.ratio.low, c.ratio.high);
    } else {
        fprintf(out, " %6.3f %16s", c.ratio.value, "");
    }
    fprintf(out, "  %s\n", c.worse ? "WORSE" : c.better ? "better" : "same");
}

static bool compare_rows(FILE *out, const json_t *a, const json_t *b, double noise)
{
    static const struct {
        const char *key, *title;
        double slack;
    } counts[] = {
        {"tensors", "tensor buffers", 0},          {"heap_calls", "heap allocations", 1},
        {"heap_bytes", "heap bytes", 0},           {"faults", "minor faults", 0.5},
        {"memory_calls", "memory calls", 0.5},     {"decoder_runs", "decoder runs", 0},
        {"peak_mapped", "peak mapped", 64 * 1024}, {"peak_anonymous", "peak anonymous", 1 << 20},
    };
    const char *title = bench_text(b, "title");
    bool worse = false;
    interval ratio;
    if (time_ratio(a, b, &ratio)) {
        const change c = judge(ratio, noise);
        write_change(out, title, "p50", c);
        worse = c.worse;
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (count_ratio(a, b, counts[i].key, counts[i].slack, &ratio)) {
            const change c = judge(ratio, noise);
            if (c.worse || c.better) { /* what did not change is not worth a line */
                write_change(out, title, counts[i].title, c);
            }
            worse = worse || c.worse;
        }
    }
    return worse;
}

static void write_difference(FILE *out, const char *what, const char *a, const char *b)
{
    if (strcmp(a, b) != 0) {
        fprintf(out, "Note: %s: '", what);
        (void)text_put(out, a, 60);
        fputs("' and '", out);
        (void)text_put(out, b, 60);
        fputs("'\n", out);
    }
}

static void write_differences(FILE *out, const json_t *a, const json_t *b)
{
    write_difference(out, "processor", bench_text(json_object_get(a, "machine"), "cpu"),
                     bench_text(json_object_get(b, "machine"), "cpu"));
    write_difference(out, "ONNX Runtime", bench_text(a, "ort"), bench_text(b, "ort"));
    const json_t *x = json_object_get(a, "method"), *y = json_object_get(b, "method");
    if (!json_equal(json_object_get(x, "beam"), json_object_get(y, "beam"))) {
        fputs("Note: other beam widths\n", out);
    }
    if (bench_figure(x, "swipes") != bench_figure(y, "swipes")) {
        fprintf(out, "Note: %.0f swipes and %.0f: other predictions\n", bench_figure(x, "swipes"),
                bench_figure(y, "swipes"));
    }
}

static void write_missing(FILE *out, const json_t *a, const json_t *b)
{
    const json_t *rows = json_object_get(a, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (document_row(b, bench_text(row, "name")) == NULL) {
            fputs("Note: the later run has no row ", out);
            (void)text_put(out, bench_text(row, "title"), 60);
            fputc('\n', out);
        }
    }
}

int compare_files(FILE *out, const char *earlier, const char *later, double noise)
{
    json_t *a = document_load(earlier), *b = a != NULL ? document_load(later) : NULL;
    int code = EXIT_SETUP;
    if (b != NULL) {
        const json_t *rows = json_object_get(b, "rows");
        size_t compared = 0;
        bool worse = false;
        write_differences(out, a, b);
        fprintf(out, "%-34s %-24s later over earlier (95 %%)\n", "row", "figure");
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            const json_t *before = document_row(a, bench_text(row, "name"));
            if (before != NULL) {
                write_difference(out, "model", bench_text(before, "model"),
                                 bench_text(row, "model"));
                /* Only ortpool's rows decide: what ONNX Runtime does by itself is shown. */
                const bool own = json_is_true(json_object_get(row, "own"));
                worse = (compare_rows(out, before, row, noise) && own) || worse;
                compared++;
            }
        }
        write_missing(out, a, b);
        code = worse ? EXIT_INPUT : EXIT_ANSWERED;
        if (compared == 0) {
            fputs("ortpool bench: --compare: the two have no row in common\n", stderr);
            code = EXIT_SETUP;
        }
    }
    json_decref(a);
    json_decref(b);
    return code;
}
