/* SPDX-License-Identifier: MIT */
/* The table of what runs needed, by itself: what raises a need, what replaces it, what is guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "needs.h"

static void learn(ortp__needs *needs, uint64_t key, size_t bytes, uint32_t escapes)
{
    ortp__need learned = {.key = key, .bytes = bytes, .escapes = {.count = escapes}};
    for (uint32_t i = 0; i < escapes; i++) {
        learned.escapes.ordinals[i] = (uint32_t)bytes + i;
    }
    ortp__needs_learn(needs, &learned);
}

static ortp__needs *table(void)
{
    static ortp__needs needs;
    needs = (ortp__needs){.time = 0};
    assert_true(ortp__needs_init(&needs));
    return &needs;
}

/* By shapes, so that where sizes depend on values the largest counts, however many of them escape. */
static void needs_rise(void **state)
{
    (void)state;
    ortp__needs *needs = table();
    learn(needs, 1, 100, 1);
    learn(needs, 1, 900, 2);
    learn(needs, 1, 50, 1);
    assert_int_equal(ortp__needs_get(needs, 1).bytes, 900);
    assert_int_equal(ortp__needs_get(needs, 1).escapes.ordinals[0], 50);
    assert_int_equal(ortp__needs_most(needs), 900);
    ortp__needs_destroy(needs);
}

/* What lay in the block and no longer does is not needed there any more. */
static void values_that_move_out_are_left_out(void **state)
{
    (void)state;
    ortp__needs *needs = table();
    learn(needs, 1, 900, 0);
    learn(needs, 1, 400, 1);
    assert_int_equal(ortp__needs_get(needs, 1).bytes, 400);
    learn(needs, 1, 300, 0); /* they came back within the run: nothing moved in */
    assert_int_equal(ortp__needs_get(needs, 1).bytes, 400);
    ortp__needs_destroy(needs);
}

/* Of a shape that is not known, the escapes of the latest that had any. */
static void escapes_are_guessed(void **state)
{
    (void)state;
    ortp__needs *needs = table();
    assert_int_equal(ortp__needs_get(needs, 7).escapes.count, 0);
    learn(needs, 1, 100, 2);
    learn(needs, 2, 200, 0);
    const ortp__need guess = ortp__needs_get(needs, 7);
    assert_int_equal(guess.key, 7);
    assert_int_equal(guess.bytes, 0);
    assert_int_equal(guess.escapes.count, 2);
    assert_int_equal(guess.escapes.ordinals[1], 101);
    assert_int_equal(ortp__needs_get(needs, 2).escapes.count, 0); /* known: none */
    ortp__needs_destroy(needs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_rise),
        cmocka_unit_test(values_that_move_out_are_left_out),
        cmocka_unit_test(escapes_are_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
