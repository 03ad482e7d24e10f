/* SPDX-License-Identifier: MIT */
/* The search's bookkeeping and the log-softmax, without ONNX Runtime. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode_internal.h"

#define STEPS 6u

typedef struct bench {
    ortp__beams beams;
    void *memory;
} bench;

/* Exactly the bytes that are asked for, so that a sanitizer sees one too few. */
static void open_beams(bench *b, size_t width, bool keep_duplicates)
{
    b->memory = malloc(ortp__beams_bytes(width, STEPS));
    assert_non_null(b->memory);
    ortp__beams_place(&b->beams, b->memory, width, STEPS);
    ortp__beams_begin(&b->beams, width, 7, keep_duplicates);
}

static void close_beams(bench *b)
{
    free(b->memory);
}

static void begins_with_the_empty_sequence(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 3, false);
    assert_int_equal(b.beams.live_count, 1);
    assert_int_equal(b.beams.live[0].state, 7);
    assert_int_equal(b.beams.length, 0);
    ortp__beams_finish(&b.beams, 0, -1.0, -1.0);
    assert_int_equal(b.beams.finished_count, 1);
    assert_int_equal(b.beams.finished[0].length, 0);
    close_beams(&b);
}

static void keeps_the_best_and_ties_in_order(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 3, false);
    const double log_probs[] = {-2.0, -1.0, -3.0, -1.0, -2.0, -0.5};
    for (int32_t i = 0; i < 6; i++) {
        ortp__beams_offer(&b.beams, 0, 10 + i, 100 + (uint32_t)i, log_probs[i], 0.0);
    }
    ortp__beams_advance(&b.beams);
    const int32_t expected[] = {15, 11, 13};
    assert_int_equal(b.beams.live_count, 3);
    assert_int_equal(b.beams.length, 1);
    for (size_t i = 0; i < 3; i++) {
        int32_t token = 0;
        ortp__beams_tokens(&b.beams, b.beams.live[i].node, 1, &token);
        assert_int_equal(token, expected[i]);
        assert_int_equal(b.beams.live[i].state, 90 + expected[i]);
    }
    close_beams(&b);
}

/* The reference: all candidates, stably sorted, the first `width`. */
static void selects_as_a_full_stable_sort(void **state)
{
    (void)state;
    srand(5);
    for (size_t round = 0; round < 200; round++) {
        bench b;
        const size_t width = 1 + (size_t)rand() % 8;
        const size_t count = (size_t)rand() % 40;
        double sums[40];
        int32_t order[40];
        open_beams(&b, width, false);
        for (size_t i = 0; i < count; i++) {
            sums[i] = -(double)(rand() % 6); /* many ties */
            ortp__beams_offer(&b.beams, 0, (int32_t)i, 0, sums[i], 0.0);
            size_t at = i;
            while (at > 0 && sums[order[at - 1]] < sums[i]) {
                order[at] = order[at - 1];
                at--;
            }
            order[at] = (int32_t)i;
        }
        ortp__beams_advance(&b.beams);
        assert_int_equal(b.beams.live_count, count < width ? count : width);
        for (size_t i = 0; i < b.beams.live_count; i++) {
            int32_t token = -1;
            ortp__beams_tokens(&b.beams, b.beams.live[i].node, 1, &token);
            assert_int_equal(token, order[i]);
        }
        close_beams(&b);
    }
}

static void walks_tokens_back(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 2, false);
    for (int32_t step = 0; step < (int32_t)STEPS; step++) {
        const size_t live = b.beams.live_count;
        for (size_t i = 0; i < live; i++) {
            ortp__beams_offer(&b.beams, i, step, 0, -1.0, 0.0);
            ortp__beams_offer(&b.beams, i, 50 + step, 0, -1.5, 0.0);
        }
        ortp__beams_advance(&b.beams);
    }
    int32_t tokens[STEPS];
    ortp__beams_tokens(&b.beams, b.beams.live[0].node, STEPS, tokens);
    for (int32_t i = 0; i < (int32_t)STEPS; i++) {
        assert_int_equal(tokens[i], i);
    }
    /* The second: one step took the dearer token; of equals the earliest offer won each time. */
    ortp__beams_tokens(&b.beams, b.beams.live[1].node, STEPS, tokens);
    size_t dearer = 0;
    for (size_t i = 0; i < STEPS; i++) {
        dearer += tokens[i] >= 50;
    }
    assert_int_equal(dearer, 1);
    assert_true(b.beams.live[1].sum == -6.5);
    assert_true(b.beams.node_count <= b.beams.node_capacity);
    close_beams(&b);
}

