/* SPDX-License-Identifier: MIT */
/*
 * The second score and the look-ahead with a model that has a CTC head: what the encoder gives, what a second
 * implementation finds (expected.json), on all paths; how they fail and what they cost.
 */
#include "counting_alloc.h"
#include "rounds.h"

#include <math.h>
#include <stdio.h>

#include <ortpool/lexicon.h>
#include <ortpool/swipe_features.h>

static size_t path_count(void)
{
    return step_runs() ? 3 : 2;
}

/* The incremental one last. */
static const ortp_path paths[] = {ORTP_PATH_BATCHED, ORTP_PATH_SEQUENTIAL, ORTP_PATH_INCREMENTAL};

/* The model with its lexicon as the predictor makes them, and the example of expected.json. */
typedef struct world {
    fixture f;
    json_t *expected;
    ortp_tensor *encoded;
    size_t length;
    ortp_decoder *decoder;
    ortp_lexicon *lexicon;
    ortp_lexicon_constraint words;
} world;

static void open_world(world *w, ortp_path path)
{
    ortp_error error = ORTP_ERROR_INIT;
    memset(w, 0, sizeof *w);
    fixture_open_on(&w->f, CTC, path);
    w->expected = load_json(CTC "/expected.json");
    w->encoded = encode(&w->f, w->expected);
    w->length = (size_t)json_integer_value(json_object_get(w->expected, "length"));
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = w->f.model,
                                                .tensors = w->f.tensors,
                                                .beam_width_max = 8},
                  &w->decoder, &error),
              error);
    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    assert_ok(ortp_swipe_config_load(test_file(CTC), &config, &error), error);
    assert_true(config.look_ahead == beam_setting(CTC, "look_ahead"));
    ortp_lexicon_options options = ORTP_LEXICON_OPTIONS_INIT;
    options.pool = ortp_runtime_pool(w->f.runtime);
    options.path = config.lexicon_path;
    assert_ok(ortp_lexicon_create(&options, &w->lexicon, &error), error);
    w->words = (ortp_lexicon_constraint){.struct_size = sizeof w->words,
                                         .lexicon = w->lexicon,
                                         .first_letter = config.first_letter,
                                         .weight = config.frequency_weight,
                                         .look_ahead = config.look_ahead};
}

static void close_world(world *w)
{
    ortp_lexicon_destroy(w->lexicon, NULL);
    ortp_decoder_destroy(w->decoder, NULL);
    assert_int_equal(ortp_tensor_release(w->encoded), ORTP_OK);
    json_decref(w->expected);
    fixture_close(&w->f);
}

static ortp_status try_search(world *w, const ortp_search_params *params, found *out,
                              ortp_error *error)
{
    ortp_constraint constraint = ORTP_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&w->words, &constraint), ORTP_OK);
    out->results[0].struct_size = sizeof out->results[0];
    return ortp_decoder_search(w->decoder, w->encoded, w->length, params, &constraint, out->results,
                               RESULTS, &out->count, error);
}

static void search(world *w, const ortp_search_params *params, found *out)
{
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(try_search(w, params, out, &error), error);
}

static ortp_search_params params_of(const world *w, ortp_path path)
{
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    ortp_search_params_from(w->f.manifest, &params);
    params.path = path;
    return params;
}

/* ---- what the encoder gives ---- */

static void assert_rows(const float *data, const json_t *rows)
{
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        for (size_t k = 0; k < json_array_size(row); k++, data++) {
            if (!(fabs(number_at(row, k) - (double)*data) < 1e-4)) {
                fail_msg("row %zu, %zu: %g, expected %g", i, k, (double)*data, number_at(row, k));
            }
        }
    }
}

