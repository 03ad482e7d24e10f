/* SPDX-License-Identifier: MIT */
/*
 * The memory budget: one account of every byte, one limit that holds at every instant.
 *
 *     charged == blocks + metadata + declared <= limit        after every successful charge
 *     mapped  == blocks + metadata
 *
 * blocks: pages mapped for the blocks of pools. metadata: control structures, at their own size.
 * declared: memory that others hold on our behalf and that no allocator of ours sees, above all the
 * weights that ONNX Runtime keeps. The one way to exceed the limit is to lower it below what is
 * charged (ortp_budget_set_limit): then no charge succeeds until refunds bring it back under.
 *
 * A charge that does not fit asks the reclaimers to give idle memory back, outside all locks, and
 * tries again; it is denied only when a whole round of reclaiming gave nothing back (or at once when
 * it alone is larger than the limit). What reclaimers of blocks gave back is what was refunded, not
 * what they report; the later levels, whose blocks others unmap, are asked a bounded number of times.
 */
#ifndef ORTPOOL_BUDGET_H
#define ORTPOOL_BUDGET_H

#include <ortpool/log.h>
#include <ortpool/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_budget ortp_budget;

#define ORTP_UNLIMITED SIZE_MAX

typedef enum ortp_account {
    ORTP_ACCOUNT_BLOCKS = 0,
    ORTP_ACCOUNT_METADATA = 1,
    ORTP_ACCOUNT_DECLARED = 2,
} ortp_account;
#define ORTP_ACCOUNT_COUNT 3

/*
 * How far a charge may go to make room, in the order in which reclaimers are asked. Each level
 * includes those before it. Inside a run of ONNX Runtime only BLOCKS is allowed: the later levels
 * call ONNX Runtime back.
 */
typedef enum ortp_reclaim {
    ORTP_RECLAIM_NONE = 0,    /* deny at once */
    ORTP_RECLAIM_BLOCKS = 1,  /* idle blocks of pools */
    ORTP_RECLAIM_TENSORS = 2, /* idle tensors (their blocks become idle) */
    ORTP_RECLAIM_CACHE = 3,   /* cache entries that nobody leases */
} ortp_reclaim;

typedef struct ortp_budget_options {
    size_t struct_size;
    size_t limit_bytes; /* 0: ORTP_UNLIMITED; (size_t)2 << 30, since 2 << 30 overflows an int */
    ortp_alloc alloc;
    ortp_logger log; /* denials at WARNING, reclaims at DEBUG */
} ortp_budget_options;
#define ORTP_BUDGET_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_budget_options)

/*
 * The budget charges its own struct under metadata. Errors: NOMEM, SYS (no lock), BUDGET (the limit is below the
 * struct itself), INVAL, VERSION. options NULL: no limit, all defaults. Ownership: the caller destroys
 * it, after everything that uses it. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_budget_create(const ortp_budget_options *options,
                                                   ortp_budget **out, ortp_error *error);
/*
 * ORTP_E_BUSY, and nothing freed, while anything but its own struct is charged (error then says how
 * much of each account) or reclaimers are registered. Thread-safe: no, nobody else may be using it.
 */
ORTP_API ortp_status ortp_budget_destroy(ortp_budget *budget, ortp_error *error);

/*
 * Charges `bytes` or changes nothing. Errors: BUDGET (does not fit after reclaiming up to `reclaim`;
 * counted as a denial), INVAL (the sum would overflow). 0 bytes always succeed. Thread-safe: yes;
 * not under a lock that a reclaimer takes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_budget_charge(ortp_budget *budget, ortp_account account,
                                                   size_t bytes, ortp_reclaim reclaim);
/* ORTP_E_INVAL, and nothing changed, for more than the account holds. Thread-safe: yes. */
ORTP_API ortp_status ortp_budget_refund(ortp_budget *budget, ortp_account account, size_t bytes);

/*
 * Sets the limit at once; 0 is a limit of no bytes, ORTP_UNLIMITED removes it. When more is charged,
 * all reclaimers are asked; if the rest still does not fit the limit stands all the same and
 * ORTP_E_BUSY comes back with *excess_bytes, what is charged above it (excess_bytes may be NULL;
 * 0 with ORTP_OK). Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_budget_set_limit(ortp_budget *budget, size_t limit_bytes,
                                                      size_t *excess_bytes);

/* Charged over limit, 0 to 1 (1 where the limit is 0; 0 without a limit). Thread-safe: yes. */
ORTP_API double ortp_budget_usage(const ortp_budget *budget);

typedef struct ortp_budget_info {
    size_t struct_size;
    size_t limit_bytes; /* ORTP_UNLIMITED without a limit */
    size_t charged_bytes;
    size_t peak_bytes; /* the largest charged ever, or since ortp_budget_reset_peaks() */
    size_t account_bytes[ORTP_ACCOUNT_COUNT];
    size_t mapped_bytes;      /* blocks + metadata */
    size_t mapped_peak_bytes; /* the largest mapped, likewise */
    uint64_t charges;
    uint64_t denials;
    uint64_t reclaims;        /* calls of reclaimers that gave something back */
    uint64_t refund_errors;   /* over-refunds refused: always a bug of the caller */
    uint64_t reclaimed_bytes; /* as the reclaimers reported */
} ortp_budget_info;
#define ORTP_BUDGET_INFO_INIT ORTP_STRUCT_INIT(ortp_budget_info)

/* One consistent snapshot. Errors: VERSION, INVAL (NULL), as all functions of this name. Thread-safe: yes. */
ORTP_API ortp_status ortp_budget_get_info(const ortp_budget *budget, ortp_budget_info *out);
/*
 * Both peaks begin again from what is held now: what a phase takes, after another that took more.
 * Thread-safe: yes.
 */
ORTP_API void ortp_budget_reset_peaks(ortp_budget *budget);

/*
 * Gives idle memory back: about `bytes_wanted` (ORTP_UNLIMITED: all that is idle). Returns the bytes
 * given back by its level (a cache entry counts when it is evicted, its block when unmapped). Runs
 * on any thread, outside all locks of the library, several at a time. Must not charge this budget
 * with ORTP_RECLAIM_BLOCKS or above.
 */
typedef size_t (*ortp_reclaim_fn)(void *ctx, size_t bytes_wanted);

typedef struct ortp_reclaimer ortp_reclaimer;

/* level: when it is asked. Errors: NOMEM, BUDGET, INVAL. Thread-safe: yes. */
ORTP_API ORTP_CHECK ortp_status ortp_budget_add_reclaimer(ortp_budget *budget, ortp_reclaim level,
                                                          ortp_reclaim_fn fn, void *ctx,
                                                          ortp_reclaimer **out);
/*
 * Waits until no call of it is running; after that it is never called again. NULL is a no-op. Not
 * from inside the reclaimer itself. Thread-safe: yes.
 */
ORTP_API void ortp_budget_remove_reclaimer(ortp_budget *budget, ortp_reclaimer *reclaimer);

/* Asks the reclaimers up to `level` for `bytes`; returns what left the account. Thread-safe: yes. */
ORTP_API size_t ortp_budget_reclaim(ortp_budget *budget, ortp_reclaim level, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
