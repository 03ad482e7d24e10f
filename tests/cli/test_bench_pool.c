/* SPDX-License-Identifier: MIT */
/* What `ortpool bench pool` makes of what it measured: counts, verdicts, table, CSV, JSON; and its queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "pool/crew.h"
#include "pool/figures.h"
#include "pool/loops.h"
#include "pool/pool_report.h"
#include "pool/ring.h"
#include "pool/rounds.h"

static const size_t sizes[] = {64, 640, 65536};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void set(figures *f, bench_case which, heap_id id, size_t size, double min, double median)
{
    f->of[which][id][size] = (figure){min, median, 1000};
}

/* All targets hold: the floor 4 ns, A 7, B 20, mimalloc 30. */
static void fill(figures *f)
{
    figures_start(f, sizes, SIZES);
    for (size_t s = 0; s < SIZES; s++) {
        for (bench_case which = 0; which < CASES; which++) {
            set(f, which, HEAP_FLOOR, s, 4, 5);
            set(f, which, HEAP_POOL_A, s, 7, 8);
            set(f, which, HEAP_POOL_B, s, 20, 25);
            set(f, which, HEAP_MIMALLOC, s, 30, 31);
        }
    }
}

static void nothing_measured_is_open(void **state)
{
    (void)state;
    static figures f;
    verdict v[VERDICTS];
    figures_start(&f, sizes, SIZES);
    figures_judge(&f, v);
    for (size_t i = 0; i < VERDICTS; i++) {
        assert_int_equal(v[i].holds, -1);
        assert_string_equal(v[i].reached, "not measured");
        assert_non_null(v[i].figure);
        assert_non_null(v[i].wanted);
    }
    assert_true(isnan(figures_slowdown(&f, HEAP_FLOOR, 0)));
}

static void targets_are_judged(void **state)
{
    (void)state;
    static figures f;
    verdict v[VERDICTS];
    fill(&f);
    figures_judge(&f, v);
    for (size_t i = 0; i < VERDICTS; i++) {
        assert_int_equal(v[i].holds, 1);
    }
    assert_string_equal(v[0].reached, "at most 1.75x: 7.0 against 4.0 ns at 64 B (medians 1.60x)");
    assert_string_equal(v[1].reached,
                        "at most 1.000x: 8.0 against 8.0 ns at 64 B; empty calls 1.000x (medians)");
    assert_string_equal(v[2].reached, "at least 1.24 times as fast at 3 sizes");

    /* Twice is enough, more is not; blocks from 64 KB are no matter of this target. */
    set(&f, CASE_PAIR, HEAP_POOL_A, 1, 8, 8);
    set(&f, CASE_PAIR, HEAP_POOL_A, 2, 29, 29);
    figures_judge(&f, v);
    assert_int_equal(v[0].holds, 1);
    set(&f, CASE_PAIR, HEAP_POOL_A, 1, 8.1, 9);
    figures_judge(&f, v);
    assert_int_equal(v[0].holds, 0);
    assert_non_null(strstr(v[0].reached, "at 640 B"));
}

