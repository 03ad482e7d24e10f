/* SPDX-License-Identifier: MIT */
/* The lexicon: what is read and refused, and every walk against the words themselves. */
#include "counting_alloc.h"
#include "lexicon_walk.h"
#include "test_ort.h"

#include <ortpool/lexicon.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIST_FILE "lexicon_test.tsv"

typedef struct fixture {
    ortp_budget *budget;
    ortp_pool *pool;
    counting_alloc alloc;
    size_t quiet_bytes; /* charged without a lexicon */
} fixture;

static size_t charged(const fixture *f)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(f->budget, &info);
    return info.charged_bytes;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(ortp_budget_create(NULL, &f->budget, NULL), ORTP_OK);
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = f->budget;
    options.kind = ORTP_POOL_STRIPED;
    assert_int_equal(ortp_pool_create(&options, &f->pool, NULL), ORTP_OK);
    f->quiet_bytes = charged(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    counting_alloc_assert_empty(&f->alloc);
    assert_int_equal(ortp_pool_trim(f->pool, 0, 0, NULL), ORTP_OK);
    assert_int_equal(charged(f), f->quiet_bytes);
    assert_int_equal(ortp_pool_destroy(f->pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(f->budget, NULL), ORTP_OK);
    free(f);
    return 0;
}

static ortp_status load_file(fixture *f, const char *path, ortp_lexicon **out, ortp_error *error)
{
    ortp_lexicon_options options = ORTP_LEXICON_OPTIONS_INIT;
    options.pool = f->pool;
    options.path = path;
    options.alloc = counting_alloc_use(&f->alloc);
    *error = (ortp_error)ORTP_ERROR_INIT;
    return ortp_lexicon_create(&options, out, error);
}

static ortp_status load_bytes(fixture *f, const char *text, size_t bytes, ortp_lexicon **out,
                              ortp_error *error)
{
    test_write_file(LIST_FILE, text, bytes);
    return load_file(f, LIST_FILE, out, error);
}

static ortp_lexicon *load(fixture *f, const char *text)
{
    ortp_lexicon *lexicon = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    if (load_bytes(f, text, strlen(text), &lexicon, &error) != ORTP_OK) {
        fail_msg("%s", error.message);
    }
    return lexicon;
}

static double log_count(const ortp_lexicon *lexicon, const char *word)
{
    uint32_t node = 0;
    double value = -1.0;
    if (ortp__lexicon_walk(lexicon, 0, word, strlen(word), &node)) {
        (void)ortp__lexicon_is_word(lexicon, node, &value);
    }
    return value;
}

static void tiny_list(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon =
        load(f, "to\t3\ntea\t0\nten\t20\nt\t5\ninn\t9223372036854775807\nin\t1\n");
    assert_int_equal(ortp_lexicon_words(lexicon), 6);
    assert_int_equal(ortp__lexicon_nodes(lexicon), 9); /* root t i to te in tea ten inn */
    assert_int_equal(ortp_lexicon_bytes(lexicon), 9 * (8 + 1));
    char letters[26];
    uint32_t nodes[26];
    assert_int_equal(ortp__lexicon_children(lexicon, 0, letters, nodes), 2);
    assert_memory_equal(letters, "it", 2);
    uint32_t t = 0;
    assert_true(ortp__lexicon_walk(lexicon, 0, "t", 1, &t));
    assert_int_equal(t, nodes[1]);
    assert_int_equal(ortp__lexicon_children(lexicon, t, letters, nodes), 2);
    assert_memory_equal(letters, "eo", 2);
    uint32_t ten = 0;
    assert_true(ortp__lexicon_walk(lexicon, t, "en", 2, &ten)); /* from a node, not the root */
    assert_true(fabs(log_count(lexicon, "ten") - log(21.0)) < 2e-4);
    assert_true(ortp__lexicon_is_word(lexicon, ten, NULL));
    assert_int_equal(ortp__lexicon_children(lexicon, ten, letters, nodes), 0);
    assert_true(fabs(log_count(lexicon, "tea")) < 2e-4);
    assert_true(fabs(log_count(lexicon, "inn") - 63.0 * log(2.0)) < 2e-4);
    assert_true(ortp_lexicon_contains(lexicon, "t"));
    assert_false(ortp_lexicon_contains(lexicon, "te"));
    assert_false(ortp_lexicon_contains(lexicon, "i"));
    assert_false(ortp_lexicon_contains(lexicon, "tens"));
    assert_false(ortp_lexicon_contains(lexicon, "ta"));
    assert_false(ortp_lexicon_contains(lexicon, "tz"));
    assert_false(ortp_lexicon_contains(lexicon, "Ten"));
    assert_false(ortp_lexicon_contains(lexicon, "{"));
    assert_false(ortp_lexicon_contains(lexicon, "`"));
    assert_false(ortp_lexicon_contains(lexicon, "")); /* the root is no word */
    uint32_t node = 77;
    assert_true(ortp__lexicon_walk(lexicon, ten, "", 0, &node));
    assert_int_equal(node, ten);
    assert_false(ortp__lexicon_walk(lexicon, 9, "", 0, &node));
    assert_int_equal(ortp__lexicon_children(lexicon, UINT32_MAX, letters, nodes), 0);
    assert_false(ortp__lexicon_is_word(lexicon, 9, NULL));
    ortp_lexicon_destroy(lexicon, NULL);
    ortp_lexicon_destroy(NULL, NULL);
}

static void assert_same(const ortp_lexicon *a, const ortp_lexicon *b)
{
    assert_int_equal(ortp_lexicon_words(a), ortp_lexicon_words(b));
    assert_int_equal(ortp__lexicon_nodes(a), ortp__lexicon_nodes(b));
    for (uint32_t node = 0; node < ortp__lexicon_nodes(a); node++) {
        char letters[2][26];
        uint32_t nodes[2][26];
        double counts[2] = {0, 0};
        const size_t n = ortp__lexicon_children(a, node, letters[0], nodes[0]);
        assert_int_equal(ortp__lexicon_children(b, node, letters[1], nodes[1]), n);
        assert_memory_equal(letters[0], letters[1], n);
        assert_memory_equal(nodes[0], nodes[1], n * sizeof nodes[0][0]);
        assert_int_equal(ortp__lexicon_is_word(a, node, &counts[0]),
                         ortp__lexicon_is_word(b, node, &counts[1]));
        assert_true(counts[0] == counts[1]);
    }
}

/* Words of 11 to 14 letters with one beginning too: sorting compares 12 letters at a glance. */
static void order_and_repeats(void **state)
{
    fixture *f = *state;
    static const char *const lines[] = {
        "abcdefghijkl\t1\n",
        "abcdefghijk\t2\n",
        "abcdefghijklmn\t3\n",
        "abcdefghijklma\t4\n",
        "abcdefghijklm\t5\n",
        "b\t6\n",
        "abcdefghijkla\t7\n",
        "b\t9\n",
        "aaaaaaaaaaaaab\t1\n",
        "aaaaaaaaaaaaaa\t2\n",
        "b\t8\n",
        "abcdefghijklma\t3\n",
    };
    enum { LINES = sizeof lines / sizeof lines[0] };
    char text[1024] = "";
    for (size_t i = 0; i < LINES; i++) {
        strcat(text, lines[i]);
    }
    ortp_lexicon *first = load(f, text);
    assert_int_equal(ortp_lexicon_words(first), 9);
    assert_true(fabs(log_count(first, "b") - log(10.0)) < 2e-4);
    assert_true(fabs(log_count(first, "abcdefghijklma") - log(5.0)) < 2e-4);
    unsigned random = 12345;
    for (int round = 0; round < 200; round++) {
        size_t order[LINES];
        for (size_t i = 0; i < LINES; i++) {
            random = random * 1103515245u + 12345u;
            const size_t k = (random >> 16) % (i + 1);
            order[i] = order[k];
            order[k] = i;
        }
        text[0] = '\0';
        for (size_t i = 0; i < LINES; i++) {
            strcat(text, lines[order[i]]);
        }
        ortp_lexicon *other = load(f, text);
        assert_same(first, other);
        ortp_lexicon_destroy(other, NULL);
    }
    ortp_lexicon_destroy(first, NULL);
}

static void line_ends(void **state)
{
    fixture *f = *state;
    ortp_lexicon *plain = load(f, "one\t1\ntwo\t22\n");
    ortp_lexicon *open_end = load(f, "one\t1\ntwo\t22");
    ortp_lexicon *windows = load(f, "one\t1\r\ntwo\t22\r\n");
    assert_same(plain, open_end);
    assert_same(plain, windows);
    ortp_lexicon_destroy(plain, NULL);
    ortp_lexicon_destroy(open_end, NULL);
    ortp_lexicon_destroy(windows, NULL);
}

#define LETTERS_31 "abcdefghijklmnopqrstuvwxyzabcde"

static void longest_word(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon = load(f, LETTERS_31 LETTERS_31 "\t4\n" LETTERS_31 "\t7\n");
    assert_int_equal(ortp_lexicon_words(lexicon), 2);
    assert_int_equal(ortp__lexicon_nodes(lexicon), 63);
    assert_true(ortp_lexicon_contains(lexicon, LETTERS_31 LETTERS_31));
    ortp_lexicon_destroy(lexicon, NULL);
}

static void malformed_lines(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", ": no words at all"},
        {"one\t1\n\ntwo\t2\n", ":2: an empty word"},
        {"one\t1\n\t2\n", ":2: an empty word"},
        {"one\t1\n\n", ":2: an empty word"},
        {"one\t1\n\r\n", ":2: an empty word"},
        {"one\n", ":1: expected a tab"},
        {"one\t1\ntwo\t2\nthree", ":3: expected a tab"},
        {"one\r\n", ":1: expected a tab"},
        {"One\t1\n", ":1: byte 0x4F in a word, expected a to z"},
        {"a\t1\nit's\t1\n", ":2: byte 0x27 in a word"},
        {"caf\xC3\xA9\t1\n", ":1: byte 0xC3 in a word"},
        {"\xEF\xBB\xBFone\t1\n", ":1: byte 0xEF in a word"},
        {"one 1\n", ":1: byte 0x20 in a word"},
        {"one\t\n", ":1: expected a count"},
        {"one\t", ":1: expected a count"},
        {"one\t-1\n", ":1: expected a count"},
        {"one\t1.5\n", ":1: expected the end of the line"},
        {"one\t1\t2\n", ":1: expected the end of the line"},
        {"one\t1 \n", ":1: expected the end of the line"},
        {"one\t1\r", ":1: expected the end of the line"},
        {"one\t1\rtwo\t2\n", ":1: expected the end of the line"},
        {"one\t9223372036854775808\n", ":1: a count above 2^63-1"},
        {"one\t99999999999999999999999\n", ":1: a count above 2^63-1"},
        {"a\t1\n" LETTERS_31 LETTERS_31 "a\t1\n", ":2: a word of 63 letters, expected at most 62"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ortp_lexicon *lexicon = (ortp_lexicon *)f;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status =
            load_bytes(f, cases[i].text, strlen(cases[i].text), &lexicon, &error);
        assert_null(lexicon);
        if (status != ORTP_E_INVAL || strstr(error.message, cases[i].message) == NULL ||
            strstr(error.message, LIST_FILE) == NULL) {
            fail_msg("case %zu: %s, \"%s\", expected \"%s\"", i, ortp_status_name(status),
                     error.message, cases[i].message);
        }
    }
    ortp_lexicon *lexicon = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(load_bytes(f, "o\0e\t1\n", 6, &lexicon, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, ":1: byte 0x00 in a word"));
}

static void files_and_arguments(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(load_file(f, "no/such.tsv", &lexicon, &error), ORTP_E_NOTFOUND);
    assert_non_null(strstr(error.message, "no/such.tsv"));
    assert_non_null(strstr(error.message, ": cannot be opened: "));
    assert_int_equal(load_file(f, ".", &lexicon, &error), ORTP_E_SYS);
    assert_non_null(strstr(error.message, ".: cannot be read: "));
    assert_int_equal(load_file(f, NULL, &lexicon, &error), ORTP_E_INVAL);
    assert_int_equal(load_file(f, "", &lexicon, &error), ORTP_E_INVAL);
    assert_int_equal(ortp_lexicon_create(NULL, &lexicon, &error), ORTP_E_INVAL);
    ortp_lexicon_options options = ORTP_LEXICON_OPTIONS_INIT;
    options.path = LIST_FILE;
    assert_int_equal(ortp_lexicon_create(&options, &lexicon, &error), ORTP_E_INVAL);
    options.pool = f->pool;
    assert_int_equal(ortp_lexicon_create(&options, NULL, &error), ORTP_E_INVAL);
    options.struct_size = 1;
    assert_int_equal(ortp_lexicon_create(&options, &lexicon, &error), ORTP_E_VERSION);
    options.struct_size = sizeof options;
    options.alloc.alloc = counting_alloc_use(&f->alloc).alloc;
    assert_int_equal(ortp_lexicon_create(&options, &lexicon, &error), ORTP_E_INVAL);
    assert_null(lexicon);
}

/* Each allocation fails once, then a budget of every size in steps: a clean status, nothing left. */
static void no_memory(void **state)
{
    fixture *f = *state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_lexicon *lexicon = load(f, "one\t1\ntwo\t22\nthree\t3\n");
    ortp_lexicon_destroy(lexicon, NULL);
    uint64_t nth = 1;
    for (;; nth++) {
        counting_alloc_fail(&f->alloc, nth, false);
        const ortp_status status = load_file(f, LIST_FILE, &lexicon, &error);
        if (status == ORTP_OK) {
            break;
        }
        assert_int_equal(status, ORTP_E_NOMEM);
        assert_null(lexicon);
        counting_alloc_assert_empty(&f->alloc);
    }
    counting_alloc_fail(&f->alloc, 0, false);
    assert_int_equal(nth, 5); /* the struct, the text, the words twice */
    ortp_lexicon_destroy(lexicon, NULL);

    assert_int_equal(ortp_pool_trim(f->pool, 0, 0, NULL), ORTP_OK);
    size_t denied = 0;
    ortp_status status = ORTP_E_BUDGET;
    for (size_t room = 0; status != ORTP_OK; room += 16) {
        assert_int_equal(ortp_budget_set_limit(f->budget, f->quiet_bytes + room, NULL), ORTP_OK);
        status = load_file(f, LIST_FILE, &lexicon, &error);
        if (status != ORTP_OK) {
            assert_int_equal(status, ORTP_E_BUDGET);
            assert_null(lexicon);
            denied++;
        }
        assert_true(room < (size_t)1 << 20);
    }
    assert_true(denied > 3);
    ortp_lexicon_destroy(lexicon, NULL);
    assert_int_equal(ortp_budget_set_limit(f->budget, ORTP_UNLIMITED, NULL), ORTP_OK);
}

/* ---- the bundled list ---- */

typedef struct line {
    char *word;
    double count;
} line;

static int by_word(const void *a, const void *b)
{
    return strcmp(((const line *)a)->word, ((const line *)b)->word);
}

/* The words of a file, sorted; they point into `text`. */
static line *read_lines(char *text, size_t bytes, size_t *count)
{
    line *lines = malloc((bytes / 3 + 1) * sizeof *lines);
    assert_non_null(lines);
    *count = 0;
    for (char *at = text; at < text + bytes;) {
        char *tab = strchr(at, '\t');
        assert_non_null(tab);
        *tab = '\0';
        char *end = NULL;
        lines[*count] = (line){.word = at, .count = (double)strtoull(tab + 1, &end, 10)};
        (*count)++;
        assert_int_equal(*end, '\n');
        at = end + 1;
    }
    qsort(lines, *count, sizeof *lines, by_word);
    return lines;
}

/* Walks the whole trie in alphabetical order beside the sorted words; both must agree everywhere. */
static void compare_all(const ortp_lexicon *lexicon, const line *lines, size_t count)
{
    struct {
        char letters[26];
        uint32_t nodes[26];
        size_t count, next;
    } level[ORTP_LEXICON_WORD_MAX + 1];
    char word[ORTP_LEXICON_WORD_MAX + 1];
    size_t depth = 0;
    size_t found = 0;
    size_t visited = 1;
    level[0].count = ortp__lexicon_children(lexicon, 0, level[0].letters, level[0].nodes);
    level[0].next = 0;
    assert_false(ortp__lexicon_is_word(lexicon, 0, NULL));
    for (;;) {
        if (level[depth].next == level[depth].count) {
            if (depth == 0) {
                break;
            }
            depth--;
            continue;
        }
        const size_t i = level[depth].next++;
        assert_true(i == 0 || level[depth].letters[i - 1] < level[depth].letters[i]);
        const uint32_t node = level[depth].nodes[i];
        word[depth] = level[depth].letters[i];
        word[++depth] = '\0';
        visited++;
        double log_of = 0.0;
        if (ortp__lexicon_is_word(lexicon, node, &log_of)) {
            assert_true(found < count);
            assert_string_equal(word, lines[found].word);
            assert_true(fabs(log_of - log(lines[found].count + 1.0)) < 2e-4);
            found++;
        }
        level[depth].count =
            ortp__lexicon_children(lexicon, node, level[depth].letters, level[depth].nodes);
        level[depth].next = 0;
        assert_true(level[depth].count > 0 || ortp__lexicon_is_word(lexicon, node, NULL));
    }
    assert_int_equal(found, count);
    assert_int_equal(visited, ortp__lexicon_nodes(lexicon));
}

static void whole_list(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    const char *path = test_file("models/swipe-en/lexicon.tsv");
    assert_int_equal(load_file(f, path, &lexicon, &error), ORTP_OK);
    assert_int_equal(ortp_lexicon_words(lexicon), 297672);
    assert_true(ortp_lexicon_bytes(lexicon) < 9000000);
    print_message("%zu words, %zu nodes, %zu bytes\n", ortp_lexicon_words(lexicon),
                  ortp__lexicon_nodes(lexicon), ortp_lexicon_bytes(lexicon));
    /* What loading took is given back: the struct and one block are left. */
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(f->pool, &pool);
    assert_int_equal(pool.in_use_blocks, 1);
    assert_true(pool.in_use_bytes[ORTP_LABEL_OTHER] >= ortp_lexicon_bytes(lexicon));
    assert_int_equal(f->alloc.live_blocks, 1);
    assert_true(charged(f) - f->quiet_bytes < 9000000);

    size_t bytes = 0;
    char *text = test_read_file(path, &bytes);
    size_t count = 0;
    line *lines = read_lines(text, bytes, &count);
    const uint64_t calls = f->alloc.calls;
    const uint64_t acquires = pool.acquires;
    compare_all(lexicon, lines, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(ortp_lexicon_contains(lexicon, lines[i].word));
    }
    ortp_pool_get_info(f->pool, &pool);
    assert_int_equal(f->alloc.calls, calls);
    assert_int_equal(pool.acquires, acquires);
    free(lines);
    free(text);
    ortp_lexicon_destroy(lexicon, NULL);
}

static void no_room_for_whole_list(void **state)
{
    fixture *f = *state;
    const char *path = test_file("models/swipe-en/lexicon.tsv");
    static const size_t rooms[] = {1000, 3000000, 5000000, 10000000, 14000000};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        assert_int_equal(ortp_budget_set_limit(f->budget, f->quiet_bytes + rooms[i], NULL),
                         ORTP_OK);
        ortp_lexicon *lexicon = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        assert_int_equal(load_file(f, path, &lexicon, &error), ORTP_E_BUDGET);
        assert_non_null(strstr(error.message, "lexicon.tsv"));
        assert_null(lexicon);
        counting_alloc_assert_empty(&f->alloc);
    }
    assert_int_equal(ortp_budget_set_limit(f->budget, ORTP_UNLIMITED, NULL), ORTP_OK);
}

