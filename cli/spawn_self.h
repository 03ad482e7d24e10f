/* SPDX-License-Identifier: MIT */
/* Starts this program again as a process that measures, with a pipe from its standard output. */
#ifndef ORTPOOL_CLI_SPAWN_SELF_H
#define ORTPOOL_CLI_SPAWN_SELF_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct spawn_options {
    char *const *arguments;    /* after the program's name; NULL at the end */
    bool count_heap;           /* libortpool-heapcount.so is preloaded, where it is found */
    const char *preload;       /* another library that is; NULL: none */
    const char *const *tracer; /* a command that the program's line is appended to; NULL: none */
    bool has_input;            /* with a pipe to its standard input, too */
} spawn_options;

typedef struct spawned {
    pid_t pid;
    int input, output; /* our ends; -1: none */
} spawned;

/* Why count_heap counts nothing; NULL: it counts. Static text. */
const char *spawn_heap_count_missing(void);

/* 0, or an errno. What it inherits otherwise is ours. */
int spawn_self(const spawn_options *options, spawned *out);

#endif
