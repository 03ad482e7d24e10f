/* SPDX-License-Identifier: MIT */
/*
 * The incremental path: which models and versions take it, and that it finds what the decoder of whole
 * sequences finds, for every width and bucket and sequences of the full length.
 */
#include "model_run.h"
#include "rounds.h"

#include <math.h>
#include <stdio.h>

#define WIDTH_MOST ORTP_BEAM_MAX

static void skip_without_step(void)
{
    if (!step_runs()) {
        skip();
    }
}

static ortp_decoder *open_decoder(const fixture *f, size_t width)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = f->model,
                                                .tensors = f->tensors,
                                                .beam_width_max = width},
                  &decoder, &error),
              error);
    return decoder;
}

/* ---- which path ---- */

typedef struct path_case {
    const char *running; /* what the host says; NULL: nothing */
    uint32_t api_version;
    ortp_path wanted, expected;
    ortp_status status;
} path_case;

static size_t warnings;

static void count_warning(void *ctx, ortp_log_level level, const char *message)
{
    (void)ctx;
    warnings += level == ORTP_LOG_WARNING && strstr(message, "batched, not incremental") ? 1 : 0;
}

static void open_case(const char *directory, const path_case *c, const char *part)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = test_ort_api();
    options.api_version = c->api_version;
    options.ort_version = c->running;
    options.log.fn = count_warning;
    warnings = 0;
    ortp_error error = ORTP_ERROR_INIT;
    fixture f;
    const ortp_status status = fixture_try(&f, directory, c->wanted, &options, &error);
    if (status != c->status) {
        fail_msg("on %s, path %d: %s: %s", c->running ? c->running : "?", (int)c->wanted,
                 ortp_status_name(status), error.message);
    }
    if (status == ORTP_OK) {
        assert_int_equal(ortp_model_path(f.model), c->expected);
        const bool fell_back = c->wanted == ORTP_PATH_AUTO && c->expected == ORTP_PATH_BATCHED;
        assert_int_equal(warnings, fell_back ? 1 : 0);
    } else if (strstr(error.message, part) == NULL) {
        fail_msg("no '%s' in: %s", part, error.message);
    }
    fixture_close(&f);
}

static void the_path_is_what_model_and_version_allow(void **state)
{
    (void)state;
    static const path_case with_step[] = {
        {"1.29.0", 18, ORTP_PATH_AUTO, ORTP_PATH_INCREMENTAL, ORTP_OK},
        {"1.21.0", 18, ORTP_PATH_AUTO, ORTP_PATH_INCREMENTAL, ORTP_OK},
        {"1.20.1", 18, ORTP_PATH_AUTO, ORTP_PATH_BATCHED, ORTP_OK},
        {NULL, 18, ORTP_PATH_AUTO, ORTP_PATH_BATCHED, ORTP_OK}, /* it may be 1.18 */
        {"1.29.0", 18, ORTP_PATH_BATCHED, ORTP_PATH_BATCHED, ORTP_OK},
        {"1.29.0", 18, ORTP_PATH_SEQUENTIAL, ORTP_PATH_BATCHED, ORTP_OK},
        {"1.17.3", 18, ORTP_PATH_AUTO, ORTP_PATH_AUTO, ORTP_E_VERSION},
        {"1.20.1", 18, ORTP_PATH_INCREMENTAL, ORTP_PATH_AUTO, ORTP_E_VERSION},
    };
    static const path_case told_nothing = {NULL, 18, ORTP_PATH_INCREMENTAL, ORTP_PATH_AUTO,
                                           ORTP_E_VERSION};
    open_case(test_file(STEP), &told_nothing,
              "incremental path needs ONNX Runtime 1.21 or later; the host does not say");
    static const path_case unknown = {"1.29.0", 18, (ortp_path)7, ORTP_PATH_AUTO, ORTP_E_INVAL};
    open_case(test_file(STEP), &unknown, "path: 7, unknown");
    for (size_t i = 0; i < sizeof with_step / sizeof with_step[0]; i++) {
        if (with_step[i].expected == ORTP_PATH_INCREMENTAL && !step_runs()) {
            continue;
        }
        open_case(test_file(STEP), &with_step[i],
                  with_step[i].wanted == ORTP_PATH_INCREMENTAL
                      ? "needs ONNX Runtime 1.21 or later for the incremental path, this is 1.20.1"
                      : "needs ONNX Runtime 1.18 or later, this is 1.17.3");
    }
    if (step_runs()) {
        const path_case told[] = {
            {NULL, 21, ORTP_PATH_AUTO, ORTP_PATH_INCREMENTAL, ORTP_OK},
            {NULL, 21, ORTP_PATH_INCREMENTAL, ORTP_PATH_INCREMENTAL, ORTP_OK},
        };
        open_case(test_file(STEP), &told[0], "");
        open_case(test_file(STEP), &told[1], "");
    }
    const path_case none = {"1.29.0", 18, ORTP_PATH_INCREMENTAL, ORTP_PATH_AUTO, ORTP_E_INVAL};
    open_case(test_file(TINY), &none, "tiny/model.json: graphs.decoder_step: none");
}

