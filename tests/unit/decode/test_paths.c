/* SPDX-License-Identifier: MIT */
/*
 * The two paths against each other and against second implementations: golden cases of swipe-en,
 * expected.json of the test graphs, replicated memory and source masks.
 */
#include <math.h>
#include <stdio.h>

#include "fixture.h"
#include "machine.h"
#include "model_run.h"

#define RESULTS 64u

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

static void assert_logits(const float *found, const json_t *expected)
{
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const double difference = number_at(expected, i) - (double)found[i];
        if (fabs(difference) >= 1e-4) {
            fail_msg("logit %zu: found %g, expected %g", i, (double)found[i],
                     number_at(expected, i));
        }
    }
}

/* One run over the start token alone. */
static void check_first_logits(const fixture *f, ortp_decoder *decoder, ortp_tensor *memory,
                               const json_t *from, ortp_path path)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 0;
    size_t rows = 0;
    params.path = path;
    params.max_steps = 1;
    const size_t length = (size_t)json_integer_value(json_object_get(from, "length"));
    assert_ok(
        ortp_decoder_search(decoder, memory, length, &params, NULL, &result, 1, &count, &error),
        error);
    assert_int_equal(count, 0); /* the empty sequence may not end */
    assert_int_equal(ortp_decoder_last_runs(decoder), 1);
    const float *logits = ortp__decoder_logits(decoder, &rows);
    assert_int_equal(rows, 1);
    assert_int_equal(json_array_size(json_object_get(from, "logits_after_sos")),
                     f->manifest->vocabulary);
    assert_logits(logits, json_object_get(from, "logits_after_sos"));
}

static void check_candidates(const ortp_hypothesis *results, size_t count, const json_t *expected)
{
    assert_true(count >= json_array_size(expected));
    for (size_t i = 0; i < json_array_size(expected); i++) {
        const json_t *candidate = json_array_get(expected, i);
        assert_string_equal(word_of(&results[i]),
                            json_string_value(json_object_get(candidate, "word")));
        const double score = json_number_value(json_object_get(candidate, "score"));
        if (fabs(results[i].score - score) >= 1e-3) {
            fail_msg("%s: found %g, expected %g", word_of(&results[i]), results[i].score, score);
        }
    }
}

/* Words, scores and first logits of one case, on both paths; the paths agree on all results. */
static void check_case(const fixture *f, const json_t *from, trie *lexicon)
{
    ortp_error error = ORTP_ERROR_INIT;
    static ortp_hypothesis results[2][RESULTS] = {{ORTP_HYPOTHESIS_INIT}, {ORTP_HYPOTHESIS_INIT}};
    size_t counts[2] = {0};
    const size_t length = (size_t)json_integer_value(json_object_get(from, "length"));
    const ortp_constraint constraint = trie_constraint(lexicon);
    ortp_tensor *memory = encode(f, from);
    for (int path = 0; path < 2; path++) {
        ortp_decoder *decoder = open_decoder(f, 0);
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        ortp_search_params_from(f->manifest, &params);
        params.path = path == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        check_first_logits(f, decoder, memory, from, params.path);
        assert_ok(ortp_decoder_search(decoder, memory, length, &params, &constraint, results[path],
                                      RESULTS, &counts[path], &error),
                  error);
        /* Of the golden cases those that this lexicon can find: it neither looks ahead nor spells. */
        const json_t *alone = json_object_get(from, "lexicon_candidates");
        check_candidates(results[path], counts[path],
                         alone != NULL ? alone : json_object_get(from, "candidates"));
        ortp_decoder_destroy(decoder, NULL);
    }
    assert_same_results(results[0], counts[0], results[1], counts[1], 1e-4);
    assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
}

static void golden_cases(void **state)
{
    (void)state;
    fixture f;
    trie lexicon;
    fixture_open_on(&f, SWIPE, ORTP_PATH_BATCHED);
    trie_read(&lexicon, SWIPE);
    json_t *golden = NULL;
    size_t count = 0;
    const size_t cases = test_thin() ? 1 : 8;
    for (; count < cases && (golden = load_json_line("tests/data/golden.jsonl", count)) != NULL;
         count++) {
        check_case(&f, golden, &lexicon);
        json_decref(golden);
    }
    assert_int_equal(count, cases);
    trie_free(&lexicon);
    fixture_close(&f);
}

static void test_graphs(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t i = 0; i < 2; i++) {
        char file[100];
        fixture f;
        trie lexicon;
        fixture_open(&f, models[i], NULL);
        trie_read(&lexicon, models[i]);
        (void)snprintf(file, sizeof file, "%s/expected.json", models[i]);
        json_t *expected = load_json(file);
        check_case(&f, expected, &lexicon);
        json_decref(expected);
        trie_free(&lexicon);
        fixture_close(&f);
    }
}

