/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <string.h>

#define RECENT_SECONDS 2.0

static void lock(record *r)
{
    (void)pthread_mutex_lock(&r->mutex);
}

static void unlock(record *r)
{
    (void)pthread_mutex_unlock(&r->mutex);
}

void record_start(record *r, double now)
{
    memset(r, 0, sizeof *r);
    (void)pthread_mutex_init(&r->mutex, NULL);
    r->recent_start = r->before_start = r->last_words = now;
}

void record_end(record *r)
{
    (void)pthread_mutex_destroy(&r->mutex);
}

static void turn_locked(record *r, double now)
{
    if (now - r->recent_start < RECENT_SECONDS) {
        return;
    }
    r->before = r->recent;
    r->before_start = r->recent_start;
    memset(&r->recent, 0, sizeof r->recent);
    r->recent_start = now;
}

uint64_t record_words(record *r, bool right, bool hit, uint64_t microseconds, double now)
{
    lock(r);
    turn_locked(r, now);
    r->counts.right += right ? 1 : 0;
    r->counts.wrong += right ? 0 : 1;
    r->last_words = now;
    histogram_add(hit ? &r->hits : &r->misses, microseconds);
    histogram_add(&r->recent, microseconds);
    const uint64_t all = r->counts.right + r->counts.wrong;
    unlock(r);
    return all;
}

void record_refused(record *r, bool deadline)
{
    lock(r);
    r->counts.refused_deadline += deadline ? 1 : 0;
    r->counts.refused_budget += deadline ? 0 : 1;
    unlock(r);
}

void record_failed(record *r)
{
    lock(r);
    r->counts.failed++;
    unlock(r);
}

void record_paused(record *r, double now)
{
    lock(r);
    r->last_words = now;
    unlock(r);
}

record_counts record_get(record *r, double *last_words)
{
    lock(r);
    const record_counts counts = r->counts;
    if (last_words != NULL) {
        *last_words = r->last_words;
    }
    unlock(r);
    return counts;
}

record_recent record_get_recent(record *r, double now)
{
    lock(r);
    turn_locked(r, now);
    histogram both = r->before;
    histogram_merge(&both, &r->recent);
    const double seconds = now - r->before_start;
    unlock(r);
    return (record_recent){
        .rate = seconds > 0 ? (double)both.count / seconds : 0,
        .p50 = histogram_get(&both, 50),
        .p99 = histogram_get(&both, 99),
    };
}
