/* SPDX-License-Identifier: MIT */
/*
 * The block pool: buffers for tensor data, mapped under a budget, reused without a system call.
 *
 * Small blocks (under 64 KiB) come from slabs of one size class; large blocks
 * have a mapping of their own. A block has at least the bytes asked for, is aligned to the pool's
 * alignment and is followed by at least ORTP_BLOCK_TAIL readable bytes (some kernels read past the
 * end). Contents are not zeroed.
 *
 * Two ways to share a pool among threads, chosen at creation:
 *   ORTP_POOL_THREAD_CACHED (option A): each thread keeps magazines of free small blocks, and a few
 *     large ones within its byte cap, over a striped depot. Trim, reclaim and a short budget empty
 *     the magazines of all threads, so that no idle block is out of reach for where it lies. A
 *     thread that ends gives its magazines back. A small block that lies in the thread's magazine
 *     is acquired, and one for which there is room released, without a lock, an atomic instruction
 *     or a look at the clock (where the kernel has membarrier(), Linux 4.14; else under a mutex).
 *   ORTP_POOL_STRIPED (option B): lock-striped depot only, no thread-local state.
 *
 * Slack: a slab is unmapped when all of its blocks are free. The free blocks of a slab that is
 * partly used are idle, and can be acquired for their size class; they cannot be given back,
 * neither by trim nor to a charge that is denied. It is less than a slab for each slab in use;
 * large blocks have none.
 *
 * Accounting, at any quiet point (no acquire, release or trim in progress):
 *     budget blocks account == sum over pools of (sum of in_use by label + idle)
 * in_use and idle are counted on their own, never derived from each other.
 *
 * Sources: magazines and depot, Bonwick and Adams, "Magazines and Vmem", USENIX 2001; slabs,
 * Bonwick,
 * "The Slab Allocator", USENIX 1994.
 */
#ifndef ORTPOOL_POOL_H
#define ORTPOOL_POOL_H

#include <ortpool/budget.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_pool ortp_pool;
typedef struct ortp_block ortp_block;

#define ORTP_BLOCK_TAIL 64u

/* X(name, text): what a block in use is for. */
#define ORTP_LABEL_MAP(X)                                                                          \
    X(TENSORS, "tensors")                                                                          \
    X(DECODE, "decode")                                                                            \
    X(CACHE, "cache")                                                                              \
    X(RUN, "run")                                                                                  \
    X(WEIGHTS, "weights")                                                                          \
    X(OTHER, "other")

typedef enum ortp_label {
#define ORTP_LABEL_ENUM(name, text) ORTP_LABEL_##name,
    ORTP_LABEL_MAP(ORTP_LABEL_ENUM)
#undef ORTP_LABEL_ENUM
        ORTP_LABEL_COUNT
} ortp_label;

/* "tensors", ...; "?" for an unknown value. Thread-safe: yes. */
ORTP_API const char *ortp_label_name(ortp_label label);

typedef enum ortp_pool_kind {
    ORTP_POOL_THREAD_CACHED = 0,
    ORTP_POOL_STRIPED = 1,
} ortp_pool_kind;

typedef struct ortp_pool_options {
    size_t struct_size;
    ortp_budget *budget; /* required; must outlive the pool */
    ortp_pool_kind kind;
    size_t alignment;          /* 64 (default), 128, 256, ... 4096: a power of two */
    size_t stripes;            /* 0: from the number of processors, 1 to 64 */
    size_t thread_cache_bytes; /* option A: cap of one thread's free blocks; 0: 1 MiB */
    bool huge_pages;           /* advise huge pages for mappings of 2 MiB and more */
    bool poison;               /* fill blocks with 0xDB on release (debugging) */
    ortp_alloc alloc;
    ortp_clock clock;
    ortp_logger log;
} ortp_pool_options;
#define ORTP_POOL_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_pool_options)

/*
 * Errors: NOMEM, BUDGET, INVAL (also options NULL: the budget is required), VERSION, SYS (thread
 * key). Maps no pages yet. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_pool_create(const ortp_pool_options *options, ortp_pool **out,
                                                 ortp_error *error);
/*
 * Unmaps everything. ORTP_E_BUSY, and the pool stays usable, while blocks are out (error then names
 * the label and size of one) or a release of one is still running on another thread. Option A:
 * threads that used the pool must have ended or be idle in it, not be ending at this moment.
 * Thread-safe: no, nobody else may be calling the pool.
 */
