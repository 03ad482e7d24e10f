/* SPDX-License-Identifier: MIT */
/*
 * What a search means, against a plain reference over a small automaton, and how it ends: cancelled,
 * late, failed, without a result.
 *
 * The automaton is a tree: from each node the tokens a, b, c to three children, three levels deep.
 */
#include <math.h>
#include <stdio.h>

#include "counting_alloc.h"
#include "counting_api.h"
#include "fake_clock.h"
#include "fixture.h"

#define BRANCHES 3u
#define LEVELS 3u
#define NODES 40u /* 1 + 3 + 9 + 27 */
#define INNER 13u /* nodes with children */
#define RESULTS 64u
#define VOCABULARY 30u
#define EOS 3u

typedef struct automaton {
    bool end[NODES];
    double bonus[NODES];
    size_t copies; /* times each token is offered; 0: once */
    size_t calls;
} automaton;

static size_t tree_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                        size_t capacity, bool *may_end)
{
    automaton *a = ctx;
    size_t count = 0;
    a->calls++;
    *may_end = a->end[state];
    const size_t copies = a->copies > 0 ? a->copies : 1;
    for (uint32_t i = 0; i < BRANCHES && state < INNER; i++) {
        for (size_t k = 0; k < copies && count < capacity; k++) {
            tokens[count] = (int32_t)(4 + i);
            states[count++] = state * BRANCHES + 1 + i;
        }
    }
    return count;
}

static double tree_bonus(void *ctx, uint32_t state)
{
    return ((const automaton *)ctx)->bonus[state];
}

static ortp_constraint tree(automaton *a)
{
    return (ortp_constraint){.ctx = a, .root = 0, .next = tree_next, .final_score = tree_bonus};
}

static size_t depth_of(uint32_t node)
{
    size_t depth = 0;
    for (; node > 0; node = (node - 1) / BRANCHES) {
        depth++;
    }
    return depth;
}

/* ---- one model, one encoder output, for all tests ---- */

typedef struct world {
    fixture f;
    counting_alloc counter;
    fake_clock clock;
    ortp_tensor *memory;
    size_t length;
    double after[NODES][VOCABULARY]; /* log-probabilities after each node */
} world;

static ortp_decoder *open_decoder(const world *w, size_t width)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(w->f.model, w->f.tensors, width, &decoder, &error), error);
    return decoder;
}

typedef struct path_to {
    uint32_t nodes[LEVELS + 1];
    size_t length;
} path_to;

static size_t path_next(void *ctx, uint32_t at, int32_t *tokens, uint32_t *states, size_t capacity,
                        bool *may_end)
{
    const path_to *p = ctx;
    (void)capacity;
    *may_end = false;
    if (at == p->length) {
        return 0;
    }
    tokens[0] = (int32_t)(4 + (p->nodes[at + 1] - 1) % BRANCHES);
    states[0] = at + 1;
    return 1;
}

/* The decoder itself says what comes after a node; the log-softmax here is a second one. */
static void learn(world *w, ortp_decoder *decoder, uint32_t node)
{
    path_to p = {.length = depth_of(node)};
    ortp_error error = ORTP_ERROR_INIT;
    for (size_t i = p.length, at = node; i > 0; i--, at = (at - 1) / BRANCHES) {
        p.nodes[i] = (uint32_t)at;
    }
    const ortp_constraint constraint = {.ctx = &p, .next = path_next};
    ortp_hypothesis result;
    size_t count = 0;
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint, &result, 1,
                                  &count, &error),
              error);
    assert_int_equal(ortp_decoder_last_runs(decoder), p.length + 1);
    const float *logits = ortp_decoder_logits(decoder, NULL) + p.length * VOCABULARY;
    double sum = 0.0;
    for (size_t i = 0; i < VOCABULARY; i++) {
        sum += exp((double)logits[i]);
    }
    for (size_t i = 0; i < VOCABULARY; i++) {
        w->after[node][i] = (double)logits[i] - log(sum);
    }
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&w->counter);
    options.clock = fake_clock_use(&w->clock);
    fixture_open(&w->f, TINY, &options);
    json_t *expected = load_json(TINY "/expected.json");
    w->memory = encode(&w->f, expected);
    w->length = (size_t)json_integer_value(json_object_get(expected, "length"));
    json_decref(expected);
    ortp_decoder *decoder = open_decoder(w, 1);
    for (uint32_t node = 0; node < NODES; node++) {
        learn(w, decoder, node);
    }
    ortp_decoder_destroy(decoder);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    counting_api_fail(COUNTING_ANY, 0);
    assert_int_equal(ortp_tensor_release(w->memory), ORTP_OK);
    fixture_close(&w->f);
    assert_int_equal(counting_api_live(), 0);
    counting_alloc_assert_empty(&w->counter);
    free(w);
    return 0;
}

