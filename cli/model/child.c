/* SPDX-License-Identifier: MIT */
/* See child.h. */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"
#include "spawn_self.h"

/* What it writes, and how it ended. */
static json_t *read_answer(int fd, pid_t child, const char *what)
{
    if (!interrupt_wait_readable(fd)) { /* ours may have come to us alone */
        (void)kill(child, SIGTERM);
    }
    json_t *row = json_loadfd(fd, 0, NULL);
    (void)close(fd); /* an answer that nobody wants ends it */
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (row == NULL && WIFSIGNALED(status)) {
        fprintf(stderr,
                "ortpool run: the process with memory from '%s' ended with signal %d (%s)\n", what,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (row == NULL && WEXITSTATUS(status) == 0) {
        fputs("ortpool run: no memory for what was measured\n", stderr);
    }
    return row; /* where there is none else, the process has said why */
}

void child_begin(void)
{
    interrupt_every_time();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

json_t *child_run(int argc, char **argv, const char *what)
{
    char option[64];
    char **arguments = calloc((size_t)argc + 2, sizeof(*arguments));
    spawned child;
    int error = ENOMEM;
    if (arguments != NULL) {
        snprintf(option, sizeof(option), "--child=%s", what);
        arguments[0] = argv[0];
        arguments[1] = option;
        memcpy(arguments + 2, argv + 1, (size_t)(argc - 1) * sizeof(*argv));
        error = spawn_self(&(spawn_options){.arguments = arguments, .count_heap = true}, &child);
    }
    free(arguments);
    if (error != 0) {
        fprintf(stderr, "ortpool run: no process can be started: %s\n", strerror(error));
        return NULL;
    }
    return read_answer(child.output, child.pid, what);
}