/* A constraint that offers one sequence only and lets it end nowhere. */
typedef struct line {
    const int32_t *tokens;
    size_t count;
} line;

static size_t line_next(void *ctx, uint32_t at, int32_t *tokens, uint32_t *states, size_t capacity,
                        bool *may_end)
{
    const line *l = ctx;
    (void)capacity;
    *may_end = false;
    if (at == l->count) {
        return 0;
    }
    tokens[0] = l->tokens[at];
    states[0] = at + 1;
    return 1;
}

/* The last run of a search along a given prefix has the logits after that prefix. */
static void logits_after_a_prefix(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t i = 0; i < 4; i++) {
        char file[100];
        fixture f;
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open(&f, models[i / 2], NULL);
        (void)snprintf(file, sizeof file, "%s/expected.json", models[i / 2]);
        json_t *expected = load_json(file);
        const json_t *prefix = json_object_get(expected, "prefix");
        int32_t tokens[ORTP_TOKENS_MAX];
        const size_t count = json_array_size(prefix) - 1; /* without the start */
        for (size_t k = 0; k < count; k++) {
            tokens[k] = (int32_t)number_at(prefix, k + 1);
        }
        line only = {tokens, count};
        const ortp_constraint constraint = {.struct_size = sizeof constraint, .ctx = &only, .next = line_next};
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = i % 2 == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        ortp_decoder *decoder = open_decoder(&f, 0);
        ortp_tensor *memory = encode(&f, expected);
        ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
        size_t found = 7;
        assert_ok(
            ortp_decoder_search(decoder, memory,
                                (size_t)json_integer_value(json_object_get(expected, "length")),
                                &params, &constraint, &result, 1, &found, &error),
            error);
        assert_int_equal(found, 0);
        assert_int_equal(ortp_decoder_last_runs(decoder), count + 1);
        const float *logits = ortp__decoder_logits(decoder, NULL);
        assert_logits(logits + count * f.manifest->vocabulary,
                      json_object_get(expected, "logits_after_prefix"));
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        ortp_decoder_destroy(decoder, NULL);
        json_decref(expected);
        fixture_close(&f);
    }
}

static void greedy_is_what_expected_json_says(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t i = 0; i < 4; i++) {
        char file[100];
        fixture f;
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open(&f, models[i / 2], NULL);
        (void)snprintf(file, sizeof file, "%s/expected.json", models[i / 2]);
        json_t *expected = load_json(file);
        const json_t *greedy = json_object_get(expected, "greedy");
        const json_t *tokens = json_object_get(greedy, "tokens");
        const bool ended = json_is_true(json_object_get(greedy, "ended"));
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.strategy = ORTP_STRATEGY_GREEDY;
        params.path = i % 2 == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        ortp_decoder *decoder = open_decoder(&f, 1);
        ortp_tensor *memory = encode(&f, expected);
        ortp_hypothesis results[2] = {ORTP_HYPOTHESIS_INIT};
        size_t found = 0;
        const size_t length = (size_t)json_integer_value(json_object_get(expected, "length"));
        assert_ok(
            ortp_decoder_search(decoder, memory, length, &params, NULL, results, 2, &found, &error),
            error);
        assert_int_equal(found, 1);
        /* One that does not end by itself ends in the last step, one token earlier. */
        const size_t count = json_array_size(tokens) - (ended ? 0 : 1);
        assert_int_equal(results[0].length, count);
        for (size_t k = 0; k < count; k++) {
            assert_int_equal(results[0].tokens[k], (int)number_at(tokens, k));
        }
        if (ended) {
            const double log_prob = json_number_value(json_object_get(greedy, "log_prob"));
            assert_true(fabs(results[0].log_prob - log_prob) < 1e-4);
            assert_true(results[0].score == results[0].log_prob);
            assert_int_equal(ortp_decoder_last_runs(decoder), count + 1);
        }
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        ortp_decoder_destroy(decoder, NULL);
        json_decref(expected);
        fixture_close(&f);
    }
}

