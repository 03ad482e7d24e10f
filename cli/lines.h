/* SPDX-License-Identifier: MIT */
/* Reads lines from a file or standard input, with a limit on their length. */
#ifndef ORTPOOL_CLI_LINES_H
#define ORTPOOL_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES_MAX ((size_t)64 << 20)

/* One line without its newline; the memory is kept for the next. Start from a zero struct. */
typedef struct line {
    char *text;
    size_t length;
    size_t capacity;
    size_t number; /* from 1, blank lines counted */
    double
        position;  /* share of the input up to its end, 0 to 1; below 0 where the size is unknown */
    bool too_long; /* longer than LINE_BYTES_MAX: the text was dropped */
} line;

void line_free(line *l);

typedef struct line_reader {
    int fd;
    bool regular;        /* a file whose size says how far we are */
    uint64_t bytes;      /* its size */
    uint64_t bytes_read; /* handed out as lines */
    size_t number;
    char *buffer;
    size_t start, end;
    int error; /* errno of a failed read or of lack of memory; 0: none */
} line_reader;

/* "-" is standard input. False, with the reason in reader->error, when it cannot be opened. */
bool line_reader_open(line_reader *reader, const char *name);
/* The next line that is not blank; false at the end, on error and when a signal came. */
bool line_reader_next(line_reader *reader, line *out);
void line_reader_close(line_reader *reader);

#endif
