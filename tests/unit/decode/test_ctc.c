/* SPDX-License-Identifier: MIT */
/* The second score against all ways to spread tokens over the points, one by one. */
#include "ctc.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLANK 2 /* not the first one, so that nothing rests on that */
#define VOCABULARY 4u
#define POINTS 6u
#define WIDTH 128u
#define STEPS 7u

typedef struct bench {
    void *beam_memory, *ctc_memory;
    ortp__beams beams;
    ortp__ctc ctc;
    float probabilities[POINTS * VOCABULARY];
} bench;

static uint64_t seed = 7;

static double next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(seed >> 11) / 9007199254740992.0;
}

static int set_up(void **state)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->beam_memory = malloc(ortp__beams_bytes(WIDTH, STEPS));
    /* For more points than there are: rows are not as long as they could be. */
    b->ctc_memory = malloc(ortp__ctc_bytes(WIDTH, POINTS + 3, VOCABULARY));
    assert_non_null(b->beam_memory);
    assert_non_null(b->ctc_memory);
    ortp__beams_place(&b->beams, b->beam_memory, WIDTH, STEPS);
    ortp__ctc_place(&b->ctc, b->ctc_memory, WIDTH, POINTS + 3, VOCABULARY, BLANK);
    for (size_t t = 0; t < POINTS; t++) {
        double weights[VOCABULARY];
        double sum = 0.0;
        for (size_t i = 0; i < VOCABULARY; i++) {
            weights[i] = exp(3.0 * next_random());
            sum += weights[i];
        }
        for (size_t i = 0; i < VOCABULARY; i++) {
            b->probabilities[t * VOCABULARY + i] = (float)(weights[i] / sum);
        }
    }
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    bench *b = *state;
    free(b->beam_memory);
    free(b->ctc_memory);
    free(b);
    return 0;
}

/* What a choice of one token for each point says: repeats and blanks left out. */
static size_t said(size_t choice, size_t points, int32_t *out)
{
    size_t length = 0;
    int32_t before = BLANK;
    for (size_t t = 0; t < points; t++) {
        const int32_t token = (int32_t)(choice % VOCABULARY);
        choice /= VOCABULARY;
        if (token != BLANK && token != before) {
            out[length++] = token;
        }
        before = token;
    }
    return length;
}

/* The probability of all that begins with `wanted`, or of that alone. */
static double by_enumeration(const bench *b, size_t points, const int32_t *wanted, size_t length,
                             bool alone)
{
    size_t choices = 1;
    for (size_t t = 0; t < points; t++) {
        choices *= VOCABULARY;
    }
    double sum = 0.0;
    for (size_t choice = 0; choice < choices; choice++) {
        int32_t tokens[POINTS];
        const size_t found = said(choice, points, tokens);
        if (found >= length && (!alone || found == length) &&
            memcmp(tokens, wanted, length * sizeof *tokens) == 0) {
            double probability = 1.0;
            size_t rest = choice;
            for (size_t t = 0; t < points; t++) {
                probability *= (double)b->probabilities[t * VOCABULARY + rest % VOCABULARY];
                rest /= VOCABULARY;
            }
            sum += probability;
        }
    }
    return sum;
}

static void same(double logarithm, double probability)
{
    const double wanted = log(probability > 1e-300 ? probability : 1e-300);
    if (!(fabs(logarithm - wanted) < 1e-6)) { /* floats of a point sum to nearly 1 */
        fail_msg("%.12f, expected %.12f", logarithm, wanted);
    }
}

/* What a search may count on. */
static double at_most(const bench *b, double logarithm)
{
    assert_true(logarithm <= b->ctc.most);
    return logarithm;
}

/* Every sequence of up to four tokens, all of them beams at once. */
static void walk(bench *b, size_t points)
{
    ortp__beams_begin(&b->beams, WIDTH, 0, false);
    assert_true(ortp__ctc_begin(&b->ctc, b->probabilities, points));
    for (size_t length = 0; length < 4; length++) {
        for (size_t i = 0; i < b->beams.live_count; i++) {
            int32_t tokens[POINTS + 1];
            ortp__beams_tokens(&b->beams, b->beams.live[i].node, length, tokens);
            same(at_most(b, ortp__ctc_whole(&b->ctc, i)),
                 by_enumeration(b, points, tokens, length, true));
            for (int32_t token = 0; token < (int32_t)VOCABULARY; token++) {
                if (token != BLANK) {
                    tokens[length] = token;
                    same(at_most(b, ortp__ctc_prefix(&b->ctc, &b->beams, i, token)),
                         by_enumeration(b, points, tokens, length + 1, false));
                    /* In another order than they came: rows have to be followed. */
                    ortp__beams_offer(&b->beams, i, token, 0,
                                      -(double)((i * 7 + (size_t)token) % 11), 0.0);
                }
            }
        }
        ortp__beams_advance(&b->beams);
        ortp__ctc_advance(&b->ctc, &b->beams);
    }
    assert_int_equal(b->beams.live_count, 81);
}

