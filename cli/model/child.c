/* SPDX-License-Identifier: MIT */
/* See child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"

#define PRELOAD "LD_PRELOAD="

/*
 * Beside the program, or where it is installed: see CMakeLists.txt. false: there is none, or none that
 * LD_PRELOAD can name: spaces and colons part its entries.
 */
static bool find_heap_count(const char *program, char *path, size_t capacity)
{
    static const char *const places[] = {"libortpool-heapcount.so", ORTPOOL_HEAPCOUNT};
    const int folder = (int)(strrchr(program, '/') - program); /* an absolute path */
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const int length = snprintf(path, capacity, "%.*s/%s", folder, program, places[i]);
        if ((size_t)length < capacity && strpbrk(path, " :") == NULL && access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* The environment with what counts the heap preloaded, before what is so already. To be freed; NULL: as
 * it is. */
static char **environment_of(const char *program, char *preload, size_t capacity)
{
    char path[4096];
    const char *others = getenv("LD_PRELOAD");
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **out = calloc(count + 2, sizeof(*out));
    if (out == NULL || !find_heap_count(program, path, sizeof(path))) {
        free(out);
        return NULL;
    }
    const int length = snprintf(preload, capacity, PRELOAD "%s%s%s", path,
                                others != NULL ? ":" : "", others != NULL ? others : "");
    if ((size_t)length >= capacity) { /* what others preload goes first */
        free(out);
        return NULL;
    }
    *out = preload;
    for (size_t i = 0, to = 1; i < count; i++) {
        if (strncmp(environ[i], PRELOAD, strlen(PRELOAD)) != 0) {
            out[to++] = environ[i];
        }
    }
    return out;
}

/* Started with its standard output at the write end. Its errno. */
static int start(pid_t *child, const char *program, char *const *arguments, int write_end)
{
    char preload[8192];
    char **environment = environment_of(program, preload, sizeof(preload));
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
        error = error != 0 ? error
                           : posix_spawn(child, program, &actions, NULL, arguments,
                                         environment != NULL ? environment : environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    free(environment);
    return error;
}

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
    char program[4096], option[64];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char **arguments = calloc((size_t)argc + 3, sizeof(*arguments));
    int ends[2], error = ENOMEM;
    pid_t child = -1;
    if (length < 0) {
        error = errno;
    } else if (arguments != NULL && pipe2(ends, O_CLOEXEC) != 0) {
        error = errno;
    } else if (arguments != NULL) {
        program[length] = '\0';
        snprintf(option, sizeof(option), "--child=%s", what);
        arguments[0] = program;
        arguments[1] = argv[0];
        arguments[2] = option;
        memcpy(arguments + 3, argv + 1, (size_t)(argc - 1) * sizeof(*argv));
        error = start(&child, program, arguments, ends[1]);
        (void)close(ends[1]);
        if (error != 0) {
            (void)close(ends[0]);
        }
    }
    free(arguments);
    if (error != 0) {
        fprintf(stderr, "ortpool run: no process can be started: %s\n", strerror(error));
        return NULL;
    }
    return read_answer(ends[0], child, what);
}
