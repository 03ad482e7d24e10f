/* SPDX-License-Identifier: MIT */
/*
 * Reads a lexicon's file: the whole of it into charged memory, one entry per line, sorted.
 *
 * Sorting is a merge sort of our own, bottom up: qsort() would take memory that no budget sees, and
 * its worst case is up to the C library.
 */
#include "lexicon_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Offsets are 32 bits, and a word list of a gigabyte is a mistake. */
#define TEXT_BYTES_MAX ((size_t)1 << 30)

typedef struct parser {
    const ortp__wordlist *list;
    size_t at;   /* next byte */
    size_t line; /* from 1 */
    ortp_error *error;
} parser;

static ortp_status refuse(const parser *p, const char *what)
{
    return ortp__fail(p->error, ORTP_E_INVAL, "%s:%zu: %s", p->list->path, p->line, what);
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* The letters of a line. *length 1 to ORTP_LEXICON_WORD_MAX. */
static ortp_status parse_word(parser *p, ortp__word *word, size_t *length)
{
    const char *text = p->list->text;
    const size_t start = p->at;
    while (p->at < p->list->text_bytes && is_letter(text[p->at])) {
        p->at++;
    }
    *length = p->at - start;
    const bool ended = p->at == p->list->text_bytes || text[p->at] == '\n' || text[p->at] == '\r';
    if (!ended && text[p->at] != '\t') {
        char what[64];
        (void)snprintf(what, sizeof what, "byte 0x%02X in a word, expected a to z",
                       (unsigned)(unsigned char)text[p->at]);
        return refuse(p, what);
    }
    if (*length == 0) {
        return refuse(p, "an empty word");
    }
    if (ended) {
        return refuse(p, "expected a tab and a count after the word");
    }
    if (*length > ORTP_LEXICON_WORD_MAX) {
        char what[80];
        (void)snprintf(what, sizeof what, "a word of %zu letters, expected at most %u", *length,
                       ORTP_LEXICON_WORD_MAX);
        return refuse(p, what);
    }
    word->offset = (uint32_t)start;
    for (size_t i = 0; i < ORTP__WORD_KEY_LETTERS; i++) {
        const uint64_t code = i < *length ? (uint64_t)(text[start + i] - 'a' + 1) : 0;
        word->key = (word->key << 5) | code;
    }
    p->at++; /* the tab */
    return ORTP_OK;
}

/* The count and the end of the line (LF, CR LF, or the file's end). */
static ortp_status parse_count(parser *p, uint64_t *count)
{
    const char *text = p->list->text;
    const size_t end = p->list->text_bytes;
    const size_t start = p->at;
    uint64_t value = 0;
    for (; p->at < end && text[p->at] >= '0' && text[p->at] <= '9'; p->at++) {
        const uint64_t digit = (uint64_t)(text[p->at] - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10) {
            return refuse(p, "a count above 2^63-1");
        }
        value = value * 10 + digit;
    }
    if (p->at == start) {
        return refuse(p, "expected a count after the tab, digits only");
    }
    if (p->at < end && text[p->at] == '\r' && p->at + 1 < end && text[p->at + 1] == '\n') {
        p->at++;
    }
    if (p->at < end && text[p->at] != '\n') {
        return refuse(p, "expected the end of the line after the count, digits only");
    }
    p->at++;
    *count = value;
    return ORTP_OK;
}

static ortp_status parse_lines(ortp__wordlist *list, ortp_error *error)
{
    parser p = {.list = list, .error = error};
    while (p.at < list->text_bytes) {
        p.line++;
        ortp__word word = {0};
        size_t length = 0;
        uint64_t count = 0;
        ortp_status status = parse_word(&p, &word, &length);
        if (status == ORTP_OK) {
            status = parse_count(&p, &count);
        }
        if (status != ORTP_OK) {
            return status;
        }
        const double log_count = log1p((double)count);
        word.packed = (uint32_t)length | (uint32_t)lround(log_count * ORTP__LOG_UNIT)
                                             << ORTP__WORD_LOG_SHIFT;
        list->words[list->word_count++] = word;
    }
    return ORTP_OK;
}

/* Whether a stands before b or is the same word. */
static bool in_order(const char *text, const ortp__word *a, const ortp__word *b)
{
    if (a->key != b->key) {
        return a->key < b->key;
    }
    const size_t na = a->packed & ORTP__WORD_LENGTH;
    const size_t nb = b->packed & ORTP__WORD_LENGTH;
    if (na <= ORTP__WORD_KEY_LETTERS || nb <= ORTP__WORD_KEY_LETTERS) {
        return na <= nb;
    }
    const size_t skip = ORTP__WORD_KEY_LETTERS;
    const int order =
        memcmp(text + a->offset + skip, text + b->offset + skip, (na < nb ? na : nb) - skip);
    return order < 0 || (order == 0 && na <= nb);
}

/* Merges [lo, mid) and [mid, hi) of `from` into `to`. */
static void merge(const char *text, const ortp__word *from, ortp__word *to, size_t lo, size_t mid,
                  size_t hi)
{
    size_t a = lo;
    size_t b = mid;
    for (size_t i = lo; i < hi; i++) {
        if (b == hi || (a < mid && in_order(text, &from[a], &from[b]))) {
            to[i] = from[a++];
        } else {
            to[i] = from[b++];
        }
    }
}

static void sort_words(ortp__wordlist *list)
{
    const size_t n = list->word_count;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            const size_t mid = lo + width < n ? lo + width : n;
            const size_t hi = mid + width < n ? mid + width : n;
            merge(list->text, list->words, list->scratch, lo, mid, hi);
        }
        ortp__word *sorted = list->scratch;
        list->scratch = list->words;
        list->words = sorted;
    }
}