static void agrees_with_enumeration(void **state)
{
    walk(*state, POINTS);
}

/* Fewer points than tokens: no way is left, and the logarithm is still a number. */
static void fewer_points_than_tokens(void **state)
{
    walk(*state, 2);
    walk(*state, 1);
}

static void nothing_is_impossible(void **state)
{
    bench *b = *state;
    memset(b->probabilities, 0, sizeof b->probabilities);
    walk(b, POINTS);
    for (size_t i = 0; i < POINTS * VOCABULARY; i++) {
        b->probabilities[i] = 1e-30f;
    }
    ortp__beams_begin(&b->beams, WIDTH, 0, false);
    assert_true(ortp__ctc_begin(&b->ctc, b->probabilities, POINTS));
    assert_true(isfinite(ortp__ctc_prefix(&b->ctc, &b->beams, 0, 1)));
    assert_true(isfinite(ortp__ctc_whole(&b->ctc, 0)));
}

/* Logits, logarithms, what is no number; what lies beyond the points is not looked at. */
static void refuses_what_is_no_probability(void **state)
{
    bench *b = *state;
    static const float bad[] = {-1e-6f, 1.01f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t at = 0; at < POINTS * VOCABULARY; at++) {
            const float good = b->probabilities[at];
            b->probabilities[at] = bad[i];
            for (size_t points = 1; points <= POINTS; points++) {
                assert_int_equal(ortp__ctc_begin(&b->ctc, b->probabilities, points),
                                 at >= points * VOCABULARY);
            }
            b->probabilities[at] = good;
        }
    }
    b->probabilities[0] = 1.0f + FLT_EPSILON;
    assert_true(ortp__ctc_begin(&b->ctc, b->probabilities, POINTS));
}

/* A head without softmax: the points have more than 1, and sequences too. */
static void the_bound_holds_for_what_is_no_distribution(void **state)
{
    bench *b = *state;
    static const double scales[] = {0.25, 1.0, 1.5, 4.0};
    for (size_t scale = 0; scale < sizeof scales / sizeof *scales; scale++) {
        float before[POINTS * VOCABULARY];
        memcpy(before, b->probabilities, sizeof before);
        for (size_t i = 0; i < POINTS * VOCABULARY; i++) {
            const double scaled = (double)before[i] * scales[scale];
            b->probabilities[i] = (float)(scaled < 1.0 ? scaled : 1.0);
        }
        ortp__beams_begin(&b->beams, WIDTH, 0, false);
        assert_true(ortp__ctc_begin(&b->ctc, b->probabilities, POINTS));
        /* And is not so wide that nothing is spared. */
        assert_true(b->ctc.most <= POINTS * log(scales[scale] > 1.0 ? scales[scale] : 1.0) + 1e-5);
        double likeliest = -INFINITY;
        for (size_t length = 0; length < 4; length++) {
            for (size_t i = 0; i < b->beams.live_count; i++) {
                for (int32_t token = 0; token < (int32_t)VOCABULARY; token++) {
                    if (token != BLANK) {
                        const double p = at_most(b, ortp__ctc_prefix(&b->ctc, &b->beams, i, token));
                        likeliest = p > likeliest ? p : likeliest;
                        ortp__beams_offer(&b->beams, i, token, 0, 0.0, 0.0);
                    }
                }
            }
            ortp__beams_advance(&b->beams);
            ortp__ctc_advance(&b->ctc, &b->beams);
        }
        assert_int_equal(likeliest > 0.0, scales[scale] > 1.0);
        memcpy(b->probabilities, before, sizeof before);
    }
}

/* What cannot be addressed does not wrap to something small. */
static void sizes_do_not_wrap(void **state)
{
    (void)state;
    assert_int_equal(ortp__ctc_bytes(8, 150, 30), (30 * 150 + 4 * 8 * 151) * sizeof(double));
    static const size_t points[] = {SIZE_MAX / 30, SIZE_MAX / 32, SIZE_MAX / 64, SIZE_MAX / 300};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        assert_true(ortp__ctc_bytes(8, points[i], 30) == SIZE_MAX);
        assert_true(ortp__ctc_bytes(1, points[i], 512) == SIZE_MAX);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(agrees_with_enumeration),
        TEST(fewer_points_than_tokens),
        TEST(nothing_is_impossible),
        TEST(refuses_what_is_no_probability),
        TEST(the_bound_holds_for_what_is_no_distribution),
        cmocka_unit_test(sizes_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