ORTP_API ortp_status ortp_pool_destroy(ortp_pool *pool, ortp_error *error);

/* The budget the pool charges. Thread-safe: yes. */
ORTP_API ortp_budget *ortp_pool_budget(const ortp_pool *pool);

/*
 * A block of at least `bytes` (0 gives the smallest block). reclaim: how far a denied charge may
 * go. Errors: BUDGET, NOMEM (the system refused a mapping), INVAL (too large to map, unknown
 * label). After ortp_pool_warm() for its size an acquire makes no system call and no heap
 * allocation (but a thread's first use of a pool of option A, which makes its cache;
 * ortp_pool_warm() is such a use). Ownership: the caller releases it, on any thread. Thread-safe:
 * yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_pool_acquire(ortp_pool *pool, size_t bytes, ortp_label label,
                                                  ortp_block **out);
ORTP_API ORTP_CHECK ortp_status ortp_pool_acquire_within(ortp_pool *pool, size_t bytes,
                                                         ortp_label label, ortp_reclaim reclaim,
                                                         ortp_block **out);
/*
 * NULL is a no-op. ORTP_E_INVAL for a block that is not out (released twice). That is best effort:
 * once a second release comes after the block was handed out again or its memory unmapped, it
 * cannot be told from a right one, nor can, with option A, the second of two at the same time on
 * two threads. Thread-safe: yes.
 */
ORTP_API ortp_status ortp_block_release(ortp_block *block);

/* First byte, aligned; usable bytes; label. The owner's thread only. */
ORTP_API void *ortp_block_data(const ortp_block *block);
ORTP_API size_t ortp_block_bytes(const ortp_block *block);
ORTP_API ortp_label ortp_block_label(const ortp_block *block);
/* Moves the block to another label of the ledger. The owner's thread only. */
ORTP_API ortp_status ortp_block_relabel(ortp_block *block, ortp_label label);

/* `count` blocks of `bytes` at the same time. */
typedef struct ortp_pool_need {
    size_t bytes;
    size_t count;
} ortp_pool_need;

/*
 * Makes sure that all needs could be acquired together without mapping, and that their pages are
 * present (MADV_POPULATE_WRITE, by touching where the kernel has none): blocks already idle count.
 * Errors as acquire; on failure what was warmed stays idle. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_pool_warm(ortp_pool *pool, const ortp_pool_need *needs,
                                               size_t need_count);
/*
 * The bytes ortp_pool_warm() would map for these needs in an empty pool; SIZE_MAX where that is
 * more than can be counted. pool NULL: a pool with default options. Thread-safe: yes.
 */
ORTP_API size_t ortp_pool_warm_bytes(const ortp_pool *pool, const ortp_pool_need *needs,
                                     size_t need_count);

/*
 * Unmaps idle memory that has not been used for `idle_ms`, least recently used first, until at most
 * `keep_bytes` are idle. Flushes the magazines of all threads. Small blocks of option A count as
 * used until they leave a magazine, by this call at the latest: one that lay there goes at the next
 * call that is idle_ms later. *freed_bytes (may be NULL): unmapped. Thread-safe: yes.
 */
ORTP_API ortp_status ortp_pool_trim(ortp_pool *pool, size_t keep_bytes, uint64_t idle_ms,
                                    size_t *freed_bytes);

typedef struct ortp_pool_info {
    size_t struct_size;
    ortp_pool_kind kind;
    size_t in_use_bytes
        [ORTP_LABEL_COUNT]; /* footprint: mapped bytes of the blocks, padding included */
    size_t in_use_blocks;
    size_t idle_bytes; /* free blocks in depot and magazines, and the ends of slabs */
    size_t idle_blocks;
    size_t cached_bytes; /* the part of idle_bytes in threads' magazines */
    uint64_t acquires;
    uint64_t releases;
    uint64_t reuses; /* acquires that took an idle block */
    uint64_t maps;   /* mappings taken from the system */
    uint64_t unmaps;
} ortp_pool_info;
#define ORTP_POOL_INFO_INIT ORTP_STRUCT_INIT(ortp_pool_info)

/* Walks the structures; exact at a quiet point. Errors: VERSION, INVAL (NULL). Thread-safe: yes. */
ORTP_API ortp_status ortp_pool_get_info(const ortp_pool *pool, ortp_pool_info *out);

#ifdef __cplusplus
}
#endif
#endif