static void mismatch(const char *path, const char *value, const char *part)
{
    make_model_folder("step.test", STEP, path, value);
    const path_case c = {"1.29.0", 18, ORTP_PATH_INCREMENTAL, ORTP_PATH_AUTO, ORTP_E_INVAL};
    open_case("step.test", &c, part);
}

static void manifest_and_graph_must_agree(void **state)
{
    (void)state;
    skip_without_step();
    mismatch("decoder_step", NULL, "model.json: decoder_step: expected an object");
    mismatch("decoder_step.token", "7", "decoder_step.token: expected a string that is not empty");
    mismatch("decoder_step.token", "\"x\"",
             "decoder_step.onnx: no input 'x', which the manifest names as token");
    mismatch("decoder_step.beam_width", "\"token\"",
             "'token', which the manifest names as beam_width, has another role, too");
    mismatch("decoder_step.past_length", NULL, "decoder_step.past_length: expected a string");
    mismatch("decoder_step.logits", "\"present_key_0\"",
             "logits 'present_key_0': found float [?,2,20,8], expected float [rows,30]");
    mismatch("decoder_step.kv_heads", "4",
             "cross 'cross_key_0': found float [1,2,?,8], expected float [1,4,S,8]");
    mismatch("max_tokens", "19",
             "decoder_step.onnx: indirection 'indirection': found int32 [1,?,20], ");
    mismatch("decoder_step.kv_size", "0", "decoder_step.kv_size: expected an integer from 1 to");
    mismatch("decoder_step.min_ort", "\"new\"", "decoder_step.min_ort: expected a version");
    mismatch("decoder_step.cross", "[]", "decoder_step.cross: expected an array of 2 to 32");
    mismatch("decoder_step.cross", "[\"cross_key_0\", \"cross_value_0\"]",
             "decoder_step.past: expected an array of 2 strings, as decoder_step.cross");
    mismatch("decoder_step.past", "[\"a\", \"b\", \"a\", \"c\"]",
             "decoder_step.past[2]: expected the name of a port, each once");
    mismatch("decoder_step.past", "[\"a\", \"b\", \"c\", \"d\"]",
             "decoder_step.onnx: no input 'a', which the manifest names as past");
    mismatch("decoder_step.present",
             "[\"a\", \"present_value_0\", \"present_key_1\", \"present_value_1\"]",
             "decoder_step.onnx: no output 'a', which the manifest names as present");
    mismatch("decoder_step.cross", "\"cross_key_0\"", "decoder_step.cross: expected an array of 2");
    mismatch("decoder_step.cross", "[\"a\", \"b\", \"c\"]",
             "decoder_step.cross: expected an array of 2");
    mismatch("decoder_step.cross", "[\"cross_key_0\", 7, \"cross_key_1\", \"x\"]",
             "decoder_step.cross[1]: expected the name of a port, each once");
    mismatch("decoder_step.present",
             "[\"present_key_0\", \"present_key_0\", \"present_key_1\", \"present_value_1\"]",
             "decoder_step.present[1]: expected the name of a port, each once");
    mismatch("decoder_step.past",
             "[\"past_key_0\", \"past_value_0\", \"past_key_1\", \"indirection\"]",
             "past 'indirection': found int32 [1,?,20], expected float [rows,2,20,8]");
    mismatch("decoder_step.cross",
             "[\"past_key_0\", \"cross_value_0\", \"cross_key_1\", \"cross_value_1\"]",
             "cross 'past_key_0': found float [?,2,20,8], expected float [1,2,S,8]");
    mismatch("decoder_step.kv_size", "70000",
             "decoder_step.kv_size: expected an integer from 1 to");
    mismatch("graphs.decoder_step", NULL,
             "graphs.decoder_step: expected a path, since there is a decoder_step");
    mismatch("encoder.cross", NULL, "encoder.cross: expected an array of 4 strings");
    mismatch("encoder.cross", "[\"cross_value_0\", \"cross_key_0\", \"cross_key_1\", \"x\"]",
             "encoder.onnx: no output 'x', which the manifest names as cross");
    mismatch("graphs.decoder_step", "\"encoder.onnx\"", "encoder.onnx: no input 'token'");
    mismatch("graphs.decoder_step", "\"decoder.onnx\"", "decoder.onnx: no input 'token'");
}

static void forget_section(const char *file, const char *name)
{
    json_t *root = json_load_file(file, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_object_del(root, name), 0);
    assert_int_equal(json_dump_file(root, file, JSON_INDENT(1)), 0);
    json_decref(root);
}