static void threads_are_judged_beside_the_floor(void **state)
{
    (void)state;
    static figures f;
    verdict v[VERDICTS];
    fill(&f);
    set(&f, CASE_TWO_THREADS, HEAP_POOL_A, 1, 7, 9.6); /* 1.2 of 8; the floor none */
    figures_judge(&f, v);
    assert_int_equal(v[1].holds, 0);
    set(&f, CASE_TWO_THREADS, HEAP_FLOOR, 1, 4, 6); /* the machine's own: 1.2 of 5 */
    figures_judge(&f, v);
    assert_int_equal(v[1].holds, -1);
    set(&f, CASE_TWO_THREADS, HEAP_POOL_A, 1, 7, 12); /* more than the machine's */
    figures_judge(&f, v);
    assert_int_equal(v[1].holds, 0);
    set(&f, CASE_TWO_THREADS, HEAP_FLOOR, 1, NAN, NAN); /* without a floor no word of that size */
    figures_judge(&f, v);
    assert_int_equal(v[1].holds, -1);

    /* A size that is missed is not hidden by a worse one where the machine failed. */
    set(&f, CASE_TWO_THREADS, HEAP_POOL_A, 0, 7, 10.4); /* 1.3 of 8, as the floor: 1.25 */
    set(&f, CASE_TWO_THREADS, HEAP_FLOOR, 0, 4, 6.25);
    set(&f, CASE_TWO_THREADS, HEAP_POOL_A, 1, 7, 9.6); /* 1.2, the floor none */
    set(&f, CASE_TWO_THREADS, HEAP_FLOOR, 1, 4, 5);
    figures_judge(&f, v);
    assert_int_equal(v[1].holds, 0);
    assert_non_null(strstr(v[1].reached, "at 640 B"));
    set(&f, CASE_PAIR, HEAP_POOL_A, 1, NAN, NAN); /* not every size was measured */
    figures_judge(&f, v);
    assert_int_equal(v[0].holds, -1);
}

static void mimalloc_is_compared_by_both_figures(void **state)
{
    (void)state;
    static figures f;
    verdict v[VERDICTS];
    fill(&f);
    set(&f, CASE_PAIR, HEAP_POOL_B, 0, 29, 32); /* by the least alone */
    set(&f, CASE_PAIR, HEAP_POOL_B, 2, 30, 30); /* as fast is not faster */
    figures_judge(&f, v);
    assert_int_equal(v[2].holds, 0);
    assert_string_equal(v[2].reached, "not at 2 of 3 sizes: 64, 65536 B");
    assert_int_equal(v[3].holds, 1);
    assert_non_null(strstr(v[3].reached, "at 1 sizes"));
    for (size_t s = 0; s < SIZES; s++) {
        set(&f, CASE_PAIR, HEAP_MIMALLOC, s, NAN, NAN);
    }
    figures_judge(&f, v);
    assert_int_equal(v[2].holds, -1);
    assert_int_equal(v[3].holds, -1);

    /* The longest list of sizes there can be. */
    size_t many[FIGURES_SIZES_MAX];
    for (size_t s = 0; s < FIGURES_SIZES_MAX; s++) {
        many[s] = 67108864 - s;
    }
    figures_start(&f, many, FIGURES_SIZES_MAX);
    for (size_t s = 0; s < FIGURES_SIZES_MAX; s++) {
        set(&f, CASE_PAIR, HEAP_POOL_B, s, 40, 40);
        set(&f, CASE_PAIR, HEAP_MIMALLOC, s, 30, 30);
    }
    figures_judge(&f, v);
    assert_non_null(strstr(v[2].reached, "not at 16 of 16 sizes: 67108864, "));
}

static void counts_follow_the_time(void **state)
{
    (void)state;
    assert_int_equal(rounds_count(16, 0), 16 * 64);      /* the clock saw nothing */
    assert_int_equal(rounds_count(16, 1e-9), 16 * 64);   /* not too much at once */
    assert_int_equal(rounds_count(1600, 0.0005), 3200);  /* twice */
    assert_int_equal(rounds_count(1600, 0.001), 1600);   /* just right */
    assert_int_equal(rounds_count(1600, 10), LOOP_LIVE); /* never nothing */
    assert_int_equal(rounds_count(160, 0.0011), 160);    /* whole stacks, at least as long */
    assert_int_equal(rounds_count((size_t)1 << 28, 1e-9), (size_t)1 << 28);
}

