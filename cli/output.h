/* SPDX-License-Identifier: MIT */
/* What the subcommands print: answers as a table or as JSON lines, and the ledger. */
#ifndef ORTPOOL_CLI_OUTPUT_H
#define ORTPOOL_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine.h"
#include "options.h"
#include "swipe_json.h"

/* One answered (or failed) line. */
typedef struct answer {
    const swipe_row *row;
    const ortp_prediction *prediction;
    const char *error; /* NULL: answered */
    size_t line;
    double position; /* share of the input up to here; below 0 where its size is unknown */
} answer;

typedef struct output {
    FILE *file;
    bool json;
    bool colour;
    bool header_done;
    size_t top;
    size_t id_columns; /* widths that grow and stay */
    size_t word_columns;
    int write_errno; /* of the first write that failed */
} output;

/* To standard output; colour on a terminal unless NO_COLOR or TERM=dumb says otherwise. */
void output_start(output *out, bool json, size_t top);
/* One line. False when it could not be written (out->write_errno says why): write no more. */
bool output_answer(output *out, const answer *a);
/* Colour for the lines of a table: ANSI codes, or nothing. */
typedef enum output_style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GREEN,
    STYLE_RED
} output_style;
void output_style_set(const output *out, output_style style);

/* What a run as a whole was. */
typedef struct run_summary {
    size_t lines;
    size_t failed;
    double seconds; /* above 0 */
} run_summary;

/* The ledger and how the run went, as options->stats asks; to be called when nothing is in
 * progress. */
bool output_stats(output *out, const run_options *options, const engine *e,
                  const run_summary *summary);
/*
 * Flushes. Returns `code`, or EXIT_SETUP, said on standard error, where the output was not taken; a
 * reader that went away is no error to speak of.
 */
int output_finish(output *out, int code);

#endif
