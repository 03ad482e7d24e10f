/* SPDX-License-Identifier: MIT */
/* The rows' system calls for memory, counted by strace in processes of their own, which it slows down. */
#include "trace.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define CALLS "trace=mmap,munmap,mremap,brk,madvise,mprotect"
#define MARK "madvise(NULL, 0,"

/* It may be missing, or not be allowed to trace. */
static bool can_trace(void)
{
#if defined(ORTPOOL_SANITIZED)
    return false;
#else
    return system("strace -f -qq -o /dev/null true >/dev/null 2>&1") ==
           0; /* NOLINT: no input in it */
#endif
}

/* Lines between the two marks. -1: they are not there. */
static long count_calls(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    long calls = 0, marks = 0;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        if (strstr(line, MARK) != NULL) {
            marks++;
        } else if (marks == 1 && strchr(line, '(') != NULL && strstr(line, "resumed>") == NULL) {
            calls++;
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return marks == 2 ? calls : -1;
}

static bool ask_all(row_process *process, size_t *swipes)
{
    static const char *const lines[] = {NULL, "round\n", "mark\n", "round\n", "mark\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        json_t *answer = row_process_ask(process, lines[i]);
        if (answer == NULL) {
            return false;
        }
        if (i == 0) {
            *swipes = json_array_size(json_object_get(answer, "words"));
        }
        json_decref(answer);
    }
    return true;
}

static bool trace_row(collection *c, collected_row *row, const char *path)
{
    const char *const tracer[] = {"strace", "-f", "-qq", "-e", CALLS, "-o", path, NULL};
    const row_about about = {.tracer = tracer,
                             .preload = row->kind->mimalloc ? c->options->mimalloc : NULL};
    row_options options;
    row_process process;
    size_t swipes = 0;
    collection_row_options(c, row->kind, &options);
    if (!row_process_start(&process, &options, &about)) {
        return false;
    }
    const bool asked = ask_all(&process, &swipes);
    if (!row_process_end(&process, !asked) || !asked) {
        return false;
    }
    const long calls = count_calls(path);
    if (calls >= 0) {
        const size_t predictions = swipes * (row->kind->cached ? 2 : 1);
        row->memory_calls = (double)calls / (double)predictions;
    }
    return true;
}

bool trace_rows(collection *c)
{
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    const int length = snprintf(path, sizeof(path), "%s/ortpool-trace-XXXXXX",
                                folder != NULL && *folder != '\0' ? folder : "/tmp");
    c->traced = can_trace();
    if (!c->traced) {
        c->done += 3 * c->count;
        return true;
    }
    const int fd = (size_t)length < sizeof(path) ? mkstemp(path) : -1;
    if (fd < 0) {
        c->traced = false;
        return true;
    }
    (void)close(fd);
    bool well = true;
    for (size_t i = 0; well && i < c->count; i++) {
        well =
            collection_step(c, "tracing", c->rows[i].kind->name) && trace_row(c, &c->rows[i], path);
        c->done += 2;
    }
    (void)unlink(path);
    return well;
}
