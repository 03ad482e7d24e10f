/* SPDX-License-Identifier: MIT */
/*
 * The page of `ortpool bench --html` as it is written: whole, with nothing that loads something, and no
 * string of the document as markup. What a browser makes of it is test_bench_page.py's matter, which
 * has its pages written by this program: test_bench_page DOCUMENT.json PAGE.html
 */
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

#include "page.h"
#include "page_parts.h"

static json_t *sample(void)
{
    json_error_t error;
    json_t *document = json_load_file(BENCH_SAMPLE, 0, &error);
    if (document == NULL) {
        fail_msg("%s: %s", BENCH_SAMPLE, error.text);
    }
    return document;
}

/* The page of the document, which is given back; to be freed. */
static char *page(json_t *document)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    assert_non_null(file);
    assert_true(page_write(file, document));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(strlen(text), bytes);
    json_decref(document);
    return text;
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + strlen(part), part)) {
        found++;
    }
    return found;
}

/* The JSON between its tags; to be freed. */
static char *embedded(const char *text)
{
    static const char open[] = "<script type=\"application/json\" id=\"document\">";
    const char *from = strstr(text, open);
    assert_non_null(from);
    from += sizeof(open) - 1;
    const char *to = strstr(from, "</script>");
    assert_non_null(to);
    return strndup(from, (size_t)(to - from));
}

static void the_page_is_whole(void **state)
{
    (void)state;
    char *text = page(sample());
    assert_memory_equal(text, "<!DOCTYPE html>\n", 16);
    assert_string_equal(text + strlen(text) - 8, "</html>\n");
    assert_int_equal(count(text, "@{"), 0);
    for (size_t i = 0; i < page_part_count; i++) {
        if (strcmp(page_parts[i].name, "page.html") != 0) {
            char *part = strndup((const char *)page_parts[i].bytes, page_parts[i].size);
            assert_int_equal(strlen(part), page_parts[i].size);
            assert_int_equal(count(text, part), 1);
            free(part);
        }
    }
    free(text);
}

/* The parts stand between tags, where these would end them. */
static void no_part_ends_its_element(void **state)
{
    (void)state;
    for (size_t i = 0; i < page_part_count; i++) {
        char *part = strndup((const char *)page_parts[i].bytes, page_parts[i].size);
        if (strcmp(page_parts[i].name, "page.html") != 0) {
            assert_int_equal(count(part, "</script"), 0);
            assert_int_equal(count(part, "</style"), 0);
            assert_int_equal(count(part, "<!--"), 0);
        }
        if (strcmp(page_parts[i].name, "LICENSE") == 0) { /* in a comment */
            assert_int_equal(count(part, "*/"), 0);
        }
        free(part);
    }
}

static void nothing_is_loaded(void **state)
{
    (void)state;
    char *text = page(sample());
    assert_int_equal(count(text, "default-src 'none'"), 1);
    static const char *const loaders[] = {
        "src=",     "<link",   "@import",        "url(",
        "import(",  "fetch(",  "XMLHttpRequest", "WebSocket",
        "<iframe",  "<object", "<embed",         "<base",
        "importSc", "EventSo", "sendBeacon",     "http-equiv=\"refresh"};
    for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++) {
        if (count(text, loaders[i]) != 0) {
            fail_msg("the page has %s", loaders[i]);
        }
    }
    assert_int_equal(count(text, "href="), count(text, "href=\"#\""));
    assert_int_equal(count(text, "http://"), 0);
    /* uPlot's comment on itself, alone */
    assert_int_equal(count(text, "https://"), 1);
    assert_int_equal(count(text, "/*! https://github.com/leeoniya/uPlot"), 1);
    free(text);
}

static void the_document_comes_back(void **state)
{
    (void)state;
    json_t *document = sample();
    char *text = page(json_incref(document));
    char *json = embedded(text);
    json_t *back = json_loads(json, 0, NULL);
    assert_true(json_equal(document, back));
    json_decref(back);
    json_decref(document);
    free(json);
    free(text);
}

