/* SPDX-License-Identifier: MIT */
/*
 * Statistics: collects the figures of all who report to a budget and writes them as text, both from
 * the one list in stats.h. Fields beyond the struct of an older caller are neither written nor read.
 */
#include "internal.h"
#include "reporter.h"

#include <ortpool/stats.h>

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- collecting ---- */

static void add_budget(const ortp_budget *budget, ortp_stats *stats)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    stats->limit = info.limit_bytes;
    stats->charged = info.charged_bytes;
    stats->charged_peak = info.peak_bytes;
    stats->mapped = info.mapped_bytes;
    stats->mapped_peak = info.mapped_peak_bytes;
    stats->metadata = info.account_bytes[ORTP_ACCOUNT_METADATA];
    stats->declared = info.account_bytes[ORTP_ACCOUNT_DECLARED];
    stats->charges = info.charges;
    stats->denials = info.denials;
    stats->reclaims = info.reclaims;
}

/* The fields stay 0 where the system does not say. */
static void add_process(ortp_stats *stats)
{
    ortp__process_memory memory;
    if (ortp__process_memory_get(&memory)) {
        stats->process_anonymous = memory.anonymous;
        stats->process_file = memory.file;
        stats->process_resident = memory.resident;
    }
}

/* Not more than there is: while others work, the two figures are of different moments. */
static void move_to_idle(uint64_t *in_use, size_t bytes, ortp_stats *stats)
{
    const uint64_t moved = *in_use < bytes ? *in_use : bytes;
    *in_use -= moved;
    stats->idle += moved;
}

/* Once all have reported, so that it does not matter in which order they did. */
static void move_idle_tensors(ortp__figures *figures)
{
    ortp_stats *stats = &figures->stats;
    uint64_t *const in_use[ORTP_LABEL_COUNT] = {
        [ORTP_LABEL_TENSORS] = &stats->in_use_tensors, [ORTP_LABEL_DECODE] = &stats->in_use_decode,
        [ORTP_LABEL_CACHE] = &stats->in_use_cache,     [ORTP_LABEL_RUN] = &stats->in_use_run,
        [ORTP_LABEL_WEIGHTS] = &stats->in_use_weights, [ORTP_LABEL_OTHER] = &stats->in_use_other,
    };
    for (size_t i = 0; i < ORTP_LABEL_COUNT; i++) {
        move_to_idle(in_use[i], figures->idle_tensors[i], stats);
    }
}

ortp_status ortp_stats_collect_budget(const ortp_budget *budget, ortp_stats *stats)
{
    const ortp_status status = budget == NULL ? ORTP_E_INVAL : ortp__out_check(stats);
    if (status != ORTP_OK) {
        return status;
    }
    ortp__figures figures = {.stats = ORTP_STATS_INIT};
    ortp__reporters *reporters = ortp__budget_reporters(budget);
    ortp__lock(&reporters->lock);
    add_budget(budget, &figures.stats);
    for (const ortp__reporter *r = reporters->first; r != NULL; r = r->next) {
        r->fn(r->object, &figures);
    }
    ortp__unlock(&reporters->lock);
    move_idle_tensors(&figures);
    add_process(&figures.stats);
    return ortp__out_fill(stats, &figures.stats, sizeof figures.stats);
}

/* ---- writing ---- */

/* Fields that the caller's version has: the others are not read. */
#define HAS(stats, field)                                                                          \
    ((stats)->struct_size >= offsetof(ortp_stats, field) + sizeof((stats)->field))

/* For fields that the caller's version has: `groups` lies before them. */
static bool shows(const ortp_stats *stats, ortp_stats_group group)
{
    return group == ORTP_STATS_MEMORY || (stats->groups & (uint64_t)group) != 0;
}

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

static void write_field(writer *w, ortp_stats_format format, bool shown, const char *name,
                        const char *text, bool bytes, uint64_t value)
{
    if (!shown) {
        return;
    }
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
#define WRITE(group, name, text, bytes)                                                            \
    if (HAS(stats, name)) {                                                                        \
        write_field(&w, format, shows(stats, ORTP_STATS_##group), #name, text, bytes, stats->name); \
    }
#define WRITE_BYTES(group, name, text) WRITE(group, name, text, true)
#define WRITE_COUNT(group, name, text) WRITE(group, name, text, false)
    ORTP_STATS_MAP(WRITE_BYTES, WRITE_COUNT)
#undef WRITE_BYTES
#undef WRITE_COUNT
#undef WRITE
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
