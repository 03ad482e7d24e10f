/* SPDX-License-Identifier: MIT */
/*
 * Defects of the reference application that come from what it is given: swipes, keyboards and
 * dictionaries of another size and form than its authors'. The table is in test_predictions.c.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- what the graphs are given ---- */

static OrtApi api; /* ONNX Runtime's, with the run below */

/* Of the last encoder run and the decoder runs since. */
static struct {
    int64_t rows, key_rows; /* S of both inputs */
    int32_t length;
    int32_t keys[150];
    size_t decoder_runs, decoder_mismatches;
} seen;

static int64_t second_dimension(const OrtValue *value)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    int64_t shape[3] = {0};
    assert_null(api.GetTensorTypeAndShape(value, &info));
    assert_null(api.GetDimensions(info, shape, 3)); /* of fewer it gives what there is */
    api.ReleaseTensorTypeAndShapeInfo(info);
    return shape[1];
}

static const int32_t *integers(const OrtValue *value)
{
    void *data = NULL;
    assert_null(api.GetTensorMutableData((OrtValue *)value, &data));
    return data;
}

static void see(const char *name, const OrtValue *value)
{
    if (strcmp(name, "trajectory_features") == 0) {
        memset(&seen, 0, sizeof seen);
        seen.rows = second_dimension(value);
    } else if (strcmp(name, "nearest_keys") == 0) {
        seen.key_rows = second_dimension(value);
        assert_in_range(seen.key_rows, 1, 150);
        memcpy(seen.keys, integers(value), (size_t)seen.key_rows * sizeof seen.keys[0]);
    } else if (strcmp(name, "actual_length") == 0) {
        seen.length = integers(value)[0];
    } else if (strcmp(name, "memory") == 0) {
        seen.decoder_runs++;
        seen.decoder_mismatches += second_dimension(value) == seen.rows ? 0 : 1;
    } else if (strcmp(name, "actual_src_length") == 0) {
        seen.decoder_mismatches += integers(value)[0] == seen.length ? 0 : 1;
    }
}

static OrtStatus *ORT_API_CALL seen_run(OrtSession *session, const OrtRunOptions *options,
                                        const char *const *input_names,
                                        const OrtValue *const *inputs, size_t input_count,
                                        const char *const *output_names, size_t output_count,
                                        OrtValue **outputs) NO_EXCEPTION
{
    for (size_t i = 0; i < input_count; i++) {
        see(input_names[i], inputs[i]);
    }
    return test_ort_api()->Run(session, options, input_names, inputs, input_count, output_names,
                               output_count, outputs);
}

static void open_seen(rig *r, const char *model)
{
    api = *counting_api_use(test_ort_api());
    api.Run = seen_run;
    const rig_options options = {.model = model, .api = &api, .predictor = {.cache_off = true}};
    rig_open(r, &options);
}

/* ---- more points than the graph takes: 400 for 250, 250 for 150 ---- */

#define MOST 10000u

typedef struct trace {
    double x[MOST], y[MOST], t[MOST];
    swipe_row row;
} trace;

static double at_share(const double *values, size_t count, double share)
{
    const double position = share * (double)(count - 1);
    const size_t before = (size_t)position < count - 1 ? (size_t)position : count - 2;
    const double rest = position - (double)before;
    return values[before] * (1.0 - rest) + values[before + 1] * rest;
}

/* The same line with `count` points. */
static void redraw(trace *out, const ortp_swipe *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double share = count > 1 ? (double)i / (double)(count - 1) : 0.0;
        out->x[i] = at_share(from->x, from->count, share);
        out->y[i] = at_share(from->y, from->count, share);
        out->t[i] = at_share(from->t, from->count, share);
    }
    out->row.swipe = *from;
    out->row.swipe.x = out->x;
    out->row.swipe.y = out->y;
    out->row.swipe.t = out->t;
    out->row.swipe.count = count;
}

