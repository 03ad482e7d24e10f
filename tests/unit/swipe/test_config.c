/* SPDX-License-Identifier: MIT */
/* What is read from a manifest for swipes, and how each bad field is refused. */
#include "test_ort.h"

#include <ortpool/swipe_features.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* What the bundled manifest's "beam" says. */
static double beam_setting(const char *name)
{
    json_t *root = json_load_file(test_file("models/swipe-en/model.json"), 0, NULL);
    const json_t *value = json_object_get(json_object_get(root, "beam"), name);
    assert_true(json_is_number(value));
    const double number = json_number_value(value);
    json_decref(root);
    return number;
}

static void bundled_manifest(void **state)
{
    (void)state;
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_swipe_config_load(test_file("models/swipe-en"), &config, &error),
                     ORTP_OK);
    assert_int_equal(config.first_letter, 4);
    assert_int_equal(config.max_points, 150);
    assert_true(config.min_dt_s == 0.004);
    assert_true(config.velocity_clamp == 10.0);
    assert_true(config.acceleration_clamp == 10.0);
    assert_true(config.divide_by == 3.0);
    assert_true(config.frequency_weight == beam_setting("frequency_weight"));
    assert_true(config.count_limit == beam_setting("count_limit"));
    assert_true(config.look_ahead == beam_setting("look_ahead"));
    assert_true(config.free_score == beam_setting("free_score"));
    assert_true(config.shape_weight == beam_setting("shape_weight"));
    assert_true(config.temperature == beam_setting("temperature"));
    assert_string_equal(config.lexicon_path, test_file("models/swipe-en/lexicon.tsv"));
    assert_int_equal(config.layout.rows, 3);
    assert_int_equal(config.layout.columns, 10);
    assert_int_equal(config.layout.key_count, 26);
    for (size_t i = 0; i < 26; i++) {
        assert_int_equal(config.layout.keys[i].letter, 'a' + (int)i);
    }
    /* q in the first row and column, a half a key in, z one and a half, m the seventh from there */
    assert_true(fabs(config.layout.keys['q' - 'a'].x - 0.05) < 1e-12);
    assert_true(fabs(config.layout.keys['q' - 'a'].y - 1.0 / 6) < 1e-12);
    assert_true(fabs(config.layout.keys[0].x - 0.10) < 1e-12);
    assert_true(fabs(config.layout.keys[0].y - 0.5) < 1e-12);
    assert_true(fabs(config.layout.keys['z' - 'a'].x - 0.20) < 1e-12);
    assert_true(fabs(config.layout.keys['m' - 'a'].x - 0.80) < 1e-12);
    assert_true(fabs(config.layout.keys['m' - 'a'].y - 5.0 / 6) < 1e-12);
}

/* Writes `text` as the manifest of the test's own model folder and loads it. */
static ortp_status load_text(const char *text, ortp_swipe_config *config, ortp_error *error)
{
    test_write_file(MANIFEST_DIRECTORY "/model.json", text, strlen(text));
    *error = (ortp_error)ORTP_ERROR_INIT;
    return ortp_swipe_config_load(MANIFEST_DIRECTORY, config, error);
}

/* The bundled manifest with `path` ("layout.rows", NULL: nothing) set to a value, NULL to remove it. */
static ortp_status load_changed(const char *path, const char *value, ortp_swipe_config *config,
                                ortp_error *error)
{
    json_t *root = json_load_file(test_file("models/swipe-en/model.json"), 0, NULL);
    assert_non_null(root);
    char section[64];
    (void)snprintf(section, sizeof section, "%s", path);
    char *dot = strchr(section, '.');
    json_t *object = root;
    const char *field = section;
    if (dot != NULL) {
        *dot = '\0';
        object = json_object_get(root, section);
        field = dot + 1;
    }
    if (value == NULL) {
        assert_int_equal(json_object_del(object, field), 0);
    } else {
        json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(parsed);
        assert_int_equal(json_object_set_new(object, field, parsed), 0);
    }
    char *text = json_dumps(root, 0);
    assert_non_null(text);
    const ortp_status status = load_text(text, config, error);
    free(text);
    json_decref(root);
    return status;
}

