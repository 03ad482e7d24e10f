/* SPDX-License-Identifier: MIT */
/* The bundled model, end to end: the golden cases, the cache, both paths on the bundled samples. */
#include "machine.h"
#include "tally.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE_COUNT 50

static void compare_candidates(const swipe_row *row, const ortp_prediction *got)
{
    const json_t *candidates = json_object_get(row->json, "candidates");
    assert_int_equal(got->candidate_count, json_array_size(candidates));
    for (size_t i = 0; i < got->candidate_count; i++) {
        const json_t *expected = json_array_get(candidates, i);
        assert_string_equal(got->candidates[i].word,
                            json_string_value(json_object_get(expected, "word")));
        const double score = json_number_value(json_object_get(expected, "score"));
        if (!(fabs(got->candidates[i].score - score) <= 1e-3)) {
            fail_msg("%s: %.6f, expected %.6f", got->candidates[i].word, got->candidates[i].score,
                     score);
        }
    }
    assert_int_equal(got->points, json_integer_value(json_object_get(row->json, "length")));
}

/* The bundled model takes seconds for a swipe in an emulator. */
static void skip_when_thin(void)
{
    if (test_thin()) {
        skip();
    }
}

/* ONNX Runtime before 1.21 has no kernel for the step. */
static bool step_runs(void)
{
    return test_ort_library()->api_version >= 21;
}

static void golden_on(ortp_path path)
{
    rig r;
    const rig_options options = {.model = SWIPE_EN, .predictor = {.path = path}};
    rig_open(&r, &options);
    swipe_rows rows =
        swipe_rows_read(test_file("tests/data/golden.jsonl"), test_thin() ? 1 : SIZE_MAX);
    for (size_t i = 0; i < rows.count; i++) {
        const ortp_prediction got = rig_predict(&r, &rows.rows[i], 0);
        assert_false(got.cache_hit);
        compare_candidates(&rows.rows[i], &got);
    }
    swipe_rows_free(&rows);
    rig_close(&r);
}

static void golden_batched(void **state)
{
    (void)state;
    golden_on(ORTP_PATH_BATCHED);
}

static void golden_sequential(void **state)
{
    (void)state;
    skip_when_thin();
    golden_on(ORTP_PATH_SEQUENTIAL);
}

static void golden_incremental(void **state)
{
    (void)state;
    if (!step_runs()) {
        skip();
    }
    golden_on(ORTP_PATH_INCREMENTAL);
}

static void hits_run_no_encoder(const char *model, ortp_path path)
{
    rig r;
    const rig_options options = {.model = model, .predictor = {.path = path}};
    rig_open(&r, &options);
    swipe_rows rows = swipe_rows_read(test_file(SAMPLES), 4);
    ortp_session *encoder = ortp_model_encoder(ortp_predictor_model(r.predictor));
    ortp_prediction first[4];
    for (size_t i = 0; i < 4; i++) {
        first[i] = rig_predict(&r, &rows.rows[i], 8);
        assert_false(first[i].cache_hit);
        assert_int_equal(ortp_session_runs(encoder), i + 1);
    }
    for (size_t i = 0; i < 4; i++) {
        const ortp_prediction again = rig_predict(&r, &rows.rows[i], 8);
        assert_true(again.cache_hit);
        assert_int_equal(again.points, first[i].points);
        assert_int_equal(again.decoder_runs, first[i].decoder_runs);
        assert_same_words(&again, &first[i], 0.0); /* the same bits in, the same bits out */
    }
    assert_int_equal(ortp_session_runs(encoder), 4);
    const ortp_stats stats = rig_stats(&r);
    assert_int_equal(stats.cache_hits, 4);
    assert_int_equal(stats.cache_misses, 4);
    assert_int_equal(stats.predictions, 8);
    assert_int_equal(stats.encoder_runs, 4);
    swipe_rows_free(&rows);
    rig_close(&r);
}

static void cache_hit_runs_no_encoder(void **state)
{
    (void)state;
    skip_when_thin();
    hits_run_no_encoder(SWIPE_EN, ORTP_PATH_AUTO);
}