static void drops_twins(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        bench b;
        open_beams(&b, 4, keep != 0);
        ortp__beams_offer(&b.beams, 0, 5, 1, -2.0, 0.0);
        ortp__beams_offer(&b.beams, 0, 5, 1, -1.0, 0.0); /* the same, better */
        ortp__beams_offer(&b.beams, 0, 5, 1, -3.0, 0.0); /* the same, worse */
        ortp__beams_offer(&b.beams, 0, 5, 2, -4.0, 0.0); /* the same tokens, another state */
        ortp__beams_advance(&b.beams);
        assert_int_equal(b.beams.live_count, keep != 0 ? 4 : 2);
        assert_true(b.beams.live[0].sum == -1.0);
        const size_t last = b.beams.live_count - 1;
        assert_int_equal(b.beams.live[last].state, 2);
        /* Both end: equal tokens whatever the state. */
        ortp__beams_finish(&b.beams, last, -5.0, -5.0);
        ortp__beams_finish(&b.beams, 0, -2.0, -2.0);
        ortp__beams_finish(&b.beams, last, -6.0, -6.0);
        assert_int_equal(b.beams.finished_count, keep != 0 ? 3 : 1);
        assert_true(b.beams.finished[0].score == -2.0);
        assert_int_equal(b.beams.finished[0].state, 1);
        close_beams(&b);
    }
}

/* By rank, not by sum; what one hoped for is not part of what it is. */
static void ranks_by_sum_and_hope(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 2, false);
    ortp__beams_offer(&b.beams, 0, 5, 1, -1.0, 0.0);
    ortp__beams_offer(&b.beams, 0, 6, 2, -2.0, 3.0);
    ortp__beams_offer(&b.beams, 0, 7, 3, -3.0, 1.0);
    ortp__beams_offer(&b.beams, 0, 8, 4, -0.5, -0.75); /* likelier than all, and least hopeful */
    ortp__beams_advance(&b.beams);
    assert_int_equal(b.beams.live_count, 2);
    assert_int_equal(b.beams.live[0].state, 2);
    assert_true(b.beams.live[0].sum == -2.0 && b.beams.live[0].rank == 1.0);
    assert_int_equal(b.beams.live[1].state, 1);
    assert_true(b.beams.live[1].sum == -1.0 && b.beams.live[1].rank == -1.0);
    ortp__beams_offer(&b.beams, 0, 5, 5, -1.0, 0.5);
    ortp__beams_advance(&b.beams);
    assert_true(b.beams.live[0].sum == -3.0 && b.beams.live[0].rank == -2.5);
    ortp__beams_prune(&b.beams, -2.75);
    assert_int_equal(b.beams.live_count, 1);
    ortp__beams_prune(&b.beams, -2.5);
    assert_int_equal(b.beams.live_count, 0);
    close_beams(&b);
}

/* Of twins the one that ranks above stays, whichever came first. */
static void drops_the_less_hopeful_twin(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        bench b;
        open_beams(&b, 2, false);
        for (int i = 0; i < 2; i++) {
            const bool hopeful = i == order;
            ortp__beams_offer(&b.beams, 0, 5, 1, hopeful ? -2.0 : -1.0, hopeful ? 2.0 : 0.0);
        }
        ortp__beams_advance(&b.beams);
        assert_int_equal(b.beams.live_count, 1);
        assert_true(b.beams.live[0].sum == -2.0 && b.beams.live[0].rank == 0.0);
        close_beams(&b);
    }
}

static void tells_sequences_of_different_parents_apart(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 4, false);
    ortp__beams_offer(&b.beams, 0, 5, 1, -1.0, 0.0);
    ortp__beams_offer(&b.beams, 0, 6, 1, -1.0, 0.0);
    ortp__beams_advance(&b.beams);
    ortp__beams_offer(&b.beams, 0, 6, 1, -1.0, 0.0);
    ortp__beams_offer(&b.beams, 1, 6, 1, -1.0, 0.0);
    ortp__beams_offer(&b.beams, 0, 5, 1, -1.0, 0.0);
    ortp__beams_offer(&b.beams, 1, 5, 1, -1.0, 0.0);
    ortp__beams_advance(&b.beams);
    assert_int_equal(b.beams.live_count, 4);
    for (size_t i = 0; i < 4; i++) {
        ortp__beams_finish(&b.beams, i, -1.0, -1.0);
    }
    assert_int_equal(b.beams.finished_count, 4);
    for (size_t i = 0; i < 4; i++) { /* of equal scores the first that finished is first */
        assert_int_equal(b.beams.finished[i].node, b.beams.live[i].node);
    }
    close_beams(&b);
}