static void every_bad_field(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *message;
    } cases[] = {
        {"max_points", "0", ": max_points: expected an integer from 1 to 65536"},
        {"max_points", "150.5", ": max_points: expected an integer"},
        {"max_points", NULL, ": max_points: expected an integer"},
        {"features", "7", ": features: expected an integer from 6 to 6"},
        {"vocabulary", "25", ": vocabulary: expected an integer from 26 to"},
        {"tokens", "[]", ": tokens: expected an object"},
        {"tokens.first_letter", "5", ": tokens.first_letter: expected an integer from 0 to 4"},
        {"tokens.first_letter", "-1", ": tokens.first_letter: expected"},
        {"tokens.first_letter", NULL, ": tokens.first_letter: expected"},
        {"beam", NULL, ": beam: expected an object"},
        {"beam.frequency_weight", "\"0.3\"", ": beam.frequency_weight: expected a number"},
        {"beam.frequency_weight", "-1", ": beam.frequency_weight: expected a number of at least 0"},
        {"beam.free_score", "\"-6\"", ": beam.free_score: expected a number"},
        {"beam.free_score", "1", ": beam.free_score: expected a number of at most 0"},
        {"beam.temperature", "-1", ": beam.temperature: expected a number of at least 0"},
        {"beam.count_limit", "-1", ": beam.count_limit: expected a number of at least 0"},
        {"beam.shape_weight", "-1", ": beam.shape_weight: expected a number of at least 0"},
        {"beam.look_ahead", "\"0.3\"", ": beam.look_ahead: expected a number"},
        {"beam.look_ahead", "[0.3]", ": beam.look_ahead: expected a number"},
        {"beam.look_ahead", "true", ": beam.look_ahead: expected a number"},
        {"beam.look_ahead", "null", ": beam.look_ahead: expected a number"},
        {"beam.look_ahead", "-0.1", ": beam.look_ahead: expected a number of at least 0"},
        {"scaling", NULL, ": scaling: expected an object"},
        {"scaling.position", "\"x\"", ": scaling.position: expected \"2x-1\""},
        {"scaling.position", NULL, ": scaling.position: expected a string"},
        {"scaling.min_dt_s", "0", ": scaling.min_dt_s: expected a number above 0"},
        {"scaling.velocity_clamp", "null", ": scaling.velocity_clamp: expected a number above 0"},
        {"scaling.acceleration_clamp", "-2",
         ": scaling.acceleration_clamp: expected a number above"},
        {"scaling.divide_by", "0.0", ": scaling.divide_by: expected a number above 0"},
        {"scaling.divide_by", "1e-320", ": scaling.divide_by: expected a number that leaves"},
        {"scaling.divide_by", "2.9e-38", ": scaling.divide_by: expected a number that leaves"},
        {"layout", "3", ": layout: expected an object"},
        {"layout.columns", "0", ": layout.columns: expected an integer from 1 to 64"},
        {"layout.rows", "[]", ": layout.rows: expected an array of 1 to 16 strings"},
        {"layout.rows", "\"qwerty\"", ": layout.rows: expected an array"},
        {"layout.rows", "[\"q\", \"\", \"z\"]", ": layout.rows[1]: expected a string of letters"},
        {"layout.rows", "[\"q\", 2, \"z\"]", ": layout.rows[1]: expected a string of letters"},
        {"layout.rows", "[\"q\", \"aS\", \"z\"]", ": layout.rows[1]: expected letters a to z only"},
        {"layout.rows", "[\"q\", \"a\", \"zq\"]",
         ": layout.rows[2]: expected each letter at most once"},
        {"layout.offsets", "[0, 0.5]", ": layout.offsets: expected an array of one number per row"},
        {"layout.offsets", "[0, 1.5, 1]", ": layout.offsets[1]: expected a number of at least 0"},
        {"layout.offsets", "[0, \"a\", 1]", ": layout.offsets[1]: expected a number"},
        {"layout.offsets", "[0, 0, -1]", ": layout.offsets[2]: expected a number of at least 0"},
        {"lexicon", "\"\"", ": lexicon: expected a string that is not empty"},
        {"lexicon", "7", ": lexicon: expected a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = load_changed(cases[i].path, cases[i].value, &config, &error);
        if (status != ORTP_E_INVAL || strstr(error.message, cases[i].message) == NULL ||
            strstr(error.message, MANIFEST_DIRECTORY "/model.json") == NULL) {
            fail_msg("case %zu: %s, \"%s\", expected \"%s\"", i, ortp_status_name(status),
                     error.message, cases[i].message);
        }
    }
}

