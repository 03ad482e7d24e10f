/* SPDX-License-Identifier: MIT */
/*
 * The encoder cache: a short list in order of use, searched by hash, confirmed by comparison.
 *
 *     first (most recently used) <-> ... <-> last      entries of the table
 *     free handles                                     each entry is in one of the two,
 *     neither                                          or evicted and still leased
 *
 *     in_table || leases > 0   <=>   the entry owns a value and a key
 *
 * A lease is a pointer to its entry, counted in it. Whatever calls out (the pool's charge for a key,
 * an attachment's destructor, the allocator) runs without the lock: entries to dispose of are taken
 * out under the lock, put on a local list and disposed of after it.
 */
#include "internal.h"
#include "reporter.h"

#include <ortpool/encoder_cache.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <assert.h>
#include <string.h>

#define ENTRIES_DEFAULT 4u
#define ENTRIES_MAX 65536u
#define STALE_MS_DEFAULT 5000u
#define SPARE_DEFAULT 4u

struct ortp_lease {
    ortp_cache *cache;
    ortp_lease *newer, *older; /* table; `older` also links free handles and local lists */
    XXH128_hash_t hash;
    uint64_t model_id;
    ortp_block *key;
    size_t key_bytes;
    ortp_cache_value value;
    uint64_t put_ms;
    size_t leases;
    bool in_table;
    bool own_allocation; /* a handle made when the first ones ran out */
};

struct ortp_cache {
    ortp_pool *pool;
    ortp_alloc alloc;
    ortp_clock clock;
    ortp_logger log;
    size_t entries_max;
    uint64_t stale_ms;
    bool disabled;
    ortp_reclaimer *reclaimer;
    ortp__reporter reporter;

    ortp__mutex lock;         /* guards all below and the entries, but values of leased ones */
    ortp_lease *first, *last; /* table, by use */
    ortp_lease *free_handles;
    size_t disposing; /* calls that evicted or released the last and touch the cache yet */
    ortp_cache_info info;
    size_t handle_count; /* of `handles` */
    ortp_lease handles[];
};

static size_t cache_struct_bytes(size_t handle_count)
{
    return sizeof(ortp_cache) + handle_count * sizeof(ortp_lease);
}

/* ---- keys ---- */

static bool key_valid(const ortp_cache_key *key, size_t *bytes)
{
    if (key == NULL || key->part_count == 0 || key->part_count > ORTP__COUNT(key->parts)) {
        return false;
    }
    size_t total = 0;
    for (size_t i = 0; i < key->part_count; i++) {
        if (key->part_bytes[i] > SIZE_MAX - total ||
            (key->parts[i] == NULL && key->part_bytes[i] > 0)) {
            return false;
        }
        total += key->part_bytes[i];
    }
    *bytes = total;
    return total > 0;
}

/* Of the joined bytes: where the parts were cut does not matter. */
static XXH128_hash_t key_hash(const ortp_cache_key *key)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state); /* reset reads the seed that was there */
    (void)XXH3_128bits_reset_withSeed(&state, key->model_id);
    for (size_t i = 0; i < key->part_count; i++) {
        if (key->part_bytes[i] > 0) {
            (void)XXH3_128bits_update(&state, key->parts[i], key->part_bytes[i]);
        }
    }
    return XXH3_128bits_digest(&state);
}

static void key_copy(const ortp_cache_key *key, ortp_block *block)
{
    unsigned char *to = ortp_block_data(block);
    for (size_t i = 0; i < key->part_count; i++) {
        if (key->part_bytes[i] > 0) {
            memcpy(to, key->parts[i], key->part_bytes[i]);
            to += key->part_bytes[i];
        }
    }
}

static bool key_equals(const ortp_lease *entry, const ortp_cache_key *key, size_t bytes,
                       XXH128_hash_t hash)
{
    if (XXH128_isEqual(entry->hash, hash) == 0 || entry->model_id != key->model_id ||
        entry->key_bytes != bytes) {
        return false;
    }
    const unsigned char *at = ortp_block_data(entry->key);
    for (size_t i = 0; i < key->part_count; i++) {
        if (key->part_bytes[i] > 0 && memcmp(at, key->parts[i], key->part_bytes[i]) != 0) {
            return false;
        }
        at += key->part_bytes[i];
    }
    return true;
}

/* ---- values ---- */

static size_t value_bytes(const ortp_cache_value *value)
{
    size_t bytes = value->attachment_bytes;
    for (size_t i = 0; i < value->block_count; i++) {
        bytes += ortp_block_bytes(value->blocks[i]);
    }
    return bytes;
}

