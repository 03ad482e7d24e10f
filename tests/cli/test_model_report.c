/* SPDX-License-Identifier: MIT */
/* What `ortpool run` says of the figures: the table, and the sentence on what ortpool gained or lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "report.h"

/* A row with the figures that the sentence is made of; bytes in MiB. */
static json_t *row(const char *allocator, double p50_ms, int loaded, int warm, int trimmed,
                   double heap)
{
    json_t *out = json_pack("{s:s, s:s, s:i, s:i, s:s, s:f, s:f, s:i, s:i, s:i, s:f}", "allocator",
                            allocator, "onnxruntime", "1.29.0", "runs", 7, "shapes", 1, "outputs",
                            "00ff", "p50_ms", p50_ms, "runs_per_second", 1e3 / p50_ms,
                            "before_bytes", loaded << 20, "warm_bytes", warm << 20, "trimmed_bytes",
                            trimmed << 20, "heap_allocations_per_run", heap);
    assert_non_null(out);
    return out;
}

/* The report on two rows, which are given back; to be freed. */
static char *report(json_t *theirs, json_t *ours)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    assert_non_null(file);
    const json_t *rows[] = {theirs, ours};
    report_table(file, "a.onnx", rows, 2);
    assert_int_equal(fclose(file), 0);
    json_decref(theirs);
    json_decref(ours);
    return text;
}

/* The report holds `expected`, and not `other`. */
static void says(char *text, const char *expected, const char *other)
{
    if (strstr(text, expected) == NULL || (other != NULL && strstr(text, other) != NULL)) {
        fail_msg("expected '%s' and not '%s' in:\n%s", expected, other != NULL ? other : "", text);
    }
    free(text);
}

static void times_are_compared(void **state)
{
    (void)state;
    static const struct {
        double ours;
        const char *said;
    } cases[] = {{1.0, "memory is as fast,"},     {1.02, "memory is as fast,"},
                 {0.98, "memory is as fast,"},    {0.75, "memory is 25 % faster,"},
                 {1.5, "memory is 50 % slower,"}, {3.25, "memory is 3.2 times as slow,"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        says(report(row("ort", 1, 1, 9, 9, 50), row("ortpool", cases[i].ours, 1, 9, 9, 50)),
             cases[i].said, NULL);
    }
}

/* The median and the rate have to agree. */
static void times_that_differ_two_ways_are_no_difference(void **state)
{
    (void)state;
    static const struct {
        double p50_ms, rate;
        const char *said;
    } cases[] = {{1.5, 2000, "is as fast,"},
                 {1.5, 500, "is 50 % slower,"},
                 {1.5, 800, "is 25 % slower,"},
                 {0.5, 1250, "is 20 % faster,"},
                 {0.5, 900, "is as fast,"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *ours = row("ortpool", cases[i].p50_ms, 1, 9, 9, 50);
        assert_int_equal(json_object_set_new(ours, "runs_per_second", json_real(cases[i].rate)), 0);
        says(report(row("ort", 1, 1, 9, 9, 50), ours), cases[i].said, NULL);
    }
    json_t *ours = row("ortpool", 0.5, 1, 9, 9, 50);
    assert_int_equal(json_object_set_new(ours, "runs_per_second", json_real(0)), 0);
    says(report(row("ort", 1, 1, 9, 9, 50), ours), "the same from all", "Against");
}

static void interrupted_runs_are_not_judged(void **state)
{
    (void)state;
    json_t *ours = row("ortpool", 1, 1, 9, 9, 50);
    assert_int_equal(json_object_set_new(ours, "interrupted", json_true()), 0);
    says(report(row("ort", 1, 1, 9, 9, 50), ours), "Interrupted: not all runs were made.",
         "Against");
}

static void memory_is_compared(void **state)
{
    (void)state;
    says(report(row("ort", 1, 10, 40, 40, 50), row("ortpool", 1, 12, 20, 20, 50)),
         "the process holds 22.0 MiB less after the runs", "trim gives");
    says(report(row("ort", 1, 10, 20, 20, 50), row("ortpool", 1, 10, 25, 12, 50)),
         "the process holds 5.0 MiB more after the runs; trim gives 13.0 MiB back", NULL);
    says(report(row("ort", 1, 10, 20, 20, 50), row("ortpool", 1, 10, 20, 20, 50)),
         "the process holds as much after the runs.", "trim gives");
}

static void allocations_are_compared(void **state)
{
    (void)state;
    says(report(row("ort", 1, 1, 1, 1, 100), row("ortpool", 1, 1, 1, 1, 200)),
         "makes 200 heap allocations a run in place of 100", NULL);
    says(report(row("ort", 1, 1, 1, 1, 100), row("ortpool", 1, 1, 1, 1, 104)), "after the runs.\n",
         "heap allocations a run");
}

static json_t *without(json_t *row, const char *key)
{
    assert_int_equal(json_object_del(row, key), 0);
    return row;
}

/* A figure that a system does not give is left out, in the table as in the sentence. */
static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    static const char *const figures[] = {"warm_bytes", "before_bytes", "trimmed_bytes",
                                          "heap_allocations_per_run"};
    for (size_t i = 0; i < 4; i++) {
        for (int which = 0; which < 2; which++) {
            json_t *theirs = row("ort", 1, 1, 2, 2, 100), *ours = row("ortpool", 1, 1, 9, 2, 200);
            (void)without(which == 0 ? theirs : ours, figures[i]);
            says(report(theirs, ours), "Against ORT's arena, a run in ortpool's memory is as fast",
                 i < 2    ? "MiB more after"
                 : i == 2 ? "trim gives"
                          : "heap allocations a run");
        }
    }
    says(report(without(row("ort", 1, 1, 2, 2, 100), "runs_per_second"),
                row("ortpool", 1, 1, 2, 2, 100)),
         "the same from all", "Against");
    says(report(row("ort", 1, 1, 2, 2, 100),
                without(row("ortpool", 1, 1, 2, 2, 100), "runs_per_second")),
         "the same from all", "Against");
    says(report(without(row("ort", 1, 1, 2, 2, 100), "p50_ms"), row("ortpool", 1, 1, 2, 2, 100)),
         "a run: p50                               -          1.00 ms", "Against");
    says(report(row("ort", 1, 1, 2, 2, 100), without(row("ortpool", 1, 1, 2, 2, 100), "p50_ms")),
         "a run: p50                           1.00 ms            -   ", "Against");
    says(report(row("ort", 1, 1, 2, 2, 100), row("none", 1, 1, 2, 2, 100)), "the same from all",
         "Against");
    says(report(row("none", 1, 1, 2, 2, 100), row("ortpool", 1, 1, 2, 2, 100)), "the same from all",
         "Against");
}

static void outputs_are_compared(void **state)
{
    (void)state;
    json_t *theirs = row("ort", 1, 1, 2, 2, 100);
    assert_int_equal(json_object_set_new(theirs, "outputs", json_string("00fe")), 0);
    says(report(theirs, row("none", 1, 1, 2, 2, 100)), "Outputs: NOT the same from all", NULL);
    theirs = row("ort", 1, 1, 2, 2, 100);
    assert_int_equal(json_object_set_new(theirs, "outputs", json_null()), 0);
    says(report(theirs, row("none", 1, 1, 2, 2, 100)), "Outputs: not compared", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_compared),
        cmocka_unit_test(times_that_differ_two_ways_are_no_difference),
        cmocka_unit_test(interrupted_runs_are_not_judged),
        cmocka_unit_test(memory_is_compared),
        cmocka_unit_test(allocations_are_compared),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(outputs_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
