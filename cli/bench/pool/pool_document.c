/* SPDX-License-Identifier: MIT */
/* See pool_report.h: what programs read. */
#include "pool_report.h"

#include <math.h>

#include "rounds.h"

static void put_csv_number(FILE *file, double ns)
{
    if (isnan(ns)) {
        fputc(',', file);
    } else {
        fprintf(file, ",%.3f", ns);
    }
}

void pool_report_csv(FILE *file, const pool_run *run)
{
    const figures *f = run->figures;
    fputs("case,allocator,version,bytes,min_ns,median_ns,pairs\n", file);
    for (int which = 0; which < CASES; which++) {
        for (int id = 0; id < HEAPS; id++) {
            const heap *h = &run->heaps->of[id];
            for (size_t s = 0; s < f->size_count && h->absent[0] == '\0'; s++) {
                const figure *at = &f->of[which][id][s];
                fprintf(file, "%s,%s,%s,%zu", case_names[which], h->name, h->version, f->sizes[s]);
                put_csv_number(file, at->min);
                put_csv_number(file, at->median);
                fprintf(file, ",%llu\n", (unsigned long long)at->pairs);
            }
        }
    }
}

/* A document in the making; once there is no memory for a part it is lost. */
typedef struct making {
    bool lost;
} making;

static json_t *real(double value)
{
    return isnan(value) ? json_null() : json_real(round(value * 1e3) / 1e3);
}

static void put(making *m, json_t *object, const char *key, json_t *value)
{
    m->lost = json_object_set_new(object, key, value) != 0 || m->lost;
}

static void append(making *m, json_t *array, json_t *value)
{
    m->lost = json_array_append_new(array, value) != 0 || m->lost;
}

static json_t *allocator_of(making *m, const pool_run *run, bench_case which, heap_id id)
{
    const figures *f = run->figures;
    json_t *min = json_array(), *median = json_array(), *pairs = json_array();
    json_t *slowdown = json_array(), *out = json_object();
    for (size_t s = 0; s < f->size_count; s++) {
        const figure *at = &f->of[which][id][s];
        append(m, min, real(at->min));
        append(m, median, real(at->median));
        append(m, pairs, json_integer((json_int_t)at->pairs));
        append(m, slowdown, real(figures_slowdown(f, id, s)));
    }
    put(m, out, "name", json_string(heap_names[id]));
    put(m, out, "title", json_string(run->heaps->of[id].title));
    put(m, out, "min", min);
    put(m, out, "median", median);
    put(m, out, "pairs", pairs);
    if (which == CASE_TWO_THREADS) {
        put(m, out, "slowdown", slowdown);
    } else {
        json_decref(slowdown);
    }
    return out;
}

static json_t *case_of(making *m, const pool_run *run, bench_case which)
{
    json_t *out = json_object(), *sizes = json_array(), *allocators = json_array();
    for (size_t s = 0; s < run->figures->size_count; s++) {
        append(m, sizes, json_integer((json_int_t)run->figures->sizes[s]));
    }
    for (heap_id id = 0; id < HEAPS; id++) {
        if (run->heaps->of[id].absent[0] == '\0') {
            append(m, allocators, allocator_of(m, run, which, id));
        }
    }
    put(m, out, "case", json_string(case_names[which]));
    put(m, out, "title", json_string(case_titles[which]));
    put(m, out, "unit", json_string("ns"));
    put(m, out, "sizes", sizes);
    put(m, out, "allocators", allocators);
    return out;
}

static json_t *targets_of(making *m, const figures *f)
{
    json_t *out = json_array();
    verdict targets[VERDICTS];
    figures_judge(f, targets);
    for (size_t i = 0; i < VERDICTS; i++) {
        json_t *row = json_object();
        put(m, row, "table", json_string("design"));
        put(m, row, "figure", json_string(targets[i].figure));
        put(m, row, "wanted", json_string(targets[i].wanted));
        put(m, row, "reached", json_string(targets[i].reached));
        put(m, row, "holds", targets[i].holds < 0 ? json_null() : json_boolean(targets[i].holds));
        append(m, out, row);
    }
    return out;
}

json_t *pool_report_json(const pool_run *run)
{
    making m = {false};
    json_t *out = json_object(), *absent = json_array(), *cases = json_array();
    json_t *versions = json_object();
    for (int id = 0; id < HEAPS; id++) {
        const heap *h = &run->heaps->of[id];
        if (h->absent[0] != '\0') {
            json_t *row = json_object();
            put(&m, row, "name", json_string(h->name));
            json_t *reason = json_string(h->absent);
            put(&m, row, "reason", reason != NULL ? reason : json_null());
            append(&m, absent, row);
        } else if (h->version[0] != '\0') {
            put(&m, versions, h->name, json_string(h->version));
        }
    }
    for (bench_case which = 0; which < CASES; which++) {
        append(&m, cases, case_of(&m, run, which));
    }
    put(&m, out, "linkage", json_string(pool_library_linkage(&run->heaps->library)));
    put(&m, out, "rounds", json_integer((json_int_t)run->rounds));
    put(&m, out, "samples", json_integer((json_int_t)(run->rounds * ROUNDS_SAMPLES)));
    put(&m, out, "disturbed", json_integer((json_int_t)run->figures->disturbed));
    put(&m, out, "interrupted", json_boolean(run->interrupted));
    put(&m, out, "versions", versions);
    put(&m, out, "absent", absent);
    put(&m, out, "cases", cases);
    put(&m, out, "targets", targets_of(&m, run->figures));
    if (m.lost) {
        json_decref(out);
        return NULL;
    }
    return out;
}