/* ---- the reference ---- */

typedef struct ranked {
    uint32_t node;
    double sum, score;
} ranked;

/* Stable: an element moves before smaller ones only. */
static size_t insert(ranked *list, size_t count, ranked item, double key)
{
    size_t at = count;
    while (at > 0 && list[at - 1].score < key) {
        list[at] = list[at - 1];
        at--;
    }
    item.score = key;
    list[at] = item;
    return count + 1;
}

static size_t reference(const world *w, const automaton *a, const ortp_search_params *p,
                        ranked *finished)
{
    const bool greedy = p->strategy == ORTP_STRATEGY_GREEDY;
    const size_t width = greedy ? 1 : p->beam_width;
    const size_t steps = p->max_steps > 0 ? p->max_steps : 19;
    const size_t rank = p->stop_rank > 0 ? p->stop_rank : 3;
    const double least = p->prune_token > 0.0 ? log(p->prune_token) : -INFINITY;
    ranked live[NODES] = {{.node = 0, .sum = 0.0}};
    size_t live_count = 1;
    size_t finished_count = 0;
    for (size_t step = 0; step < steps && live_count > 0; step++) {
        ranked next[NODES * BRANCHES];
        size_t count = 0;
        for (size_t i = 0; i < live_count; i++) {
            const ranked *beam = &live[i];
            double best = -INFINITY;
            for (uint32_t k = 0; k < BRANCHES && beam->node < INNER && step + 1 < steps; k++) {
                const double log_prob = w->after[beam->node][4 + k];
                if (log_prob >= least) {
                    const ranked child = {.node = beam->node * BRANCHES + 1 + k,
                                          .sum = beam->sum + log_prob};
                    count = insert(next, count, child, child.sum);
                    best = log_prob > best ? log_prob : best;
                }
            }
            const double end = w->after[beam->node][EOS];
            if (a->end[beam->node] && end >= least && !(greedy && best >= end)) {
                const ranked done = {.node = beam->node, .sum = beam->sum + end};
                const double n = (double)step;
                const double score =
                    (done.sum + a->bonus[beam->node] + p->length_reward * n) /
                    pow((5.0 + n) / 6.0, p->length_alpha);
                finished_count = insert(finished, finished_count, done, score);
                count = greedy ? 0 : count;
            }
        }
        live_count = 0;
        for (size_t i = 0; i < count && i < width; i++) {
            const double sum = next[i].sum;
            const bool far = p->prune_gap > 0.0 && sum <= next[0].sum - p->prune_gap;
            const bool late = p->stop_margin > 0.0 && finished_count >= rank &&
                              !(sum + p->length_reward * (double)(step + 1) + p->stop_margin >
                                finished[rank - 1].score);
            if (!far && !late) {
                live[live_count++] = next[i];
            }
        }
    }
    return finished_count;
}

