/* SPDX-License-Identifier: MIT */
/* See options.h. */
#include "options.h"

#include <string.h>

#include "arguments.h"
#include "path.h"
#include "size.h"

#define THREADS_MAX 64u

enum option_value {
    OPT_TOP = OPT_FIRST,
    OPT_MODEL,
    OPT_BEAM,
    OPT_PATH,
    OPT_POOL,
    OPT_BUDGET,
    OPT_THREADS,
    OPT_NO_WARMUP,
    OPT_STATS,
    OPT_JSON,
};

static const struct option long_options[] = {
    {"top", required_argument, NULL, OPT_TOP}, /* first: not every subcommand has it */
    {"model", required_argument, NULL, OPT_MODEL},
    {"beam", required_argument, NULL, OPT_BEAM},
    {"path", required_argument, NULL, OPT_PATH},
    {"pool", required_argument, NULL, OPT_POOL},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"no-warmup", no_argument, NULL, OPT_NO_WARMUP},
    {"stats", optional_argument, NULL, OPT_STATS},
    {"json", no_argument, NULL, OPT_JSON},
    ARGUMENTS_END,
};

/* An option's argument into its field. NULL, or what would have been right. */
static const char *take(int option, const char *text, void *ctx)
{
    run_options *out = ctx;
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
        return path_parse(text, &out->path) ? NULL : PATH_WORDS;
    case OPT_POOL:
        if (!arguments_choose(text, "thread", "striped", &second)) {
            return "'thread' or 'striped'";
        }
        out->pool = second ? ORTP_POOL_STRIPED : ORTP_POOL_THREAD_CACHED;
        return NULL;
    case OPT_BUDGET:
        return size_parse(text, &out->budget) ? NULL
                                              : "a size above 0 such as 512K, 64MiB, 1G or bytes";
    case OPT_STATS:
        out->stats = text == NULL ? STATS_DEFAULT : STATS_JSON;
        return text == NULL || strcmp(text, "json") == 0 ? NULL : "'json', the one value it takes";
    case OPT_NO_WARMUP:
        out->no_warmup = true;
        return NULL;
    default:
        out->json = true;
        return NULL;
    }
}

bool options_parse(const subcommand *command, int argc, char **argv, run_options *out, int *code)
{
    *out = (run_options){.top = 3, .threads = 1};
    const arguments a = {.command = command->name,
                         .help = command->help,
                         .operand = "input",
                         .known = command->has_top ? long_options : long_options + 1,
                         .take = take};
    if (!arguments_read(&a, argc, argv, out, &out->input, code)) {
        return false;
    }
    if (out->input == NULL && command->needs_input) {
        return arguments_refuse(&a, code, "no input: name a file, or - for standard input");
    }
    if (out->input == NULL) {
        out->input = "-";
    }
    return true;
}
