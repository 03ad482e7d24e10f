/* SPDX-License-Identifier: MIT */
/*
 * ORT's allocator: see allocator.h.
 */
#include "allocator.h"

#include "classes.h"
#include "growable.h"
#include "ticket.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RESERVE_SINCE 18u /* versions of ORT's API that read the members of OrtAllocator */
#define STATS_SINCE 23u

static ortp__allocator *of(const OrtAllocator *self)
{
    return (ortp__allocator *)(void *)self; /* its first member */
}

#define COUNT(counter) ((void)atomic_fetch_add_explicit(&(counter), 1, memory_order_relaxed))
#define READ(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

static void raise_to(_Atomic size_t *peak, size_t value)
{
    size_t seen = READ(*peak);
    while (seen < value && !atomic_compare_exchange_weak_explicit(
                               peak, &seen, value, memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* ---- take ---- */

/*
 * Where no ticket serves: a block of the pool for this alone. Large values of changing sizes, which
 * would leave an idle block of each size behind, take turns in growable ones. value: it escapes from its
 * run, as far as is known.
 */
static ortp__chunk *take_from_pool(ortp__allocator *allocator, size_t bytes, bool value,
                                   ortp_status *status)
{
    if (bytes > SIZE_MAX - ORTP__CHUNK_HEADER) {
        *status = ORTP_E_INVAL;
        return NULL;
    }
    ortp_pool *pool = allocator->runtime->pool;
    const size_t all = ORTP__CHUNK_HEADER + bytes;
    ortp_block *block;
    const ortp_label label = READ(allocator->creating) ? ORTP_LABEL_WEIGHTS : ORTP_LABEL_RUN;
    *status = value && all > ORTP__SMALL_STRIDE_MAX
                  ? ortp__pool_acquire_growable(pool, all, label, ORTP__USE_VALUES,
                                                ORTP_RECLAIM_BLOCKS, &block)
                  : ortp_pool_acquire_within(pool, all, label, ORTP_RECLAIM_BLOCKS, &block);
    if (*status != ORTP_OK) {
        return NULL;
    }
    ortp__chunk *chunk = ortp_block_data(block);
    *chunk = (ortp__chunk){.asked = bytes, .owner = block, .kind = ORTP__SOURCE_POOL};
    COUNT(allocator->served.overflows);
    return chunk;
}

void ortp__allocator_enter(ortp__allocator *allocator)
{
    (void)atomic_fetch_add_explicit(&allocator->inside, 1, memory_order_relaxed);
}

void ortp__allocator_leave(ortp__allocator *allocator)
{
    (void)atomic_fetch_sub_explicit(&allocator->inside, 1, memory_order_relaxed);
}

static void *hand_out(ortp__allocator *allocator, ortp__chunk *chunk)
{
    const size_t bytes = chunk->asked;
    if (chunk->kind != ORTP__SOURCE_TICKET && READ(allocator->inside) == 0 &&
        !READ(allocator->creating)) {
        COUNT(allocator->served.outside_allocs);
        (void)atomic_fetch_add_explicit(&allocator->served.outside_bytes, bytes,
                                        memory_order_relaxed);
    }
    (void)atomic_fetch_add_explicit(&allocator->live_count, 1, memory_order_relaxed);
    const size_t live =
        bytes + atomic_fetch_add_explicit(&allocator->live_bytes, bytes, memory_order_relaxed);
    raise_to(&allocator->served.live_bytes_peak, live);
    raise_to(&allocator->served.largest, bytes);
    return ortp__chunk_data(chunk);
}

/* The calling thread's probe; room NULL: none. */
static _Thread_local struct {
    const ortp__allocator *allocator;
    ortp__chunk *room;
    size_t bytes;
} probe;

void ortp__allocator_probe(const ortp__allocator *allocator, ortp__chunk *room, size_t bytes)
{
    probe.allocator = allocator;
    probe.room = room;
    probe.bytes = bytes;
}

bool ortp__allocator_probed(const ortp__allocator *allocator, size_t bytes)
{
    return probe.room != NULL && probe.allocator == allocator && probe.bytes == bytes;
}

void *ortp__allocator_take(ortp__allocator *allocator, size_t bytes, bool reserve)
{
    if (ortp__allocator_probed(allocator, bytes)) {
        *probe.room = (ortp__chunk){.kind = ORTP__SOURCE_PROBE};
        return ortp__chunk_data(probe.room);
    }
    ortp__ticket *ticket = ortp__ticket_current(allocator);
    ortp_status status = ORTP_OK;
    ortp__chunk *chunk = ticket != NULL ? ortp__ticket_take(ticket, bytes, &status) : NULL;
    if (chunk == NULL) {
        const bool value = ticket != NULL && status == ORTP_OK;
        chunk = take_from_pool(allocator, bytes, value, &status);
        if (chunk != NULL && ticket != NULL) {
            chunk->ordinal = ticket->ordinal; /* plus one: 0 is no run's */
        } else if (value) {
            chunk = ortp__ticket_take_all_the_same(ticket, bytes, &status);
        }
    }
    if (chunk == NULL) {
        atomic_store_explicit(&allocator->refusal, (int)status, memory_order_relaxed);
        atomic_store_explicit(&allocator->refused_bytes, bytes, memory_order_relaxed);
        return NULL;
    }
    COUNT(allocator->served.allocs);
    if (reserve) {
        COUNT(allocator->served.reserves);
    }
    return hand_out(allocator, chunk);
}

void ortp__allocator_refused(ortp__allocator *allocator)
{
    COUNT(allocator->served.refusals);
}

/* Whole pages with the header in front, the tail behind; 0: too many. */
static size_t overdraft_bytes(size_t bytes)
{
    const size_t page = ortp__page_size();
    const size_t more = ORTP__CHUNK_HEADER + ORTP_BLOCK_TAIL + page - 1;
    return bytes > SIZE_MAX - more ? 0 : (bytes + more) / page * page;
}

void *ortp__allocator_overdraft(ortp__allocator *allocator, size_t bytes)
{
    const size_t mapping = overdraft_bytes(bytes);
    ortp__chunk *chunk = mapping > 0 ? ortp__pages_map(mapping) : NULL;
    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (ortp__chunk){
        .asked = bytes, .owner = chunk, .ordinal = mapping, .kind = ORTP__SOURCE_OVERDRAFT};
    COUNT(allocator->served.overdrafts);
    COUNT(allocator->served.allocs);
    (void)atomic_fetch_add_explicit(&allocator->overdraft_bytes, mapping, memory_order_relaxed);
    ortp__log(&allocator->runtime->log, ORTP_LOG_WARNING,
              "runtime: %zu bytes granted to ONNX Runtime above the limit", bytes);
    return hand_out(allocator, chunk);
}

/* ---- free ---- */

/* Where a run frees what was taken to outlive it, that was wrong. */
static void came_back(const ortp__allocator *allocator, const ortp__chunk *chunk)
{
    ortp__ticket *ticket = ortp__ticket_current(allocator);
    if (ticket != NULL && chunk->ordinal > 0) {
        ortp__ticket_came_back(ticket, (uint32_t)(chunk->ordinal - 1));
    }
}

void ortp__allocator_free(OrtAllocator *self, void *data)
{
    if (data == NULL) {
        return;
    }
    ortp__allocator *allocator = of(self);
    ortp__chunk *chunk = ortp__chunk_of(data);
    if (chunk->kind == ORTP__SOURCE_PROBE) {
        return;
    }
    (void)atomic_fetch_sub_explicit(&allocator->live_bytes, chunk->asked, memory_order_relaxed);
    switch ((ortp__source)chunk->kind) {
    case ORTP__SOURCE_TICKET:
        ortp__ticket_give(chunk->owner, chunk);
        break;
    case ORTP__SOURCE_POOL:
        came_back(allocator, chunk);
        (void)ortp_block_release(chunk->owner);
        break;
    case ORTP__SOURCE_PROBE: /* returned above */
        break;
    case ORTP__SOURCE_OVERDRAFT:
        (void)atomic_fetch_sub_explicit(&allocator->overdraft_bytes, (size_t)chunk->ordinal,
                                        memory_order_relaxed);
        ortp__pages_unmap(chunk->owner, (size_t)chunk->ordinal);
        break;
    }
    /* Last, and pairs with ortp__allocators_live(): at 0 the memory is back in the pool. */
    (void)atomic_fetch_sub_explicit(&allocator->live_count, 1, memory_order_release);
}

/* ---- what ORT asks besides ---- */

static const OrtMemoryInfo *ORT_API_CALL info(const OrtAllocator *self)
{
    return of(self)->runtime->cpu;
}

static void add_stat(const OrtApi *api, OrtKeyValuePairs *pairs, const char *key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    api->AddKeyValuePair(pairs, key, text);
}

/* Only read by ORT 1.23 and later, which have the calls it makes. */
static OrtStatusPtr ORT_API_CALL get_stats(const OrtAllocator *self,
                                           OrtKeyValuePairs **out) NO_EXCEPTION
{
    ortp__allocator *allocator = of(self);
    const OrtApi *api = allocator->runtime->api;
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(allocator->runtime->budget, &budget);
    OrtKeyValuePairs *pairs = NULL;
    api->CreateKeyValuePairs(&pairs);
    add_stat(api, pairs, "Limit",
             budget.limit_bytes > INT64_MAX ? -1 : (int64_t)budget.limit_bytes);
    add_stat(api, pairs, "InUse", (int64_t)READ(allocator->live_bytes));
    add_stat(api, pairs, "TotalAllocated", (int64_t)budget.mapped_bytes);
    add_stat(api, pairs, "MaxInUse", (int64_t)READ(allocator->served.live_bytes_peak));
    add_stat(api, pairs, "NumAllocs", (int64_t)READ(allocator->served.allocs));
    add_stat(api, pairs, "NumReserves", (int64_t)READ(allocator->served.reserves));
    add_stat(api, pairs, "NumArenaExtensions", 0);
    add_stat(api, pairs, "NumArenaShrinkages", 0);
    add_stat(api, pairs, "MaxAllocSize", (int64_t)READ(allocator->served.largest));
    *out = pairs;
    return NULL;
}

/* ---- life ---- */

static void init(ortp__allocator *allocator, ortp_runtime *runtime)
{
    allocator->runtime = runtime;
    allocator->ort.Alloc = ortp__entry_alloc;
    allocator->ort.Free = ortp__allocator_free;
    allocator->ort.Info = info;
    allocator->ort.Reserve = ortp__entry_reserve;
    atomic_init(&allocator->refusal, ORTP_E_BUDGET);
    allocator->ort.version = RESERVE_SINCE;
    if (runtime->api_version >= STATS_SINCE) {
        allocator->ort.version = STATS_SINCE;
        allocator->ort.GetStats = get_stats;
    }
}

/* At 0 all that its last user's threads did lies before. */
static size_t live_count(ortp__allocator *allocator)
{
    return atomic_load_explicit(&allocator->live_count, memory_order_acquire);
}

ortp_status ortp__allocator_acquire(ortp_runtime *runtime, ortp__allocator **out)
{
    ortp__lock(&runtime->mutex);
    ortp__allocator *allocator = runtime->allocators;
    while (allocator != NULL && (allocator->taken || live_count(allocator) > 0)) {
        allocator = allocator->next;
    }
    if (allocator != NULL) {
        allocator->taken = true;
    }
    ortp__unlock(&runtime->mutex);
    if (allocator == NULL) {
        void *memory;
        const ortp_status status = ortp__meta_alloc(runtime->budget, &runtime->alloc,
                                                    sizeof *allocator, ORTP_RECLAIM_CACHE, &memory);
        if (status != ORTP_OK) {
            return status;
        }
        allocator = memory;
        init(allocator, runtime);
        allocator->taken = true;
        ortp__lock(&runtime->mutex);
        allocator->next = runtime->allocators;
        runtime->allocators = allocator;
        ortp__unlock(&runtime->mutex);
    }
    atomic_store_explicit(&allocator->creating, true, memory_order_relaxed);
    atomic_store_explicit(&allocator->values_apart, false, memory_order_relaxed);
    *out = allocator;
    return ORTP_OK;
}

/* Moves a counter to the runtime's total. */
static void retire(_Atomic uint64_t *counter, uint64_t *total)
{
    *total += atomic_exchange_explicit(counter, 0, memory_order_relaxed);
}

void ortp__allocator_release(ortp__allocator *allocator)
{
    ortp_runtime *runtime = allocator->runtime;
    atomic_store_explicit(&allocator->creating, false, memory_order_relaxed);
    ortp__lock(&runtime->mutex);
    retire(&allocator->served.allocs, &runtime->retired.allocs);
    retire(&allocator->served.overflows, &runtime->retired.overflows);
    retire(&allocator->served.refusals, &runtime->retired.refusals);
    retire(&allocator->served.outside_allocs, &runtime->retired.outside_allocs);
    retire(&allocator->served.outside_bytes, &runtime->retired.outside_bytes);
    atomic_store_explicit(&allocator->served.overdrafts, 0, memory_order_relaxed);
    atomic_store_explicit(&allocator->served.reserves, 0, memory_order_relaxed);
    atomic_store_explicit(&allocator->served.largest, 0, memory_order_relaxed);
    atomic_store_explicit(&allocator->served.live_bytes_peak, 0, memory_order_relaxed);
    allocator->taken = false;
    ortp__unlock(&runtime->mutex);
}

size_t ortp__allocators_live(ortp_runtime *runtime)
{
    size_t live = 0;
    ortp__lock(&runtime->mutex);
    for (ortp__allocator *a = runtime->allocators; a != NULL; a = a->next) {
        live += live_count(a);
    }
    ortp__unlock(&runtime->mutex);
    return live;
}

void ortp__allocators_free(ortp_runtime *runtime)
{
    while (runtime->allocators != NULL) {
        ortp__allocator *allocator = runtime->allocators;
        runtime->allocators = allocator->next;
        ortp__meta_free(runtime->budget, &runtime->alloc, allocator, sizeof *allocator);
    }
}