static void ignores_what_is_no_number(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 2, false);
    ortp__beams_offer(&b.beams, 0, 5, 1, NAN, 0.0);
    ortp__beams_offer(&b.beams, 0, 5, 1, -INFINITY, 0.0);
    ortp__beams_offer(&b.beams, 0, 5, 1, -1.0, NAN);
    ortp__beams_offer(&b.beams, 0, 5, 1, -1.0, -INFINITY);
    ortp__beams_offer(&b.beams, 0, 5, 1, -INFINITY, INFINITY);
    ortp__beams_finish(&b.beams, 0, NAN, 0.0);
    ortp__beams_finish(&b.beams, 0, -INFINITY, 0.0);
    ortp__beams_finish(&b.beams, 0, -1.0, NAN);
    assert_int_equal(b.beams.candidate_count, 0);
    assert_int_equal(b.beams.finished_count, 0);
    ortp__beams_advance(&b.beams);
    assert_int_equal(b.beams.live_count, 0);
    close_beams(&b);
}

static void prunes_from_the_end(void **state)
{
    (void)state;
    bench b;
    open_beams(&b, 4, false);
    for (int32_t i = 0; i < 4; i++) {
        ortp__beams_offer(&b.beams, 0, i, 0, -(double)i, 0.0);
    }
    ortp__beams_advance(&b.beams);
    ortp__beams_prune(&b.beams, -2.5);
    assert_int_equal(b.beams.live_count, 3);
    ortp__beams_prune(&b.beams, -2.0); /* at the limit: gone */
    assert_int_equal(b.beams.live_count, 2);
    ortp__beams_prune(&b.beams, 1.0);
    assert_int_equal(b.beams.live_count, 0);
    close_beams(&b);
}

static void holds_all_that_can_finish(void **state)
{
    (void)state;
    bench b;
    const size_t width = 5;
    open_beams(&b, width, true);
    size_t finished = 0;
    for (size_t step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < b.beams.live_count; i++) {
            ortp__beams_finish(&b.beams, i, -1.0, (double)(step * i));
            finished++;
            for (int32_t token = 0; token < 6; token++) {
                ortp__beams_offer(&b.beams, i, token, 0, -0.1 * token, 0.0);
            }
        }
        ortp__beams_advance(&b.beams);
    }
    assert_int_equal(b.beams.finished_count, finished);
    for (size_t i = 1; i < finished; i++) {
        assert_true(b.beams.finished[i - 1].score >= b.beams.finished[i].score);
    }
    close_beams(&b);
}

static void log_softmax_is_stable(void **state)
{
    (void)state;
    double out[4];
    const float plain[] = {1.0f, 2.0f, 3.0f, 4.0f};
    ortp__log_softmax(plain, 4, out);
    const double sum = exp(1.0) + exp(2.0) + exp(3.0) + exp(4.0);
    for (size_t i = 0; i < 4; i++) {
        assert_true(fabs(out[i] - log(exp((double)plain[i]) / sum)) < 1e-12);
    }
    const float large[] = {3e38f, 3e38f, -3e38f, 0.0f};
    ortp__log_softmax(large, 4, out);
    assert_true(fabs(out[0] - log(0.5)) < 1e-12 && fabs(out[1] - log(0.5)) < 1e-12);
    assert_true(isfinite(out[2]) && out[2] < -1e38);
    const float shut[] = {0.0f, -INFINITY, 0.0f, -INFINITY};
    ortp__log_softmax(shut, 4, out);
    assert_true(fabs(out[0] - log(0.5)) < 1e-12);
    assert_true(isinf(out[1]) && out[1] < 0.0);
    const float bad[] = {0.0f, NAN, 1.0f, 2.0f};
    ortp__log_softmax(bad, 4, out);
    for (size_t i = 0; i < 4; i++) {
        assert_true(isnan(out[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_the_empty_sequence),
        cmocka_unit_test(keeps_the_best_and_ties_in_order),
        cmocka_unit_test(selects_as_a_full_stable_sort),
        cmocka_unit_test(walks_tokens_back),
        cmocka_unit_test(drops_twins),
        cmocka_unit_test(ranks_by_sum_and_hope),
        cmocka_unit_test(drops_the_less_hopeful_twin),
        cmocka_unit_test(tells_sequences_of_different_parents_apart),
        cmocka_unit_test(ignores_what_is_no_number),
        cmocka_unit_test(prunes_from_the_end),
        cmocka_unit_test(holds_all_that_can_finish),
        cmocka_unit_test(log_softmax_is_stable),
    };
    return cmocka_run_group_tests_name("beams", tests, NULL, NULL);
}
