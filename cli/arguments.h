/* SPDX-License-Identifier: MIT */
/* A subcommand's options by getopt_long(), with messages of our own: each names the option and what it takes. */
#ifndef ORTPOOL_CLI_ARGUMENTS_H
#define ORTPOOL_CLI_ARGUMENTS_H

#include <getopt.h>
#include <stdbool.h>

#include <ortpool/status.h>

/* Every subcommand has --help, -h and --version; its own options count from OPT_FIRST. */
enum { OPT_HELP = 256, OPT_VERSION, OPT_FIRST };

/* clang-format off */
#define ARGUMENTS_END \
    {"help", no_argument, NULL, OPT_HELP}, {"version", no_argument, NULL, OPT_VERSION}, {NULL, 0, NULL, 0}
/* clang-format on */

typedef struct arguments {
    const char *command;        /* the subcommand's name */
    const char *help;           /* its text */
    const char *operand;        /* what it is given: "input", "model" */
    const struct option *known; /* its options, with ARGUMENTS_END */
    /* An option with its value (NULL: none) into `out`. NULL, or what would have been right. */
    const char *(*take)(int option, const char *value, void *out);
} arguments;

/*
 * Reads all options into `out`, and one operand at most: *operand, NULL where there is none. argv[0] is
 * the subcommand's name. false: all is said (help, version or what is wrong) and the process ends with
 * *code. Uses getopt's global state: the main thread, once.
 */
bool arguments_read(const arguments *a, int argc, char **argv, void *out, const char **operand,
                    int *code);

/* Says what is wrong, and where help is; *code for it. Always false, as arguments_read(). */
bool arguments_refuse(const arguments *a, int *code, const char *format, ...) ORTP_PRINTF(3, 4);

/* One of two words; which of them in *second. */
bool arguments_choose(const char *text, const char *first_word, const char *second_word,
                      bool *second);

#endif
