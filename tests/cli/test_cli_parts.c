/* SPDX-License-Identifier: MIT */
/* The command's parts without ONNX Runtime: sizes, percentiles, text, progress,
 * input lines, jobs, scores, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "interrupt.h"
#include "jobs.h"
#include "lines.h"
#include "percentiles.h"
#include "progress.h"
#include "score.h"
#include "size.h"
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
                {"512KiB", 512u << 10},
                {"18MiB", 18u << 20},
                {"1GiB", (size_t)1 << 30},
                {"18446744073709551615", SIZE_MAX}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t bytes = 0;
        assert_true(size_parse(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {
        "",         "0", "0M",   "-1",  "+1",   " 1",  "1 ",
        "1.5G",     "M", "64MB", "64Mi", "64mib", "64 MiB", "64iB", "64MiBs", "64Q", "0x10", "1e6", "18446744073709551616",
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
                 {(size_t)1 << 30, "1.0 GiB"},
                 {SIZE_MAX, "16777216.0 TiB"}};
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
    assert_true(percentiles_mean(&p) == 0);
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
    buffer[0] = '\0';
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

static void put_none(FILE *file, const char *text)
{
    text_put(file, text, 0);
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
    assert_string_equal(written(put_none, "hello"), "");
    /* A terminal's escape, a bad byte, an overlong slash, a surrogate, a cut sequence. */
    assert_string_equal(written(put_all, "a\033[2Jb"), "a?[2Jb");
    assert_string_equal(written(put_all, "\xFF"), "\xEF\xBF\xBD");
    assert_string_equal(written(put_all, "\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");
    static const char *const none[] = {"\xE0\x80\xAF",     "\xED\xA0\x80",     "\xED\xBF\xBF",
                                       "\xF0\x80\x80\xAF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        size_t used = 0;
        assert_int_equal(text_decode(none[i], strlen(none[i]), &used), 0xFFFD);
        assert_int_equal(used, 1);
    }
    /* The neighbours of the surrogates and the last code point there is. */
    assert_string_equal(written(put_all, "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"),
                        "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF");
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

/* ---- progress ---- */

/* What a bar that began `elapsed` seconds ago writes to standard error. */
static const char *drawn(double elapsed, double fraction)
{
    static char text[256];
    FILE *file = tmpfile();
    assert_non_null(file);
    const int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    progress bar = {.on = true, .what = "working", .start = seconds_now() - elapsed};
    progress_update(&bar, fraction, "note");
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    close(kept);
    assert_true(bar.shown);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void progress_says_how_much_is_left(void **state)
{
    (void)state;
    assert_string_equal(drawn(10, 0.5), "\r\033[Kworking [============>           ]  50 %  note"
                                        ", 0:10 left");
    assert_non_null(strstr(drawn(125, 0.5), ", 2:05 left"));
    assert_non_null(strstr(drawn(2 * 3600 + 62, 0.5), ", 2:01:02 left"));
    /* Too early to say, at the end, past it (a file that grew), and where the end is not known. */
    assert_string_equal(drawn(10, 0.01), "\r\033[Kworking [>                       ]   1 %  note");
    assert_string_equal(drawn(10, 1), "\r\033[Kworking [========================] 100 %  note");
    assert_string_equal(drawn(10, 1.5), "\r\033[Kworking [========================] 100 %  note");
    assert_string_equal(drawn(10, -1), "\r\033[Kworking  note");
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
    /* Over by more than the reader's buffer: the rest of it is dropped as well. */
    size_t count = LINE_BYTES_MAX + ((size_t)1 << 20);
    char *bytes = malloc(count);
    assert_non_null(bytes);
    memset(bytes, 'x', count);
    memcpy(bytes, "a\n", 2);
    memcpy(bytes + count - 3, "\nb\n", 3);
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

/* As one that another program still writes to, or one of /proc: its size says nothing. */
static void an_empty_file_that_grows_has_no_share(void **state)
{
    (void)state;
    char name[64];
    make_file(name, "", 0);
    line_reader reader;
    line l = {0};
    assert_true(line_reader_open(&reader, name));
    int fd = open(name, O_WRONLY);
    assert_int_equal(write(fd, "late\n", 5), 5);
    close(fd);
    assert_true(line_reader_next(&reader, &l));
    assert_int_equal(l.length, 4);
    assert_true(l.position < 0);
    line_free(&l);
    line_reader_close(&reader);
    unlink(name);
}

static void what_cannot_be_opened_says_why(void **state)
{
    (void)state;
    line_reader reader;
    const int kept = dup(STDIN_FILENO);
    close(STDIN_FILENO);
    assert_false(line_reader_open(&reader, "-"));
    assert_int_equal(reader.error, EBADF);
    if (kept >= 0) {
        assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
        close(kept);
    }
    assert_false(line_reader_open(&reader, "/nonexistent/file"));
    assert_int_equal(reader.error, ENOENT);
    assert_false(line_reader_open(&reader, "/"));
    assert_int_equal(reader.error, EISDIR);
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

/* ---- signals ---- */

/* No wait, but no end either: the read says what is wrong. */
static void a_wait_that_fails_leaves_it_to_the_read(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit one = {.rlim_cur = 1, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &one), 0); /* poll() refuses two files then */
    const bool readable = interrupt_wait_readable(STDIN_FILENO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(readable);
}

/* The last test: from here on the input of this process is at its end. */
static void a_signal_ends_the_input_between_two_lines(void **state)
{
    (void)state;
    char name[64];
    make_file(name, "one\ntwo\n", 8);
    line_reader reader;
    line l = {0};
    assert_true(line_reader_open(&reader, name));
    assert_true(line_reader_next(&reader, &l));
    assert_int_equal(interrupt_signal(), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(interrupt_signal(), SIGTERM);
    assert_false(interrupt_wait_readable(reader.fd));
    assert_false(line_reader_next(&reader, &l)); /* though it lies in the buffer */
    assert_int_equal(reader.error, 0);
    line_free(&l);
    line_reader_close(&reader);
    unlink(name);
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
        cmocka_unit_test(progress_says_how_much_is_left),
        cmocka_unit_test(lines_skip_blanks_and_count_them),
        cmocka_unit_test(a_line_over_the_limit_costs_one_line),
        cmocka_unit_test(an_empty_file_that_grows_has_no_share),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(jobs_keep_order_and_window),
        cmocka_unit_test(jobs_stop_when_told),
        cmocka_unit_test(jobs_drop_what_has_not_begun),
        cmocka_unit_test(scores_count_every_row),
        cmocka_unit_test(a_wait_that_fails_leaves_it_to_the_read),
        cmocka_unit_test(a_signal_ends_the_input_between_two_lines),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