/* What the encoder itself says is kept with what it gives the decoder. */
static void cache_keeps_the_second_score(void **state)
{
    (void)state;
    hits_run_no_encoder(CTC_MODEL, ORTP_PATH_AUTO);
    hits_run_no_encoder(CTC_MODEL, ORTP_PATH_BATCHED);
    hits_run_no_encoder(CTC_MODEL, ORTP_PATH_SEQUENTIAL);
}

/* How many of the samples are the first word. */
static size_t paths_agree(const char *model)
{
    static const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL,
                                      ORTP_PATH_INCREMENTAL};
    const size_t count = step_runs() ? 3 : 2;
    rig rigs[3];
    tally tallies[3] = {{0}, {0}, {0}};
    ortp_error error = ORTP_ERROR_INIT;
    for (size_t i = 0; i < count; i++) {
        const rig_options options = {.model = model, .predictor = {.path = paths[i]}};
        rig_open(&rigs[i], &options);
        assert_ok(ortp_predictor_warm(rigs[i].predictor, NULL, NULL, &error), error);
    }
    swipe_rows rows = swipe_rows_read(test_file(SAMPLES), SIZE_MAX);
    assert_int_equal(rows.count, SAMPLE_COUNT);
    for (size_t row = 0; row < rows.count; row++) {
        ortp_prediction got[3];
        for (size_t i = 0; i < count; i++) {
            got[i] = rig_predict(&rigs[i], &rows.rows[row], 3);
            if (!same_but_ties(&got[0], &got[i], 1e-3)) {
                fail_msg("%s: the paths disagree", rows.rows[row].word);
            }
            tally_add(&tallies[i], &rows.rows[row], &got[i]);
        }
        assert_true(got[0].decoder_runs < got[1].decoder_runs);
        assert_true(count < 3 || got[0].decoder_runs == got[2].decoder_runs);
    }
    static const char *const names[] = {"batched", "sequential", "incremental"};
    for (size_t i = 0; i < count; i++) {
        tally_print(&tallies[i], names[i]);
        rig_close(&rigs[i]);
    }
    swipe_rows_free(&rows);
    return tallies[0].top1;
}

static void paths_agree_on_samples(void **state)
{
    (void)state;
    skip_when_thin();
    assert_true(paths_agree(SWIPE_EN) >= 45); /* they are made to be readable */
}

static void paths_agree_on_the_second_score(void **state)
{
    (void)state;
    (void)paths_agree(CTC_MODEL);
}

/* After warm-up every byte has its place; the table is what the command shows. */
static void ledger_after_warm_up(void **state)
{
    (void)state;
    skip_when_thin();
    rig r;
    const rig_options options = {.model = SWIPE_EN};
    rig_open(&r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_warmup_report report = ORTP_WARMUP_REPORT_INIT;
    assert_ok(ortp_predictor_warm(r.predictor, NULL, &report, &error), error);
    assert_int_equal(report.steps_done, report.steps_total);
    assert_true(report.mapped_bytes > 0);
    rig_assert_ledger(&r);
    const ortp_stats stats = rig_stats(&r);
    assert_int_equal(stats.predictions, 0);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.cache_hits + stats.cache_misses, 0);
    assert_true(stats.in_use_other >= ortp_lexicon_bytes(ortp_predictor_lexicon(r.predictor)));
    assert_true(stats.in_use_decode > 0);
    char text[8192];
    assert_int_equal(ortp_stats_write(&stats, ORTP_STATS_TABLE, text, sizeof text, NULL), ORTP_OK);
    print_message("warm-up: %zu steps, %.0f ms\n", report.steps_done,
                  (double)report.microseconds / 1000.0);
    (void)puts(text); /* longer than print_message() takes */
    rig_close(&r);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_batched),
        cmocka_unit_test(golden_sequential),
        cmocka_unit_test(golden_incremental),
        cmocka_unit_test(cache_hit_runs_no_encoder),
        cmocka_unit_test(paths_agree_on_samples),
        cmocka_unit_test(ledger_after_warm_up),
        cmocka_unit_test(cache_keeps_the_second_score),
        cmocka_unit_test(paths_agree_on_the_second_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
