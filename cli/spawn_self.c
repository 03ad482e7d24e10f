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
#define COUNTER_BYTES 32u /* for /proc/self/fd/N */

/* This program's own path, absolute. 0, or an errno. */
static int find_program(char *path, size_t capacity)
{
    const ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length < 0) {
        return errno;
    }
    path[length] = '\0';
    return 0;
}

/* The counting library, open: beside the program, or where it is installed: see CMakeLists.txt. -1: none. */
static int open_heap_count(const char *program)
{
    static const char *const places[] = {"libortpool-heapcount.so", ORTPOOL_HEAPCOUNT};
    const int folder = (int)(strrchr(program, '/') - program);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[4096 + 64];
        const int length = snprintf(path, sizeof(path), "%.*s/%s", folder, program, places[i]);
        const int fd = (size_t)length < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0) {
            return fd;
        }
    }
    return -1;
}

const char *spawn_heap_count_missing(void)
{
#if defined(ORTPOOL_SANITIZED)
    return "a sanitizer has the heap";
#else
    char program[4096];
    const int fd = find_program(program, sizeof(program)) == 0 ? open_heap_count(program) : -1;
    if (fd < 0) {
        return "libortpool-heapcount.so cannot be read, neither beside the program nor "
               "at " ORTPOOL_HEAPCOUNT " from there";
    }
    (void)close(fd);
    return NULL;
#endif
}

static void append(char *list, size_t capacity, const char *path)
{
    const size_t length = strlen(list);
    if (path != NULL && *path != '\0') {
        snprintf(list + length, capacity - length, "%s%s", length > strlen(PRELOAD) ? ":" : "",
                 path);
    }
}

/*
 * The environment with `preload`, an entry of LD_PRELOAD= to fill, in the place of its own. To be freed; NULL: no
 * memory. Blanks and colons separate the entries of LD_PRELOAD, so that it cannot name a library in a folder
 * with such a name: the child inherits the library open and LD_PRELOAD names its descriptor.
 */
static char **environment_of(const spawn_options *options, int counter, char *preload,
                             size_t capacity)
{
    char counter_path[COUNTER_BYTES] = "";
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **out = calloc(count + 2, sizeof(*out));
    if (out == NULL) {
        return NULL;
    }
    if (counter >= 0) {
        snprintf(counter_path, sizeof(counter_path), "/proc/self/fd/%d", counter);
    }
    snprintf(preload, capacity, PRELOAD);
    append(preload, capacity, counter_path);
    append(preload, capacity, options->preload);
    append(preload, capacity, getenv("LD_PRELOAD"));
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

static void shut(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Its pipes' ends of the child at its standard streams; -1: ours. */
static int start(const spawn_options *options, const char *program, int input, int output,
                 pid_t *pid)
{
    const int counter = options->count_heap ? open_heap_count(program) : -1;
    const bool preloads = counter >= 0 || options->preload != NULL;
    const char *const theirs = getenv("LD_PRELOAD");
    const size_t capacity = sizeof(PRELOAD) + COUNTER_BYTES + 2 +
                            (options->preload != NULL ? strlen(options->preload) : 0) +
                            (theirs != NULL ? strlen(theirs) : 0);
    char **line = line_of(options, program);
    char *preload = malloc(capacity);
    char **environment =
        preloads && preload != NULL ? environment_of(options, counter, preload, capacity) : NULL;
    posix_spawn_file_actions_t actions;
    int error = line == NULL || preload == NULL || (preloads && environment == NULL)
                    ? ENOMEM
                    : posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        if (input >= 0) {
            error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        }
        if (error == 0) {
            error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        }
        if (error == 0 && counter >= 0) { /* onto itself: stays open in the child alone */
            error = posix_spawn_file_actions_adddup2(&actions, counter, counter);
        }
        if (error == 0) {
            /* The program is an absolute path, a tracer is looked for. */
            error = (options->tracer != NULL ? posix_spawnp : posix_spawn)(
                pid, line[0], &actions, NULL, line, environment != NULL ? environment : environ);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    shut(counter);
    free(environment);
    free(preload);
    free(line);
    return error;
}

int spawn_self(const spawn_options *options, spawned *out)
{
    char program[4096];
    int in[2] = {-1, -1}, from[2] = {-1, -1};
    *out = (spawned){-1, -1, -1};
    int error = find_program(program, sizeof(program));
    if (error != 0) {
        return error;
    }
    error = pipe2(from, O_CLOEXEC) != 0 ? errno : 0;
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
