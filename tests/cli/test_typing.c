/* SPDX-License-Identifier: MIT */
/* The typing session of `ortpool bench`: its plan, and a short one on the tiny model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bench/typing.h"
#include "bench/typing_plan.h"
#include "commands.h"
#include "engine.h"
#include "interrupt.h"
#include "percentiles.h"
#include "random.h"
#include "swipe_file.h"
#include "test_ort.h"

#define TINY "tests/graphs/tiny"
#define SAMPLES "models/swipe-en/samples.jsonl"

/* ---- the plan ---- */

static void numbers_are_log_normal(void **state)
{
    (void)state;
    uint64_t random = 5;
    percentiles p = {0};
    for (int i = 0; i < 20000; i++) {
        assert_true(percentiles_add(&p, (uint64_t)random_log_normal(&random, 1e6, 0.5)));
    }
    /* One standard deviation to either side of the median: a factor of e^0.5. */
    assert_in_range(percentiles_get(&p, 50), 980000, 1020000);
    assert_in_range(percentiles_get(&p, 15.87), 590000, 625000);
    assert_in_range(percentiles_get(&p, 84.13), 1600000, 1700000);
    percentiles_free(&p);
}

static typing_plan plan_of(uint64_t seed, size_t rows)
{
    return (typing_plan){.random = seed,
                         .compression = 10,
                         .rows = rows,
                         .stride = 2,
                         .corrects = true,
                         .pressure_every = 60};
}

static void plans_follow_from_the_seed(void **state)
{
    (void)state;
    typing_plan plan = plan_of(1, 50);
    typing_plan again = plan_of(1, 50);
    percentiles gaps = {0};
    size_t corrections = 0;
    size_t pressures[ORTP_PRESSURE_CRITICAL + 1] = {0};
    typing_event last = {0};
    for (int i = 0; i < 3000; i++) {
        const typing_event e = typing_next(&plan);
        const typing_event same = typing_next(&again);
        assert_true(e.row == same.row && e.gap_ms == same.gap_ms &&
                    e.correction == same.correction && e.pressure == same.pressure);
        assert_true(e.row % 2 == 0 && e.row < 50 && e.gap_ms > 0);
        if (e.correction) {
            assert_true(i > 0 && !last.correction && e.row == last.row);
            assert_int_equal(e.pressure, ORTP_PRESSURE_NONE);
            corrections++;
        } else {
            assert_int_equal(e.row, i == 0 ? 0 : (last.row + 2) % 50);
            assert_true(percentiles_add(&gaps, (uint64_t)(e.gap_ms * 1000)));
        }
        pressures[e.pressure]++;
        last = e;
    }
    assert_in_range(corrections, 300, 450); /* one in eight: 375 */
    assert_in_range(percentiles_get(&gaps, 50), 112000, 128000);
    percentiles_free(&gaps);
    const size_t moderate = pressures[ORTP_PRESSURE_MODERATE];
    const size_t critical = pressures[ORTP_PRESSURE_CRITICAL];
    assert_in_range(moderate + critical, 45, 50);
    assert_true(moderate == critical || moderate == critical + 1);
}

static void other_rows_of_the_second(void **state)
{
    (void)state;
    typing_plan plan = {.random = 1, .compression = 10, .rows = 5, .first = 1, .stride = 2};
    for (int i = 0; i < 100; i++) {
        const typing_event e = typing_next(&plan);
        assert_int_equal(e.row, i % 2 == 0 ? 1 : 3);
        assert_true(!e.correction && e.pressure == ORTP_PRESSURE_NONE);
    }
}

/* ---- a session ---- */

typedef struct rig {
    engine engine;
    swipe_file swipes;
} rig;

static void rig_open(rig *r)
{
    *r = (rig){0};
    const run_options open = {.model = test_file(TINY), .threads = 2, .json = true};
    assert_true(swipe_file_read(&r->swipes, test_file(SAMPLES)));
    assert_int_equal(engine_open(&r->engine, &open, false), EXIT_ANSWERED);
}

static void rig_close(rig *r)
{
    swipe_file_free(&r->swipes);
    assert_int_equal(engine_close(&r->engine, EXIT_ANSWERED), EXIT_ANSWERED);
}

static json_t *type(rig *r, size_t rows, const typing_options *options)
{
    return typing_run(r->engine.runtime, r->engine.predictor, r->swipes.rows, rows, options);
}

static json_int_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void assert_rises(const json_t *array, size_t column)
{
    double last = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        const double t = json_real_value(json_is_array(item) ? json_array_get(item, column) : item);
        assert_true(t >= last);
        last = t;
    }
}