static void constraint(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon = load(f, "to\t3\ntea\t0\nten\t20\nt\t5\nin\t1\n");
    ortp_lexicon_constraint storage = {
        .struct_size = sizeof storage, .lexicon = lexicon, .first_letter = 4, .weight = 0.5};
    ortp_constraint c = ORTP_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &c), ORTP_OK);
    int32_t tokens[30];
    uint32_t states[30];
    bool may_end = true;
    assert_int_equal(c.next(c.ctx, c.root, tokens, states, 30, &may_end), 2);
    assert_false(may_end);
    assert_int_equal(tokens[0], 4 + 'i' - 'a');
    assert_int_equal(tokens[1], 4 + 't' - 'a');
    const uint32_t t = states[1];
    assert_int_equal(c.next(c.ctx, t, tokens, states, 30, &may_end), 2);
    assert_true(may_end);
    assert_true(fabs(c.final_score(c.ctx, t) - 0.5 * log(6.0)) < 1e-4);
    assert_int_equal(c.next(c.ctx, 0, tokens, states, 1, &may_end), 1); /* no more than fits */
    assert_int_equal(c.next(c.ctx, UINT32_MAX, tokens, states, 30, &may_end), 0);
    assert_false(may_end);
    ortp_lexicon_destroy(lexicon, NULL);
}

