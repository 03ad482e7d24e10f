/* SPDX-License-Identifier: MIT */
/* model.json: what is read, and that each mistake is named by file and field. */
#include <errno.h>
#include <sys/stat.h>

#include "counting_alloc.h"
#include "fixture.h"

static void reads_what_is_there(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(SWIPE)},
                  &m, &error),
              error);
    char path[1100];
    assert_string_equal(m->name, "swipe-en-fp32");
    assert_string_equal(m->directory, test_file(SWIPE));
    (void)snprintf(path, sizeof path, "%s/decoder.onnx", m->directory);
    assert_string_equal(m->decoder_path, path);
    (void)snprintf(path, sizeof path, "%s/encoder.onnx", m->directory);
    assert_string_equal(m->encoder_path, path);
    (void)snprintf(path, sizeof path, "%s/model.json", m->directory);
    assert_string_equal(m->path, path);
    assert_string_equal(m->encoder.features, "trajectory_features");
    assert_string_equal(m->encoder.keys, "nearest_keys");
    assert_string_equal(m->encoder.length, "actual_length");
    assert_null(m->encoder.source_mask);
    assert_string_equal(m->encoder.memory, "memory");
    assert_string_equal(m->decoder.memory, "memory");
    assert_string_equal(m->decoder.tokens, "target_tokens");
    assert_string_equal(m->decoder.length, "actual_src_length");
    assert_string_equal(m->decoder.logits, "logits");
    assert_null(m->decoder.source_mask);
    assert_int_equal(m->decoder.layout, ORTP_MEMORY_BROADCAST);
    assert_true(m->mask_true_is_padding);
    assert_int_equal(m->max_points, 150);
    assert_int_equal(m->features, 6);
    assert_int_equal(m->hidden, 256);
    assert_int_equal(m->max_tokens, 20);
    assert_int_equal(m->vocabulary, 30);
    assert_int_equal(m->pad, 0);
    assert_int_equal(m->unk, 1);
    assert_int_equal(m->sos, 2);
    assert_int_equal(m->eos, 3);
    assert_int_equal(m->bucket_count, 4);
    assert_int_equal(m->buckets[0], 32);
    assert_int_equal(m->buckets[3], 150);
    assert_int_equal(m->beam_width, 8);
    assert_true(m->length_reward == beam_setting(SWIPE, "length_reward"));
    assert_true(m->stop_margin == beam_setting(SWIPE, "stop_margin") && m->length_alpha == 0.0);
    assert_true(m->ctc_weight == beam_setting(SWIPE, "ctc_weight") && m->ctc_weight > 0.0);
    assert_string_equal(m->encoder.ctc, "ctc");
    assert_string_equal(m->min_ort, "1.18");
    (void)snprintf(path, sizeof path, "%s/decoder_step.onnx", m->directory);
    assert_string_equal(m->step_path, path);
    assert_string_equal(m->step.token, "token");
    assert_string_equal(m->step.past_length, "past_length");
    assert_string_equal(m->step.length, "src_length");
    assert_string_equal(m->step.beam_width, "beam_width");
    assert_string_equal(m->step.indirection, "indirection");
    assert_string_equal(m->step.logits, "logits");
    assert_int_equal(m->step.cross_count, 4);
    assert_string_equal(m->encoder.cross[0], "cross_key_0");
    assert_string_equal(m->step.cross[3], "cross_value_1");
    assert_string_equal(m->step.past[2], "past_key_1");
    assert_string_equal(m->step.present[1], "present_value_0");
    assert_int_equal(m->step.kv_heads, 4);
    assert_int_equal(m->step.kv_size, 64);
    assert_string_equal(m->step.min_ort, "1.21");
    ortp_manifest_destroy(m, NULL);
}

static void reads_the_mask_style(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(MASK)},
                  &m, &error),
              error);
    assert_string_equal(m->encoder.source_mask, "src_mask");
    assert_string_equal(m->decoder.source_mask, "src_mask");
    assert_null(m->encoder.length);
    assert_null(m->decoder.length);
    assert_int_equal(m->decoder.layout, ORTP_MEMORY_REPLICATED);
    ortp_manifest_destroy(m, NULL);
}

