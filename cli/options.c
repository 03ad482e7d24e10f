/* SPDX-License-Identifier: MIT */
/* Options by getopt_long(), with messages of our own: each names the option and what it takes. */
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "size.h"

#define THREADS_MAX 64u

enum option_value {
    OPT_MODEL = 256,
    OPT_TOP,
    OPT_BEAM,
    OPT_PATH,
    OPT_POOL,
    OPT_BUDGET,
    OPT_THREADS,
    OPT_NO_WARMUP,
    OPT_STATS,
    OPT_JSON,
    OPT_HELP,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, OPT_MODEL},
    {"beam", required_argument, NULL, OPT_BEAM},
    {"path", required_argument, NULL, OPT_PATH},
    {"pool", required_argument, NULL, OPT_POOL},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"no-warmup", no_argument, NULL, OPT_NO_WARMUP},
    {"stats", optional_argument, NULL, OPT_STATS},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"top", required_argument, NULL, OPT_TOP},
    {NULL, 0, NULL, 0},
};

static options_result refuse(const subcommand *command, const char *format, ...) ORTP_PRINTF(2, 3);

static options_result refuse(const subcommand *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ortpool %s: ", command->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'ortpool %s --help'.\n", command->name);
    return OPTIONS_ERROR;
}

/* One of two words; which of them in *second. */
static bool choose(const char *text, const char *first_word, const char *second_word, bool *second)
{
    *second = strcmp(text, second_word) == 0;
    return *second || strcmp(text, first_word) == 0;
}

/* An option's argument into its field. NULL, or what would have been right. */
static const char *take(int option, const char *text, run_options *out)
{
    bool second = false;
    switch (option) {
    case OPT_MODEL:
        out->model = text;
        return *text != '\0' ? NULL : "a model's folder";
    case OPT_TOP:
        return count_parse(text, 1, ORTP_CANDIDATES_MAX, &out->top) ? NULL
                                                                    : "a number from 1 to 16";
    case OPT_BEAM:
        return count_parse(text, 1, ORTP_BEAM_MAX, &out->beam) ? NULL : "a number from 1 to 32";
    case OPT_THREADS:
        return count_parse(text, 1, THREADS_MAX, &out->threads) ? NULL : "a number from 1 to 64";
    case OPT_PATH:
        if (!choose(text, "batched", "sequential", &second)) {
            return "'sequential' or 'batched'";
        }
        out->path = second ? ORTP_PATH_SEQUENTIAL : ORTP_PATH_BATCHED;
        return NULL;
    case OPT_POOL:
        if (!choose(text, "thread", "striped", &second)) {
            return "'thread' or 'striped'";
        }
        out->pool = second ? ORTP_POOL_STRIPED : ORTP_POOL_THREAD_CACHED;
        return NULL;
    case OPT_BUDGET:
        return size_parse(text, &out->budget) ? NULL
                                              : "a size above 0 such as 512K, 64M, 1G or bytes";
    case OPT_STATS:
        out->stats = text == NULL ? STATS_DEFAULT : STATS_JSON;
        return text == NULL || strcmp(text, "json") == 0 ? NULL : "nothing or 'json'";
    case OPT_NO_WARMUP:
        out->no_warmup = true;
        return NULL;
    default:
        out->json = true;
        return NULL;
    }
}

static const char *name_of(int option)
{
    const struct option *o = long_options; /* getopt_long() gives what is in it */
    while (o->val != option) {
        o++;
    }
    return o->name;
}

static options_result take_operands(const subcommand *command, int argc, char **argv,
                                    run_options *out)
{
    if (argc - optind > 1) {
        return refuse(command, "one input at a time, and '%s' is a second one", argv[optind + 1]);
    }
    if (argc == optind && command->needs_input) {
        return refuse(command, "no input: name a file, or - for standard input");
    }
    if (argc > optind) {
        out->input = argv[optind];
        if (*out->input == '\0') {
            return refuse(command, "the input's name is empty");
        }
    }
    return OPTIONS_RUN;
}

options_result options_parse(const subcommand *command, int argc, char **argv, run_options *out)
{
    *out = (run_options){.input = "-", .top = 3, .threads = 1};
    opterr = 0;
    int option;
    /* The leading colon tells an option without its argument from an unknown one. */
    while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
        if (option == 'h' || option == OPT_HELP) {
            return OPTIONS_HELP;
        }
        if (option == OPT_VERSION) {
            return OPTIONS_VERSION;
        }
        if (option == ':') {
            return refuse(command, "%s needs a value", argv[optind - 1]);
        }
        if (option == '?' || (option == OPT_TOP && !command->has_top)) {
            /* optopt names a short option; a long one lies whole in argv. */
            if (option == '?' && optopt > 0 && optopt < 256) {
                return refuse(command, "no option '-%c'", optopt);
            }
            if (option == '?' && optopt >= 256) {
                return refuse(command, "--%s takes no value", name_of(optopt));
            }
            return refuse(command, "no option '%s', or not a unique one",
                          option == '?' ? argv[optind - 1] : "--top");
        }
        const char *expected = take(option, optarg, out);
        if (expected != NULL) {
            return refuse(command, "--%s: '%s' is not %s", name_of(option), optarg, expected);
        }
    }
    return take_operands(command, argc, argv, out);
}