/* Searches on both paths and compares with the reference. Returns the results' number. */
static size_t check(const world *w, automaton *a, const ortp_search_params *given)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis results[RESULTS];
    ranked expected[NODES];
    const size_t expected_count = reference(w, a, given, expected);
    const ortp_constraint constraint = tree(a);
    for (int path = 0; path < 2; path++) {
        ortp_decoder *decoder = open_decoder(w, given->beam_width);
        ortp_search_params params = *given;
        size_t count = 0;
        params.path = path == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                      RESULTS, &count, &error),
                  error);
        assert_int_equal(count, expected_count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(results[i].state, expected[i].node);
            assert_int_equal(results[i].length, depth_of(expected[i].node));
            assert_true(fabs(results[i].log_prob - expected[i].sum) < 1e-4);
            assert_true(fabs(results[i].score - expected[i].score) < 1e-4);
            uint32_t node = results[i].state;
            for (size_t k = results[i].length; k > 0; k--) {
                assert_int_equal(results[i].tokens[k - 1], 4 + (node - 1) % BRANCHES);
                node = (node - 1) / BRANCHES;
            }
        }
        ortp_decoder_destroy(decoder);
    }
    return expected_count;
}

static automaton all_may_end(void)
{
    automaton a = {0};
    for (size_t i = 0; i < NODES; i++) {
        a.end[i] = true;
        a.bonus[i] = (double)(i % 7) * 0.25;
    }
    return a;
}

/* ---- what a search finds ---- */

static void beams_of_every_width(void **state)
{
    automaton a = all_may_end();
    size_t most = 0;
    for (size_t width = 1; width <= ORTP_BEAM_MAX; width += width < 5 ? 1 : 9) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = width;
        const size_t found = check(*state, &a, &params);
        assert_true(found >= most);
        most = found;
    }
    assert_int_equal(most, NODES); /* wide enough: everything that is allowed, once */
}

static void length_reward_and_penalty(void **state)
{
    automaton a = all_may_end();
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.beam_width = 4;
    params.length_reward = 1.25;
    check(*state, &a, &params);
    params.length_alpha = 0.6;
    check(*state, &a, &params);
    params.length_reward = 0.0;
    params.length_alpha = 1.4;
    check(*state, &a, &params);
    params.length_reward = -3.0;
    check(*state, &a, &params);
}

static void pruning_drops_what_the_reference_drops(void **state)
{
    automaton a = all_may_end();
    size_t least = NODES;
    static const double gaps[] = {4.0, 2.0, 0.5};
    for (size_t i = 0; i < 3; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = 16;
        params.prune_gap = gaps[i];
        const size_t found = check(*state, &a, &params);
        assert_true(found <= least);
        least = found;
    }
    assert_true(least < 10);
    static const double tokens[] = {1e-4, 1e-2, 0.2};
    for (size_t i = 0; i < 3; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = 16;
        params.prune_token = tokens[i];
        const size_t found = check(*state, &a, &params);
        assert_true(i == 0 || found < NODES);
    }
}

static void stops_when_nothing_better_can_come(void **state)
{
    automaton a = all_may_end();
    size_t counts[3];
    static const double margins[] = {0.01, 1.0, 50.0};
    for (size_t i = 0; i < 3; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.beam_width = 16;
        params.stop_margin = margins[i];
        params.stop_rank = i == 1 ? 1 : 0;
        counts[i] = check(*state, &a, &params);
    }
    assert_true(counts[0] < counts[2]);
}

static void greedy_takes_the_best_each_time(void **state)
{
    for (uint32_t ends = 0; ends < 4; ends++) {
        automaton a = {0};
        for (uint32_t i = 0; i < NODES; i++) {
            a.end[i] = depth_of(i) >= ends;
        }
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.strategy = ORTP_STRATEGY_GREEDY;
        params.beam_width = 4;
        assert_int_equal(check(*state, &a, &params), 1);
    }
}

static void ends_at_first_middle_and_last(void **state)
{
    for (size_t level = 0; level <= LEVELS; level++) {
        for (int strategy = 0; strategy < 2; strategy++) {
            automaton a = {0};
            for (uint32_t i = 0; i < NODES; i++) {
                a.end[i] = depth_of(i) == level;
                /* Whatever the model thinks, the end is the only way: make it so for greedy too. */
            }
            ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
            params.strategy = strategy == 0 ? ORTP_STRATEGY_BEAM : ORTP_STRATEGY_GREEDY;
            params.beam_width = 32;
            params.max_steps = level + 1; /* the last step is the one that ends */
            const size_t count = check(*state, &a, &params);
            const size_t all[] = {1, 3, 9, 27};
            assert_int_equal(count, strategy == 0 ? all[level] : 1);
        }
    }
}