static void reads_the_second_score(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(CTC)},
                  &m, &error),
              error);
    assert_string_equal(m->encoder.ctc, "ctc");
    assert_true(m->ctc_weight == 0.5);
    ortp_manifest_destroy(m, NULL);
    /* It may be there and weigh nothing. */
    make_model_folder("manifest.test", CTC, "beam.ctc_weight", NULL);
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = "manifest.test"},
                  &m, &error),
              error);
    assert_string_equal(m->encoder.ctc, "ctc");
    assert_true(m->ctc_weight == 0.0);
    ortp_manifest_destroy(m, NULL);
    make_model_folder("manifest.test", TINY, "beam.ctc_weight", "0");
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = "manifest.test"},
                  &m, &error),
              error);
    assert_null(m->encoder.ctc);
    ortp_manifest_destroy(m, NULL);
}

static void rounds_up_to_a_bucket(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(SWIPE)},
                  &m, &error),
              error);
    assert_int_equal(ortp_manifest_bucket(m, 1), 32);
    assert_int_equal(ortp_manifest_bucket(m, 32), 32);
    assert_int_equal(ortp_manifest_bucket(m, 33), 64);
    assert_int_equal(ortp_manifest_bucket(m, 150), 150);
    assert_int_equal(ortp_manifest_bucket(m, 151), 0);
    ortp_manifest_destroy(m, NULL);
}

/* Loads the changed manifest; the error must hold `file: expected`. */
static void refuse(const char *path, const char *value, const char *expected)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    char message[300];
    make_model_folder("manifest.test", TINY, path, value);
    (void)snprintf(message, sizeof message, "manifest.test/model.json: %s", expected);
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = "manifest.test"},
            &m, &error),
        ORTP_E_INVAL);
    assert_null(m);
    if (strstr(error.message, message) != error.message) {
        fail_msg("%s = %s: found '%s', expected '%s'", path, value != NULL ? value : "(removed)",
                 error.message, message);
    }
}

static void names_the_field(void **state)
{
    (void)state;
    static const char *const required_strings[] = {
        "name",           "graphs.encoder", "graphs.decoder", "encoder.features", "encoder.memory",
        "decoder.memory", "decoder.tokens", "decoder.logits", "min_ort",
    };
    for (size_t i = 0; i < sizeof required_strings / sizeof *required_strings; i++) {
        char expected[100];
        (void)snprintf(expected, sizeof expected, "%s: expected a string", required_strings[i]);
        refuse(required_strings[i], NULL, expected);
        refuse(required_strings[i], "7", expected);
        refuse(required_strings[i], "\"\"", expected);
    }
    static const char *const optional_strings[] = {
        "encoder.keys",   "encoder.length",      "encoder.source_mask",   "encoder.ctc",
        "decoder.length", "decoder.source_mask", "decoder.memory_layout", "source_mask_true",
    };
    for (size_t i = 0; i < sizeof optional_strings / sizeof *optional_strings; i++) {
        char expected[100];
        (void)snprintf(expected, sizeof expected, "%s: expected a string", optional_strings[i]);
        refuse(optional_strings[i], "[]", expected);
        refuse(optional_strings[i], "null", expected);
    }
    static const char *const sizes[] = {
        "max_points", "features",   "hidden",     "max_tokens", "vocabulary",
        "tokens.pad", "tokens.unk", "tokens.sos", "tokens.eos", "beam.width",
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char expected[100];
        (void)snprintf(expected, sizeof expected, "%s: expected an integer from", sizes[i]);
        refuse(sizes[i], NULL, expected);
        refuse(sizes[i], "\"8\"", expected);
        refuse(sizes[i], "8.5", expected);
        refuse(sizes[i], "-1", expected);
        refuse(sizes[i], "9000000", expected);
        refuse(sizes[i], "9223372036854775807", expected);
    }
    static const char *const sections[] = {"graphs", "encoder", "decoder", "tokens", "beam"};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char expected[100];
        (void)snprintf(expected, sizeof expected, "%s: expected an object", sections[i]);
        refuse(sections[i], NULL, expected);
        refuse(sections[i], "[]", expected);
    }
}