/* What the decoder reads, and behind it, for all points, what the encoder itself says. */
static void encodes_what_a_second_implementation_says(void **state)
{
    (void)state;
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        open_world(&w, paths[path]);
        const ortp_manifest *m = w.f.manifest;
        const size_t source = (size_t)json_integer_value(json_object_get(w.expected, "source"));
        const size_t cross = m->step.cross_count * m->step.kv_heads * m->step.kv_size;
        const size_t read = paths[path] == ORTP_PATH_INCREMENTAL ? cross : m->hidden;
        size_t rank = 0;
        const int64_t *shape = ortp_tensor_shape(w.encoded, &rank);
        assert_int_equal(ortp_tensor_type(w.encoded), ORTP_TYPE_FLOAT);
        assert_int_equal(rank, 3);
        assert_int_equal(shape[0], 1);
        assert_int_equal(shape[1], source);
        assert_int_equal(shape[2], read + m->vocabulary);
        const float *data = ortp_tensor_data(w.encoded);
        if (read == m->hidden) {
            assert_rows(data, json_object_get(w.expected, "memory"));
        }
        assert_rows(data + source * read, json_object_get(w.expected, "ctc"));
        close_world(&w);
    }
}

/* ---- what a search finds ---- */

static void assert_candidates(const found *f, const json_t *expected)
{
    assert_true(f->count >= json_array_size(expected) && json_array_size(expected) == 3);
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *candidate = json_array_get(expected, i);
        const char *word = json_string_value(json_object_get(candidate, "word"));
        const double score = json_number_value(json_object_get(candidate, "score"));
        if (strcmp(word_of(&f->results[i]), word) != 0 ||
            !(fabs(f->results[i].score - score) < 1e-3)) {
            fail_msg("%zu: found %s, %.6f, expected %s, %.6f", i, word_of(&f->results[i]),
                     f->results[i].score, word, score);
        }
    }
}

/* The manifest's settings, and each of the two without the other, and neither: all on all paths. */
static void finds_what_a_second_implementation_finds(void **state)
{
    (void)state;
    static found all[3][4];
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        open_world(&w, paths[path]);
        const json_t *searches = json_object_get(w.expected, "searches");
        assert_int_equal(json_array_size(searches), 4);
        for (size_t i = 0; i < 4; i++) {
            const json_t *setting = json_array_get(searches, i);
            ortp_search_params params = params_of(&w, paths[path]);
            const double weight = json_number_value(json_object_get(setting, "ctc_weight"));
            const double ahead = json_number_value(json_object_get(setting, "look_ahead"));
            if (i == 0) {
                assert_true(params.ctc_weight == weight && w.words.look_ahead == ahead);
            }
            params.ctc_weight = weight;
            w.words.look_ahead = ahead;
            search(&w, &params, &all[path][i]);
            assert_candidates(&all[path][i], json_object_get(setting, "candidates"));
            assert_same_results(all[0][i].results, all[0][i].count, all[path][i].results,
                                all[path][i].count, 1e-3);
        }
        close_world(&w);
    }
}

/*
 * What ortp_model_encode() gave has its views, and searches of others make none; a copy in a tensor of the
 * caller's gets them in its first search, and finds the same.
 */
static void only_tensors_of_the_caller_get_views(void **state)
{
    (void)state;
    static found first = FOUND_INIT, again = FOUND_INIT;
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        ortp_error error = ORTP_ERROR_INIT;
        open_world(&w, paths[path]);
        const ortp_search_params params = params_of(&w, paths[path]);
        search(&w, &params, &first);
        ortp_tensor *encoded = encode(&w.f, w.expected);
        ortp_tensor *const given = w.encoded;
        uint64_t values = values_made(&w.f);
        w.encoded = encoded;
        search(&w, &params, &again);
        assert_int_equal(values_made(&w.f), values);
        assert_same_results(first.results, first.count, again.results, again.count, 0.0);
        assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);

        size_t rank = 0;
        const int64_t *shape = ortp_tensor_shape(given, &rank);
        assert_int_equal(ortp_tensor_pool_trim(w.f.tensors, 0, 0, NULL), ORTP_OK);
        assert_ok(ortp_tensor_acquire(w.f.tensors, ORTP_TYPE_FLOAT, shape, rank, &encoded, &error),
                  error);
        memcpy(ortp_tensor_data(encoded), ortp_tensor_data(given), ortp_tensor_bytes(given));
        values = values_made(&w.f);
        w.encoded = encoded;
        search(&w, &params, &again);
        assert_true(values_made(&w.f) > values);
        assert_same_results(first.results, first.count, again.results, again.count, 0.0);
        assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
        w.encoded = given;
        close_world(&w);
    }
}