static void max_steps_bounds_the_runs(void **state)
{
    const world *w = *state;
    automaton a = all_may_end();
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder *decoder = open_decoder(w, 4);
    for (size_t steps = 1; steps <= LEVELS + 2; steps++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        ortp_hypothesis results[RESULTS];
        size_t count = 0;
        params.beam_width = 4;
        params.max_steps = steps;
        check(w, &a, &params);
        const ortp_constraint constraint = tree(&a);
        assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                      RESULTS, &count, &error),
                  error);
        assert_int_equal(ortp_decoder_last_runs(decoder), steps < LEVELS + 1 ? steps : LEVELS + 1);
    }
    ortp_decoder_destroy(decoder);
}

static void nothing_allowed_gives_nothing(void **state)
{
    automaton a = {0}; /* may end nowhere */
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.beam_width = 4;
    assert_int_equal(check(*state, &a, &params), 0);
    params.strategy = ORTP_STRATEGY_GREEDY;
    assert_int_equal(check(*state, &a, &params), 0);
}

static void equal_sequences_come_once(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    automaton once = all_may_end();
    automaton twice = all_may_end();
    twice.copies = 2;
    ortp_hypothesis a[RESULTS];
    ortp_hypothesis b[RESULTS];
    size_t a_count = 0;
    size_t b_count = 0;
    const ortp_constraint plain = tree(&once);
    const ortp_constraint doubled = tree(&twice);
    ortp_decoder *decoder = open_decoder(w, 32);
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.beam_width = 5;
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &plain, a, RESULTS,
                                  &a_count, &error),
              error);
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &doubled, b, RESULTS,
                                  &b_count, &error),
              error);
    assert_same_results(a, a_count, b, b_count, 1e-6);
    params.keep_duplicates = true;
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &doubled, b, RESULTS,
                                  &b_count, &error),
              error);
    size_t equal = 0;
    for (size_t i = 1; i < b_count; i++) {
        equal += b[i].state == b[i - 1].state;
    }
    assert_true(equal > 0);
    ortp_decoder_destroy(decoder);
}

static void results_are_cut_to_capacity(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    ortp_hypothesis all[RESULTS];
    ortp_hypothesis few[2];
    size_t all_count = 0;
    size_t few_count = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint, all, RESULTS,
                                  &all_count, &error),
              error);
    assert_true(all_count > 2);
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint, few, 2,
                                  &few_count, &error),
              error);
    assert_same_results(all, 2, few, few_count, 1e-6);
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint, NULL, 0,
                                  &few_count, &error),
              error);
    assert_int_equal(few_count, 0);
    ortp_decoder_destroy(decoder);
}

static void without_a_constraint(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis results[RESULTS];
    size_t count = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_search_params params;
    ortp_search_params_from(w->f.manifest, &params);
    assert_int_equal(params.beam_width, 8);
    assert_true(params.length_reward == beam_setting(TINY, "length_reward"));
    assert_true(params.stop_margin == beam_setting(TINY, "stop_margin"));
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, NULL, results, RESULTS,
                                  &count, &error),
              error);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(results[i].length, 1, 18);
        assert_int_equal(results[i].state, 0);
        for (size_t k = 0; k < results[i].length; k++) {
            assert_in_range(results[i].tokens[k], 4, 29);
        }
        assert_true(i == 0 || results[i - 1].score >= results[i].score);
    }
    ortp_decoder_destroy(decoder);
}

/* ---- how it ends ---- */

static bool stop_after(void *ctx)
{
    size_t *left = ctx;
    if (*left == 0) {
        return true;
    }
    (*left)--;
    return false;
}