static void numbers_fit_their_columns(void **state)
{
    (void)state;
    static const struct {
        double ns;
        const char *text;
    } cases[] = {{NAN, "-"},         {0, "0.0"},           {4.94, "4.9"},    {99.94, "99.9"},
                 {99.96, "100"},     {7614.4, "7614"},     {99999, "99999"}, {99999.6, "100k"},
                 {1234567, "1235k"}, {1e12, "1000000000k"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[POOL_CELL_BYTES];
        pool_report_number(cases[i].ns, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* A run in which ONNX Runtime is absent and half of the samples are missing. */
static pool_run run_of(heaps *h, figures *f)
{
    fill(f);
    *h = (heaps){0};
    for (heap_id id = 0; id < HEAPS; id++) {
        h->of[id].name = heap_names[id];
        h->of[id].title = "a title";
    }
    strcpy(h->of[HEAP_MIMALLOC].version, "2.0.9");
    strcpy(h->of[HEAP_ORT_ARENA].absent, "no \x1b[31m library");
    strcpy(h->of[HEAP_ORT_PLAIN].absent, "no library");
    set(f, CASE_PAIR, HEAP_C_LIBRARY, 0, 12345678, 98765432);
    f->disturbed = 3;
    return (pool_run){.figures = f, .heaps = h, .rounds = 2};
}

static char *written(void (*write)(FILE *file, const pool_run *run), const pool_run *run)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    assert_non_null(file);
    write(file, run);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void write_table(FILE *file, const pool_run *run)
{
    json_t *machine = machine_json();
    assert_non_null(machine);
    pool_report_table(file, run, machine);
    json_decref(machine);
}

static void table_says_what_there_is(void **state)
{
    (void)state;
    static heaps h;
    static figures f;
    pool_run run = run_of(&h, &f);
    char *text = written(write_table, &run);
    static const char *const expected[] = {"4 samples",
                                           "through pointers into this program",
                                           "mimalloc 2.0.9",
                                           "4.0/5.0",
                                           "12346k/98765k",
                                           "-/-",
                                           "1.00x",
                                           "NOT MEASURED: no library",
                                           "3 samples were dropped",
                                           "holds   pool A under 64 KB"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_non_null(strstr(text, expected[i]));
    }
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, "nanx"));
    assert_null(strstr(text, "nan/"));
    assert_null(strstr(text, "Interrupted"));
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_in_range(strcspn(line, "\n"), 0, 100);
    }
    free(text);
    run.interrupted = true;
    text = written(write_table, &run);
    assert_non_null(strstr(text, "Interrupted"));
    free(text);
}

static void csv_has_a_line_for_each(void **state)
{
    (void)state;
    static heaps h;
    static figures f;
    const pool_run run = run_of(&h, &f);
    char *text = written(pool_report_csv, &run);
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, 1 + CASES * (HEAPS - 2) * SIZES);
    assert_non_null(strstr(text, "\npair,mimalloc,2.0.9,640,30.000,31.000,1000\n"));
    assert_non_null(strstr(text, "\nlive-16,glibc,,64,,,0\n"));
    free(text);
}

static void json_has_the_fields(void **state)
{
    (void)state;
    static heaps h;
    static figures f;
    const pool_run run = run_of(&h, &f);
    json_t *json = pool_report_json(&run);
    assert_non_null(json);
    assert_int_equal(json_array_size(json_object_get(json, "cases")), CASES);
    assert_int_equal(json_array_size(json_object_get(json, "absent")), 2);
    assert_int_equal(json_array_size(json_object_get(json, "targets")), VERDICTS);
    const json_t *pair = json_array_get(json_object_get(json, "cases"), CASE_PAIR);
    const json_t *allocators = json_object_get(pair, "allocators");
    assert_int_equal(json_array_size(allocators), HEAPS - 2);
    const json_t *glibc = json_array_get(allocators, HEAP_C_LIBRARY);
    assert_true(json_is_real(json_array_get(json_object_get(glibc, "min"), 0)));
    assert_true(json_is_null(json_array_get(json_object_get(glibc, "median"), 1)));
    char *text = machine_document(json);
    assert_non_null(text);
    json_t *again = json_loads(text, 0, NULL);
    assert_true(json_equal(json, again));
    json_decref(again);
    json_decref(json);
    free(text);
}

