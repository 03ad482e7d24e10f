/* SPDX-License-Identifier: MIT */
#include "swipe_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "lines.h"

static bool grow(swipe_file *file, size_t *capacity)
{
    if (file->count < *capacity) {
        return true;
    }
    const size_t more = *capacity == 0 ? 64 : *capacity * 2;
    swipe_row *rows = realloc(file->rows, more * sizeof *rows);
    if (rows == NULL) {
        return false;
    }
    memset(rows + *capacity, 0, (more - *capacity) * sizeof *rows);
    file->rows = rows;
    *capacity = more;
    return true;
}

static bool add(swipe_file *file, const line *text, size_t *capacity, char *message, size_t room)
{
    if (!grow(file, capacity)) {
        snprintf(message, room, "no memory for another swipe");
        return false;
    }
    if (text->too_long) {
        snprintf(message, room, "longer than %zu MB, the limit of a line", LINE_BYTES_MAX >> 20);
        return false;
    }
    swipe_row *row = &file->rows[file->count];
    file->count++;
    return swipe_row_parse(row, text->text, text->length, false, message, room);
}

static bool read_all(swipe_file *file, line_reader *reader, const char *name)
{
    line text = {0};
    size_t capacity = 0;
    char message[512];
    bool ok = true;
    while (ok && line_reader_next(reader, &text)) {
        ok = add(file, &text, &capacity, message, sizeof message);
    }
    line_free(&text);
    if (!ok) {
        fprintf(stderr, "ortpool: %s: line %zu: %s\n", name, reader->number, message);
    } else if (reader->error != 0) {
        fprintf(stderr, "ortpool: reading '%s' failed after line %zu: %s\n", name, reader->number,
                strerror(reader->error));
        ok = false;
    } else if (interrupt_signal() != 0) {
        ok = false; /* said by the signal */
    } else if (file->count == 0) {
        fprintf(stderr, "ortpool: no swipes in '%s'\n", name);
        ok = false;
    }
    return ok;
}

bool swipe_file_read(swipe_file *file, const char *name)
{
    *file = (swipe_file){0};
    line_reader reader;
    if (!line_reader_open(&reader, name)) {
        fprintf(stderr, "ortpool: cannot read '%s': %s\n", name, strerror(reader.error));
        return false;
    }
    const bool ok = read_all(file, &reader, name);
    line_reader_close(&reader);
    if (!ok) {
        swipe_file_free(file);
    }
    return ok;
}

void swipe_file_free(swipe_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        swipe_row_free(&file->rows[i]);
    }
    free(file->rows);
    *file = (swipe_file){0};
}

ortp_swipe swipe_of(const swipe_row *row)
{
    return (ortp_swipe){.x = row->x,
                        .y = row->y,
                        .t = row->t,
                        .count = row->count,
                        .width = row->width,
                        .height = row->height};
}