/* Under no lock. */
static void value_dispose(const ortp_cache_value *value)
{
    if (value->attachment_free != NULL) {
        value->attachment_free(value->attachment);
    }
    for (size_t i = 0; i < value->block_count; i++) {
        (void)ortp_block_release(value->blocks[i]);
    }
}

/* All blocks to label cache, or none. */
static ortp_status value_adopt(const ortp_cache_value *value)
{
    ortp_label labels[ORTP_CACHE_BLOCKS_MAX];
    for (size_t i = 0; i < value->block_count; i++) {
        labels[i] = ortp_block_label(value->blocks[i]);
        if (ortp_block_relabel(value->blocks[i], ORTP_LABEL_CACHE) != ORTP_OK) {
            while (i-- > 0) {
                (void)ortp_block_relabel(value->blocks[i], labels[i]);
            }
            return ORTP_E_INVAL;
        }
    }
    return ORTP_OK;
}

/* ---- the table; all under the lock ---- */

static void table_unlink_locked(ortp_cache *cache, ortp_lease *entry)
{
    ortp__assert_held(&cache->lock);
    if (entry->newer != NULL) {
        entry->newer->older = entry->older;
    } else {
        cache->first = entry->older;
    }
    if (entry->older != NULL) {
        entry->older->newer = entry->newer;
    } else {
        cache->last = entry->newer;
    }
    entry->newer = entry->older = NULL;
}

static void table_push_locked(ortp_cache *cache, ortp_lease *entry)
{
    ortp__assert_held(&cache->lock);
    entry->newer = NULL;
    entry->older = cache->first;
    if (cache->first != NULL) {
        cache->first->newer = entry;
    } else {
        cache->last = entry;
    }
    cache->first = entry;
}

static ortp_lease *table_find_locked(ortp_cache *cache, const ortp_cache_key *key, size_t bytes,
                                     XXH128_hash_t hash)
{
    ortp__assert_held(&cache->lock);
    for (ortp_lease *entry = cache->first; entry != NULL; entry = entry->older) {
        if (key_equals(entry, key, bytes, hash)) {
            return entry;
        }
    }
    return NULL;
}

static bool is_stale(const ortp_cache *cache, const ortp_lease *entry, uint64_t now_ms)
{
    return now_ms > entry->put_ms && now_ms - entry->put_ms > cache->stale_ms;
}

static void lease_locked(ortp_cache *cache, ortp_lease *entry)
{
    ortp__assert_held(&cache->lock);
    if (entry->leases++ == 0) {
        cache->info.leased++;
    }
}

/* Takes an entry out of the table; onto `gone` unless a lease keeps it alive. */
static void evict_locked(ortp_cache *cache, ortp_lease *entry, bool stale, ortp_lease **gone)
{
    ortp__assert_held(&cache->lock);
    assert(entry->in_table);
    table_unlink_locked(cache, entry);
    entry->in_table = false;
    cache->info.entries--;
    cache->info.value_bytes -= value_bytes(&entry->value);
    if (stale) {
        cache->info.stale++;
    } else {
        cache->info.evictions++;
    }
    if (entry->leases > 0) {
        cache->info.evicted_leased++;
        return;
    }
    entry->older = *gone;
    *gone = entry;
}

/* Under no lock. */
static void dispose_values(ortp_lease *gone)
{
    for (ortp_lease *entry = gone; entry != NULL; entry = entry->older) {
        value_dispose(&entry->value);
        (void)ortp_block_release(entry->key);
        entry->value = (ortp_cache_value){0};
        entry->key = NULL;
    }
}

static void handles_give_locked(ortp_cache *cache, ortp_lease *handles)
{
    ortp__assert_held(&cache->lock);
    while (handles != NULL) {
        ortp_lease *handle = handles;
        handles = handle->older;
        handle->older = cache->free_handles;
        cache->free_handles = handle;
    }
}

/*
 * Gives the lock back and disposes of what evict_locked() collected. Counted, since the entries are
 * no longer leased nor in the table when a destructor runs: destroy must not take the cache away.
 */
static void unlock_and_dispose(ortp_cache *cache, ortp_lease *gone)
{
    ortp__assert_held(&cache->lock);
    if (gone != NULL) {
        cache->disposing++;
    }
    ortp__unlock(&cache->lock);
    if (gone == NULL) {
        return;
    }
    dispose_values(gone);
    ortp__lock(&cache->lock);
    handles_give_locked(cache, gone);
    cache->disposing--;
    ortp__unlock(&cache->lock);
}

/* ---- handles ---- */

