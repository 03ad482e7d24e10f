/* SPDX-License-Identifier: MIT */
/* See arguments.h. */
#include "arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"

bool arguments_refuse(const arguments *a, int *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ortpool %s: ", a->command);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'ortpool %s --help'.\n", a->command);
    *code = EXIT_SETUP;
    return false;
}

bool arguments_choose(const char *text, const char *first_word, const char *second_word,
                      bool *second)
{
    *second = strcmp(text, second_word) == 0;
    return *second || strcmp(text, first_word) == 0;
}

static const char *name_of(const arguments *a, int option)
{
    const struct option *o = a->known; /* getopt_long() gives what is in it */
    while (o->val != option) {
        o++;
    }
    return o->name;
}

/* optopt names a short option, or a long one that was given a value; else the text lies whole in argv. */
static bool refuse_unknown(const arguments *a, char *const *argv, int *code)
{
    if (optopt >= OPT_HELP) {
        return arguments_refuse(a, code, "--%s takes no value", name_of(a, optopt));
    }
    if (optopt > 0) {
        return arguments_refuse(a, code, "no option '-%c'", optopt);
    }
    return arguments_refuse(a, code, "no option '%s', or not a unique one", argv[optind - 1]);
}

bool arguments_read(const arguments *a, int argc, char **argv, void *out, const char **operand,
                    int *code)
{
    *operand = NULL;
    *code = EXIT_ANSWERED;
    opterr = 0;
    int option;
    /* The leading colon tells an option without its value from an unknown one. */
    while ((option = getopt_long(argc, argv, ":h", a->known, NULL)) != -1) {
        switch (option) {
        case 'h':
        case OPT_HELP:
            fputs(a->help, stdout);
            return false;
        case OPT_VERSION:
            engine_print_version();
            return false;
        case ':':
            return arguments_refuse(a, code, "%s needs a value", argv[optind - 1]);
        case '?':
            return refuse_unknown(a, argv, code);
        default:
            break;
        }
        const char *expected = a->take(option, optarg, out);
        if (expected != NULL) {
            return arguments_refuse(a, code, "--%s: '%s' is not %s", name_of(a, option), optarg,
                                    expected);
        }
    }
    if (argc - optind > 1) {
        return arguments_refuse(a, code, "one %s at a time, and '%s' is a second one", a->operand,
                                argv[optind + 1]);
    }
    if (argc > optind) {
        *operand = argv[optind];
        if (**operand == '\0') {
            return arguments_refuse(a, code, "the %s's name is empty", a->operand);
        }
    }
    return true;
}