/* NULL stands for the manifest's settings, beams as many as the decoder is for. */
static void takes_the_manifests_weight(void **state)
{
    (void)state;
    world w;
    static found named = FOUND_INIT, unnamed = FOUND_INIT;
    open_world(&w, ORTP_PATH_BATCHED);
    const ortp_search_params params = params_of(&w, ORTP_PATH_BATCHED);
    assert_true(params.ctc_weight == beam_setting(CTC, "ctc_weight") && params.ctc_weight > 0.0);
    search(&w, &params, &named);
    search(&w, NULL, &unnamed);
    assert_same_results(named.results, named.count, unnamed.results, unnamed.count, 0.0);
    close_world(&w);
}

/* Each width, each bucket, lengths down to less than a word has letters; with and without a lexicon. */
static void paths_agree(void **state)
{
    (void)state;
    static found all[3];
    world worlds[3];
    for (size_t path = 0; path < path_count(); path++) {
        open_world(&worlds[path], paths[path]);
    }
    for (size_t round = 0; round < 48; round++) {
        for (size_t path = 0; path < path_count(); path++) {
            world *w = &worlds[path];
            ortp_constraint words = ORTP_CONSTRAINT_INIT;
            assert_int_equal(ortp_lexicon_make_constraint(&w->words, &words), ORTP_OK);
            ortp_search_params params = params_of(w, paths[path]);
            params.beam_width = 1 + round % 8;
            params.ctc_weight = round % 5 == 0 ? 2.0 : 0.25;
            params.keep_duplicates = round % 7 == 0;
            params.prune_gap = round % 6 == 0 ? 4.0 : 0.0; /* beams end before others */
            search_round(&w->f, w->decoder, round, &params, round % 4 == 0 ? NULL : &words,
                         &all[path]);
            assert_same_results(all[0].results, all[0].count, all[path].results, all[path].count,
                                1e-3);
        }
    }
    for (size_t path = 0; path < path_count(); path++) {
        close_world(&worlds[path]);
    }
}

/* ---- without ---- */

/* The same model for those who do not know of the head finds what a search of weight 0 finds. */
static void weight_zero_and_greedy_leave_it_out(void **state)
{
    (void)state;
    make_model_folder("ctc.test", CTC, "encoder.ctc", NULL);
    json_t *root = json_load_file("ctc.test/model.json", 0, NULL);
    assert_int_equal(json_object_del(json_object_get(root, "beam"), "ctc_weight"), 0);
    assert_int_equal(json_dump_file(root, "ctc.test/model.json", 0), 0);
    json_decref(root);
    for (size_t i = 0; i < 2; i++) {
        static found with = FOUND_INIT, without = FOUND_INIT, weighed = FOUND_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        world w;
        open_world(&w, ORTP_PATH_BATCHED);
        fixture plain;
        fixture_open_at(&plain, "ctc.test", NULL);
        ortp_decoder *decoder = NULL;
        const bool step = ortp_model_path(plain.model) == ORTP_PATH_INCREMENTAL;
        assert_int_equal(step, path_count() == 3);
        assert_ok(ortp_decoder_create(
                      &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                    .model = plain.model,
                                                    .tensors = plain.tensors,
                                                    .beam_width_max = 8},
                      &decoder, &error),
                  error);
        ortp_tensor *encoded = encode(&plain, w.expected);
        size_t rank = 0;
        const int64_t *shape = ortp_tensor_shape(encoded, &rank);
        assert_int_equal(rank, step ? 4 : 3);
        assert_int_equal(shape[rank - 1], step ? 8 : 16);

        ortp_search_params params = params_of(&w, ORTP_PATH_AUTO);
        params.strategy = i == 0 ? ORTP_STRATEGY_BEAM : ORTP_STRATEGY_GREEDY;
        search(&w, &params, &weighed);
        params.ctc_weight = 0.0;
        search(&w, &params, &with);
        ortp_constraint words = ORTP_CONSTRAINT_INIT;
        assert_int_equal(ortp_lexicon_make_constraint(&w.words, &words), ORTP_OK);
        assert_ok(ortp_decoder_search(decoder, encoded, w.length, &params, &words, without.results,
                                      RESULTS, &without.count, &error),
                  error);
        assert_same_results(with.results, with.count, without.results, without.count, 1e-3);
        if (i == 0) {
            assert_true(strcmp(word_of(&weighed.results[0]), word_of(&with.results[0])) != 0 ||
                        fabs(weighed.results[0].score - with.results[0].score) > 1.0);
        } else {
            assert_same_results(weighed.results, weighed.count, with.results, with.count, 0.0);
        }
        assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
        ortp_decoder_destroy(decoder, NULL);
        fixture_close(&plain);
        close_world(&w);
    }
}