/* Each width from 1 to 8, every bucket, short and full lengths: batched equals sequential. */
static void paths_agree_for_every_width(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    static ortp_hypothesis results[2][RESULTS] = {{ORTP_HYPOTHESIS_INIT}, {ORTP_HYPOTHESIS_INIT}};
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open(&f, models[i], NULL);
        ortp_decoder *decoders[2] = {open_decoder(&f, 8), open_decoder(&f, 8)};
        for (size_t round = 0; round < 8 * f.manifest->bucket_count; round++) {
            const size_t bucket = f.manifest->buckets[round % f.manifest->bucket_count];
            const size_t length = round % 3 == 0 ? bucket : bucket - 1 - round % 7;
            float *features = malloc(length * f.manifest->features * sizeof *features);
            int32_t *keys = malloc(length * sizeof *keys);
            assert_non_null(features);
            assert_non_null(keys);
            for (size_t k = 0; k < length * f.manifest->features; k++) {
                features[k] = (float)((k * 7 + round * 3) % 17) / 8.0f - 1.0f;
            }
            for (size_t k = 0; k < length; k++) {
                keys[k] = (int32_t)(4 + (k * 5 + round) % 26);
            }
            const ortp_encoder_input input = {features, keys, length};
            ortp_tensor *memory = NULL;
            assert_ok(ortp_model_encode(f.model, &input, &memory, &error), error);
            size_t counts[2] = {0};
            for (int path = 0; path < 2; path++) {
                ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
                params.path = path == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
                params.beam_width = 1 + round / f.manifest->bucket_count;
                assert_ok(ortp_decoder_search(decoders[path], memory, length, &params, NULL,
                                              results[path], RESULTS, &counts[path], &error),
                          error);
            }
            assert_true(counts[0] > 0);
            assert_same_results(results[0], counts[0], results[1], counts[1], 1e-4);
            assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
            free(features);
            free(keys);
        }
        ortp_decoder_destroy(decoders[0], NULL);
        ortp_decoder_destroy(decoders[1], NULL);
        fixture_close(&f);
    }
}

/* The whole first row of logits, those of padding too, is the same after other searches. */
static void padding_is_written_each_time(void **state)
{
    (void)state;
    fixture f;
    ortp_error error = ORTP_ERROR_INIT;
    fixture_open(&f, TINY, NULL);
    json_t *expected = load_json(TINY "/expected.json");
    const size_t length = (size_t)json_integer_value(json_object_get(expected, "length"));
    ortp_tensor *memory = encode(&f, expected);
    ortp_decoder *decoder = open_decoder(&f, 8);
    const size_t bytes = f.manifest->max_tokens * f.manifest->vocabulary * sizeof(float);
    float *first = malloc(bytes);
    assert_non_null(first);
    for (size_t i = 0; i < 3; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
        size_t count = 0;
        params.max_steps = i == 1 ? 0 : 1;
        assert_ok(
            ortp_decoder_search(decoder, memory, length, &params, NULL, &result, 1, &count, &error),
            error);
        if (i == 0) {
            memcpy(first, ortp__decoder_logits(decoder, NULL), bytes);
        } else if (i == 2) {
            assert_memory_equal(first, ortp__decoder_logits(decoder, NULL), bytes);
        }
    }
    free(first);
    ortp_decoder_destroy(decoder, NULL);
    assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    json_decref(expected);
    fixture_close(&f);
}

/* Eight states after each, all by the same token: eight rows that are one sequence. */
static size_t copies_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                          size_t capacity, bool *may_end)
{
    (void)ctx;
    (void)capacity;
    for (uint32_t i = 0; i < 8; i++) {
        tokens[i] = (int32_t)(4 + state / 8);
        states[i] = (state / 8 + 1) * 8 + i;
    }
    *may_end = false;
    return 8;
}

/* Every row of a batch has the same answer as the first: no row lacks its memory or its mask. */
static void replicated_rows_are_all_filled(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t model = 0; model < 2; model++) {
        char file[100];
        fixture f;
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open(&f, models[model], NULL);
        (void)snprintf(file, sizeof file, "%s/expected.json", models[model]);
        json_t *expected = load_json(file);
        ortp_decoder *decoder = open_decoder(&f, 8);
        ortp_tensor *memory = encode(&f, expected);
        const size_t length = (size_t)json_integer_value(json_object_get(expected, "length"));
        /* What another search left in the rows must not stay. */
        assert_ok(ortp_decoder_warm(decoder, f.manifest->bucket_count - 1, 8, &error), error);
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        const ortp_constraint constraint = {.struct_size = sizeof constraint, .next = copies_next};
        ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
        size_t count = 0;
        params.max_steps = 5;
        assert_ok(ortp_decoder_search(decoder, memory, length, &params, &constraint, &result, 1,
                                      &count, &error),
                  error);
        size_t rows = 0;
        const float *logits = ortp__decoder_logits(decoder, &rows);
        const size_t row = f.manifest->max_tokens * f.manifest->vocabulary;
        assert_int_equal(rows, 8);
        assert_logits(logits, json_object_get(expected, "logits_after_sos"));
        for (size_t i = 1; i < rows; i++) {
            for (size_t k = 0; k < row; k++) {
                assert_true(fabs((double)logits[k] - (double)logits[i * row + k]) < 1e-5);
            }
        }
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        ortp_decoder_destroy(decoder, NULL);
        json_decref(expected);
        fixture_close(&f);
    }
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cases),
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(logits_after_a_prefix),
        cmocka_unit_test(greedy_is_what_expected_json_says),
        cmocka_unit_test(paths_agree_for_every_width),
        cmocka_unit_test(padding_is_written_each_time),
        cmocka_unit_test(replicated_rows_are_all_filled),
    };
    return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
