/* SPDX-License-Identifier: MIT */
/* The options of `ortpool predict` and `ortpool eval`. */
#ifndef ORTPOOL_CLI_OPTIONS_H
#define ORTPOOL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <ortpool/predictor.h>

typedef enum stats_form {
    STATS_NONE = 0,
    STATS_DEFAULT = 1, /* as the answers: a table, or JSON with --json */
    STATS_JSON = 2,
} stats_form;

typedef struct run_options {
    const char *input; /* a file's name or "-" */
    const char *model; /* NULL: find one */
    size_t top;
    size_t beam;   /* 0: the manifest's */
    size_t budget; /* 0: no limit */
    size_t threads;
    ortp_path path;
    ortp_pool_kind pool;
    stats_form stats;
    bool json;
    bool no_warmup;
} run_options;

typedef struct subcommand {
    const char *name;
    const char *help;
    bool has_top;     /* --top is one of its options */
    bool needs_input; /* no operand is an error, not standard input */
} subcommand;

/* As arguments_read(). */
bool options_parse(const subcommand *command, int argc, char **argv, run_options *out, int *code);

#endif