/* All inputs of one length, that of a bucket; the words are those of the line drawn with 150. */
static void long_swipes_are_resampled(void **state)
{
    (void)state;
    static const struct {
        size_t points, bucket;
    } cases[] = {{1, 32},    {32, 32},   {33, 64},   {96, 96},   {97, 150},
                 {150, 150}, {151, 150}, {250, 150}, {400, 150}, {MOST, 150}};
    swipe_rows rows = swipe_rows_read(test_file(SAMPLES), 4);
    static trace given;
    static trace drawn;
    rig r;
    open_seen(&r, TINY);
    for (size_t k = 0; k < rows.count; k++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const size_t expected = cases[i].points < 150 ? cases[i].points : 150;
            redraw(&given, &rows.rows[k].swipe, cases[i].points);
            const ortp_prediction out = rig_predict(&r, &given.row, 5);
            assert_true(out.candidate_count > 0);
            assert_int_equal(out.points, expected);
            assert_int_equal(seen.length, expected);
            assert_int_equal(seen.rows, cases[i].bucket);
            assert_int_equal(seen.key_rows, cases[i].bucket);
            assert_true(seen.decoder_runs > 0);
            assert_int_equal(seen.decoder_mismatches, 0);
            if (cases[i].points > expected) {
                redraw(&drawn, &given.row.swipe, expected);
                const ortp_prediction same = rig_predict(&r, &drawn.row, 5);
                assert_true(same_but_ties(&out, &same, 1e-3));
            }
        }
    }
    swipe_rows_free(&rows);
    rig_close(&r);
}

/* ---- a model of the test's own ---- */

static json_t *read_manifest(void)
{
    json_t *manifest = json_load_file(test_file(TINY "/model.json"), 0, NULL);
    assert_non_null(manifest);
    return manifest;
}

/* The tiny model's graphs with this manifest, which it releases, and this lexicon. */
static void make_model(json_t *manifest, const char *lexicon, size_t lexicon_bytes)
{
    static const char *const graphs[] = {"encoder.onnx", "decoder.onnx"};
    for (size_t i = 0; i < 2; i++) {
        char from[64];
        char to[1024];
        (void)snprintf(from, sizeof from, TINY "/%s", graphs[i]);
        (void)snprintf(to, sizeof to, MODEL "/%s", graphs[i]);
        size_t bytes = 0;
        void *data = test_read_file(test_file(from), &bytes);
        test_write_file(test_file(to), data, bytes);
        free(data);
    }
    test_write_file(test_file(MODEL "/lexicon.tsv"), lexicon, lexicon_bytes);
    assert_int_equal(json_dump_file(manifest, test_file(MODEL "/model.json"), 0), 0);
    json_decref(manifest);
}

/* ---- keyboards whose keys are elsewhere ---- */

typedef struct board {
    const char *rows[4];
    size_t row_count, columns;
    double offsets[4];
} board;

static json_t *layout_of(const board *b)
{
    json_t *rows = json_array();
    json_t *offsets = json_array();
    for (size_t i = 0; i < b->row_count; i++) {
        assert_int_equal(json_array_append_new(rows, json_string(b->rows[i])), 0);
        assert_int_equal(json_array_append_new(offsets, json_real(b->offsets[i])), 0);
    }
    json_t *layout =
        json_pack("{s:o,s:o,s:i}", "rows", rows, "offsets", offsets, "columns", (int)b->columns);
    assert_non_null(layout);
    return layout;
}

/* From key to key in the order of the alphabet, each met in its centre. */
static void draw_alphabet(trace *out, const board *b)
{
    const double width = 720.0;
    const double height = 300.0;
    for (size_t row = 0; row < b->row_count; row++) {
        for (size_t column = 0; b->rows[row][column] != '\0'; column++) {
            const size_t letter = (size_t)(b->rows[row][column] - 'a');
            const double place = (double)column + 0.5 + b->offsets[row];
            out->x[letter] = width * place / (double)b->columns;
            out->y[letter] = height * ((double)row + 0.5) / (double)b->row_count;
            out->t[letter] = 50.0 * (double)letter;
        }
    }
    out->row.swipe = (ortp_swipe){
        .x = out->x, .y = out->y, .t = out->t, .count = 26, .width = width, .height = height};
}

/* Letters that the encoder was told in the place where they are. */
static size_t letters_found(void)
{
    size_t found = 0;
    for (int32_t letter = 0; letter < 26; letter++) {
        found += seen.keys[letter] == 4 + letter ? 1 : 0;
    }
    return found;
}