/* The byte of each node rounds the largest of its words' logarithms. */
static void hopes(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon =
        load(f, "to\t3\ntea\t0\nten\t2000\nt\t50\nin\t1\nzz\t9223372036854775807\n");
    static const struct {
        const char *prefix;
        double most; /* count */
    } cases[] = {{"", 9223372036854775807.0},
                 {"t", 2000.0},
                 {"te", 2000.0},
                 {"ten", 2000.0},
                 {"tea", 0.0},
                 {"to", 3.0},
                 {"i", 1.0},
                 {"z", 9223372036854775807.0}};
    ortp_lexicon_constraint storage = {
        .struct_size = sizeof storage, .lexicon = lexicon, .first_letter = 4, .look_ahead = 2.0};
    ortp_constraint c = ORTP_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &c), ORTP_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t node = 0;
        assert_true(ortp__lexicon_walk(lexicon, 0, cases[i].prefix, strlen(cases[i].prefix), &node));
        assert_true(fabs(c.hope(c.ctx, node) - 2.0 * log(cases[i].most + 1.0)) <= 2.0 * 0.09);
    }
    storage.count_limit = 100.0; /* hopes and scores alike */
    uint32_t ten = 0;
    assert_true(ortp__lexicon_walk(lexicon, 0, "ten", 3, &ten));
    storage.weight = 1.0;
    assert_true(fabs(c.final_score(c.ctx, ten) - log(2001.0 / (1.0 + 2001.0 / 100.0))) < 1e-4);
    assert_true(fabs(c.hope(c.ctx, ten) - 2.0 * log(2001.0 / (1.0 + 2001.0 / 100.0))) < 0.02);
    storage.count_limit = 0.0;
    assert_true(c.hope(c.ctx, UINT32_MAX) == 0.0); /* no score is given for what is outside */
    storage.look_ahead = 0.0;
    ortp_constraint without = ORTP_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &without), ORTP_OK);
    assert_true(without.hope == NULL);
    assert_int_equal(ortp_lexicon_make_constraint(NULL, &without), ORTP_E_INVAL);
    assert_int_equal(ortp_lexicon_make_constraint(&storage, NULL), ORTP_E_INVAL);
    storage.struct_size = 0;
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &without), ORTP_E_VERSION);
    storage.struct_size = sizeof storage - 1; /* it is read in place */
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &without), ORTP_E_VERSION);
    storage = (ortp_lexicon_constraint)ORTP_LEXICON_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &without), ORTP_E_INVAL);
    ortp_lexicon_destroy(lexicon, NULL);
}