static void cancels_before_any_run(void **state)
{
    const world *w = *state;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    for (int path = 0; path < 2; path++) {
        ortp_decoder *decoder = open_decoder(w, 4);
        for (size_t runs = 0; runs < 3; runs++) {
            ortp_error error = ORTP_ERROR_INIT;
            ortp_hypothesis results[RESULTS];
            size_t count = 9;
            size_t left = runs;
            ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
            params.beam_width = 4;
            params.path = path == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
            params.stop = stop_after;
            params.stop_ctx = &left;
            assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, &params,
                                                 &constraint, results, RESULTS, &count, &error),
                             ORTP_E_CANCELLED);
            assert_int_equal(count, 0);
            assert_int_equal(ortp_decoder_last_runs(decoder), runs);
            left = SIZE_MAX;
            assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                          results, RESULTS, &count, &error),
                      error);
            assert_true(count > 0);
        }
        ortp_decoder_destroy(decoder);
    }
}

static bool let_time_pass(void *ctx)
{
    fake_clock_advance(ctx, 10);
    return false;
}

static void stops_at_the_deadline(void **state)
{
    world *w = *state;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis results[RESULTS];
    size_t count = 0;
    ortp_decoder *decoder = open_decoder(w, 4);
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    params.beam_width = 4;
    params.stop = let_time_pass;
    params.stop_ctx = &w->clock;
    params.deadline_ms = atomic_load(&w->clock.now_ms) + 30;
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                         results, RESULTS, &count, &error),
                     ORTP_E_TIMEOUT);
    assert_int_equal(ortp_decoder_last_runs(decoder), 2); /* at 10 and 20 ms, not at 30 */
    params.stop = NULL;
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                         results, RESULTS, &count, &error),
                     ORTP_E_TIMEOUT);
    assert_int_equal(ortp_decoder_last_runs(decoder), 0);
    params.deadline_ms++;
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                  RESULTS, &count, &error),
              error);
    ortp_decoder_destroy(decoder);
}

/* Each decoder run and each OrtValue of a first search fails once; then the search works. */
static void each_ort_failure_is_clean(void **state)
{
    const world *w = *state;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    static const counting_call calls[] = {COUNTING_Run, COUNTING_CreateTensorWithDataAsOrtValue};
    for (size_t i = 0; i < 4; i++) {
        ortp_error error = ORTP_ERROR_INIT;
        ortp_hypothesis results[RESULTS];
        ortp_hypothesis again[RESULTS];
        size_t count = 0;
        size_t again_count = 0;
        bool failed = true;
        uint64_t failures = 0;
        for (uint64_t nth = 1; failed; nth++) {
            size_t dropped = 0;
            assert_int_equal(ortp_tensor_pool_trim(w->f.tensors, 0, 0, &dropped), ORTP_OK);
            ortp_decoder *decoder = open_decoder(w, 5);
            ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
            params.beam_width = 5;
            params.path = i < 2 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
            counting_api_fail(calls[i % 2], nth);
            const ortp_status status =
                ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                    RESULTS, &count, &error);
            failed = counting_api_failed();
            counting_api_fail(COUNTING_ANY, 0);
            assert_int_equal(status, failed ? ORTP_E_ORT : ORTP_OK);
            if (failed) {
                failures++;
                assert_int_equal(count, 0);
                assert_non_null(strstr(error.message, "made to fail"));
                assert_ok(ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint,
                                              again, RESULTS, &again_count, &error),
                          error);
                assert_true(again_count > 0);
            }
            ortp_decoder_destroy(decoder);
        }
        assert_true(failures >= 4);
        assert_same_results(results, count, again, again_count, 1e-6);
    }
}