static size_t count_lines(const ortp__wordlist *list)
{
    size_t lines = 0;
    const char *at = list->text;
    const char *end = list->text + list->text_bytes;
    while (at < end) {
        lines++;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    return lines;
}

static ortp_status take(ortp__wordlist *list, size_t bytes, void **out, ortp_error *error)
{
    const ortp_status status =
        ortp__meta_alloc(list->budget, list->alloc, bytes, ORTP_RECLAIM_CACHE, out);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "%s: %zu bytes to load it: %s", list->path, bytes,
                          ortp_status_text(status));
    }
    return ORTP_OK;
}

static ortp_status read_error(const ortp__wordlist *list, ortp_error *error)
{
    char reason[ORTP__ERRNO_BYTES];
    const int number = errno;
    return ortp__fail(error, ORTP_E_SYS, "%s: cannot be read: %s", list->path,
                      number != 0 ? ortp__errno_text(number, reason) : "it became shorter");
}

static ortp_status read_stream(ortp__wordlist *list, FILE *file, ortp_error *error)
{
    errno = 0;
    /* A directory can be opened and has a size of sorts: only reading shows it. */
    if ((fgetc(file) == EOF && ferror(file) != 0) || fseek(file, 0, SEEK_END) != 0) {
        return read_error(list, error);
    }
    const long end = ftell(file);
    if (end < 0 || fseek(file, 0, SEEK_SET) != 0) {
        return read_error(list, error);
    }
    if (end == 0) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "%s: no words at all, expected lines \"word<tab>count\"", list->path);
    }
    if ((unsigned long)end > TEXT_BYTES_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "%s: too large for a word list, expected at most %zu MiB", list->path,
                          TEXT_BYTES_MAX >> 20);
    }
    void *text = NULL;
    const ortp_status status = take(list, (size_t)end, &text, error);
    if (status != ORTP_OK) {
        return status;
    }
    list->text = text;
    list->text_capacity = (size_t)end;
    errno = 0;
    list->text_bytes = fread(list->text, 1, (size_t)end, file);
    return list->text_bytes == (size_t)end ? ORTP_OK : read_error(list, error);
}

static ortp_status read_text(ortp__wordlist *list, ortp_error *error)
{
    FILE *file = NULL;
    ortp_status status = ortp__file_open_named(list->path, &file, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = read_stream(list, file, error);
    (void)fclose(file);
    return status;
}

void ortp__wordlist_free(ortp__wordlist *list)
{
    ortp__meta_free(list->budget, list->alloc, list->scratch, list->words_bytes);
    ortp__meta_free(list->budget, list->alloc, list->words, list->words_bytes);
    ortp__meta_free(list->budget, list->alloc, list->text, list->text_capacity);
    list->scratch = NULL;
    list->words = NULL;
    list->text = NULL;
}

ortp_status ortp__wordlist_read(ortp__wordlist *list, ortp_error *error)
{
    ortp_status status = read_text(list, error);
    if (status != ORTP_OK) {
        goto fail;
    }
    void *memory = NULL;
    list->words_bytes = count_lines(list) * sizeof(ortp__word);
    status = take(list, list->words_bytes, &memory, error);
    if (status != ORTP_OK) {
        goto fail;
    }
    list->words = memory;
    status = take(list, list->words_bytes, &memory, error);
    if (status != ORTP_OK) {
        goto fail;
    }
    list->scratch = memory;
    status = parse_lines(list, error);
    if (status != ORTP_OK) {
        goto fail;
    }
    sort_words(list);
    return ORTP_OK;

fail:
    ortp__wordlist_free(list);
    return status;
}