static void machine_is_told(void **state)
{
    (void)state;
    json_t *machine = machine_json();
    static const char *const keys[] = {"cpu", "cores", "memory_bytes", "system", "compiler"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_non_null(json_object_get(machine, keys[i]));
    }
    assert_true(json_integer_value(json_object_get(machine, "cores")) > 0);
    json_decref(machine);
    char date[MACHINE_DATE_BYTES];
    machine_date(date);
    assert_int_equal(strlen(date), 20);
    assert_int_equal(date[19], 'Z');
}

/* ---- threads ---- */

typedef struct transfer {
    ring between;
    size_t count;
    bool in_order; /* set by the other thread, read once it has ended */
} transfer;

static void pop_all(void *ctx)
{
    transfer *t = ctx;
    t->in_order = true;
    for (size_t i = 1; i <= t->count; i++) {
        t->in_order = ring_pop(&t->between) == (void *)(uintptr_t)i && t->in_order;
    }
}

static void push_all(void *ctx)
{
    transfer *t = ctx;
    for (size_t i = 1; i <= t->count; i++) {
        ring_push(&t->between, (void *)(uintptr_t)i);
    }
}

static void ring_keeps_all_in_order(void **state)
{
    (void)state;
    static transfer t;
    crew c;
    assert_int_equal(crew_open(&c), 0);
    for (size_t i = 0; i < 20; i++) {
        t.count = 1 + i * RING_SLOTS / 3;
        crew_both(&c, pop_all, &t, push_all, &t);
        assert_true(t.in_order);
        crew_both(&c, push_all, &t, pop_all, &t);
        assert_true(t.in_order);
    }
    crew_close(&c);
}

/* ---- loops: a heap that counts, and that refuses after a while ---- */

static size_t granted, given_back, grants_left;

static void *grant(size_t alignment, size_t bytes)
{
    static _Alignas(64) unsigned char block[4096];
    assert_int_equal(alignment, 64);
    assert_int_equal(bytes % 64, 0);
    if (grants_left == 0) {
        return NULL;
    }
    grants_left--;
    granted++;
    return block;
}

static void take_back(void *block)
{
    assert_non_null(block);
    given_back++;
}

static void loops_give_back_what_they_acquired(void **state)
{
    (void)state;
    const heap_calls calls = {.kind = CALL_C, .c_allocate = grant, .give_back = take_back};
    static ring between;
    for (size_t left = 0; left <= 64; left++) {
        const bool enough = left == 64;
        granted = given_back = 0;
        grants_left = left;
        assert_int_equal(loop_pair(&calls, 100, 64), enough);
        assert_int_equal(granted, left);
        grants_left = left;
        assert_int_equal(loop_live(&calls, 100, 64), enough);
        assert_int_equal(granted, 2 * left);
        assert_int_equal(given_back, granted);
    }
    /* The ring takes them all, so that both ends can be one thread's. */
    for (size_t left = 0; left <= RING_SLOTS; left++) {
        granted = given_back = 0;
        grants_left = left;
        assert_int_equal(loop_produce(&calls, 100, RING_SLOTS, &between), left == RING_SLOTS);
        assert_int_equal(loop_consume(&calls, RING_SLOTS, &between), left == RING_SLOTS);
        assert_int_equal(given_back, left);
    }
    grants_left = 1;
    assert_true(loop_probe(&calls, 4096));
    assert_false(loop_probe(&calls, 4096));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_measured_is_open),
        cmocka_unit_test(targets_are_judged),
        cmocka_unit_test(threads_are_judged_beside_the_floor),
        cmocka_unit_test(mimalloc_is_compared_by_both_figures),
        cmocka_unit_test(counts_follow_the_time),
        cmocka_unit_test(numbers_fit_their_columns),
        cmocka_unit_test(table_says_what_there_is),
        cmocka_unit_test(csv_has_a_line_for_each),
        cmocka_unit_test(json_has_the_fields),
        cmocka_unit_test(machine_is_told),
        cmocka_unit_test(ring_keeps_all_in_order),
        cmocka_unit_test(loops_give_back_what_they_acquired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
