/* SPDX-License-Identifier: MIT */
/*
 * Lines by read(), since a wait for standard input must be one that a signal can end. A line over
 * the limit is skipped to its newline, so that one bad line costs one line.
 */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

#define CHUNK_BYTES ((size_t)64 << 10)
/* Above this a line's memory goes back after use, or a window of huge lines would stay. */
#define KEEP_BYTES ((size_t)1 << 20)

void line_free(line *l)
{
    free(l->text);
    *l = (line){0};
}

bool line_reader_open(line_reader *reader, const char *name)
{
    *reader = (line_reader){.fd = STDIN_FILENO};
    if (strcmp(name, "-") != 0) {
        reader->fd = open(name, O_RDONLY | O_CLOEXEC);
    }
    struct stat info;
    if (reader->fd < 0 || fstat(reader->fd, &info) != 0) {
        reader->error = errno;
        goto fail;
    }
    if (S_ISDIR(info.st_mode)) {
        reader->error = EISDIR;
        goto fail;
    }
    reader->regular = S_ISREG(info.st_mode);
    reader->bytes = reader->regular ? (uint64_t)info.st_size : 0;
    reader->buffer = malloc(CHUNK_BYTES);
    if (reader->buffer == NULL) {
        reader->error = ENOMEM;
        goto fail;
    }
    return true;
fail:
    line_reader_close(reader);
    return false;
}

void line_reader_close(line_reader *reader)
{
    if (reader->fd > STDIN_FILENO) {
        close(reader->fd);
    }
    reader->fd = -1;
    free(reader->buffer);
    reader->buffer = NULL;
}

/* More bytes into the empty buffer; false at the end, on error, on a signal. */
static bool fill(line_reader *reader)
{
    for (;;) {
        if (!interrupt_wait_readable(reader->fd)) {
            return false;
        }
        ssize_t got = read(reader->fd, reader->buffer, CHUNK_BYTES);
        if (got > 0) {
            reader->start = 0;
            reader->end = (size_t)got;
            return true;
        }
        if (got == 0) {
            return false;
        }
        if (errno != EINTR && errno != EAGAIN) {
            reader->error = errno;
            return false;
        }
    }
}

/* Appends to the line, or drops all of it once it is over the limit. */
static bool append(line *out, const char *bytes, size_t count)
{
    if (out->too_long || count > LINE_BYTES_MAX - out->length) {
        out->too_long = true;
        out->length = 0;
        return true;
    }
    if (count == 0) {
        return true;
    }
    size_t need = out->length + count;
    if (need > out->capacity) {
        size_t capacity = out->capacity * 2 > need ? out->capacity * 2 : need;
        char *text = realloc(out->text, capacity);
        if (text == NULL) {
            return false;
        }
        out->text = text;
        out->capacity = capacity;
    }
    memcpy(out->text + out->length, bytes, count);
    out->length = need;
    return true;
}

/* One line, blank or not. False when there is none. */
static bool next_any(line_reader *reader, line *out)
{
    if (out->capacity > KEEP_BYTES) {
        line_free(out);
    }
    out->length = 0;
    out->too_long = false;
    bool some = false;
    for (;;) {
        if (reader->start == reader->end && !fill(reader)) {
            /* A last line without a newline counts; half a line after a signal or an error does
             * not. */
            some = some && reader->error == 0 && interrupt_signal() == 0;
            break;
        }
        const char *from = reader->buffer + reader->start;
        size_t there = reader->end - reader->start;
        const char *newline = memchr(from, '\n', there);
        size_t count = newline == NULL ? there : (size_t)(newline - from);
        if (!append(out, from, count)) {
            reader->error = ENOMEM;
            return false;
        }
        some = true;
        count += newline == NULL ? 0 : 1;
        reader->start += count;
        reader->bytes_read += count;
        if (newline != NULL) {
            break;
        }
    }
    if (some) {
        out->number = ++reader->number;
        bool known = reader->regular && reader->bytes > 0;
        out->position = known ? (double)reader->bytes_read / (double)reader->bytes : -1;
    }
    return some;
}

static bool is_blank(const line *l)
{
    for (size_t i = 0; i < l->length; i++) {
        if (strchr(" \t\r\v\f", l->text[i]) == NULL || l->text[i] == '\0') {
            return false;
        }
    }
    return !l->too_long;
}

/* Some editors mark UTF-8 at the start of a file. */
static void drop_mark(line *l)
{
    if (l->number == 1 && l->length >= 3 && memcmp(l->text, "\xEF\xBB\xBF", 3) == 0) {
        l->length -= 3;
        memmove(l->text, l->text + 3, l->length);
    }
}

bool line_reader_next(line_reader *reader, line *out)
{
    do {
        if (interrupt_signal() != 0 || !next_any(reader, out)) {
            return false;
        }
        drop_mark(out);
    } while (is_blank(out));
    return true;
}