static void look_ahead(void **state)
{
    (void)state;
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(load_changed("beam.look_ahead", "0.25", &config, &error), ORTP_OK);
    assert_true(config.look_ahead == 0.25);
    /* Without it none, and so it can be said. */
    assert_int_equal(load_changed("beam.look_ahead", "0", &config, &error), ORTP_OK);
    assert_true(config.look_ahead == 0.0);
    config.look_ahead = 7.0;
    assert_int_equal(ortp_swipe_config_load(test_file("tests/graphs/tiny"), &config, &error),
                     ORTP_OK);
    assert_true(config.look_ahead == 0.0);
    assert_true(config.frequency_weight == 0.125);
}

static void other_layouts(void **state)
{
    (void)state;
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    /* Letters may be missing; rows in any order of letters. */
    assert_int_equal(load_changed("layout.rows", "[\"zy\", \"x\", \"b\"]", &config, &error),
                     ORTP_OK);
    assert_int_equal(config.layout.key_count, 4);
    assert_int_equal(config.layout.keys[0].letter, 'b');
    assert_int_equal(config.layout.keys[3].letter, 'z');
    assert_true(fabs(config.layout.keys[3].x - 0.05) < 1e-12);
    /* A row may end exactly where the columns do. */
    assert_int_equal(load_changed("layout.offsets", "[0, 1, 3]", &config, &error), ORTP_OK);
    assert_int_equal(load_changed("layout.offsets", "[0, 1, 3.01]", &config, &error), ORTP_E_INVAL);
}

static void files(void **state)
{
    (void)state;
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_swipe_config_load(MANIFEST_DIRECTORY "/none", &config, &error),
                     ORTP_E_NOTFOUND);
    assert_non_null(strstr(error.message, MANIFEST_DIRECTORY "/none/model.json"));
    assert_int_equal(load_text("{\"name\": }", &config, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "line 1"));
    assert_int_equal(load_text("[1]", &config, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "expected a JSON object"));
    assert_int_equal(ortp_swipe_config_load("", &config, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_swipe_config_load(NULL, &config, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_swipe_config_load(MANIFEST_DIRECTORY, NULL, NULL), ORTP_E_INVAL);
    char path[2048];
    memset(path, 'd', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(ortp_swipe_config_load(path, &config, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "too long"));
}

/* A name that only with its directory is too long. */
static void long_lexicon_name(void **state)
{
    (void)state;
    char value[1100];
    memset(value, 'n', sizeof value);
    value[0] = '"';
    value[sizeof value - 2] = '"';
    value[sizeof value - 1] = '\0';
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(load_changed("lexicon", value, &config, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "lexicon: expected a path"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundled_manifest),
        cmocka_unit_test(every_bad_field),
        cmocka_unit_test(look_ahead),
        cmocka_unit_test(other_layouts),
        cmocka_unit_test(files),
        cmocka_unit_test(long_lexicon_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
