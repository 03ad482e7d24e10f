/* SPDX-License-Identifier: MIT */
/* One line of input: what is read, what is said, and every allocation of jansson's made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "swipe_json.h"

#define KEYBOARD "\"keyboard\":{\"width\":100,\"height\":45.5}"

static bool parses(swipe_row *row, const char *text, bool want_word, char *message, size_t capacity)
{
    return swipe_row_parse(row, text, strlen(text), want_word, message, capacity);
}

static void a_swipe_is_read(void **state)
{
    (void)state;
    swipe_row row = {0};
    char message[256];
    assert_true(parses(
        &row, "{\"id\":\"7\",\"x\":[1,2.5],\"y\":[3,-4],\"t\":[0,16],\"more\":[{}]," KEYBOARD "}",
        false, message, sizeof(message)));
    assert_int_equal(row.id_kind, ID_STRING);
    assert_string_equal(row.id, "7");
    assert_int_equal(row.count, 2);
    assert_true(row.x[1] == 2.5 && row.y[1] == -4 && row.t[1] == 16);
    assert_true(row.width == 100 && row.height == 45.5);
    assert_null(row.word);
    /* The same row again: a number as id, a longer swipe, then no points at all. */
    assert_true(parses(
        &row, "{\"id\":-12,\"word\":\"w\",\"x\":[1,2,3],\"y\":[1,2,3],\"t\":[4,5,6]," KEYBOARD "}",
        true, message, sizeof(message)));
    assert_int_equal(row.id_kind, ID_NUMBER);
    assert_string_equal(row.id, "-12");
    assert_string_equal(row.word, "w");
    assert_true(row.x[2] == 3 && row.y[2] == 3 && row.t[2] == 6);
    assert_true(
        parses(&row, "{\"x\":[],\"y\":[],\"t\":[]," KEYBOARD "}", false, message, sizeof(message)));
    assert_int_equal(row.id_kind, ID_UNKNOWN);
    assert_int_equal(row.count, 0);
    swipe_row_free(&row);
}

static void messages_name_field_and_expectation(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool id_known;
        const char *message;
    } cases[] = {
        {"{\"id\":\"1\"", false, "not JSON"},
        {"[1]", false, "the line is an array, expected an object"},
        {"{\"id\":\"1\",\"id\":\"2\"}", false, "duplicate object key"},
        {"{\"id\":\"1\",\"x\":[NaN]}", false, "not JSON"},
        {"{\"id\":1.5}", false, "\"id\" is a number, expected a string or a whole number"},
        {"{\"id\":\"\\u0000abc\"}", false, "\"id\": a zero character is not allowed"},
        {"{\"id\":\"1\",\"y\":[],\"t\":[]}", true,
         "\"x\" is missing, expected an array of numbers"},
        {"{\"id\":\"1\",\"x\":\"1\",\"y\":[],\"t\":[]}", true, "\"x\" is a string, expected"},
        {"{\"id\":\"1\",\"x\":[1,2],\"y\":[1],\"t\":[1,2]," KEYBOARD "}", true,
         "\"y\" has 1 values and \"x\" has 2, expected the same number"},
        {"{\"id\":\"1\",\"x\":[1,2],\"y\":[1,2],\"t\":[1,null]," KEYBOARD "}", true,
         "\"t\"[1] is null, expected a number"},
        {"{\"id\":\"1\",\"x\":[1],\"y\":[true],\"t\":[1]," KEYBOARD "}", true,
         "\"y\"[0] is a boolean, expected a number"},
        {"{\"id\":\"1\",\"x\":[1],\"y\":[1],\"t\":[1]}", true, "\"keyboard\" is missing"},
        {"{\"id\":\"1\",\"x\":[1],\"y\":[1],\"t\":[1],\"keyboard\":{\"width\":3}}", true,
         "\"keyboard.height\" is missing"},
        {"{\"id\":\"1\",\"x\":[1],\"y\":[1],\"t\":[1],\"keyboard\":{\"width\":{},\"height\":1}}",
         true, "\"keyboard.width\" is an object, expected"},
    };
    swipe_row row = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[256] = "";
        assert_false(parses(&row, cases[i].text, false, message, sizeof(message)));
        if (strstr(message, cases[i].message) == NULL) {
            fail_msg("%s\n  gives \"%s\"\n  not   \"%s\"", cases[i].text, message,
                     cases[i].message);
        }
        assert_int_equal(row.id_kind != ID_UNKNOWN, cases[i].id_known);
    }
    char message[256];
    static const char *const words[] = {"{}", "{\"word\":3}", "{\"word\":\"\"}"};
    assert_false(parses(&row, "{\"word\":\"a\\u0000\"}", true, message, sizeof(message)));
    assert_string_equal(message, "\"word\": a zero character is not allowed");
    for (size_t i = 0; i < 3; i++) {
        assert_false(parses(&row, words[i], true, message, sizeof(message)));
        assert_non_null(strstr(message, "\"word\" is "));
    }
    swipe_row_free(&row);
}

/* ---- no memory ---- */

static size_t calls, fail_at, fail_from;

static void *failing_malloc(size_t bytes)
{
    calls++;
    if (calls == fail_at || (fail_from > 0 && calls >= fail_from)) {
        errno = ENOMEM;
        return NULL;
    }
    return malloc(bytes);
}

/* Whatever is left out for want of memory is said so, and never becomes another swipe. */
static void no_memory_is_never_another_swipe(void **state)
{
    (void)state;
    /* Strings and numbers longer than jansson's lexer begins with, and numbers after each. */
    static const char text[] =
        "{\"id\":\"a name that is longer than sixteen characters, and than thirty-two\",\"n\":1,"
        "\"other\":{\"a\":[1,2,{\"b\":\"another that is longer than sixteen\"}],\"c\":1.5},"
        "\"x\":[1,2.0000000000000000000000000000000000000000001,3],\"y\":[4,5,6],\"t\":[0,16,32],"
        "\"keyboard\":{\"width\":1000,\"height\":450.5}}";
    for (int lasting = 0; lasting < 2; lasting++) {
        size_t failures = 0;
        for (size_t n = 1;; n++) {
            swipe_row row = {0};
            char message[256] = "";
            calls = 0;
            fail_at = lasting ? 0 : n;
            fail_from = lasting ? n : 0;
            json_set_alloc_funcs(failing_malloc, free);
            const bool ok = parses(&row, text, false, message, sizeof(message));
            json_set_alloc_funcs(malloc, free);
            if (calls < n) {
                assert_true(ok);
                swipe_row_free(&row);
                break;
            }
            failures++;
            if (ok || strcmp(message, "no memory for this line") != 0) {
                fail_msg("allocation %zu%s: %s \"%s\"", n, lasting ? " and after" : "",
                         ok ? "taken" : "refused with", message);
            }
            swipe_row_free(&row);
        }
        assert_true(failures > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swipe_is_read),
        cmocka_unit_test(messages_name_field_and_expectation),
        cmocka_unit_test(no_memory_is_never_another_swipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
