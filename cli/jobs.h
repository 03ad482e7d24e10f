/* SPDX-License-Identifier: MIT */
/*
 * Work in parallel, results in input order: the calling thread fetches, worker threads work,
 * whoever finishes the oldest item hands out all that is ready. Nobody waits for input with a
 * result in hand, so that a program that sends a line and waits for its answer gets it.
 *
 * At most `window` items are between fetch and emit.
 */
#ifndef ORTPOOL_CLI_JOBS_H
#define ORTPOOL_CLI_JOBS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct jobs {
    size_t threads; /* at least 1 */
    size_t window;  /* at least 1 */
    void *slots;    /* window items of slot_bytes each, the caller's; reused in turn */
    size_t slot_bytes;
    void *ctx;
    /* Fills a slot; false at the end of the input. The calling thread only. */
    bool (*fetch)(void *ctx, void *slot);
    /* Works on a slot. Any worker, several at a time. */
    void (*work)(void *ctx, void *slot);
    /* Hands a result out. One at a time, in the order of fetch; false ends it all without more
     * emits. */
    bool (*emit)(void *ctx, void *slot);
    /* Asked before an item's work: true drops all whose work has not begun; those in progress are
     * finished and handed out. Any worker. */
    bool (*dropped)(void *ctx);
} jobs;

/*
 * Runs until the input ends and all is handed out, or emit or dropped ends it. False: no thread could be
 * started (nothing was fetched). With some threads but not all it goes on with those.
 */
bool jobs_run(const jobs *options);

#endif
