/* SPDX-License-Identifier: MIT */
/* The ortpool command: picks the subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
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
    "\n"
    "To begin with: ortpool predict models/swipe-en/samples.jsonl --stats\n";

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
        fputs(help, stdout);
        return finish(EXIT_ANSWERED);
    }
    if (strcmp(first, "--version") == 0) {
        engine_print_version();
        return finish(EXIT_ANSWERED);
    }
    if (!interrupt_install()) {
        return refuse("the system has no file descriptors left", "");
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(first, commands[i].name) == 0) {
            return finish(commands[i].run(argc - 1, argv + 1));
        }
    }
    return refuse(first[0] == '-' ? "no option" : "no command", first);
}