static void names_what_is_special(void **state)
{
    (void)state;
    refuse("encoder.length", NULL, "encoder.length: expected this or source_mask");
    refuse("decoder.length", NULL, "decoder.length: expected this or source_mask");
    refuse("decoder.memory_layout", "\"rows\"",
           "decoder.memory_layout: expected \"broadcast\" or \"replicated\"");
    refuse("source_mask_true", "\"on\"", "source_mask_true: expected \"padding\" or \"valid\"");
    refuse("tokens.eos", "30", "tokens.eos: expected an integer from 0 to 29");
    refuse("tokens.eos", "2", "tokens.eos: expected a token of its own");
    refuse("beam.width", "33", "beam.width: expected an integer from 1 to 32");
    refuse("beam.width", "0", "beam.width: expected an integer from 1 to 32");
    refuse("beam.length_reward", "\"a\"", "beam.length_reward: expected a number");
    refuse("beam.length_alpha", "-0.5", "beam.length_alpha: expected a number of at least 0");
    refuse("beam.stop_margin", "-1", "beam.stop_margin: expected a number of at least 0");
    refuse("beam.ctc_weight", "-1", "beam.ctc_weight: expected a number of at least 0");
    refuse("beam.ctc_weight", "\"1\"", "beam.ctc_weight: expected a number");
    refuse("beam.ctc_weight", "0.1", "beam.ctc_weight: expected 0, since the encoder has no ctc");
    refuse("encoder.ctc", "\"memory\"", "encoder.ctc: expected another output than memory");
    refuse("buckets", NULL, "buckets: expected an array of 1 to 16 integers");
    refuse("buckets", "[]", "buckets: expected an array of 1 to 16 integers");
    refuse("buckets", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,150]",
           "buckets: expected an array of 1 to 16 integers");
    refuse("buckets", "[32, \"64\", 150]", "buckets[1]: expected an integer from 33");
    refuse("buckets", "[32, 32, 150]", "buckets[1]: expected an integer from 33");
    refuse("buckets", "[0, 150]", "buckets[0]: expected an integer from 1");
    refuse("buckets", "[32, 64]", "buckets: expected the last one to be max_points");
    refuse("min_ort", "\"new\"", "min_ort: expected a version such as \"1.18\"");
    static const char *const versions[] = {
        "\"1.18-rc\"", "\"1\"",        "\"1.\"",    "\".18\"",   "\"1.18.\"",  "\"1.x\"",
        "\"1.18.0.\"", "\"1.18.0.1\"", "\"-1.18\"", "\" 1.18\"", "\"1.99999\""};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        refuse("min_ort", versions[i], "min_ort: expected a version such as \"1.18\"");
    }
}

static void takes_defaults(void **state)
{
    (void)state;
    static const char *const fields[] = {"beam.length_reward", "beam.stop_margin",
                                         "decoder.memory_layout", "encoder.keys"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        ortp_error error = ORTP_ERROR_INIT;
        ortp_manifest *m = NULL;
        make_model_folder("manifest.test", TINY, fields[i], NULL);
        assert_ok(ortp_manifest_create(
                      &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                     .directory = "manifest.test"},
                      &m, &error),
                  error);
        assert_true(m->length_reward == (i == 0 ? 0.0 : beam_setting(TINY, "length_reward")));
        assert_true(m->stop_margin == (i == 1 ? 0.0 : beam_setting(TINY, "stop_margin")));
        assert_int_equal(m->decoder.layout, ORTP_MEMORY_BROADCAST);
        assert_true((m->encoder.keys == NULL) == (i == 3));
        ortp_manifest_destroy(m, NULL);
    }
}

static void ignores_unknown_sections(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    make_model_folder("manifest.test", TINY, "something_new", "{\"a\": [1, {}]}");
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = "manifest.test"},
                  &m, &error),
              error);
    ortp_manifest_destroy(m, NULL);
}

static void refuse_text(const char *text, const char *expected)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    make_model_folder("manifest.test", TINY, NULL, NULL);
    test_write_file("manifest.test/model.json", text, strlen(text));
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = "manifest.test"},
            &m, &error),
        ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "manifest.test/model.json: "));
    if (strstr(error.message, expected) == NULL) {
        fail_msg("found '%s', expected '%s'", error.message, expected);
    }
}