static void assert_samples(const json_t *typing, size_t swipes)
{
    const json_t *samples = json_object_get(typing, "samples");
    assert_rises(samples, 0);
    size_t of[2] = {0, 0};
    json_int_t hits = 0;
    json_int_t most = 0;
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *one = json_array_get(samples, i);
        assert_int_equal(json_array_size(one), 4);
        of[json_integer_value(json_array_get(one, 2))]++;
        hits += json_integer_value(json_array_get(one, 3));
        const json_int_t us = json_integer_value(json_array_get(one, 1));
        most = us > most ? us : most;
    }
    assert_int_equal(of[0], swipes);
    assert_true(of[1] > 0);
    assert_int_equal(number(typing, "hits"), hits);
    assert_true(hits > 0); /* a second thread that is far ahead may drive an entry out */
    assert_int_equal(number(typing, "max_us"), most);
    assert_true(number(typing, "p50_us") <= number(typing, "p99_us"));
    assert_true(number(typing, "hit_p50_us") <= most);
}

/* The last look is at a quiet point: there the labels are all that is mapped. */
static void assert_memory(const json_t *typing, const engine *e)
{
    static const char *const names[] = {"tensors", "decode", "cache", "run",
                                        "weights", "other",  "idle",  "metadata"};
    const json_t *memory = json_object_get(typing, "memory");
    const json_t *labels = json_object_get(memory, "labels");
    const json_t *times = json_object_get(memory, "t_ms");
    const size_t looks = json_array_size(times);
    assert_true(looks > 1);
    assert_rises(times, 0);
    assert_int_equal(json_array_size(labels), sizeof names / sizeof names[0]);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(e->runtime), &info);
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(labels); i++) {
        const json_t *label = json_array_get(labels, i);
        const json_t *bytes = json_object_get(label, "bytes");
        assert_string_equal(json_string_value(json_object_get(label, "name")), names[i]);
        assert_int_equal(json_array_size(bytes), looks);
        sum += json_integer_value(json_array_get(bytes, looks - 1));
    }
    assert_int_equal(sum, info.mapped_bytes);
    const json_t *declared = json_object_get(memory, "declared");
    assert_int_equal(json_array_size(declared), looks);
    assert_int_equal(json_integer_value(json_array_get(declared, looks - 1)),
                     info.account_bytes[ORTP_ACCOUNT_DECLARED]);
    const json_t *resident = json_object_get(memory, "resident");
    assert_int_equal(json_array_size(resident), looks);
    assert_true(json_integer_value(json_array_get(resident, 0)) > 0);
}

static void told(void *ctx, double fraction)
{
    double *last = ctx; /* on the test's own thread */
    assert_true(fraction >= *last && fraction <= 1);
    *last = fraction;
}

static void twenty_swipes(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    double fraction = 0;
    const typing_options options = {
        .swipes = 20, .seed = 1, .progress = told, .progress_ctx = &fraction};
    json_t *typing = type(&r, r.swipes.count, &options);
    assert_non_null(typing);
    assert_int_equal(number(typing, "swipes"), 20);
    assert_int_equal(number(typing, "threads"), 2);
    assert_true(number(typing, "corrections") > 0);
    assert_true(fraction > 0);
    assert_samples(typing, 20);
    assert_memory(typing, &r.engine);
    const json_t *pressure = json_object_get(typing, "pressure");
    assert_true(json_array_size(pressure) >= 4);
    assert_rises(pressure, 0);
    assert_string_equal(json_string_value(json_array_get(json_array_get(pressure, 0), 1)),
                        "moderate");
    assert_string_equal(json_string_value(json_array_get(json_array_get(pressure, 1), 1)),
                        "critical");
    assert_int_equal(json_array_size(json_object_get(typing, "after_pressure_us")),
                     json_array_size(pressure));
    json_decref(typing);
    rig_close(&r);
}

/* A prediction that fails ends it. */
static void what_cannot_be_predicted(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    const size_t count = r.swipes.rows[2].count;
    r.swipes.rows[2].count = 0;
    const typing_options options = {.swipes = 20, .compression = 100};
    assert_null(type(&r, 4, &options));
    r.swipes.rows[2].count = count;
    rig_close(&r);
}

/* Last: the signal stays. */
static void a_signal_ends_it(void **state)
{
    (void)state;
    rig r;
    rig_open(&r);
    assert_true(interrupt_install());
    assert_int_equal(raise(SIGINT), 0);
    const typing_options options = {0};
    assert_null(type(&r, r.swipes.count, &options));
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_log_normal),   cmocka_unit_test(plans_follow_from_the_seed),
        cmocka_unit_test(other_rows_of_the_second), cmocka_unit_test(twenty_swipes),
        cmocka_unit_test(what_cannot_be_predicted), cmocka_unit_test(a_signal_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