static void greedy_is_what_expected_json_says(void **state)
{
    (void)state;
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        static found f = FOUND_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        open_world(&w, paths[path]);
        const json_t *greedy = json_object_get(w.expected, "greedy");
        const json_t *tokens = json_object_get(greedy, "tokens");
        assert_true(json_is_true(json_object_get(greedy, "ended")));
        ortp_search_params params = params_of(&w, paths[path]);
        params.strategy = ORTP_STRATEGY_GREEDY;
        params.length_reward = 0.0;
        assert_ok(ortp_decoder_search(w.decoder, w.encoded, w.length, &params, NULL, f.results,
                                      RESULTS, &f.count, &error),
                  error);
        assert_int_equal(f.count, 1);
        assert_int_equal(f.results[0].length, json_array_size(tokens));
        for (size_t k = 0; k < f.results[0].length; k++) {
            assert_int_equal(f.results[0].tokens[k], (int)number_at(tokens, k));
        }
        const double log_prob = json_number_value(json_object_get(greedy, "log_prob"));
        assert_true(fabs(f.results[0].log_prob - log_prob) < 1e-4);
        assert_true(f.results[0].score == f.results[0].log_prob);
        close_world(&w);
    }
}

/* ---- what is refused ---- */

static void refuse_params(world *w, double weight, const char *text)
{
    ortp_error error = ORTP_ERROR_INIT;
    static found f = FOUND_INIT;
    ortp_search_params params = params_of(w, ORTP_PATH_AUTO);
    params.ctc_weight = weight;
    f.count = 9;
    assert_int_equal(try_search(w, &params, &f, &error), ORTP_E_INVAL);
    assert_int_equal(f.count, 0);
    if (strstr(error.message, text) == NULL) {
        fail_msg("found '%s', expected '%s'", error.message, text);
    }
}

static void refuses_bad_weights(void **state)
{
    (void)state;
    static const double bad[] = {-1e-9, -1.0, NAN, INFINITY, -INFINITY};
    world w;
    open_world(&w, ORTP_PATH_AUTO);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuse_params(&w, bad[i], "search: ctc_weight: expected a number of at least 0");
    }
    static found f = FOUND_INIT; /* and is well afterwards */
    search(&w, NULL, &f);
    assert_candidates(
        &f,
        json_object_get(json_array_get(json_object_get(w.expected, "searches"), 0), "candidates"));
    close_world(&w);

    fixture tiny;
    ortp_error error = ORTP_ERROR_INIT;
    fixture_open(&tiny, TINY, NULL);
    json_t *expected = load_json(TINY "/expected.json");
    ortp_tensor *memory = encode(&tiny, expected);
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = tiny.model,
                                                .tensors = tiny.tensors,
                                                .beam_width_max = 8},
                  &decoder, &error),
              error);
    for (int strategy = 0; strategy < 2; strategy++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.strategy = strategy == 0 ? ORTP_STRATEGY_BEAM : ORTP_STRATEGY_GREEDY;
        params.ctc_weight = 1e-9;
        assert_int_equal(
            ortp_decoder_search(decoder, memory, 21, &params, NULL, NULL, 0, &f.count, &error),
            ORTP_E_INVAL);
        assert_non_null(
            strstr(error.message, "search: ctc_weight: the model has no encoder.ctc, expected 0"));
    }
    ortp_decoder_destroy(decoder, NULL);
    assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    json_decref(expected);
    fixture_close(&tiny);
}