static void refuses_what_is_no_manifest(void **state)
{
    (void)state;
    refuse_text("", "line 1");
    refuse_text("{\"name\": ", "line 1");
    refuse_text("{\n\"name\": \"a\",\n\"name\": \"b\"}", "line 3");
    refuse_text("[1, 2]", "the file: expected a JSON object");
    refuse_text("{}", "name: expected a string");
    refuse_text("{\"name\": \"\xff\"}", "line 1");
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = "no-such-folder"},
            &m, &error),
        ORTP_E_NOTFOUND);
    assert_non_null(strstr(error.message, "no-such-folder/model.json: cannot be opened: "));
    assert_non_null(strstr(error.message, strerror(ENOENT)));
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options)}, &m,
            &error),
        ORTP_E_INVAL);
    assert_int_equal(ortp_manifest_create(
                         &(const ortp_manifest_options){
                             .struct_size = sizeof(ortp_manifest_options), .directory = ""},
                         &m, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_manifest_create(
                         &(const ortp_manifest_options){
                             .struct_size = sizeof(ortp_manifest_options), .directory = "x"},
                         NULL, NULL),
                     ORTP_E_INVAL);
}

/* A directory can be opened, and reading it is no end of file. */
static void says_why_a_file_cannot_be_read(void **state)
{
    (void)state;
    assert_true(mkdir("unreadable.test", 0777) == 0 || errno == EEXIST);
    assert_true(mkdir("unreadable.test/model.json", 0777) == 0 || errno == EEXIST);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = "unreadable.test"},
            &m, &error),
        ORTP_E_INVAL);
    assert_null(m);
    assert_non_null(strstr(error.message, "unreadable.test/model.json: cannot be read: "));
    assert_non_null(strstr(error.message, strerror(EISDIR)));
}

static void is_charged_and_fails_cleanly(void **state)
{
    (void)state;
    counting_alloc counter = {0};
    const ortp_alloc alloc = counting_alloc_use(&counter);
    ortp_budget *budget = NULL;
    assert_int_equal(ortp_budget_create(NULL, &budget, NULL), ORTP_OK);
    ortp_budget_info before = ORTP_BUDGET_INFO_INIT;
    ortp_budget_info during = ORTP_BUDGET_INFO_INIT;
    ortp_budget_info after = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &before);

    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *m = NULL;
    assert_ok(ortp_manifest_create(
                  &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                 .directory = test_file(TINY),
                                                 .budget = budget,
                                                 .alloc = alloc},
                  &m, &error),
              error);
    ortp_budget_get_info(budget, &during);
    assert_int_equal(during.charged_bytes - before.charged_bytes, atomic_load(&counter.live_bytes));
    assert_true(during.account_bytes[ORTP_ACCOUNT_METADATA] >
                before.account_bytes[ORTP_ACCOUNT_METADATA]);
    assert_int_equal(atomic_load(&counter.live_blocks), 1);
    ortp_manifest_destroy(m, NULL);

    const uint64_t calls = atomic_load(&counter.calls);
    for (uint64_t nth = 1; nth <= calls; nth++) {
        counting_alloc_fail(&counter, nth, false);
        assert_int_equal(
            ortp_manifest_create(
                &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                               .directory = test_file(TINY),
                                               .budget = budget,
                                               .alloc = alloc},
                &m, &error),
            ORTP_E_NOMEM);
        assert_null(m);
    }
    counting_alloc_fail(&counter, 0, false);
    assert_int_equal(ortp_budget_set_limit(budget, before.charged_bytes + 8, NULL), ORTP_OK);
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = test_file(TINY),
                                           .budget = budget,
                                           .alloc = alloc},
            &m, &error),
        ORTP_E_BUDGET);
    ortp_budget_get_info(budget, &after);
    assert_int_equal(after.charged_bytes, before.charged_bytes);
    counting_alloc_assert_empty(&counter);
    const ortp_alloc half = {.alloc = alloc.alloc};
    assert_int_equal(
        ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = test_file(TINY),
                                           .alloc = half},
            &m, &error),
        ORTP_E_INVAL);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(reads_the_mask_style),
        cmocka_unit_test(reads_the_second_score),
        cmocka_unit_test(rounds_up_to_a_bucket),
        cmocka_unit_test(names_the_field),
        cmocka_unit_test(names_what_is_special),
        cmocka_unit_test(takes_defaults),
        cmocka_unit_test(ignores_unknown_sections),
        cmocka_unit_test(refuses_what_is_no_manifest),
        cmocka_unit_test(says_why_a_file_cannot_be_read),
        cmocka_unit_test(is_charged_and_fails_cleanly),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