/* Words outside the lexicon, where they have a score. */
static void free_spelling(void **state)
{
    fixture *f = *state;
    ortp_lexicon *lexicon = load(f, "to\t3\ntea\t0\nt\t5\nin\t1\n");
    ortp_lexicon_constraint storage = {.struct_size = sizeof storage,
                                       .lexicon = lexicon, .first_letter = 4, .weight = 0.5, .free_score = -6.0};
    ortp_constraint c = ORTP_CONSTRAINT_INIT;
    assert_int_equal(ortp_lexicon_make_constraint(&storage, &c), ORTP_OK);
    int32_t tokens[30];
    uint32_t states[30];
    bool may_end = true;
    assert_int_equal(c.next(c.ctx, c.root, tokens, states, 30, &may_end), 26);
    assert_false(may_end); /* not nothing */
    assert_int_equal(tokens[0], 4 + 'i' - 'a');
    assert_int_equal(tokens[1], 4 + 't' - 'a');
    const uint32_t t = states[1];
    const uint32_t outside = states[2];
    bool seen[26] = {false};
    for (size_t i = 0; i < 26; i++) {
        assert_true(tokens[i] >= 4 && tokens[i] < 30 && !seen[tokens[i] - 4]);
        seen[tokens[i] - 4] = true;
        assert_true((states[i] == outside) == (i >= 2));
    }
    assert_int_equal(c.next(c.ctx, t, tokens, states, 30, &may_end), 26);
    assert_true(may_end);
    const uint32_t te = states[0];
    assert_true(fabs(c.final_score(c.ctx, t) - 0.5 * log(6.0)) < 1e-4);
    assert_true(c.hope(c.ctx, t) == 0.0); /* no look-ahead */
    assert_int_equal(c.next(c.ctx, te, tokens, states, 30, &may_end), 26);
    assert_true(may_end);
    assert_true(c.final_score(c.ctx, te) == -6.0);
    assert_int_equal(c.next(c.ctx, outside, tokens, states, 30, &may_end), 26);
    assert_true(may_end);
    for (int32_t i = 0; i < 26; i++) {
        assert_true(tokens[i] == 4 + i && states[i] == outside);
    }
    assert_true(c.final_score(c.ctx, outside) == -6.0);
    assert_true(c.hope(c.ctx, outside) == -6.0);
    assert_int_equal(c.next(c.ctx, t, tokens, states, 5, &may_end), 5);    /* no more than fits */
    assert_int_equal(c.next(c.ctx, 999, tokens, states, 30, &may_end), 0); /* no state of ours */
    ortp_lexicon_destroy(lexicon, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tiny_list),
        TEST(order_and_repeats),
        TEST(line_ends),
        TEST(longest_word),
        TEST(malformed_lines),
        TEST(files_and_arguments),
        TEST(no_memory),
        TEST(whole_list),
        TEST(no_room_for_whole_list),
        TEST(constraint),
        TEST(hopes),
        TEST(free_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