/* Without ctc behind it; with ctc alone; that of the other path. */
static void refuses_other_tensors(void **state)
{
    (void)state;
    static const struct {
        ortp_type type;
        size_t rank;
        int64_t shape[4];
    } bad[] = {
        {ORTP_TYPE_FLOAT, 3, {1, 32, 16}},    {ORTP_TYPE_FLOAT, 3, {1, 32, 30}},
        {ORTP_TYPE_FLOAT, 3, {1, 32, 45}},    {ORTP_TYPE_FLOAT, 3, {1, 32, 47}},
        {ORTP_TYPE_FLOAT, 3, {1, 32, 61}},    {ORTP_TYPE_FLOAT, 3, {1, 32, 63}},
        {ORTP_TYPE_FLOAT, 3, {2, 32, 46}},    {ORTP_TYPE_FLOAT, 3, {1, 151, 46}},
        {ORTP_TYPE_FLOAT, 3, {1, 0, 46}},     {ORTP_TYPE_FLOAT, 2, {32, 46}},
        {ORTP_TYPE_INT32, 3, {1, 32, 46}},    {ORTP_TYPE_INT32, 3, {1, 32, 62}},
        {ORTP_TYPE_FLOAT, 4, {2, 2, 32, 8}},  {ORTP_TYPE_FLOAT, 4, {1, 1, 32, 46}},
        {ORTP_TYPE_FLOAT, 4, {1, 1, 32, 62}}, {ORTP_TYPE_FLOAT, 3, {1, 32, 0}},
    };
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        ortp_error error = ORTP_ERROR_INIT;
        static found f = FOUND_INIT;
        open_world(&w, paths[path]);
        const bool step = paths[path] == ORTP_PATH_INCREMENTAL;
        for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
            static const int64_t other[2][3] = {{1, 32, 62}, {1, 32, 46}};
            const bool last = i == sizeof bad / sizeof *bad;
            ortp_tensor *encoded = NULL;
            assert_ok(ortp_tensor_acquire(w.f.tensors, last ? ORTP_TYPE_FLOAT : bad[i].type,
                                          last ? other[step] : bad[i].shape, last ? 3 : bad[i].rank,
                                          &encoded, &error),
                      error);
            f.count = 9;
            assert_int_equal(ortp_decoder_search(w.decoder, encoded, 1, NULL, NULL, f.results,
                                                 RESULTS, &f.count, &error),
                             ORTP_E_INVAL);
            assert_int_equal(f.count, 0);
            const char *text = step ? "ctc: the decoder needs what this model's encoder gives, "
                                      "float [1,1..150,62]"
                                    : "ctc: the decoder needs what this model's encoder gives, "
                                      "float [1,1..150,46]";
            assert_string_equal(error.message, text);
            assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
        }
        assert_int_equal(ortp_decoder_search(w.decoder, w.encoded, 33, NULL, NULL, f.results,
                                             RESULTS, &f.count, &error),
                         ORTP_E_INVAL);
        assert_non_null(strstr(error.message, "ctc: found a length of 33, expected 1 to 32"));
        close_world(&w);
    }
}

/* Logits, or a damaged weight: told where they are weighed, and only for points that count. */
static void refuses_what_is_no_probability(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -0.5f, 1.5f};
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        static found f = FOUND_INIT;
        open_world(&w, paths[path]);
        const ortp_manifest *m = w.f.manifest;
        float *ctc = (float *)ortp_tensor_data(w.encoded) +
                     ortp_tensor_bytes(w.encoded) / sizeof(float) - 32 * m->vocabulary;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            float *const at[] = {ctc, ctc + w.length * m->vocabulary - 1};
            for (size_t k = 0; k < 2; k++) {
                const float good = *at[k];
                *at[k] = bad[i];
                refuse_params(
                    &w, 0.5,
                    "ctc/encoder.onnx: ctc: no probabilities, expected numbers from 0 to 1");
                ortp_search_params params = params_of(&w, paths[path]);
                params.ctc_weight = 0.0;
                search(&w, &params, &f);
                *at[k] = good;
            }
            ctc[w.length * m->vocabulary] = bad[i];
        }
        search(&w, NULL, &f);
        assert_candidates(
            &f, json_object_get(json_array_get(json_object_get(w.expected, "searches"), 0),
                                "candidates"));
        close_world(&w);
    }
}

