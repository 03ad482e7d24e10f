/* SPDX-License-Identifier: MIT */
/* The command's parts without ONNX Runtime: sizes, percentiles, text, input lines, jobs, scores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "jobs.h"
#include "lines.h"
#include "percentiles.h"
#include "score.h"
#include "size.h"
#include "swipe_json.h"
#include "text.h"

/* ---- size ---- */

static void sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = {{"1", 1},
                {"512K", 512u << 10},
                {"64M", 64u << 20},
                {"1g", (size_t)1 << 30},
                {"2T", (size_t)2 << 40},
                {"18446744073709551615", SIZE_MAX}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t bytes = 0;
        assert_true(size_parse(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {
        "",         "0", "0M",   "-1",  "+1",   " 1",  "1 ",
        "1.5G",     "M", "64MB", "64Q", "0x10", "1e6", "18446744073709551616",
        "16777216T"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t bytes = 7;
        assert_false(size_parse(bad[i], &bytes));
        assert_int_equal(bytes, 7);
    }
}

static void counts_are_read(void **state)
{
    (void)state;
    size_t value = 7;
    assert_true(count_parse("16", 1, 16, &value));
    assert_int_equal(value, 16);
    static const char *const bad[] = {"", "0", "17", "-1", "3x", "3.0", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(count_parse(bad[i], 1, 16, &value));
    }
    assert_int_equal(value, 16);
}

static void sizes_are_written(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1536, "1.5 KiB"},
                 {((size_t)1 << 20) - 1, "1.0 MiB"},
                 {(size_t)1 << 30, "1.0 GiB"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[32];
        size_format(cases[i].bytes, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

/* ---- percentiles ---- */

static void percentiles_are_measured_values(void **state)
{
    (void)state;
    percentiles p = {0};
    assert_int_equal(percentiles_get(&p, 50), 0);
    /* 1000 down to 1: added unsorted, and past the first capacity. */
    for (uint64_t value = 1000; value >= 1; value--) {
        assert_true(percentiles_add(&p, value));
    }
    assert_int_equal(percentiles_get(&p, 0), 1);
    assert_int_equal(percentiles_get(&p, 50), 500);
    assert_int_equal(percentiles_get(&p, 90), 900);
    assert_int_equal(percentiles_get(&p, 99), 990);
    assert_int_equal(percentiles_get(&p, 99.95), 1000);
    assert_int_equal(percentiles_get(&p, 100), 1000);
    assert_true(percentiles_mean(&p) > 500.4 && percentiles_mean(&p) < 500.6);
    assert_true(percentiles_add(&p, 5000));
    assert_int_equal(percentiles_get(&p, 100), 5000);
    percentiles_free(&p);
}

/* ---- text ---- */

static char *written(void (*write)(FILE *, const char *), const char *text)
{
    static char buffer[256];
    FILE *file = fmemopen(buffer, sizeof(buffer), "w");
    assert_non_null(file);
    write(file, text);
    fclose(file);
    return buffer;
}

static void put_eight(FILE *file, const char *text)
{
    text_put(file, text, 8);
}

static void put_all(FILE *file, const char *text)
{
    text_put(file, text, SIZE_MAX);
}

static void text_is_safe(void **state)
{
    (void)state;
    assert_string_equal(written(put_eight, "hello"), "hello");
    assert_string_equal(written(put_eight, "eightcol"), "eightcol");
    assert_string_equal(written(put_eight, "more than eight"), "more th\xE2\x80\xA6");
    /* A terminal's escape, a bad byte, an overlong slash, a surrogate, a cut sequence. */
    assert_string_equal(written(put_all, "a\033[2Jb"), "a?[2Jb");
    assert_string_equal(written(put_all, "\xFF"), "\xEF\xBF\xBD");
    assert_string_equal(written(put_all, "\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_string_equal(written(put_all, "x\xE2\x82"), "x\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_string_equal(written(put_all, "\xC2\x9B"
                                         "1m"),
                        "?1m");
    assert_string_equal(written(text_put_json, "a\"b\\c\n\x7F\xFF\xC3\xA9"),
                        "\"a\\\"b\\\\c\\u000a\\u007f\xEF\xBF\xBD\xC3\xA9\"");
    assert_int_equal(text_columns("\xC3\xA9"), 1);
    assert_int_equal(text_columns("e\xCC\x81"), 1);
    assert_int_equal(text_columns("\xE4\xBD\xA0\xE5\xA5\xBD"), 4);
    assert_int_equal(text_points("na\xC3\xAFve"), 5);
}

/* ---- input lines ---- */

/* A temporary file with these bytes, open for reading by its name; the caller removes it. */
static void make_file(char *name, const char *bytes, size_t count)
{
    strcpy(name, P_tmpdir "/ortpool-cli-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

static void lines_skip_blanks_and_count_them(void **state)
{
    (void)state;
    static const char bytes[] = "\xEF\xBB\xBF"
                                "one\r\n\n \t\ntwo\n\nlast";
    char name[64];
    make_file(name, bytes, sizeof(bytes) - 1);
    line_reader reader;
    line l = {0};
    assert_true(line_reader_open(&reader, name));
    static const struct {
        const char *text;
        size_t number;
    } expected[] = {{"one\r", 1}, {"two", 4}, {"last", 6}};
    for (size_t i = 0; i < 3; i++) {
        assert_true(line_reader_next(&reader, &l));
        assert_int_equal(l.length, strlen(expected[i].text));
        assert_memory_equal(l.text, expected[i].text, l.length);
        assert_int_equal(l.number, expected[i].number);
    }
    assert_true(l.position > 0.999 && l.position < 1.001);
    assert_false(line_reader_next(&reader, &l));
    assert_int_equal(reader.error, 0);
    line_free(&l);
    line_reader_close(&reader);
    unlink(name);
}

static void a_line_over_the_limit_costs_one_line(void **state)
{
    (void)state;
    size_t count = LINE_BYTES_MAX + 10;
    char *bytes = malloc(count);
    assert_non_null(bytes);
    memset(bytes, 'x', count);
    memcpy(bytes, "a\n", 2);
    memcpy(bytes + count - 3, "\nb\n", 3); /* the line between is 4 bytes over the limit */
    bytes[2 + 5] = 'y';
    char name[64];
    make_file(name, bytes, count);
    free(bytes);
    line_reader reader;
    line l = {0};
    assert_true(line_reader_open(&reader, name));
    assert_true(line_reader_next(&reader, &l));
    assert_false(l.too_long);
    assert_true(line_reader_next(&reader, &l));
    assert_true(l.too_long);
    assert_int_equal(l.number, 2);
    assert_true(line_reader_next(&reader, &l));
    assert_false(l.too_long);
    assert_int_equal(l.number, 3);
    assert_int_equal(l.length, 1);
    assert_true(l.capacity < LINE_BYTES_MAX);
    line_free(&l);
    line_reader_close(&reader);
    unlink(name);
}

static void what_cannot_be_opened_says_why(void **state)
{
    (void)state;
    line_reader reader;
    assert_false(line_reader_open(&reader, "/nonexistent/file"));
    assert_int_equal(reader.error, ENOENT);
    assert_false(line_reader_open(&reader, "/"));
    assert_int_equal(reader.error, EISDIR);
}

/* ---- one line of JSON ---- */

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

/* ---- jobs ---- */

#define JOBS_ITEMS 2000

typedef struct job_test {
    size_t fetched, emitted, stop_at;
    _Atomic size_t in_flight, in_flight_max, begun;
    size_t wrong, drop_at;
} job_test;

static bool job_fetch(void *ctx, void *slot)
{
    job_test *t = ctx;
    if (t->fetched == JOBS_ITEMS) {
        return false;
    }
    size_t now = atomic_fetch_add(&t->in_flight, 1) + 1;
    if (now > atomic_load(&t->in_flight_max)) {
        atomic_store(&t->in_flight_max, now);
    }
    *(size_t *)slot = t->fetched++;
    return true;
}

static void job_work(void *ctx, void *slot)
{
    job_test *t = ctx;
    size_t *item = slot;
    atomic_fetch_add(&t->begun, 1);
    /* Some are slow, so that later ones overtake them. */
    if (*item % 97 == 0) {
        usleep(500);
    }
    *item = *item * 2 + 1;
}

static bool job_emit(void *ctx, void *slot)
{
    job_test *t = ctx;
    t->wrong += *(size_t *)slot != t->emitted * 2 + 1;
    atomic_fetch_sub(&t->in_flight, 1);
    return ++t->emitted != t->stop_at;
}

static bool job_dropped(void *ctx)
{
    job_test *t = ctx;
    return atomic_load(&t->begun) >= t->drop_at;
}

static job_test run_jobs(size_t threads, size_t window, size_t stop_at, size_t drop_at)
{
    job_test t = {.stop_at = stop_at, .drop_at = drop_at};
    size_t slots[64];
    jobs j = {.threads = threads,
              .window = window,
              .slots = slots,
              .slot_bytes = sizeof(slots[0]),
              .ctx = &t,
              .fetch = job_fetch,
              .work = job_work,
              .emit = job_emit,
              .dropped = job_dropped};
    assert_true(jobs_run(&j));
    return t;
}

static void jobs_keep_order_and_window(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{1, 1}, {1, 4}, {4, 16}, {8, 3}, {16, 64}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        job_test t = run_jobs(shapes[i][0], shapes[i][1], SIZE_MAX, SIZE_MAX);
        assert_int_equal(t.emitted, JOBS_ITEMS);
        assert_int_equal(t.wrong, 0);
        assert_true(atomic_load(&t.in_flight_max) <=
                    shapes[i][1] + 1); /* and the one being fetched */
    }
}

static void jobs_stop_when_told(void **state)
{
    (void)state;
    job_test t = run_jobs(4, 16, 10, SIZE_MAX);
    assert_int_equal(t.emitted, 10);
    assert_int_equal(t.wrong, 0);
    assert_true(t.fetched <= 10 + 16);
}

/* What has begun is finished and handed out, what has not is never begun. */
static void jobs_drop_what_has_not_begun(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{1, 1}, {1, 4}, {4, 16}, {8, 3}, {16, 64}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (size_t drop_at = 0; drop_at <= 200; drop_at += 100) {
            job_test t = run_jobs(shapes[i][0], shapes[i][1], SIZE_MAX, drop_at);
            size_t begun = atomic_load(&t.begun);
            assert_in_range(begun, drop_at, drop_at + shapes[i][0] - 1);
            assert_int_equal(t.emitted, begun);
            assert_int_equal(t.wrong, 0);
            assert_true(t.fetched <= begun + shapes[i][1] + 1);
        }
    }
}

/* ---- scores ---- */

static void scores_count_every_row(void **state)
{
    (void)state;
    ortp_prediction p = {.candidate_count = 5};
    static const char *const words[] = {"cat", "cart", "care", "carts", "elephant"};
    for (size_t i = 0; i < 5; i++) {
        strcpy(p.candidates[i].word, words[i]);
    }
    score s = {0};
    score_add(&s, "cat", true, &p);      /* first */
    score_add(&s, "care", true, &p);     /* third */
    score_add(&s, "elephant", true, &p); /* fifth */
    score_add(&s, "dog", false, &p);     /* not there */
    score_add(&s, "cat", true, NULL);    /* failed */
    score_add(&s, NULL, false, NULL);    /* failed without a word */
    assert_int_equal(s.all.rows, 6);
    assert_int_equal(s.all.top1, 1);
    assert_int_equal(s.all.top3, 2);
    assert_int_equal(s.all.top5, 3);
    assert_int_equal(s.failed, 2);
    assert_int_equal(s.by_length[LENGTH_1_3].rows, 3);
    assert_int_equal(s.by_length[LENGTH_4_6].rows, 1);
    assert_int_equal(s.by_length[LENGTH_7_UP].rows, 1);
    assert_int_equal(s.by_length[LENGTH_7_UP].top3, 0);
    assert_int_equal(s.by_length[LENGTH_7_UP].top5, 1);
    assert_int_equal(s.in_lexicon.rows, 4);
    assert_int_equal(s.out_of_lexicon.rows, 1);
}

static int install(void **state)
{
    (void)state;
    return interrupt_install() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(counts_are_read),
        cmocka_unit_test(sizes_are_written),
        cmocka_unit_test(percentiles_are_measured_values),
        cmocka_unit_test(text_is_safe),
        cmocka_unit_test(lines_skip_blanks_and_count_them),
        cmocka_unit_test(a_line_over_the_limit_costs_one_line),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(a_swipe_is_read),
        cmocka_unit_test(messages_name_field_and_expectation),
        cmocka_unit_test(jobs_keep_order_and_window),
        cmocka_unit_test(jobs_stop_when_told),
        cmocka_unit_test(jobs_drop_what_has_not_begun),
        cmocka_unit_test(scores_count_every_row),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