static void each_allocation_failure_is_clean(void **state)
{
    world *w = *state;
    bool failed = true;
    uint64_t failures = 0;
    for (uint64_t nth = 1; failed; nth++) {
        ortp_error error = ORTP_ERROR_INIT;
        ortp_hypothesis result;
        size_t count = 0;
        size_t dropped = 0;
        ortp_decoder *decoder = NULL;
        assert_int_equal(ortp_tensor_pool_trim(w->f.tensors, 0, 0, &dropped), ORTP_OK);
        const uint64_t before = atomic_load(&w->counter.failed);
        counting_alloc_fail(&w->counter, nth, false);
        ortp_status status =
            ortp_decoder_create(w->f.model, w->f.tensors, 5, &decoder, &error);
        if (status == ORTP_OK) {
            status = ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1,
                                         &count, &error);
        }
        failed = atomic_load(&w->counter.failed) != before;
        counting_alloc_fail(&w->counter, 0, false);
        if (failed) {
            failures++;
            assert_int_equal(status, ORTP_E_NOMEM);
        } else {
            assert_int_equal(status, ORTP_OK);
        }
        if (decoder != NULL) {
            assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1,
                                          &count, &error),
                      error);
            assert_int_equal(count, 1);
        }
        ortp_decoder_destroy(decoder);
    }
    assert_true(failures >= 1);
}

/* Too small a budget for the buffers: refused, and fine again once there is room. */
static void the_budget_refuses_buffers(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis result;
    size_t count = 0;
    size_t dropped = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_budget *budget = ortp_runtime_budget(w->f.runtime);
    assert_int_equal(ortp_tensor_pool_trim(w->f.tensors, 0, 0, &dropped), ORTP_OK);
    assert_int_equal(ortp_pool_trim(ortp_runtime_pool(w->f.runtime), 0, 0, NULL), ORTP_OK);
    ortp_budget_info info;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(ortp_budget_set_limit(budget, info.charged_bytes, NULL), ORTP_OK);
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1,
                                         &count, &error),
                     ORTP_E_BUDGET);
    assert_null(ortp_decoder_logits(decoder, NULL));
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, NULL, &result, 1, &count,
                                  &error),
              error);
    assert_int_equal(count, 1);
    ortp_decoder_destroy(decoder);
}

static size_t bad_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                       size_t capacity, bool *may_end)
{
    const int32_t *token = ctx;
    (void)state;
    *may_end = true;
    tokens[0] = *token;
    states[0] = 0;
    return *token == 4 ? capacity + 1 : 1;
}

static void refuses_a_bad_constraint(void **state)
{
    const world *w = *state;
    static const int32_t bad[] = {-1, 0, 2, 3, 30, INT32_MAX, 4};
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_hypothesis result;
    size_t count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ortp_error error = ORTP_ERROR_INIT;
        int32_t token = bad[i];
        const ortp_constraint constraint = {.ctx = &token, .next = bad_next};
        assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint,
                                             &result, 1, &count, &error),
                         ORTP_E_INVAL);
        assert_non_null(strstr(error.message, "the constraint gave"));
        assert_int_equal(count, 0);
    }
    const ortp_constraint none = {0};
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, NULL, &none, &result, 1,
                                         &count, NULL),
                     ORTP_E_INVAL);
    ortp_decoder_destroy(decoder);
}

static void refuse_params(const world *w, ortp_decoder *decoder, const ortp_search_params *params,
                          const char *text)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis result;
    size_t count = 1;
    assert_int_equal(ortp_decoder_search(decoder, w->memory, w->length, params, NULL, &result, 1,
                                         &count, &error),
                     ORTP_E_INVAL);
    assert_int_equal(count, 0);
    assert_non_null(strstr(error.message, text));
}

