/* SPDX-License-Identifier: MIT */
/*
 * See page.h. page/page.html is the template: @{NAME} stands for the file NAME of the parts, and
 * @{document} for the JSON. Only the template is looked through, so no part and no string of the
 * document can stand for another. Tables and plots are made of the JSON in the browser, by page/.
 */
#include "page.h"

#include <errno.h>
#include <string.h>

#include "page_parts.h"

#define TEMPLATE "page.html"
/* Bytes and microseconds in full, no digits of noise behind them. */
#define DIGITS 12

static const page_part *part_find(const char *name, size_t length)
{
    for (size_t i = 0; i < page_part_count; i++) {
        if (strlen(page_parts[i].name) == length && memcmp(page_parts[i].name, name, length) == 0) {
            return &page_parts[i];
        }
    }
    return NULL;
}

static bool put(FILE *out, const void *bytes, size_t size)
{
    return size == 0 || fwrite(bytes, 1, size, out) == size;
}

/*
 * In JSON '<' stands in strings alone, where \u003c is the same: so neither "</script>" nor "<!--" is
 * in the page.
 */
static int put_escaped(const char *bytes, size_t size, void *context)
{
    FILE *out = context;
    while (size > 0) {
        const char *found = memchr(bytes, '<', size);
        const size_t plain = found != NULL ? (size_t)(found - bytes) : size;
        if (!put(out, bytes, plain)) {
            return -1;
        }
        if (found == NULL) {
            break;
        }
        if (fputs("\\u003c", out) == EOF) {
            return -1;
        }
        bytes += plain + 1;
        size -= plain + 1;
    }
    return 0;
}

static bool put_document(FILE *out, const json_t *document)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(DIGITS);
    return json_dump_callback(document, put_escaped, out, flags) == 0;
}

static bool put_named(FILE *out, const char *name, size_t length, const json_t *document)
{
    static const char place[] = "document";
    if (length == sizeof(place) - 1 && memcmp(name, place, length) == 0) {
        return put_document(out, document);
    }
    const page_part *part = part_find(name, length);
    if (part == NULL) { /* the template names what was not embedded */
        errno = ENOENT;
        return false;
    }
    return put(out, part->bytes, part->size);
}

static bool put_template(FILE *out, const page_part *template, const json_t *document)
{
    const char *at = (const char *)template->bytes;
    const char *end = at + template->size;
    for (;;) {
        const char *open = memmem(at, (size_t)(end - at), "@{", 2);
        const char *close = open != NULL ? memchr(open, '}', (size_t)(end - open)) : NULL;
        if (close == NULL) {
            return put(out, at, (size_t)(end - at));
        }
        if (!put(out, at, (size_t)(open - at)) ||
            !put_named(out, open + 2, (size_t)(close - open - 2), document)) {
            return false;
        }
        at = close + 1;
    }
}

bool page_write(FILE *out, const json_t *document)
{
    const page_part *template = part_find(TEMPLATE, sizeof(TEMPLATE) - 1);
    if (template == NULL || (!json_is_object(document) && !json_is_array(document))) {
        errno = EINVAL;
        return false;
    }
    return put_template(out, template, document) && fflush(out) == 0;
}