/* A manifest without the step is one without the path, whatever the encoder gives besides. */
static void a_step_that_is_not_named_is_none(void **state)
{
    (void)state;
    fixture f;
    make_model_folder("step.test", STEP, "graphs.decoder_step", NULL);
    forget_section("step.test/model.json", "decoder_step");
    fixture_open_at(&f, "step.test", NULL);
    assert_int_equal(ortp_model_path(f.model), ORTP_PATH_BATCHED);
    assert_null(f.manifest->step_path);
    assert_int_equal(f.manifest->step.cross_count, 0);
    fixture_close(&f);
}

/* ---- what it finds ---- */

/* A decoder for 32 beams serves each width: rows are views of its buffers. */
static void finds_what_whole_sequences_find(void **state)
{
    (void)state;
    skip_without_step();
    fixture step;
    fixture whole;
    fixture_open_on(&step, STEP, ORTP_PATH_INCREMENTAL);
    fixture_open_on(&whole, STEP, ORTP_PATH_BATCHED);
    ortp_decoder *one = open_decoder(&step, WIDTH_MOST);
    ortp_decoder *two = open_decoder(&whole, WIDTH_MOST);
    static found a = FOUND_INIT, b = FOUND_INIT;
    size_t longest = 0;
    for (size_t round = 0; round < 2 * WIDTH_MOST; round++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = 1 + round / 2;
        params.keep_duplicates = round % 5 == 0;
        params.length_reward = round % 2 == 0 ? 3.0 : 0.0;
        params.prune_gap = round % 7 == 0 ? 4.0 : 0.0; /* beams end before others */
        search_round(&step, one, round, &params, NULL, &a);
        search_round(&whole, two, round, &params, NULL, &b);
        assert_same_results(a.results, a.count, b.results, b.count, 1e-3);
        assert_int_equal(ortp_decoder_last_runs(one), ortp_decoder_last_runs(two));
        for (size_t i = 0; i < a.count; i++) {
            longest = a.results[i].length > longest ? a.results[i].length : longest;
        }
    }
    assert_int_equal(longest, step.manifest->max_tokens - 2); /* without start and end */
    ortp_decoder_destroy(one, NULL);
    ortp_decoder_destroy(two, NULL);
    fixture_close(&step);
    fixture_close(&whole);
}

/* One row, and then more, and one again: buffers grow once. */
static void greedy_and_beams_take_turns(void **state)
{
    (void)state;
    skip_without_step();
    fixture step;
    fixture whole;
    fixture_open_on(&step, STEP, ORTP_PATH_AUTO);
    fixture_open_on(&whole, STEP, ORTP_PATH_SEQUENTIAL);
    ortp_decoder *one = open_decoder(&step, 8);
    ortp_decoder *two = open_decoder(&whole, 8);
    static found a = FOUND_INIT, b = FOUND_INIT;
    for (size_t round = 0; round < 6; round++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.strategy = round % 2 == 0 ? ORTP_STRATEGY_GREEDY : ORTP_STRATEGY_BEAM;
        search_round(&step, one, round, &params, NULL, &a);
        params.path = ORTP_PATH_SEQUENTIAL;
        search_round(&whole, two, round, &params, NULL, &b);
        assert_same_results(a.results, a.count, b.results, b.count, 1e-3);
    }
    ortp_decoder_destroy(one, NULL);
    ortp_decoder_destroy(two, NULL);
    fixture_close(&step);
    fixture_close(&whole);
}

/* Two decoders over one encoder output, step by step in turns: neither sees the other's cache. */
typedef struct nested {
    const fixture *f;
    ortp_decoder *other;
    ortp_tensor *encoded;
    size_t length;
    size_t searches;
} nested;

static bool search_inside(void *ctx)
{
    nested *n = ctx;
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 0;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.beam_width = 1 + n->searches++ % 8;
    assert_ok(ortp_decoder_search(n->other, n->encoded, n->length, &params, NULL, &result, 1,
                                  &count, &error),
              error);
    return false;
}

static void decoders_share_an_encoder_output(void **state)
{
    (void)state;
    skip_without_step();
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    fixture_open_on(&f, STEP, ORTP_PATH_AUTO);
    nested n = {.f = &f, .other = open_decoder(&f, 8)};
    ortp_decoder *decoder = open_decoder(&f, 8);
    n.encoded = encode_round(&f, 1, &n.length);
    static found alone = FOUND_INIT, together = FOUND_INIT;
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    assert_ok(ortp_decoder_search(decoder, n.encoded, n.length, &params, NULL, alone.results,
                                  RESULTS, &alone.count, &error),
              error);
    params.stop = search_inside;
    params.stop_ctx = &n;
    assert_ok(ortp_decoder_search(decoder, n.encoded, n.length, &params, NULL, together.results,
                                  RESULTS, &together.count, &error),
              error);
    assert_true(n.searches > 3);
    assert_same_results(alone.results, alone.count, together.results, together.count, 0.0);
    ortp_decoder_destroy(n.other, NULL);
    ortp_decoder_destroy(decoder, NULL);
    assert_int_equal(ortp_tensor_release(n.encoded), ORTP_OK);
    fixture_close(&f);
}

