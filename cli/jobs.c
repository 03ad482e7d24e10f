/* SPDX-License-Identifier: MIT */
/*
 * A ring of slots with three running numbers, all under one lock:
 *
 *     emitted <= started <= fetched <= emitted + window
 *
 * Item n lives in slot n % window. done[n % window] says that its work is finished. One thread at a
 * time emits (`emitting`), outside the lock.
 */
#include "jobs.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct ring {
    const jobs *options;
    pthread_mutex_t lock;
    pthread_cond_t work_there; /* fetched moved, or the end */
    pthread_cond_t room_there; /* emitted moved, or stop or drop */
    size_t fetched, started, emitted;
    bool *done;
    bool emitting;
    bool ended; /* no more will be fetched */
    bool stop;  /* emit said so: what is left is dropped */
    bool drop;  /* dropped() said so: what has not begun never does */
} ring;

static void *slot_of(const ring *r, size_t item)
{
    return (char *)r->options->slots + item % r->options->window * r->options->slot_bytes;
}

/* Emits what is ready in order, unless another thread is at it: that one will see ours. */
static void emit_ready_locked(ring *r)
{
    if (r->emitting) {
        return;
    }
    r->emitting = true;
    while (!r->stop && r->emitted < r->started && r->done[r->emitted % r->options->window]) {
        void *slot = slot_of(r, r->emitted);
        pthread_mutex_unlock(&r->lock);
        bool more = r->options->emit(r->options->ctx, slot);
        pthread_mutex_lock(&r->lock);
        r->done[r->emitted % r->options->window] = false;
        r->emitted++;
        r->stop = !more;
        pthread_cond_signal(&r->room_there);
    }
    r->emitting = false;
    if (r->stop) {
        pthread_cond_broadcast(&r->work_there);
    }
}

/* Whether an item is there to work on; waits for one. (A drop leaves one, so nobody waits then.) */
static bool next_item_locked(ring *r)
{
    while (r->started == r->fetched && !r->ended && !r->stop) {
        pthread_cond_wait(&r->work_there, &r->lock);
    }
    if (r->stop || r->drop || r->started == r->fetched) {
        return false;
    }
    if (r->options->dropped(r->options->ctx)) {
        r->drop = true;
        pthread_cond_broadcast(&r->work_there);
        pthread_cond_signal(&r->room_there);
        return false;
    }
    return true;
}

static void *worker(void *arg)
{
    ring *r = arg;
    pthread_mutex_lock(&r->lock);
    while (next_item_locked(r)) {
        size_t item = r->started++;
        pthread_mutex_unlock(&r->lock);
        r->options->work(r->options->ctx, slot_of(r, item));
        pthread_mutex_lock(&r->lock);
        r->done[item % r->options->window] = true;
        emit_ready_locked(r);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static size_t start_workers(ring *r, pthread_t *threads)
{
    size_t running = 0;
    while (running < r->options->threads &&
           pthread_create(&threads[running], NULL, worker, r) == 0) {
        running++;
    }
    return running;
}

static void fetch_all(ring *r)
{
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->fetched == r->emitted + r->options->window && !r->drop) { /* a stop makes room */
            pthread_cond_wait(&r->room_there, &r->lock);
        }
        if (r->stop || r->drop) {
            break;
        }
        void *slot = slot_of(r, r->fetched);
        pthread_mutex_unlock(&r->lock);
        bool more = r->options->fetch(r->options->ctx, slot);
        pthread_mutex_lock(&r->lock);
        if (!more) {
            break;
        }
        r->fetched++;
        pthread_cond_signal(&r->work_there);
    }
    r->ended = true;
    pthread_cond_broadcast(&r->work_there);
    pthread_mutex_unlock(&r->lock);
}

bool jobs_run(const jobs *options)
{
    ring r = {.options = options,
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .work_there = PTHREAD_COND_INITIALIZER,
              .room_there = PTHREAD_COND_INITIALIZER};
    size_t running = 0;
    pthread_t *threads = calloc(options->threads, sizeof(*threads));
    r.done = calloc(options->window, sizeof(*r.done));
    if (threads != NULL && r.done != NULL) {
        running = start_workers(&r, threads);
    }
    if (running > 0) {
        fetch_all(&r);
    }
    for (size_t i = 0; i < running; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_cond_destroy(&r.room_there);
    pthread_cond_destroy(&r.work_there);
    pthread_mutex_destroy(&r.lock);
    free(r.done);
    free(threads);
    return running > 0;
}
