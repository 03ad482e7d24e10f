/* SPDX-License-Identifier: MIT */
/* See spawn_self.h. */
#include "spawn_self.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void append(char *list, size_t capacity, const char *path)
{
    const size_t length = strlen(list);
    if (path != NULL && *path != '\0') {
        snprintf(list + length, capacity - length, "%s%s", length > strlen(PRELOAD) ? ":" : "",
                 path);
    }
}

/* The environment with `preload`, an entry of LD_PRELOAD= to fill, in the place of its own. To be freed; NULL:
 * as it is. */
static char **environment_of(const spawn_options *options, const char *program, char *preload,
                             size_t capacity)
{
    char counter[4096] = "";
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    const bool counts = options->count_heap && find_heap_count(program, counter, sizeof(counter));
    char **out = counts || options->preload != NULL ? calloc(count + 2, sizeof(*out)) : NULL;
    if (out == NULL) {
        return NULL;
    }
    snprintf(preload, capacity, PRELOAD);
    append(preload, capacity, counts ? counter : NULL);
    append(preload, capacity, options->preload);
    append(preload, capacity, getenv("LD_PRELOAD"));
    if (strlen(preload) + 1 >= capacity) { /* what others preload goes first */
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

static size_t length_of(const char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL) {
        count++;
    }
    return count;
}

/* Tracer, program, arguments. To be freed. */
static char **line_of(const spawn_options *options, const char *program)
{
    const size_t before = length_of(options->tracer);
    const size_t after = length_of((const char *const *)options->arguments);
    const char **line = calloc(before + after + 2, sizeof(*line));
    if (line != NULL) {
        if (before > 0) {
            memcpy(line, options->tracer, before * sizeof(*line));
        }
        line[before] = program;
        memcpy(line + before + 1, options->arguments, after * sizeof(*line));
    }
    return (char **)line;
}

/* Its pipes' ends of the child at its standard streams; -1: ours. */
static int start(const spawn_options *options, const char *program, int input, int output,
                 pid_t *pid)
{
    char preload[8192];
    char **line = line_of(options, program);
    if (line == NULL) {
        return ENOMEM;
    }
    char **environment = environment_of(options, program, preload, sizeof(preload));
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        if (input >= 0) {
            error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        }
        if (error == 0) {
            error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        }
        if (error == 0) {
            /* The program is an absolute path, a tracer is looked for. */
            error = (options->tracer != NULL ? posix_spawnp : posix_spawn)(
                pid, line[0], &actions, NULL, line, environment != NULL ? environment : environ);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    free(environment);
    free(line);
    return error;
}

static void shut(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

int spawn_self(const spawn_options *options, spawned *out)
{
    char program[4096];
    int in[2] = {-1, -1}, from[2] = {-1, -1};
    *out = (spawned){-1, -1, -1};
    const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length < 0) {
        return errno;
    }
    program[length] = '\0';
    int error = pipe2(from, O_CLOEXEC) != 0 ? errno : 0;
    if (error == 0 && options->has_input && pipe2(in, O_CLOEXEC) != 0) {
        error = errno;
    }
    if (error == 0) {
        error = start(options, program, in[0], from[1], &out->pid);
    }
    shut(in[0]);
    shut(from[1]);
    if (error != 0) {
        shut(in[1]);
        shut(from[0]);
        return error;
    }
    out->input = in[1];
    out->output = from[0];
    return 0;
}
