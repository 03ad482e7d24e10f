/* SPDX-License-Identifier: MIT */
/* The ortpool command: picks the subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "find_model.h"
#include "interrupt.h"
#include "options.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"predict", command_predict}, {"eval", command_eval},   {"inspect", command_inspect},
    {"run", command_run},         {"bench", command_bench}, {"soak", command_soak},
};

static const char help[] =
    "usage: ortpool COMMAND [OPTION]... [FILE]\n"
    "\n"
    "Swipe typing on ONNX Runtime with bounded, pooled, pre-warmed memory.\n"
    "\n"
    "  run        any ONNX model: times, allocations and memory, with and without ortpool\n"
    "  bench      predictions by ortpool, by the usual code and by ONNX Runtime well used\n"
    "  predict    swipes in, words out\n"
    "  eval       how often the right word is found, and how fast\n"
    "  inspect    what a model is made of, and the memory it will take\n"
    "  soak       predictions for long under memory pressure, checked\n"
    "\n"
    "  --help     this, or a command's own: ortpool predict --help\n"
    "  --version  versions of ortpool and of the ONNX Runtime found\n"
    "  help       this, or a command's own: ortpool help predict\n";

/* A first command line that works here: the bundled swipes, where there are some. */
static void print_help(void)
{
    char folder[4096];
    fputs(help, stdout);
    if (find_bundled_model(folder, sizeof(folder)) && strchr(folder, '\'') == NULL) {
        const char *quote = strpbrk(folder, " \"$`&;()<>|*?\\") != NULL ? "'" : "";
        printf("\nTo begin with: ortpool predict %s%s/samples.jsonl%s --stats\n", quote, folder, quote);
    }
}

static int refuse(const char *what, const char *which)
{
    fprintf(stderr, "ortpool: %s%s%s\nTry 'ortpool --help'.\n", what, *which != '\0' ? " " : "",
            which);
    return EXIT_SETUP;
}

/*
 * What was printed must have been taken: `ortpool --help >/dev/full` is a failure. A reader that
 * went away is none.
 */
static int finish(int code)
{
    if (fflush(stdout) == 0 || errno == EPIPE) {
        return code;
    }
    fprintf(stderr, "ortpool: the output could not be written: %s\n", strerror(errno));
    return EXIT_SETUP;
}

/*
 * Nothing that is opened later may get the number of a standard stream that was closed: standard
 * input would be the pipe of the signals, or standard error the end of the input. A closed input
 * then reads as empty, a closed output still takes nothing, and messages go nowhere.
 */
static bool hold_standard_streams(void)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++) {
        /* The numbers below are taken: an open gets this one. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd) {
            return false;
        }
    }
    return true;
}

static int run_command(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[0], commands[i].name) == 0) {
            return finish(commands[i].run(argc, argv));
        }
    }
    return refuse(argv[0][0] == '-' ? "no option" : "no command", argv[0]);
}

/* help predict, help bench pool: as predict --help. */
static int help_of(int argc, char **argv)
{
    char option[] = "--help";
    char *line[] = {argv[0], argc > 1 ? argv[1] : option, option, NULL};
    if (argc > 2 || (argc == 2 && (strcmp(argv[0], "bench") != 0 || strcmp(argv[1], "pool") != 0))) {
        return refuse("help of one command, and this is a second one:", argv[argc - 1]);
    }
    return run_command(argc + 1, line);
}

int main(int argc, char **argv)
{
    if (!hold_standard_streams()) {
        return EXIT_SETUP; /* where a message would go is not known */
    }
    if (argc < 2) {
        return refuse("which command? run, bench, predict, eval, inspect or soak", "");
    }
    const char *first = argv[1];
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        if (strcmp(first, "help") == 0 && argc > 2) {
            return help_of(argc - 2, argv + 2);
        }
        print_help();
        return finish(EXIT_ANSWERED);
    }
    if (strcmp(first, "--version") == 0) {
        engine_print_version();
        return finish(EXIT_ANSWERED);
    }
    if (!interrupt_install()) {
        return refuse("the system has no file descriptors left", "");
    }
    return run_command(argc - 1, argv + 1);
}