static void strings_are_no_markup(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "</script><img src=x onerror=alert(1)>",
        "<!--<script>",
        "</SCRIPT ><script>alert(1)</script>",
        "<",
        "a<b<<c<",
        "@{page.js} @{document} @",
        "\"\\\b\f\n\r\t\x01\x7f'&amp;&lt;",
        "\xE2\x80\xA8\xE2\x80\xA9 \xF0\x9F\x98\x80 \xC3\xA9",
        "]]>",
        "",
    };
    char *plain = page(sample());
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        json_t *document = sample();
        json_t *row = json_array_get(json_object_get(document, "rows"), 0);
        assert_int_equal(json_object_set_new(row, "model", json_string(hostile[i])), 0);
        assert_int_equal(json_object_set_new(document, hostile[i], json_true()),
                         0); /* and as a key */
        char *text = page(json_incref(document));
        assert_int_equal(count(text, "<script"), count(plain, "<script"));
        assert_int_equal(count(text, "</script"), count(plain, "</script"));
        assert_int_equal(count(text, "<!--"), count(plain, "<!--"));
        assert_int_equal(count(text, "<img"), 0);
        char *json = embedded(text);
        assert_null(strchr(json, '<'));
        json_t *back = json_loads(json, 0, NULL);
        assert_true(json_equal(document, back));
        json_decref(back);
        json_decref(document);
        free(json);
        free(text);
    }
    free(plain);
}

static void what_is_no_document_is_refused(void **state)
{
    (void)state;
    json_t *others[] = {NULL, json_null(), json_integer(1), json_string("<")};
    char bytes[64];
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        FILE *file = fmemopen(bytes, sizeof(bytes), "w");
        assert_non_null(file);
        errno = 0;
        assert_false(page_write(file, others[i]));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(ftell(file), 0);
        fclose(file);
        json_decref(others[i]);
    }
}

/* A file that is full: at each length, so that every write fails once. */
static void what_cannot_be_written_is_told(void **state)
{
    (void)state;
    json_t *document = json_pack("{s:s, s:[i, f]}", "model", "a<b<", "rows", 1, 2.5);
    char *text = page(json_incref(document));
    const size_t whole = strlen(text);
    free(text);
    char *room = malloc(whole + 16);
    assert_non_null(room);
    for (size_t bytes = 1; bytes <= whole + 2; bytes += bytes < 64 ? 1 : 617) {
        FILE *file = fmemopen(room, bytes, "w");
        assert_non_null(file);
        setvbuf(file, NULL, _IONBF, 0);
        assert_int_equal(page_write(file, document), bytes > whole);
        fclose(file);
    }
    free(room);
    FILE *full = fopen("/dev/full", "w");
    if (full != NULL) {
        assert_false(page_write(full, document));
        fclose(full);
    }
    json_decref(document);
}

static int render(const char *from, const char *to)
{
    json_error_t error;
    json_t *document = json_load_file(from, 0, &error);
    FILE *file = document != NULL ? fopen(to, "w") : NULL;
    bool good = file != NULL && page_write(file, document);
    good = (file == NULL || fclose(file) == 0) && good;
    if (!good) {
        fprintf(stderr, "%s to %s: %s\n", from, to,
                document == NULL ? error.text : strerror(errno));
    }
    json_decref(document);
    return good ? 0 : 1;
}

int main(int count_of_arguments, char **arguments)
{
    if (count_of_arguments == 3) {
        return render(arguments[1], arguments[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_whole),
        cmocka_unit_test(no_part_ends_its_element),
        cmocka_unit_test(nothing_is_loaded),
        cmocka_unit_test(the_document_comes_back),
        cmocka_unit_test(strings_are_no_markup),
        cmocka_unit_test(what_is_no_document_is_refused),
        cmocka_unit_test(what_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
