/* SPDX-License-Identifier: MIT */
/* The subcommands. argv[0] is the subcommand's name; the result is the process's exit code. */
#ifndef ORTPOOL_CLI_COMMANDS_H
#define ORTPOOL_CLI_COMMANDS_H

/* Exit codes of every subcommand. */
#define EXIT_ANSWERED 0 /* every line was answered */
#define EXIT_INPUT 1    /* a line of the input failed */
#define EXIT_SETUP 2    /* usage or set-up: nothing was, or no more could be, answered */

int command_predict(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_run(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_soak(int argc, char **argv);

#endif