static void refuses_bad_params(void **state)
{
    const world *w = *state;
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_search_params p = ORTP_SEARCH_PARAMS_INIT;
    p.beam_width = 9;
    refuse_params(w, decoder, &p, "beam_width");
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.max_steps = 20;
    refuse_params(w, decoder, &p, "max_steps");
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.strategy = (ortp_strategy)2;
    refuse_params(w, decoder, &p, "strategy");
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.path = (ortp_path)2;
    refuse_params(w, decoder, &p, "path");
    double *const numbers[] = {&p.length_reward, &p.length_alpha, &p.prune_gap, &p.stop_margin,
                               &p.prune_token};
    for (size_t i = 0; i < 5; i++) {
        static const char *const names[] = {"length_reward", "length_alpha", "prune_gap",
                                            "stop_margin", "prune_token"};
        p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
        *numbers[i] = NAN;
        refuse_params(w, decoder, &p, names[i]);
        *numbers[i] = i < 2 ? INFINITY : -1.0;
        refuse_params(w, decoder, &p, names[i]);
    }
    p = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    p.prune_token = 1.0;
    refuse_params(w, decoder, &p, "prune_token");
    ortp_decoder_destroy(decoder);
}

static void refuses_bad_memory(void **state)
{
    const world *w = *state;
    static const struct {
        ortp_type type;
        size_t rank;
        int64_t shape[3];
    } bad[] = {
        {ORTP_TYPE_INT32, 3, {1, 32, 16}}, {ORTP_TYPE_FLOAT, 2, {32, 16, 0}},
        {ORTP_TYPE_FLOAT, 3, {2, 32, 16}}, {ORTP_TYPE_FLOAT, 3, {1, 32, 15}},
        {ORTP_TYPE_FLOAT, 3, {1, 0, 16}},  {ORTP_TYPE_FLOAT, 3, {1, 151, 16}},
    };
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis result;
    size_t count = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ortp_tensor *memory = NULL;
        assert_ok(ortp_tensor_acquire(w->f.tensors, bad[i].type, bad[i].shape, bad[i].rank, &memory,
                                      &error),
                  error);
        assert_int_equal(ortp_decoder_search(decoder, memory, 1, NULL, NULL, &result, 1, &count,
                                             &error),
                         ORTP_E_INVAL);
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
    }
    assert_int_equal(ortp_decoder_search(decoder, w->memory, 0, NULL, NULL, &result, 1, &count,
                                         &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_search(decoder, w->memory, 33, NULL, NULL, &result, 1, &count,
                                         &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_search(decoder, NULL, 1, NULL, NULL, &result, 1, &count, &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_search(decoder, w->memory, 1, NULL, NULL, NULL, 1, &count,
                                         &error),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_warm(decoder, 4, 1, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_warm(decoder, 0, 0, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_warm(decoder, 0, 9, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_model_close(w->f.model), ORTP_E_BUSY);
    ortp_decoder_destroy(decoder);
    ortp_decoder_destroy(NULL);
    assert_int_equal(ortp_decoder_create(w->f.model, w->f.tensors, 33, &decoder, &error),
                     ORTP_E_INVAL);
    assert_null(decoder);
}

/* ---- what it costs ---- */

/* After warm-up a search asks ORT for its runs alone and allocates nothing. */
static void a_warm_search_allocates_nothing(void **state)
{
    (void)state;
    static const char *const models[] = {TINY, MASK};
    for (size_t i = 0; i < 4; i++) {
        counting_alloc counter = {0};
        ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
        options.api = test_ort_api();
        options.alloc = counting_alloc_use(&counter);
        fixture f;
        char file[100];
        ortp_error error = ORTP_ERROR_INIT;
        fixture_open(&f, models[i / 2], &options);
        (void)snprintf(file, sizeof file, "%s/expected.json", models[i / 2]);
        json_t *expected = load_json(file);
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = i % 2 == 0 ? ORTP_PATH_BATCHED : ORTP_PATH_SEQUENTIAL;
        ortp_decoder *decoder = NULL;
        assert_ok(ortp_decoder_create(f.model, f.tensors, 8, &decoder, &error), error);
        for (size_t bucket = 0; bucket < f.manifest->bucket_count; bucket++) {
            assert_ok(ortp_model_warm(f.model, bucket, &error), error);
            assert_ok(ortp_decoder_warm(decoder, bucket, i % 2 == 0 ? 8 : 1, &error), error);
        }
        ortp_tensor_pool_info before;
        ortp_tensor_pool_info after;
        ortp_tensor_pool_get_info(f.tensors, &before);
        const uint64_t allocs = atomic_load(&counter.calls);
        ortp_tensor *memory = encode(&f, expected);
        ortp_hypothesis results[RESULTS];
        size_t count = 0;
        const size_t length = (size_t)json_integer_value(json_object_get(expected, "length"));
        assert_ok(ortp_decoder_search(decoder, memory, length, &params, NULL, results, RESULTS,
                                      &count, &error),
                  error);
        assert_true(count > 0);
        ortp_tensor_pool_get_info(f.tensors, &after);
        assert_int_equal(after.creates, before.creates);
        assert_int_equal(atomic_load(&counter.calls), allocs);
        assert_int_equal(ortp_tensor_release(memory), ORTP_OK);
        ortp_decoder_destroy(decoder);
        json_decref(expected);
        fixture_close(&f);
        counting_alloc_assert_empty(&counter);
    }
}

static void three_thousand_searches_leave_nothing(void **state)
{
    world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_hypothesis results[RESULTS];
    size_t count = 0;
    size_t left = 0;
    ortp_budget_info before;
    ortp_budget_info after;
    uint64_t allocs = 0;
    uint64_t creates = 0;
    int64_t live = 0;
    for (size_t i = 0; i < 3000; i++) {
        ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
        params.path = i % 3 == 0 ? ORTP_PATH_SEQUENTIAL : ORTP_PATH_BATCHED;
        params.beam_width = 1 + i % 8;
        params.strategy = i % 5 == 0 ? ORTP_STRATEGY_GREEDY : ORTP_STRATEGY_BEAM;
        left = i % 7;
        params.stop = i % 4 == 0 ? stop_after : NULL;
        params.stop_ctx = &left;
        const ortp_status status =
            ortp_decoder_search(decoder, w->memory, w->length, &params, &constraint, results,
                                RESULTS, &count, &error);
        assert_true(status == ORTP_OK || status == ORTP_E_CANCELLED);
        if (i == 99) {
            ortp_budget_get_info(ortp_runtime_budget(w->f.runtime), &before);
            allocs = atomic_load(&w->counter.calls);
            creates = counting_api_calls(COUNTING_CreateTensorWithDataAsOrtValue);
            live = counting_api_live();
        }
    }
    ortp_budget_get_info(ortp_runtime_budget(w->f.runtime), &after);
    assert_int_equal(after.charged_bytes, before.charged_bytes);
    assert_int_equal(atomic_load(&w->counter.calls), allocs);
    assert_int_equal(counting_api_calls(COUNTING_CreateTensorWithDataAsOrtValue), creates);
    assert_int_equal(counting_api_live(), live);
    ortp_decoder_destroy(decoder);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beams_of_every_width),
        cmocka_unit_test(length_reward_and_penalty),
        cmocka_unit_test(pruning_drops_what_the_reference_drops),
        cmocka_unit_test(stops_when_nothing_better_can_come),
        cmocka_unit_test(greedy_takes_the_best_each_time),
        cmocka_unit_test(ends_at_first_middle_and_last),
        cmocka_unit_test(max_steps_bounds_the_runs),
        cmocka_unit_test(nothing_allowed_gives_nothing),
        cmocka_unit_test(equal_sequences_come_once),
        cmocka_unit_test(results_are_cut_to_capacity),
        cmocka_unit_test(without_a_constraint),
        cmocka_unit_test(cancels_before_any_run),
        cmocka_unit_test(stops_at_the_deadline),
        cmocka_unit_test(each_ort_failure_is_clean),
        cmocka_unit_test(each_allocation_failure_is_clean),
        cmocka_unit_test(the_budget_refuses_buffers),
        cmocka_unit_test(refuses_a_bad_constraint),
        cmocka_unit_test(refuses_bad_params),
        cmocka_unit_test(refuses_bad_memory),
        cmocka_unit_test(a_warm_search_allocates_nothing),
        cmocka_unit_test(three_thousand_searches_leave_nothing),
    };
    return cmocka_run_group_tests_name("search", tests, set_up, tear_down);
}
