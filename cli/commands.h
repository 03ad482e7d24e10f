/* SPDX-License-Identifier: MIT */
/* The subcommands. argv[0] is the subcommand's name; the result is the process's exit code. */
#ifndef ORTPOOL_CLI_COMMANDS_H
#define ORTPOOL_CLI_COMMANDS_H

int command_predict(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_run(int argc, char **argv);

#endif