static void refuse_model(const char *path, const char *value, const char *text)
{
    make_model_folder("ctc.test", CTC, path, value);
    for (size_t i = 0; i < path_count(); i++) {
        fixture f;
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(fixture_try(&f, "ctc.test", paths[i], NULL, &error), ORTP_E_INVAL);
        assert_null(f.model);
        if (strstr(error.message, text) == NULL) {
            fail_msg("found '%s', expected '%s'", error.message, text);
        }
        fixture_close(&f);
    }
}

static void manifest_and_graph_must_agree(void **state)
{
    (void)state;
    refuse_model("encoder.ctc", "\"x\"",
                 "ctc.test/encoder.onnx: no output 'x', which the manifest names as ctc");
    refuse_model("encoder.ctc", "\"nearest_keys\"", "encoder.onnx: no output 'nearest_keys'");
    refuse_model("encoder.ctc", "\"cross_key_0\"",
                 "ctc 'cross_key_0': found float [1,2,?,8], expected float [1,S,30]");
    refuse_model("encoder.memory", "\"ctc\"", "encoder.ctc: expected another output than memory");
    refuse_model("encoder.memory", NULL, "encoder.memory: expected a string");
    refuse_model("vocabulary", "31",
                 "encoder.onnx: ctc 'ctc': found float [1,?,30], expected float [1,S,31]");
    refuse_model("encoder.ctc", "\"\"", "encoder.ctc: expected a string that is not empty");
    refuse_model("encoder.ctc", NULL, "beam.ctc_weight: expected 0, since the encoder has no ctc");
}

/* ---- what it costs ---- */

/* After warm-up no tensor, no view, no allocation, whatever is weighed. */
static void a_warm_search_allocates_nothing(void **state)
{
    (void)state;
    for (size_t path = 0; path < path_count(); path++) {
        counting_alloc counter = {0};
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.api = test_ort_api();
        options.api_version = test_ort_library()->api_version;
        options.alloc = counting_alloc_use(&counter);
        ortp_error error = ORTP_ERROR_INIT;
        fixture f;
        assert_ok(fixture_try(&f, test_file(CTC), paths[path], &options, &error), error);
        ortp_decoder *decoder = NULL;
        assert_ok(ortp_decoder_create(
                      &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                    .model = f.model,
                                                    .tensors = f.tensors,
                                                    .beam_width_max = 8},
                      &decoder, &error),
                  error);
        for (size_t bucket = 0; bucket < f.manifest->bucket_count; bucket++) {
            const size_t rows = paths[path] == ORTP_PATH_SEQUENTIAL ? 1 : 8;
            assert_ok(ortp_model_warm(f.model, bucket, &error), error);
            assert_ok(ortp_decoder_warm(decoder, bucket, rows, &error), error);
        }
        const uint64_t values = values_made(&f);
        const uint64_t allocs = atomic_load(&counter.calls);
        for (size_t round = 0; round < 8; round++) {
            static found out = FOUND_INIT;
            ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
            ortp_search_params_from(f.manifest, &params);
            params.path = paths[path];
            params.ctc_weight = round < 6 ? 0.5 : 0.0;
            search_round(&f, decoder, round, &params, NULL, &out);
        }
        assert_int_equal(values_made(&f), values);
        assert_int_equal(atomic_load(&counter.calls), allocs);
        ortp_decoder_destroy(decoder, NULL);
        fixture_close(&f);
        counting_alloc_assert_empty(&counter);
    }
}

static size_t metadata_bytes(const world *w)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(w->f.runtime), &info);
    return info.account_bytes[ORTP_ACCOUNT_METADATA];
}

static size_t decode_bytes(const world *w)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(w->f.runtime), &info);
    return info.in_use_bytes[ORTP_LABEL_DECODE];
}