/* A handle that is in no list. Under no lock. Errors: NOMEM, BUDGET. */
static ortp_status handle_take(ortp_cache *cache, ortp_lease **out)
{
    ortp__lock(&cache->lock);
    ortp_lease *handle = cache->free_handles;
    if (handle != NULL) {
        cache->free_handles = handle->older;
        handle->older = NULL;
    }
    ortp__unlock(&cache->lock);
    *out = handle;
    if (handle != NULL) {
        return ORTP_OK;
    }
    void *memory;
    ortp_status status = ortp__meta_alloc(ortp_pool_budget(cache->pool), &cache->alloc,
                                          sizeof(ortp_lease), ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return status;
    }
    handle = memory;
    handle->cache = cache;
    handle->own_allocation = true;
    *out = handle;
    return ORTP_OK;
}

static void handle_give(ortp_cache *cache, ortp_lease *handle)
{
    ortp__lock(&cache->lock);
    handles_give_locked(cache, handle);
    ortp__unlock(&cache->lock);
}

/* ---- life ---- */

/* Level CACHE: entries that nobody leases, least recently used first. */
static size_t reclaim_entries(void *ctx, size_t bytes_wanted)
{
    ortp_cache *cache = ctx;
    size_t given = 0;
    ortp_lease *gone = NULL;
    ortp__lock(&cache->lock);
    for (ortp_lease *entry = cache->last; entry != NULL && given < bytes_wanted;) {
        ortp_lease *newer = entry->newer;
        if (entry->leases == 0) {
            given += value_bytes(&entry->value) + ortp_block_bytes(entry->key);
            evict_locked(cache, entry, false, &gone);
        }
        entry = newer;
    }
    ortp__unlock(&cache->lock);
    /* Not counted: destroy waits for running reclaimers, and must not be refused because of one. */
    dispose_values(gone);
    ortp__lock(&cache->lock);
    handles_give_locked(cache, gone);
    ortp__unlock(&cache->lock);
    return given;
}

static void report(const void *object, ortp__figures *figures)
{
    ortp_cache_info info = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(object, &info);
    figures->stats.groups |= ORTP_STATS_CACHE;
    figures->stats.cache_hits += info.hits;
    figures->stats.cache_misses += info.misses;
    figures->stats.cache_evictions += info.evictions + info.stale;
}

ortp_status ortp_cache_create(const ortp_cache_options *options, ortp_cache **out,
                              ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "cache: out is NULL");
    }
    *out = NULL;
    ortp_cache_options o;
    ortp_status status = ortp__options_copy(&o, sizeof o, options);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "cache: " ORTP__OTHER_VERSION);
    }
    if (o.entries_max == 0) {
        o.entries_max = ENTRIES_DEFAULT;
    }
    if (o.spare_entries == 0) {
        o.spare_entries = SPARE_DEFAULT;
    }
    if (o.pool == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "cache: options.pool is required");
    }
    if (o.entries_max > ENTRIES_MAX || o.spare_entries > ENTRIES_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "cache: found %zu entries and %zu spare ones, expected at most %zu each",
                          o.entries_max, o.spare_entries, (size_t)ENTRIES_MAX);
    }
    ortp_alloc alloc;
    status = ortp__alloc_resolve(&o.alloc, &alloc);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "cache: options.alloc needs both functions or none");
    }
    ortp_budget *budget = ortp_pool_budget(o.pool);
    size_t handle_count = o.entries_max + o.spare_entries;
    void *memory;
    status = ortp__meta_alloc(budget, &alloc, cache_struct_bytes(handle_count), ORTP_RECLAIM_CACHE,
                              &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "cache: no room for %zu bytes of control structures: %s",
                          cache_struct_bytes(handle_count), ortp_status_text(status));
    }
    ortp_cache *cache = memory;
    cache->pool = o.pool;
    cache->alloc = alloc;
    cache->clock = o.clock;
    cache->log = o.log;
    cache->entries_max = o.entries_max;
    cache->stale_ms = o.stale_ms == 0 ? STALE_MS_DEFAULT : o.stale_ms;
    cache->disabled = o.disabled;
    cache->handle_count = handle_count;
    for (size_t i = handle_count; i-- > 0;) {
        cache->handles[i].cache = cache;
        cache->handles[i].older = cache->free_handles;
        cache->free_handles = &cache->handles[i];
    }
    if (!ortp__mutex_init(&cache->lock, ORTP_RANK_CACHE)) {
        status = ortp__fail(error, ORTP_E_SYS, "cache: the system refused a lock");
        goto fail_struct;
    }
    status = ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_CACHE, reclaim_entries, cache,
                                       &cache->reclaimer);
    if (status != ORTP_OK) {
        status = ortp__fail(error, status, "cache: no room for its reclaimer: %s",
                            ortp_status_text(status));
        goto fail_lock;
    }
    ortp__reporter_join(budget, &cache->reporter, report, cache);
    *out = cache;
    return ORTP_OK;

