/* SPDX-License-Identifier: MIT */
/* Parts of `ortpool bench` that need no ONNX Runtime: intervals, CSV, comparison of figures, targets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "document.h"
#include "intervals.h"
#include "row_process.h"
#include "rows.h"
#include "support.h"
#include "table.h"

/* ---- intervals ---- */

static void fill(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) { /* 1 .. count, in another order */
        values[i] = (double)((i * 7) % count + 1);
    }
}

/* Ranks of the 95 % interval of a median, from the tables of the sign test. */
static void test_median_ranks(void **state)
{
    (void)state;
    static const struct {
        size_t count, low;
    } known[] = {{1, 1},  {5, 1},  {6, 1},  {8, 1},  {9, 2},   {10, 2}, {11, 2},
                 {12, 3}, {15, 4}, {20, 6}, {25, 8}, {30, 10}, {50, 18}};
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
        double values[64];
        const size_t n = known[k].count;
        for (size_t i = 0; i < n; i++) {
            values[i] = (double)(n - i);
        }
        const interval got = interval_median(values, n);
        assert_true(got.value == (double)(n + 1) / 2);
        assert_true(got.low == (double)known[k].low);
        assert_true(got.high == (double)(n + 1 - known[k].low));
    }
}

/* So many values that the ranks come from the normal distribution: the two ways agree. */
static void test_median_of_many(void **state)
{
    (void)state;
    static double values[1003];
    fill(values, 499);
    const interval exact = interval_median(values, 499);
    fill(values, 1003);
    const interval near = interval_median(values, 1003);
    assert_true(near.value == 502);
    assert_true(fabs((exact.value - exact.low) / sqrt(499.0) -
                     (near.value - near.low) / sqrt(1003.0)) < 0.1);
}

static void test_quantiles(void **state)
{
    (void)state;
    double values[101];
    fill(values, 100);
    assert_true(interval_quantile(values, 100, 0.9).value == 90);
    assert_true(interval_quantile(values, 100, 0.99).value == 99);
    assert_true(interval_quantile(values, 100, 0).value == 1);
    assert_true(interval_quantile(values, 100, 1).value == 100);
    const interval middle = interval_quantile(values, 100, 0.5);
    assert_true(middle.value == 50 && middle.low == 40 && middle.high == 61);
    assert_true(interval_quantile(values, 100, 0.99).high == 100); /* there is none beyond */
    assert_true(interval_quantile(values, 1, 0.5).low == 1);
}

/* ---- a document made by hand ---- */

static json_t *row(const char *name, bool own, double us, double heap)
{
    return bench_json(json_pack("{s:s, s:s, s:s, s:b, s:{s:f,s:f,s:f}, s:f, s:{s:{s:f}}}", "name",
                                name, "title", name, "model", "a \"model\", quoted", "own", own,
                                "p50_us", "value", us, "low", us - 1, "high", us + 1, "heap_calls",
                                heap, "phases", "rest", "heap_calls", heap / 100));
}

static json_t *ratio(const char *a, const char *b, double value)
{
    return bench_json(json_pack("{s:s, s:s, s:f, s:f, s:f}", "row", a, "baseline", b, "value",
                                value, "low", value - 0.1, "high", value + 0.1));
}

static json_t *document(double times, double heap)
{
    json_t *out = bench_json(json_object()), *rows = bench_json(json_array());
    json_t *ratios = bench_json(json_array());
    bench_append(rows, row(ROW_NAIVE, false, 1000 * times, 1000));
    bench_append(rows, row(ROW_WELL_USED, false, 500 * times, 500));
    bench_append(rows, row(ROW_INCREMENTAL, true, 1000, heap));
    bench_append(ratios, ratio(ROW_INCREMENTAL, ROW_NAIVE, times));
    bench_append(ratios, ratio(ROW_INCREMENTAL, ROW_WELL_USED, times / 2));
    bench_put(out, "rows", rows);
    bench_put(out, "ratios", ratios);
    return out;
}

/* 1: holds, 0: does not, -1: no verdict; fails where there is no such target. */
static int verdict(const json_t *out, const char *table, const char *figure)
{
    const json_t *targets = json_object_get(out, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        if (strcmp(bench_text(target, "table"), table) == 0 &&
            strstr(bench_text(target, "figure"), figure) != NULL) {
            const json_t *holds = json_object_get(target, "holds");
            return json_is_true(holds) ? 1 : json_is_false(holds) ? 0 : -1;
        }
    }
    fail_msg("no target '%s'", figure);
    return -1;
}

