/* SPDX-License-Identifier: MIT */
/*
 * Statistics: one list of figures makes the struct, the table and the JSON. Pools, encoder caches, tensor
 * pools, runtimes with their sessions, models and predictors report to the budget that they charge, from
 * their creation to their destruction. One call collects all of it.
 *
 *     ortp_stats s = ORTP_STATS_INIT;
 *     ortp_stats_collect(runtime, &s);
 *     ortp_stats_write(&s, ORTP_STATS_TABLE, text, sizeof text, NULL);
 *
 * At a quiet point  in_use_* summed + idle + metadata == mapped  and  mapped + declared == charged, unless
 * the application itself charges the accounts of blocks or metadata. While others work, the figures are of
 * slightly different moments.
 *
 * idle is what nobody holds: free blocks, and the blocks of idle tensors. (ortp_pool_get_info() counts the
 * latter as in use, with the label of their last use.)
 *
 * Counters of an object that is destroyed leave the statistics with it. Runs and ORT's allocations stay:
 * their runtime counts those of all its sessions, destroyed ones included.
 */
#ifndef ORTPOOL_STATS_H
#define ORTPOOL_STATS_H

#include <ortpool/budget.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows that stand together. MEMORY is always shown, another group where such an object reports. */
typedef enum ortp_stats_group {
    ORTP_STATS_MEMORY = 0,         /* budget, pools, process */
    ORTP_STATS_RUNTIME = 1 << 0,   /* a runtime: tensors, runs, what ORT allocated */
    ORTP_STATS_CACHE = 1 << 1,     /* an encoder cache */
    ORTP_STATS_MODEL = 1 << 2,     /* an encoder-decoder model */
    ORTP_STATS_PREDICTOR = 1 << 3, /* a predictor */
} ortp_stats_group;

/* BYTES(group, name, text), COUNT(group, name, text): gauges in bytes and counters, in the order they are
 * shown. outside_bytes is a counter, too: it only grows. */
#define ORTP_STATS_MAP(BYTES, COUNT)                                                               \
    BYTES(MEMORY, limit, "budget limit")                                                           \
    BYTES(MEMORY, charged, "charged: mapped + declared")                                           \
    BYTES(MEMORY, charged_peak, "charged, peak")                                                   \
    BYTES(MEMORY, mapped, "mapped by ortpool")                                                     \
    BYTES(MEMORY, mapped_peak, "mapped, peak")                                                     \
    BYTES(MEMORY, in_use_tensors, "  in use: tensors")                                             \
    BYTES(MEMORY, in_use_decode, "  in use: decode")                                               \
    BYTES(MEMORY, in_use_cache, "  in use: cache")                                                 \
    BYTES(MEMORY, in_use_run, "  in use: run")                                                     \
    BYTES(MEMORY, in_use_weights, "  in use: weights")                                             \
    BYTES(MEMORY, in_use_other, "  in use: other")                                                 \
    BYTES(MEMORY, idle, "  idle")                                                                  \
    BYTES(MEMORY, metadata, "  metadata")                                                          \
    BYTES(MEMORY, declared, "declared (held by ONNX Runtime)")                                     \
    BYTES(MEMORY, process_anonymous, "process: anonymous")                                         \
    BYTES(MEMORY, process_file, "process: file-backed")                                            \
    BYTES(MEMORY, process_resident, "process: resident")                                           \
    COUNT(MEMORY, charges, "budget charges")                                                       \
    COUNT(MEMORY, denials, "budget denials")                                                       \
    COUNT(MEMORY, reclaims, "budget reclaims")                                                     \
    COUNT(MEMORY, block_acquires, "block acquires")                                                \
    COUNT(MEMORY, block_reuses, "block reuses")                                                    \
    COUNT(MEMORY, maps, "mappings taken")                                                          \
    COUNT(MEMORY, unmaps, "mappings given back")                                                   \
    COUNT(RUNTIME, tensor_acquires, "tensor acquires")                                             \
    COUNT(RUNTIME, tensor_reuses, "tensor reuses")                                                 \
    COUNT(RUNTIME, tensor_creates, "tensors created")                                              \
    BYTES(RUNTIME, overdraft, "held above the limit (overdraft)")                                  \
    COUNT(RUNTIME, runs, "session runs")                                                           \
    COUNT(RUNTIME, run_waits, "runs that waited for memory")                                       \
    COUNT(RUNTIME, runs_turned_away, "runs turned away before ORT")                                \
    COUNT(RUNTIME, ort_allocations, "allocations served to ORT")                                   \
    COUNT(RUNTIME, ort_overflows, "  of these in blocks of their own")                              \
    COUNT(RUNTIME, ort_refusals, "allocations refused to ORT")                                     \
    COUNT(RUNTIME, outside_allocations, "allocations outside of session runs")                     \
    BYTES(RUNTIME, outside_bytes, "  bytes that these asked for")                                  \
    COUNT(CACHE, cache_hits, "encoder cache hits")                                                 \
    COUNT(CACHE, cache_misses, "encoder cache misses")                                             \
    COUNT(CACHE, cache_evictions, "encoder cache evictions")                                       \
    COUNT(MODEL, encoder_runs, "encoder runs")                                                     \
    COUNT(MODEL, decoder_runs, "decoder runs")                                                     \
    COUNT(PREDICTOR, predictions, "predictions")                                                   \
    COUNT(PREDICTOR, failures, "failed predictions")

typedef struct ortp_stats {
    size_t struct_size;
    uint64_t groups; /* of ortp_stats_group: what reported, hence which rows are shown */
#define ORTP_STATS_FIELD(group, name, text) uint64_t name;
    ORTP_STATS_MAP(ORTP_STATS_FIELD, ORTP_STATS_FIELD)
#undef ORTP_STATS_FIELD
} ortp_stats;
#define ORTP_STATS_INIT ORTP_STRUCT_INIT(ortp_stats)

/*
 * Sets *stats to the figures of everything that charges `budget`, and of the process; those of the process
 * are 0 where the system does not say. What several runtimes do with one budget is in one sum. Makes no
 * allocation. Fields beyond stats->struct_size are not written. Errors: INVAL (NULL), VERSION (struct_size
 * too small); *stats is as it was. Thread-safe: yes; objects may be in use, created and destroyed
 * meanwhile, but the budget must stay.
 */
ORTP_API ortp_status ortp_stats_collect_budget(const ortp_budget *budget, ortp_stats *stats);
/* ortp_stats_collect(runtime, stats), for applications with a runtime, is declared in runtime.h. */

typedef enum ortp_stats_format {
    ORTP_STATS_TABLE =
        0, /* text lines, "name  value", sizes in KiB; a limit of ORTP_UNLIMITED: "none" */
    ORTP_STATS_JSON = 1, /* one object on one line, sizes in bytes; unlimited: null */
} ortp_stats_format;

/*
 * Writes at most `capacity` bytes including the final 0. *length (may be NULL): the bytes needed
 * without it, as snprintf. Rows of groups that are not in stats->groups are left out. Errors: INVAL for an
 * unknown format. Makes no allocation. Thread-safe: yes, while nobody changes `stats`.
 */
ORTP_API ortp_status ortp_stats_write(const ortp_stats *stats, ortp_stats_format format, char *text,
                                      size_t capacity, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