/* ---- what it takes ---- */

static void a_warm_search_makes_no_value(void **state)
{
    (void)state;
    skip_without_step();
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    fixture_open_on(&f, STEP, ORTP_PATH_AUTO);
    ortp_decoder *decoder = open_decoder(&f, 8);
    for (size_t i = 0; i < f.manifest->bucket_count; i++) {
        assert_ok(ortp_model_warm(f.model, i, &error), error);
        assert_ok(ortp_decoder_warm(decoder, i, 8, &error), error);
    }
    const uint64_t before = values_made(&f);
    static found ignored = FOUND_INIT;
    for (size_t round = 0; round < 8; round++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = 8;
        search_round(&f, decoder, round, &params, NULL, &ignored);
    }
    assert_int_equal(values_made(&f), before);
    size_t rows = 0;
    assert_non_null(ortp__decoder_logits(decoder, &rows));
    assert_int_equal(rows, 8);
    ortp_decoder_destroy(decoder, NULL);
    fixture_close(&f);
}

static void buffers_are_those_of_the_path(void **state)
{
    (void)state;
    skip_without_step();
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    fixture_open_on(&f, STEP, ORTP_PATH_AUTO);
    ortp_decoder_buffers *buffers = NULL;
    assert_ok(ortp_decoder_buffers_create(
                  &(const ortp_decoder_buffers_options){.struct_size =
                                                            sizeof(ortp_decoder_buffers_options),
                                                        .model = f.model,
                                                        .tensors = f.tensors,
                                                        .beams = 3,
                                                        .source = 32},
                  &buffers, &error),
              error);
    ortp_decoder_buffers_info info = ORTP_DECODER_BUFFERS_INFO_INIT;
    ortp_decoder_buffers_get_info(buffers, &info);
    assert_int_equal(info.tokens_bytes, 3 * sizeof(int32_t));
    assert_int_equal(info.logits_bytes, 3 * 30 * sizeof(float));
    assert_int_equal(info.kv_bytes, (size_t)4 * 3 * 2 * 20 * 8 * sizeof(float));
    assert_int_equal(info.indirection_bytes, 3 * 20 * sizeof(int32_t));
    assert_int_equal(info.memory_bytes + info.mask_bytes, 0);
    ortp_decoder_buffers_destroy(buffers, NULL);
    fixture_close(&f);
}

/* What another path reads is refused, as is a path that the model was not opened for. */
static void refuses_what_is_another_paths(void **state)
{
    (void)state;
    skip_without_step();
    static const ortp_path opened[] = {ORTP_PATH_INCREMENTAL, ORTP_PATH_BATCHED};
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open_on(&f, STEP, opened[i]);
        ortp_decoder *decoder = open_decoder(&f, 2);
        size_t length = 0;
        ortp_tensor *encoded = encode_round(&f, 0, &length);
        ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
        size_t count = 0;
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = opened[1 - i];
        assert_int_equal(ortp_decoder_search(decoder, encoded, length, &params, NULL, &result, 1,
                                             &count, &error),
                         ORTP_E_INVAL);
        assert_non_null(strstr(error.message, "the model was opened for another"));
        assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
        const int64_t shapes[2][4] = {{1, 32, 16}, {4, 2, 32, 8}}; /* of the other */
        assert_ok(
            ortp_tensor_acquire(f.tensors, ORTP_TYPE_FLOAT, shapes[i], 3 + i, &encoded, &error),
            error);
        assert_int_equal(
            ortp_decoder_search(decoder, encoded, 32, NULL, NULL, &result, 1, &count, &error),
            ORTP_E_INVAL);
        assert_non_null(strstr(error.message, i == 0
                                                  ? "cross keys and values of float [4,2,1..150,8]"
                                                  : "memory of float [1,1..150"));
        assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
        ortp_decoder_destroy(decoder, NULL);
        fixture_close(&f);
    }
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_is_what_model_and_version_allow),
        cmocka_unit_test(manifest_and_graph_must_agree),
        cmocka_unit_test(a_step_that_is_not_named_is_none),
        cmocka_unit_test(finds_what_whole_sequences_find),
        cmocka_unit_test(greedy_and_beams_take_turns),
        cmocka_unit_test(decoders_share_an_encoder_output),
        cmocka_unit_test(a_warm_search_makes_no_value),
        cmocka_unit_test(buffers_are_those_of_the_path),
        cmocka_unit_test(refuses_what_is_another_paths),
    };
    return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
