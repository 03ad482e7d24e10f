/* SPDX-License-Identifier: MIT */
/*
 * Statistics: collects figures from objects and writes them as text, both from the one list in
 * stats.h. Fields beyond the struct of an older caller are neither written nor read.
 */
#include "internal.h"

#include <ortpool/stats.h>

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ortp_stats_add_budget(ortp_stats *stats, const ortp_budget *budget)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    if (ORTP__STATS_HAS(stats, limit)) {
        stats->limit = info.limit_bytes;
    }
    ORTP__STATS_ADD(stats, charged, info.charged_bytes);
    ORTP__STATS_ADD(stats, charged_peak, info.peak_bytes);
    ORTP__STATS_ADD(stats, mapped, info.mapped_bytes);
    ORTP__STATS_ADD(stats, mapped_peak, info.mapped_peak_bytes);
    ORTP__STATS_ADD(stats, metadata, info.account_bytes[ORTP_ACCOUNT_METADATA]);
    ORTP__STATS_ADD(stats, declared, info.account_bytes[ORTP_ACCOUNT_DECLARED]);
    ORTP__STATS_ADD(stats, charges, info.charges);
    ORTP__STATS_ADD(stats, denials, info.denials);
    ORTP__STATS_ADD(stats, reclaims, info.reclaims);
}

void ortp_stats_add_pool(ortp_stats *stats, const ortp_pool *pool)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(pool, &info);
    ORTP__STATS_ADD(stats, in_use_tensors, info.in_use_bytes[ORTP_LABEL_TENSORS]);
    ORTP__STATS_ADD(stats, in_use_decode, info.in_use_bytes[ORTP_LABEL_DECODE]);
    ORTP__STATS_ADD(stats, in_use_cache, info.in_use_bytes[ORTP_LABEL_CACHE]);
    ORTP__STATS_ADD(stats, in_use_run, info.in_use_bytes[ORTP_LABEL_RUN]);
    ORTP__STATS_ADD(stats, in_use_weights, info.in_use_bytes[ORTP_LABEL_WEIGHTS]);
    ORTP__STATS_ADD(stats, in_use_other, info.in_use_bytes[ORTP_LABEL_OTHER]);
    ORTP__STATS_ADD(stats, idle, info.idle_bytes);
    ORTP__STATS_ADD(stats, block_acquires, info.acquires);
    ORTP__STATS_ADD(stats, block_reuses, info.reuses);
    ORTP__STATS_ADD(stats, maps, info.maps);
    ORTP__STATS_ADD(stats, unmaps, info.unmaps);
}

void ortp_stats_add_cache(ortp_stats *stats, const ortp_cache *cache)
{
    ortp_cache_info info = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(cache, &info);
    ORTP__STATS_ADD(stats, cache_hits, info.hits);
    ORTP__STATS_ADD(stats, cache_misses, info.misses);
    ORTP__STATS_ADD(stats, cache_evictions, info.evictions + info.stale);
}

ortp_status ortp_stats_add_process(ortp_stats *stats)
{
    ortp__process_memory memory;
    if (!ortp__process_memory_get(&memory)) {
        return ORTP_E_SYS;
    }
    ORTP__STATS_ADD(stats, process_anonymous, memory.anonymous);
    ORTP__STATS_ADD(stats, process_file, memory.file);
    ORTP__STATS_ADD(stats, process_resident, memory.resident);
    return ORTP_OK;
}

/* ---- writing ---- */

/* Text that may be longer than its room: `length` goes on counting. */
typedef struct writer {
    char *text;
    size_t capacity;
    size_t length;
} writer;

static void append(writer *w, const char *format, ...) ORTP_PRINTF(2, 3);

static void append(writer *w, const char *format, ...)
{
    char piece[160]; /* the longest line of either form, with room */
    va_list arguments;
    va_start(arguments, format);
    int made = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    assert(made >= 0 && (size_t)made < sizeof piece);
    size_t bytes = (size_t)made;
    if (w->length < w->capacity) {
        size_t room = w->capacity - w->length;
        memcpy(w->text + w->length, piece, bytes < room ? bytes : room);
    }
    w->length += bytes;
}

static bool unlimited(const char *name, uint64_t value)
{
    return strcmp(name, "limit") == 0 && value == (uint64_t)ORTP_UNLIMITED;
}

static void write_field(writer *w, ortp_stats_format format, const char *name, const char *text,
                        bool bytes, uint64_t value)
{
    if (format == ORTP_STATS_JSON) {
        append(w, "%s\"%s\":", w->length == 1 ? "" : ",", name);
        if (unlimited(name, value)) {
            append(w, "null");
        } else {
            append(w, "%" PRIu64, value);
        }
    } else if (unlimited(name, value)) {
        append(w, "%-36s %14s\n", text, "none");
    } else if (bytes) {
        /* In tenths; by integers, so that nothing is allocated and 2^64 is shown right. */
        append(w, "%-36s %12" PRIu64 ".%u KiB\n", text, value / 1024u,
               (unsigned)(value % 1024u * 10u / 1024u));
    } else {
        append(w, "%-36s %14" PRIu64 "\n", text, value);
    }
}

ortp_status ortp_stats_write(const ortp_stats *stats, ortp_stats_format format, char *text,
                             size_t capacity, size_t *length)
{
    if (format != ORTP_STATS_TABLE && format != ORTP_STATS_JSON) {
        return ORTP_E_INVAL;
    }
    if (stats == NULL || (text == NULL && capacity > 0)) {
        return ORTP_E_INVAL;
    }
    writer w = {.text = text, .capacity = capacity, .length = 0};
    if (format == ORTP_STATS_JSON) {
        append(&w, "{");
    }
#define WRITE_BYTES(name, text)                                                                    \
    if (ORTP__STATS_HAS(stats, name)) {                                                            \
        write_field(&w, format, #name, text, true, stats->name);                                   \
    }
#define WRITE_COUNT(name, text)                                                                    \
    if (ORTP__STATS_HAS(stats, name)) {                                                            \
        write_field(&w, format, #name, text, false, stats->name);                                  \
    }
    ORTP_STATS_MAP(WRITE_BYTES, WRITE_COUNT)
#undef WRITE_BYTES
#undef WRITE_COUNT
    if (format == ORTP_STATS_JSON) {
        append(&w, "}");
    }
    if (capacity > 0) {
        text[w.length < capacity ? w.length : capacity - 1] = 0;
    }
    if (length != NULL) {
        *length = w.length;
    }
    return ORTP_OK;
}