fail_lock:
    ortp__mutex_destroy(&cache->lock);
fail_struct:
    ortp__meta_free(budget, &alloc, cache, cache_struct_bytes(handle_count));
    return status;
}

ortp_status ortp_cache_destroy(ortp_cache *cache, ortp_error *error)
{
    if (cache == NULL) {
        return ORTP_OK;
    }
    (void)reclaim_entries(cache, SIZE_MAX);
    ortp__lock(&cache->lock);
    const size_t leased = cache->info.leased;
    const bool disposing = cache->disposing > 0;
    ortp__unlock(&cache->lock);
    if (leased > 0) {
        return ortp__fail(error, ORTP_E_BUSY, "cache: %zu entries are leased", leased);
    }
    if (disposing) {
        return ortp__fail(error, ORTP_E_BUSY, "cache: values are being disposed of at this moment");
    }
    ortp_budget *budget = ortp_pool_budget(cache->pool);
    ortp_alloc alloc = cache->alloc;
    ortp__reporter_leave(budget, &cache->reporter);
    ortp_budget_remove_reclaimer(budget, cache->reclaimer);
    for (ortp_lease *handle = cache->free_handles; handle != NULL;) {
        ortp_lease *next = handle->older;
        if (handle->own_allocation) {
            ortp__meta_free(budget, &alloc, handle, sizeof *handle);
        }
        handle = next;
    }
    ortp__mutex_destroy(&cache->lock);
    ortp__meta_free(budget, &alloc, cache, cache_struct_bytes(cache->handle_count));
    return ORTP_OK;
}

/* ---- get and put ---- */

/* The fresh entry of the key, leased and moved to the front; a stale one is evicted. */
static ortp_lease *hit_locked(ortp_cache *cache, const ortp_cache_key *key, size_t bytes,
                              XXH128_hash_t hash, uint64_t now_ms, ortp_lease **gone)
{
    ortp_lease *entry = table_find_locked(cache, key, bytes, hash);
    if (entry != NULL && is_stale(cache, entry, now_ms)) {
        evict_locked(cache, entry, true, gone);
        return NULL;
    }
    if (entry != NULL) {
        table_unlink_locked(cache, entry);
        table_push_locked(cache, entry);
        lease_locked(cache, entry);
    }
    return entry;
}

ortp_status ortp_cache_get(ortp_cache *cache, const ortp_cache_key *key, ortp_lease **lease)
{
    if (lease == NULL) {
        return ORTP_E_INVAL;
    }
    *lease = NULL;
    size_t bytes;
    if (cache == NULL || !key_valid(key, &bytes)) {
        return ORTP_E_INVAL;
    }
    XXH128_hash_t hash = {0, 0};
    uint64_t now_ms = 0;
    if (!cache->disabled) {
        hash = key_hash(key);
        now_ms = ortp__clock_ms(&cache->clock);
    }
    ortp_lease *gone = NULL;
    ortp__lock(&cache->lock);
    *lease = cache->disabled ? NULL : hit_locked(cache, key, bytes, hash, now_ms, &gone);
    if (*lease != NULL) {
        cache->info.hits++;
    } else {
        cache->info.misses++;
    }
    unlock_and_dispose(cache, gone);
    return ORTP_OK;
}

static bool value_valid(const ortp_cache_value *value)
{
    if (value == NULL || value->block_count > ORTP_CACHE_BLOCKS_MAX) {
        return false;
    }
    for (size_t i = 0; i < value->block_count; i++) {
        if (value->blocks[i] == NULL) {
            return false;
        }
    }
    return true;
}

static ortp_status decline(ortp_cache *cache, ortp_status status)
{
    ortp__lock(&cache->lock);
    cache->info.declined++;
    ortp__unlock(&cache->lock);
    ortp__log(&cache->log, ORTP_LOG_DEBUG, "encoder cache: put declined: %s",
              ortp_status_text(status));
    return status;
}

