/* SPDX-License-Identifier: MIT */
/*
 * See page_watch.h. A table of regions, each with what was reserved and what of it is usable; the
 * functions of src/memory/platform.h are called on the other side of the linker's --wrap, under the
 * count's lock: an address that was given back is not seen again before it is counted so.
 */
#define _DEFAULT_SOURCE /* mincore */
#include "page_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGIONS_MAX 65536u

typedef struct region {
    char *at;
    size_t reserved,
        committed; /* committed: up to where, pages given back in the middle included */
    size_t usable;
} region;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static page_watch_counts counts;
static region regions[REGIONS_MAX];
static size_t region_count;
static size_t limit_bytes = SIZE_MAX, other_bytes;

static void violation_locked(const char *what, size_t bytes)
{
    if (counts.violations++ == 0) {
        (void)snprintf(counts.first, sizeof(counts.first),
                       "%s of %zu: %zu mapped + %zu control + %zu others, limit %zu", what, bytes,
                       counts.mapped_bytes, counts.control_bytes, other_bytes, limit_bytes);
    }
}

static void taken_locked(const char *what, size_t bytes)
{
    const size_t both = counts.mapped_bytes + counts.control_bytes;
    counts.mapped_peak =
        counts.mapped_bytes > counts.mapped_peak ? counts.mapped_bytes : counts.mapped_peak;
    counts.both_peak = both > counts.both_peak ? both : counts.both_peak;
    if (limit_bytes != SIZE_MAX && both + other_bytes > limit_bytes) {
        violation_locked(what, bytes);
    }
}

static region *find_locked(const char *at)
{
    for (size_t i = region_count; i > 0; i--) {
        region *r = &regions[i - 1];
        if (at >= r->at && at < r->at + r->reserved) {
            return r;
        }
    }
    return NULL;
}

static void add_locked(void *at, size_t reserved, size_t usable, const char *what)
{
    if (!at) {
        return;
    }
    if (region_count == REGIONS_MAX) {
        violation_locked("too many regions", reserved);
        return;
    }
    regions[region_count++] = (region){at, reserved, usable, usable};
    counts.mapped_bytes += usable;
    taken_locked(what, usable);
}

void *__real_ortp__pages_map(size_t bytes);
void *__real_ortp__pages_reserve(size_t bytes);
bool __real_ortp__pages_commit(void *pages, size_t bytes);
bool __real_ortp__pages_decommit(void *pages, size_t bytes);
bool __wrap_ortp__pages_decommit(void *pages, size_t bytes);
void __real_ortp__pages_unmap(void *pages, size_t bytes);
void *__wrap_ortp__pages_map(size_t bytes);
void *__wrap_ortp__pages_reserve(size_t bytes);
bool __wrap_ortp__pages_commit(void *pages, size_t bytes);
void __wrap_ortp__pages_unmap(void *pages, size_t bytes);

void *__wrap_ortp__pages_map(size_t bytes)
{
    (void)pthread_mutex_lock(&mutex);
    void *pages = __real_ortp__pages_map(bytes);
    counts.maps++;
    add_locked(pages, bytes, bytes, "map");
    (void)pthread_mutex_unlock(&mutex);
    return pages;
}

void *__wrap_ortp__pages_reserve(size_t bytes)
{
    (void)pthread_mutex_lock(&mutex);
    void *pages = __real_ortp__pages_reserve(bytes);
    add_locked(pages, bytes, 0, "reserve");
    (void)pthread_mutex_unlock(&mutex);
    return pages;
}

bool __wrap_ortp__pages_commit(void *pages, size_t bytes)
{
    (void)pthread_mutex_lock(&mutex);
    const bool done = __real_ortp__pages_commit(pages, bytes);
    counts.commits++;
    region *r = find_locked(pages);
    if (!r || (size_t)((char *)pages - r->at) != r->committed ||
        bytes > r->reserved - r->committed) {
        violation_locked("a commit that does not follow the one before", bytes);
    } else if (done) {
        r->committed += bytes;
        r->usable += bytes;
        counts.mapped_bytes += bytes;
        taken_locked("commit", bytes);
    }
    (void)pthread_mutex_unlock(&mutex);
    return done;
}

bool __wrap_ortp__pages_decommit(void *pages, size_t bytes)
{
    (void)pthread_mutex_lock(&mutex);
    const bool done = __real_ortp__pages_decommit(pages, bytes);
    region *r = find_locked(pages);
    if (!r || bytes > r->usable) {
        violation_locked("decommit of more than is usable", bytes);
    } else if (done) {
        r->usable -= bytes;
        counts.mapped_bytes -= bytes;
    }
    (void)pthread_mutex_unlock(&mutex);
    return done;
}

void __wrap_ortp__pages_unmap(void *pages, size_t bytes)
{
    (void)pthread_mutex_lock(&mutex);
    __real_ortp__pages_unmap(pages, bytes);
    counts.unmaps++;
    region *r = find_locked(pages);
    if (!r || r->at != (char *)pages || r->reserved != bytes) {
        violation_locked("unmap of what is no region", bytes);
    } else {
        counts.mapped_bytes -= r->usable;
        *r = regions[--region_count];
    }
    (void)pthread_mutex_unlock(&mutex);
}

size_t page_watch_resident(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t present = 0;
    (void)pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < region_count; i++) {
        for (size_t at = 0; at < regions[i].committed; at += page) {
            unsigned char here = 0;
            present += mincore(regions[i].at + at, page, &here) == 0 && (here & 1u) ? page : 0;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
    return present;
}

static void *control_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    void *block = malloc(bytes > 0 ? bytes : 1);
    if (!block) {
        return NULL;
    }
    memset(block, 0xa5, bytes); /* who relies on zeros has to write them */
    (void)pthread_mutex_lock(&mutex);
    counts.control_bytes += bytes;
    counts.control_blocks++;
    taken_locked("control structure", bytes);
    (void)pthread_mutex_unlock(&mutex);
    return block;
}

static void control_free(void *ctx, void *block, size_t bytes)
{
    (void)ctx;
    (void)pthread_mutex_lock(&mutex);
    counts.control_bytes -= bytes;
    counts.control_blocks--;
    (void)pthread_mutex_unlock(&mutex);
    free(block);
}

ortp_alloc page_watch_alloc(void)
{
    return (ortp_alloc){.alloc = control_alloc, .free = control_free, .ctx = NULL};
}

void page_watch_start(void)
{
    (void)pthread_mutex_lock(&mutex);
    counts.mapped_peak = counts.mapped_bytes;
    counts.both_peak = counts.mapped_bytes + counts.control_bytes;
    counts.maps = counts.commits = counts.unmaps = counts.violations = 0;
    counts.first[0] = 0;
    limit_bytes = SIZE_MAX;
    other_bytes = 0;
    (void)pthread_mutex_unlock(&mutex);
}

void page_watch_limit(size_t limit, size_t others)
{
    (void)pthread_mutex_lock(&mutex);
    limit_bytes = limit;
    other_bytes = others;
    (void)pthread_mutex_unlock(&mutex);
}

page_watch_counts page_watch_get(void)
{
    (void)pthread_mutex_lock(&mutex);
    const page_watch_counts out = counts;
    (void)pthread_mutex_unlock(&mutex);
    return out;
}
