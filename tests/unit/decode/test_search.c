/* SPDX-License-Identifier: MIT */
/* What a search finds, against a plain reference over a small automaton. */
#include <math.h>

#include "world.h"

typedef struct ranked {
    uint32_t node;
    double sum, rank, score;
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
                    ranked child = {.node = beam->node * BRANCHES + 1 + k,
                                    .sum = beam->sum + log_prob};
                    child.rank = child.sum + (greedy ? 0.0 : a->hope[child.node]);
                    count = insert(next, count, child, child.rank);
                    best = log_prob > best ? log_prob : best;
                }
            }
            const double end = w->after[beam->node][EOS];
            if (a->end[beam->node] && end >= least && !(greedy && best >= end)) {
                const ranked done = {.node = beam->node, .sum = beam->sum + end};
                const double n = (double)step;
                const double score = (done.sum + a->bonus[beam->node] + p->length_reward * n) /
                                     pow((5.0 + n) / 6.0, p->length_alpha);
                finished_count = insert(finished, finished_count, done, score);
                count = greedy ? 0 : count;
            }
        }
        live_count = 0;
        for (size_t i = 0; i < count && i < width; i++) {
            const double at = next[i].rank;
            const bool far = p->prune_gap > 0.0 && at <= next[0].rank - p->prune_gap;
            const bool late = p->stop_margin > 0.0 && finished_count >= rank &&
                              !(at + p->length_reward * (double)(step + 1) + p->stop_margin >
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
    ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
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
        ortp_decoder_destroy(decoder, NULL);
    }
    return expected_count;
}

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

/* Those that are likelier so far lose to those that may hope. */
static void ranks_by_hope(void **state)
{
    automaton a = all_may_end();
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    for (size_t i = 0; i < NODES; i++) {
        a.hope[i] = (double)(i * 7 % 11) * 0.5;
    }
    for (size_t width = 1; width < 9; width++) {
        params.beam_width = width;
        check(*state, &a, &params);
    }
    params.beam_width = 4;
    params.prune_gap = 2.0;
    check(*state, &a, &params);
    params.stop_margin = 1.0;
    params.length_reward = 0.5;
    check(*state, &a, &params);
    params.strategy = ORTP_STRATEGY_GREEDY; /* which does not look ahead */
    check(*state, &a, &params);
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
        ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
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
    ortp_decoder_destroy(decoder, NULL);
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
    ortp_hypothesis a[RESULTS] = {ORTP_HYPOTHESIS_INIT};
    ortp_hypothesis b[RESULTS] = {ORTP_HYPOTHESIS_INIT};
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
    ortp_decoder_destroy(decoder, NULL);
}

static void results_are_cut_to_capacity(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    automaton a = all_may_end();
    const ortp_constraint constraint = tree(&a);
    ortp_hypothesis all[RESULTS] = {ORTP_HYPOTHESIS_INIT};
    ortp_hypothesis few[2] = {ORTP_HYPOTHESIS_INIT};
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
    ortp_decoder_destroy(decoder, NULL);
}

static void without_a_constraint(void **state)
{
    const world *w = *state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_hypothesis results[RESULTS] = {ORTP_HYPOTHESIS_INIT};
    size_t count = 0;
    ortp_decoder *decoder = open_decoder(w, 8);
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
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
    ortp_decoder_destroy(decoder, NULL);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beams_of_every_width),
        cmocka_unit_test(ranks_by_hope),
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
    };
    return cmocka_run_group_tests_name("search", tests, set_up, tear_down);
}