static void test_targets(void **state)
{
    (void)state;
    json_t *good = document(8, 10), *bad = document(5, 100);
    targets_add(good);
    targets_add(bad);
    assert_int_equal(verdict(good, "design", "p50: incremental against naive"), 1);
    assert_int_equal(verdict(bad, "design", "p50: incremental against naive"), 0);
    assert_int_equal(verdict(good, "design", "p50: incremental against well-used"), 1);
    assert_int_equal(verdict(bad, "design", "p50: incremental against well-used"), 0);
    assert_int_equal(verdict(good, "design", "heap allocations of the process"), 1);
    assert_int_equal(verdict(bad, "design", "heap allocations of the process"), 0);
    assert_int_equal(verdict(good, "design", "allocations of application and library"), 1);
    assert_int_equal(verdict(bad, "design", "allocations of application and library"), 0);
    assert_int_equal(verdict(bad, "seed", "allocations of application and library"), 1);
    /* What was not measured is named, and does not count as reached. */
    assert_int_equal(verdict(good, "seed", "bounded memory"), -1);
    assert_int_equal(verdict(good, "seed", "first prediction"), -1);
    assert_int_equal(verdict(good, "seed", "no pauses"), -1);
    assert_int_equal(verdict(good, "design", "p99.9 over p50"), -1);
    assert_int_equal(verdict(good, "design", "pool A"), -1);
    json_decref(good);
    json_decref(bad);
}

static void test_typing_and_pool(void **state)
{
    (void)state;
    json_t *out = document(8, 10);
    bench_put(out, "typing", json_pack("{s:f, s:f}", "p50_us", 20e3, "max_us", 90e3));
    bench_put(out, "pool",
              json_pack("{s:[{s:s, s:s, s:s, s:s, s:b}]}", "targets", "table", "design", "figure",
                        "pool A: 64 B", "wanted", "2x", "reached", "3x", "holds", 0));
    targets_add(out);
    assert_int_equal(verdict(out, "seed", "no pauses"), 1);
    assert_int_equal(verdict(out, "design", "pool A: 64 B"), 0);
    bench_put(out, "typing", json_pack("{s:f, s:f}", "p50_us", 20e3, "max_us", 110e3));
    targets_add(out);
    assert_int_equal(verdict(out, "seed", "no pauses"), 0);
    json_decref(out);
}

/* ---- forms ---- */

static char *written(void (*write)(FILE *, const json_t *), const json_t *out)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    write(file, out);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void test_csv(void **state)
{
    (void)state;
    json_t *out = document(8, 10);
    char *text = written(csv_write, out);
    assert_non_null(strstr(text, "name,title,model,p50_us,p50_us.low,p50_us.high,"));
    assert_non_null(
        strstr(text, "\n\"naive\",\"naive\",\"a \"\"model\"\", quoted\",8000,7999,8001,"));
    size_t lines = 0, commas = 0;
    for (const char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
        commas += *at == ',' && lines == 0;
    }
    assert_int_equal(lines, 4);
    assert_int_equal(commas, 34);
    free(text);
    json_decref(out);
}

/* A document with nothing but rows: every figure that is missing is a dash, none is made up. */
static void test_table(void **state)
{
    (void)state;
    json_t *out = document(8, 10);
    targets_add(out);
    char *text = written(table_write, out);
    assert_non_null(strstr(text, "8.00x (7.90 to 8.10)"));
    assert_non_null(strstr(text, "WORDS DIFFER"));
    assert_null(strstr(text, "nan"));
    free(text);
    json_decref(out);
}

/* ---- rows ---- */

static void test_row_arguments(void **state)
{
    (void)state;
    char *argv[] = {"row", "naive", "model", "swipes", "20", "8", "3", "-oc", "12.5", NULL};
    row_options got;
    assert_true(row_options_read(9, argv, &got));
    assert_string_equal(got.name, "naive");
    assert_true(got.most == 20 && got.beam == 8 && got.first == 3 && got.once && got.cold);
    assert_true(got.spin_us == 12.5);
    argv[7] = "-";
    assert_true(row_options_read(9, argv, &got));
    assert_false(got.once || got.cold);
    assert_false(row_options_read(8, argv, &got));
}

static void test_row_kinds(void **state)
{
    (void)state;
    assert_null(row_kind_find("nonsense"));
    for (size_t i = 0; i < row_kind_count; i++) {
        assert_ptr_equal(row_kind_find(row_kinds[i].name), &row_kinds[i]);
    }
    assert_true(row_kind_count <= ROWS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median_ranks),    cmocka_unit_test(test_median_of_many),
        cmocka_unit_test(test_quantiles),       cmocka_unit_test(test_targets),
        cmocka_unit_test(test_typing_and_pool), cmocka_unit_test(test_csv),
        cmocka_unit_test(test_table),           cmocka_unit_test(test_row_arguments),
        cmocka_unit_test(test_row_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