/* The numbers of the beams: a buffer, by a search that weighs them and by no other, and kept. */
static void only_who_weighs_takes_room(void **state)
{
    (void)state;
    /* A probability of each token and point, two numbers of each beam and point, twice. */
    const size_t numbers = (30 * 150 + 4 * 8 * 151) * sizeof(double);
    for (size_t path = 0; path < path_count(); path++) {
        world w;
        static found f = FOUND_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        open_world(&w, paths[path]);
        const size_t with = metadata_bytes(&w);
        ortp_decoder_destroy(w.decoder, NULL);
        assert_in_range(with - metadata_bytes(&w), 1024, numbers / 2);
        assert_ok(ortp_decoder_create(
                      &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                    .model = w.f.model,
                                                    .tensors = w.f.tensors,
                                                    .beam_width_max = 8},
                      &w.decoder, &error),
                  error);
        ortp_search_params params = params_of(&w, paths[path]);
        params.ctc_weight = 0.0;
        search(&w, &params, &f);
        params.ctc_weight = 0.5;
        params.strategy = ORTP_STRATEGY_GREEDY;
        search(&w, &params, &f);
        const size_t without = decode_bytes(&w);
        const size_t metadata = metadata_bytes(&w);
        params.strategy = ORTP_STRATEGY_BEAM;
        params.beam_width = 1;
        for (size_t i = 0; i < 2; i++) {
            search(&w, &params, &f);
            assert_in_range(decode_bytes(&w), without + numbers, without + numbers / 4 * 5);
            assert_in_range(metadata_bytes(&w), metadata, metadata + 4096);
            params.beam_width = 8;
        }
        close_world(&w);
    }
}

/* Where there is no room for them: a status, and the decoder searches on, without them or with. */
static void a_search_without_room_is_refused(void **state)
{
    (void)state;
    world w;
    static found f = FOUND_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    open_world(&w, ORTP_PATH_BATCHED);
    ortp_search_params params = params_of(&w, ORTP_PATH_BATCHED);
    params.ctc_weight = 0.0;
    search(&w, &params, &f);
    const size_t held = decode_bytes(&w);
    /* Nothing is left to make room with. */
    assert_int_equal(ortp_tensor_pool_trim(w.f.tensors, 0, 0, NULL), ORTP_OK);
    assert_int_equal(ortp_pool_trim(ortp_runtime_pool(w.f.runtime), 0, 0, NULL), ORTP_OK);
    ortp_budget *budget = ortp_runtime_budget(w.f.runtime);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes, NULL), ORTP_OK);
    const ortp_search_params weighed = params_of(&w, ORTP_PATH_BATCHED);
    assert_int_equal(try_search(&w, &weighed, &f, &error), ORTP_E_BUDGET);
    assert_int_equal(f.count, 0);
    assert_int_equal(decode_bytes(&w), held);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    search(&w, &params, &f);
    assert_int_equal(decode_bytes(&w), held);
    search(&w, NULL, &f);
    assert_candidates(
        &f,
        json_object_get(json_array_get(json_object_get(w.expected, "searches"), 0), "candidates"));
    close_world(&w);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_what_a_second_implementation_says),
        cmocka_unit_test(finds_what_a_second_implementation_finds),
        cmocka_unit_test(only_tensors_of_the_caller_get_views),
        cmocka_unit_test(takes_the_manifests_weight),
        cmocka_unit_test(paths_agree),
        cmocka_unit_test(weight_zero_and_greedy_leave_it_out),
        cmocka_unit_test(greedy_is_what_expected_json_says),
        cmocka_unit_test(refuses_bad_weights),
        cmocka_unit_test(refuses_other_tensors),
        cmocka_unit_test(refuses_what_is_no_probability),
        cmocka_unit_test(manifest_and_graph_must_agree),
        cmocka_unit_test(a_warm_search_allocates_nothing),
        cmocka_unit_test(only_who_weighs_takes_room),
        cmocka_unit_test(a_search_without_room_is_refused),
    };
    return cmocka_run_group_tests_name("second score", tests, NULL, NULL);
}