/* A handle with a copy of the key: all that a put can lack, taken before anything changes. */
static ortp_status prepare(ortp_cache *cache, const ortp_cache_key *key, size_t bytes,
                           ortp_lease **out)
{
    ortp_lease *entry;
    ortp_status status = handle_take(cache, &entry);
    if (status != ORTP_OK) {
        return status;
    }
    status = ortp_pool_acquire_within(cache->pool, bytes, ORTP_LABEL_CACHE, ORTP_RECLAIM_CACHE,
                                      &entry->key);
    if (status != ORTP_OK) {
        handle_give(cache, entry);
        return status;
    }
    key_copy(key, entry->key);
    entry->model_id = key->model_id;
    entry->key_bytes = bytes;
    *out = entry;
    return ORTP_OK;
}

static void insert_locked(ortp_cache *cache, ortp_lease *entry, ortp_lease **gone)
{
    ortp__assert_held(&cache->lock);
    while (cache->info.entries >= cache->entries_max) {
        evict_locked(cache, cache->last, false, gone);
    }
    entry->in_table = true;
    entry->leases = 0;
    table_push_locked(cache, entry);
    lease_locked(cache, entry);
    cache->info.entries++;
    cache->info.puts++;
    cache->info.value_bytes += value_bytes(&entry->value);
}

ortp_status ortp_cache_put(ortp_cache *cache, const ortp_cache_key *key,
                           const ortp_cache_value *value, ortp_lease **lease)
{
    if (lease == NULL) {
        return ORTP_E_INVAL;
    }
    *lease = NULL;
    size_t bytes;
    if (cache == NULL || !key_valid(key, &bytes) || !value_valid(value)) {
        return ORTP_E_INVAL;
    }
    if (cache->disabled) {
        return decline(cache, ORTP_E_AGAIN);
    }
    ortp_lease *entry;
    ortp_status status = prepare(cache, key, bytes, &entry);
    if (status != ORTP_OK) {
        return decline(cache, status);
    }
    status = value_adopt(value);
    if (status != ORTP_OK) {
        (void)ortp_block_release(entry->key);
        entry->key = NULL;
        handle_give(cache, entry);
        return decline(cache, status);
    }
    entry->hash = key_hash(key);
    entry->value = *value;
    entry->put_ms = ortp__clock_ms(&cache->clock);

    ortp_lease *gone = NULL;
    ortp__lock(&cache->lock);
    ortp_lease *there = hit_locked(cache, key, bytes, entry->hash, entry->put_ms, &gone);
    if (there != NULL) {
        cache->info.reputs++;
        entry->older = gone; /* never in the table: disposed of with its key and the given value */
        gone = entry;
        entry = there;
    } else {
        insert_locked(cache, entry, &gone);
    }
    unlock_and_dispose(cache, gone);
    *lease = entry;
    return ORTP_OK;
}

/* ---- leases ---- */

const ortp_cache_value *ortp_lease_value(const ortp_lease *lease)
{
    return &lease->value;
}

void ortp_lease_release(ortp_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    ortp_cache *cache = lease->cache;
    ortp_lease *gone = NULL;
    ortp__lock(&cache->lock);
    /* One release too many finds no lease, as long as nobody else holds one of the same entry. */
    if (lease->leases > 0 && --lease->leases == 0) {
        cache->info.leased--;
        if (!lease->in_table) {
            cache->info.evicted_leased--;
            lease->older = NULL;
            gone = lease;
        }
    }
    unlock_and_dispose(cache, gone);
}

/* ---- eviction on demand ---- */

static size_t evict_all(ortp_cache *cache, bool stale_only, uint64_t now_ms)
{
    size_t count = 0;
    ortp_lease *gone = NULL;
    ortp__lock(&cache->lock);
    for (ortp_lease *entry = cache->last; entry != NULL;) {
        ortp_lease *newer = entry->newer;
        if (!stale_only || is_stale(cache, entry, now_ms)) {
            evict_locked(cache, entry, stale_only, &gone);
            count++;
        }
        entry = newer;
    }
    unlock_and_dispose(cache, gone);
    return count;
}

size_t ortp_cache_evict_stale(ortp_cache *cache)
{
    return evict_all(cache, true, ortp__clock_ms(&cache->clock));
}

size_t ortp_cache_clear(ortp_cache *cache)
{
    return evict_all(cache, false, 0);
}

ortp_status ortp_cache_get_info(const ortp_cache *cache, ortp_cache_info *out)
{
    if (cache == NULL) {
        return ORTP_E_INVAL;
    }
    ortp_cache *c = (ortp_cache *)cache; /* its lock is taken */
    ortp__lock(&c->lock);
    const ortp_cache_info info = c->info;
    ortp__unlock(&c->lock);
    return ortp__out_fill(out, &info, sizeof info);
}
