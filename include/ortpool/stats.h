/* SPDX-License-Identifier: MIT */
/*
 * Statistics: one list of figures, from which the struct, the table, the JSON and (later) other
 * forms are made. Collecting is additive: start from ORTP_STATS_INIT (fields beyond struct_size
 * are neither written nor read, so an all-zero struct stays empty) and add each object once.
 *
 *     ortp_stats s = ORTP_STATS_INIT;
 *     ortp_stats_add_budget(&s, budget);
 *     ortp_stats_add_pool(&s, pool);
 *     ortp_stats_add_process(&s);
 *     ortp_stats_write(&s, ORTP_STATS_TABLE, text, sizeof text, NULL);
 *
 * At a quiet point  in_use_* summed + idle + metadata == mapped  and  mapped + declared == charged,
 * where each pool that charges the budget was added, and nobody charges its accounts beside them.
 *
 * idle is what nobody holds: free blocks, and the blocks of idle tensors once their tensor pool was
 * added (ortp_stats_add_tensors, after its block pool). Before, these stand under in_use_*, with
 * the label of their last use, as in the block pool's own ledger.
 */
#ifndef ORTPOOL_STATS_H
#define ORTPOOL_STATS_H

#include <ortpool/encoder_cache.h>
#include <ortpool/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* BYTES(name, text), COUNT(name, text): gauges in bytes and counters, in the order they are shown. */
#define ORTP_STATS_MAP(BYTES, COUNT)                                                               \
    BYTES(limit, "budget limit")                                                                   \
    BYTES(charged, "charged: mapped + declared")                                                   \
    BYTES(charged_peak, "charged, peak")                                                           \
    BYTES(mapped, "mapped by ortpool")                                                             \
    BYTES(mapped_peak, "mapped, peak")                                                             \
    BYTES(in_use_tensors, "  in use: tensors")                                                     \
    BYTES(in_use_decode, "  in use: decode")                                                       \
    BYTES(in_use_cache, "  in use: cache")                                                         \
    BYTES(in_use_run, "  in use: run")                                                             \
    BYTES(in_use_weights, "  in use: weights")                                                     \
    BYTES(in_use_other, "  in use: other")                                                         \
    BYTES(idle, "  idle")                                                                          \
    BYTES(metadata, "  metadata")                                                                  \
    BYTES(declared, "declared (held by ONNX Runtime)")                                             \
    BYTES(process_anonymous, "process: anonymous")                                                 \
    BYTES(process_file, "process: file-backed")                                                    \
    BYTES(process_resident, "process: resident")                                                   \
    COUNT(charges, "budget charges")                                                               \
    COUNT(denials, "budget denials")                                                               \
    COUNT(reclaims, "budget reclaims")                                                             \
    COUNT(block_acquires, "block acquires")                                                        \
    COUNT(block_reuses, "block reuses")                                                            \
    COUNT(maps, "mappings taken")                                                                  \
    COUNT(unmaps, "mappings given back")                                                           \
    COUNT(tensor_acquires, "tensor acquires")                                                      \
    COUNT(tensor_reuses, "tensor reuses")                                                          \
    COUNT(tensor_creates, "tensors created")                                                       \
    COUNT(cache_hits, "encoder cache hits")                                                        \
    COUNT(cache_misses, "encoder cache misses")                                                    \
    COUNT(cache_evictions, "encoder cache evictions")                                              \
    COUNT(encoder_runs, "encoder runs")                                                            \
    COUNT(decoder_runs, "decoder runs")                                                            \
    COUNT(predictions, "predictions")                                                              \
    COUNT(failures, "failed predictions")                                                          \
    BYTES(overdraft, "held above the limit (overdraft)")                                           \
    COUNT(run_waits, "runs that waited for memory")                                                \
    COUNT(runs_turned_away, "runs turned away before ORT")                                         \
    COUNT(ort_allocations, "allocations served to ORT")                                            \
    COUNT(ort_overflows, "  of these outside a ticket")                                            \
    COUNT(ort_refusals, "allocations refused to ORT")

typedef struct ortp_stats {
    size_t struct_size;
#define ORTP_STATS_FIELD(name, text) uint64_t name;
    ORTP_STATS_MAP(ORTP_STATS_FIELD, ORTP_STATS_FIELD)
#undef ORTP_STATS_FIELD
} ortp_stats;
#define ORTP_STATS_INIT ORTP_STRUCT_INIT(ortp_stats)

/*
 * Each adds one object's figures (limit: set, not added). Thread-safe: yes, all, while `stats` has
 * one owner; the object may be in use meanwhile.
 */
ORTP_API void ortp_stats_add_budget(ortp_stats *stats, const ortp_budget *budget);
ORTP_API void ortp_stats_add_pool(ortp_stats *stats, const ortp_pool *pool);
ORTP_API void ortp_stats_add_cache(ortp_stats *stats, const ortp_cache *cache);
/* What the system says this process holds. Errors: SYS where it does not say (fields stay as they
 * were). Thread-safe: yes, while `stats` has one owner. */
ORTP_API ortp_status ortp_stats_add_process(ortp_stats *stats);

typedef enum ortp_stats_format {
    ORTP_STATS_TABLE =
        0, /* text lines, "name  value", sizes in KiB; a limit of ORTP_UNLIMITED: "none" */
    ORTP_STATS_JSON = 1, /* one object on one line, sizes in bytes; unlimited: null */
} ortp_stats_format;

/*
 * Writes at most `capacity` bytes including the final 0. *length (may be NULL): the bytes needed
 * without it, as snprintf. Errors: INVAL for an unknown format. Makes no allocation. Thread-safe:
 * yes, while nobody changes `stats`.
 */
ORTP_API ortp_status ortp_stats_write(const ortp_stats *stats, ortp_stats_format format, char *text,
                                      size_t capacity, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
