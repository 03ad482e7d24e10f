/* SPDX-License-Identifier: MIT */
/*
 * The encoder cache: keeps the last encoder outputs, keyed by the exact bytes fed to the encoder.
 *
 * A hit is exact: the hash finds the entry, a full comparison of model id and key bytes confirms
 * it. An entry is counted: the table holds one reference, each lease one more; eviction, staleness
 * and clear() drop the table's reference only, so a leased value never goes away. It needs no ONNX
 * Runtime: values are blocks, plus one opaque attachment (the runtime keeps its OrtValues there).
 *
 * States of an entry:   cached, idle  <-->  cached, leased  -->  evicted, leased  -->  gone
 */
#ifndef ORTPOOL_ENCODER_CACHE_H
#define ORTPOOL_ENCODER_CACHE_H

#include <ortpool/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_cache ortp_cache;
typedef struct ortp_lease ortp_lease;

#define ORTP_CACHE_BLOCKS_MAX 8u
#define ORTP_CACHE_NEVER_STALE UINT64_MAX

typedef struct ortp_cache_options {
    size_t struct_size;
    ortp_pool *pool; /* required: keys live in its blocks (label cache); must outlive the cache */
    size_t entries_max; /* 0: 4 */
    uint64_t stale_ms;  /* an entry older than this since its put no longer hits; 0: 5000 */
    bool disabled;      /* get always misses, put always declines with ORTP_E_AGAIN */
    ortp_alloc alloc;
    ortp_clock clock;
    ortp_logger log;
    size_t
        spare_entries; /* entries that may live beyond the table, evicted under a lease or about to
                              go, before a put has to allocate one; 0: 4; at most 65536 */
} ortp_cache_options;
#define ORTP_CACHE_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_cache_options)

/*
 * Errors: NOMEM, SYS (no lock), BUDGET, INVAL (also options NULL: the pool is required), VERSION. Registers a
 * reclaimer of level ORTP_RECLAIM_CACHE. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_cache_create(const ortp_cache_options *options,
                                                  ortp_cache **out, ortp_error *error);
/*
 * ORTP_E_BUSY while leases are out (error then says how many), or while another thread that ended
 * one, or cleared, is still disposing of values; the rest is cleared, the cache stays
 * usable. Thread-safe: no, nobody may be calling get or put.
 */
ORTP_API ortp_status ortp_cache_destroy(ortp_cache *cache, ortp_error *error);

/* What is fed to the encoder: compared byte for byte. Parts are joined; borrowed for the call. */
typedef struct ortp_cache_key {
    uint64_t model_id;
    const void *parts[4];
    size_t part_bytes[4];
    size_t part_count; /* 1 to 4 */
} ortp_cache_key;

typedef struct ortp_cache_value {
    ortp_block *blocks[ORTP_CACHE_BLOCKS_MAX]; /* the encoder's outputs; relabelled to cache */
    size_t block_count;                        /* 0 where the attachment owns the memory */
    int32_t actual_length;
    void *attachment; /* may be NULL */
    void (*attachment_free)(
        void *attachment);   /* called once, before the blocks go, under no lock */
    size_t attachment_bytes; /* what eviction would give back, for reclaim */
} ortp_cache_value;

/*
 * *lease is NULL on a miss, which is no error. A hit moves the entry to the front; a stale entry is
 * evicted and misses. Makes no heap allocation. Errors: INVAL (empty key). Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_cache_get(ortp_cache *cache, const ortp_cache_key *key,
                                               ortp_lease **lease);
/*
 * Puts a value and leases it. On ORTP_OK the cache owns blocks and attachment; if the key is
 * already there its entry is leased and the given value is disposed of. On any error the caller
 * still owns the value: a put that declines is benign, use the value without the cache. The least
 * recently used entry is evicted where the cache is full. Errors: BUDGET, NOMEM (no room for the
 * key), AGAIN (disabled), INVAL. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_cache_put(ortp_cache *cache, const ortp_cache_key *key,
                                               const ortp_cache_value *value, ortp_lease **lease);

/* The value, unchanged while leased. Thread-safe: yes, for threads that hold the lease. */
ORTP_API const ortp_cache_value *ortp_lease_value(const ortp_lease *lease);
/* Ends the lease; the last one of an evicted entry frees it. NULL is a no-op. Thread-safe: yes. */
ORTP_API void ortp_lease_release(ortp_lease *lease);

/* Evicts entries older than stale_ms; returns how many. Thread-safe: yes. */
ORTP_API size_t ortp_cache_evict_stale(ortp_cache *cache);
/* Evicts all; returns how many. Leased values live on until their leases end. Thread-safe: yes. */
ORTP_API size_t ortp_cache_clear(ortp_cache *cache);

typedef struct ortp_cache_info {
    size_t struct_size;
    size_t entries;        /* in the table */
    size_t leased;         /* entries with at least one lease, evicted ones included */
    size_t evicted_leased; /* evicted but still leased */
    size_t value_bytes;    /* blocks and attachments of the entries in the table */
    uint64_t hits;
    uint64_t misses;
    uint64_t puts;   /* new entries */
    uint64_t reputs; /* puts that found their key */
    uint64_t declined;
    uint64_t evictions; /* by LRU, reclaim and clear */
    uint64_t stale;     /* evictions by age */
} ortp_cache_info;
#define ORTP_CACHE_INFO_INIT ORTP_STRUCT_INIT(ortp_cache_info)

/* Errors: VERSION, INVAL (NULL). Thread-safe: yes. */
ORTP_API ortp_status ortp_cache_get_info(const ortp_cache *cache, ortp_cache_info *out);

#ifdef __cplusplus
}
#endif
#endif