static void keys_are_where_the_layout_says(void **state)
{
    (void)state;
    static const board boards[] = {
        {{"azertyuiop", "qsdfghjklm", "wxcvbn"}, 3, 10, {0, 0, 2}},
        {{"poiuytrewq", "lkjhgfdsa", "mnbvcxz"}, 3, 10, {0, 0.5, 1.5}},
        {{"abcdefg", "hijklmn", "opqrstu", "vwxyz"}, 4, 7, {0, 0, 0, 1}},
    };
    static trace alphabet;
    size_t bytes = 0;
    char *words = test_read_file(test_file(TINY "/lexicon.tsv"), &bytes);
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) {
        draw_alphabet(&alphabet, &boards[i]);
        rig r;
        open_seen(&r, TINY);
        (void)rig_predict(&r, &alphabet.row, 0);
        assert_true(letters_found() < 22); /* QWERTY is another layout */
        rig_close(&r);

        json_t *manifest = read_manifest();
        assert_int_equal(json_object_set_new(manifest, "layout", layout_of(&boards[i])), 0);
        make_model(manifest, words, bytes);
        open_seen(&r, MODEL);
        (void)rig_predict(&r, &alphabet.row, 0);
        assert_int_equal(letters_found(), 26);
        rig_close(&r);
    }
    free(words);
}

/* ---- a dictionary of a million words ---- */

#define WORDS 1000000u
#define WORD_LETTERS 5u
#define STEP 11u /* 26^5 / WORDS, and prime to 26: the last letters differ */

/* Number `value` to the base of 26: rising, so that the file is sorted, as such files are. */
static void spell(char *out, size_t value)
{
    for (size_t i = WORD_LETTERS; i > 0; i--) {
        out[i - 1] = (char)('a' + value % 26);
        value /= 26;
    }
    out[WORD_LETTERS] = '\0';
}

static void make_big_model(void)
{
    const size_t line_bytes = WORD_LETTERS + sizeof "\t999\n";
    char *text = malloc(WORDS * line_bytes);
    assert_non_null(text);
    size_t bytes = 0;
    for (size_t i = 0; i < WORDS; i++) {
        char word[WORD_LETTERS + 1];
        spell(word, i * STEP);
        bytes += (size_t)snprintf(text + bytes, line_bytes, "%s\t%zu\n", word, i % 1000);
    }
    make_model(read_manifest(), text, bytes);
    free(text);
}

/*
 * Refused with nothing left where there is no room, else all there, and what loading took given
 * back. Nothing may recurse from word to word: no stack holds a million calls.
 */
static void a_million_words(void **state)
{
    (void)state;
    make_big_model();
    static const size_t too_small_mib[] = {4, 16, 32, 48};
    for (size_t i = 0; i < sizeof too_small_mib / sizeof too_small_mib[0]; i++) {
        rig r = {0};
        const rig_options options = {.model = MODEL, .limit_bytes = too_small_mib[i] << 20};
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(rig_try(&r, &options, &error), ORTP_E_BUDGET); /* the ledger balances */
        assert_true(error.message[0] != '\0');
        counting_alloc_assert_empty(&r.alloc);
    }
    rig r;
    const rig_options options = {.model = MODEL, .limit_bytes = (size_t)96 << 20};
    const clock_t start = clock();
    rig_open(&r, &options);
    const clock_t loaded = clock();
    const ortp_lexicon *lexicon = ortp_predictor_lexicon(r.predictor);
    assert_int_equal(ortp_lexicon_words(lexicon), WORDS);
    for (size_t i = 0; i < WORDS; i += 7) {
        char word[WORD_LETTERS + 1];
        spell(word, i * STEP);
        assert_true(ortp_lexicon_contains(lexicon, word));
        spell(word, i * STEP + 1);
        assert_false(ortp_lexicon_contains(lexicon, word));
    }
    print_message("a million words: %zu KiB while loading, %zu KiB then, %.0f ms\n",
                  rig_budget(&r).peak_bytes >> 10, rig_budget(&r).charged_bytes >> 10,
                  1e3 * (double)(loaded - start) / CLOCKS_PER_SEC);
    assert_true(r.alloc.live_bytes < (size_t)1 << 20);
    swipe_rows rows = swipe_rows_read(test_file(SAMPLES), 4);
    for (size_t i = 0; i < rows.count; i++) {
        const ortp_prediction out = rig_predict(&r, &rows.rows[i], 5);
        assert_true(out.candidate_count > 0);
        assert_true(ortp_lexicon_contains(lexicon, out.candidates[0].word));
    }
    swipe_rows_free(&rows);
    rig_close(&r);
    assert_int_equal(remove(test_file(MODEL "/lexicon.tsv")), 0);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_swipes_are_resampled),
        cmocka_unit_test(keys_are_where_the_layout_says),
        cmocka_unit_test(a_million_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
