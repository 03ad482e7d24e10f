/* SPDX-License-Identifier: MIT */
/* See pool_report.h: what people read, within 100 columns. */
#include "pool_report.h"

#include <math.h>
#include <string.h>

#include <ortpool/ortpool.h>

#include "rounds.h"
#include "text.h"

#define SIZE_COLUMNS 9
#define CELL_COLUMNS 13
#define WIDE_COLUMNS 100

void pool_report_number(double ns, char text[POOL_CELL_BYTES])
{
    if (isnan(ns)) {
        strcpy(text, "-");
    } else if (ns < 99.95) {
        snprintf(text, POOL_CELL_BYTES, "%.1f", ns);
    } else if (ns < 99999.5) {
        snprintf(text, POOL_CELL_BYTES, "%.0f", ns);
    } else {
        snprintf(text, POOL_CELL_BYTES, "%.0fk", fmin(ns / 1e3, 1e9));
    }
}

static bool present(const pool_run *run, int id)
{
    return run->heaps->of[id].absent[0] == '\0';
}

static void put_heads(FILE *file, const pool_run *run)
{
    fprintf(file, "%*s", SIZE_COLUMNS, "bytes");
    for (int id = 0; id < HEAPS; id++) {
        if (present(run, id)) {
            fprintf(file, "%*s", CELL_COLUMNS, heap_names[id]);
        }
    }
    fputc('\n', file);
}

static void put_case(FILE *file, const pool_run *run, bench_case which)
{
    const figures *f = run->figures;
    fprintf(file, "\n%s: %s\n", case_names[which], case_titles[which]);
    put_heads(file, run);
    for (size_t s = 0; s < f->size_count; s++) {
        fprintf(file, "%*zu", SIZE_COLUMNS, f->sizes[s]);
        for (int id = 0; id < HEAPS; id++) {
            if (present(run, id)) {
                char min[POOL_CELL_BYTES], median[POOL_CELL_BYTES];
                char both[2 * POOL_CELL_BYTES + 1];
                pool_report_number(f->of[which][id][s].min, min);
                pool_report_number(f->of[which][id][s].median, median);
                snprintf(both, sizeof(both), "%s/%s", min, median);
                fprintf(file, "%*s", CELL_COLUMNS, both);
            }
        }
        fputc('\n', file);
    }
}

static void put_slowdowns(FILE *file, const pool_run *run)
{
    const figures *f = run->figures;
    fputs("\ntwo-threads against pair, medians\n", file);
    put_heads(file, run);
    for (size_t s = 0; s < f->size_count; s++) {
        fprintf(file, "%*zu", SIZE_COLUMNS, f->sizes[s]);
        for (int id = 0; id < HEAPS; id++) {
            const double times = figures_slowdown(f, (heap_id)id, s);
            if (present(run, id) && isnan(times)) {
                fprintf(file, "%*s", CELL_COLUMNS, "-");
            } else if (present(run, id)) {
                fprintf(file, "%*.2fx", CELL_COLUMNS - 1, times);
            }
        }
        fputc('\n', file);
    }
}

static void put_version(FILE *file, const pool_run *run, heap_id id, const char *name)
{
    if (present(run, (int)id) && run->heaps->of[id].version[0] != '\0') {
        fprintf(file, ", %s %s", name, run->heaps->of[id].version);
    }
}

static void put_machine(FILE *file, const json_t *machine)
{
    static const char *const keys[] = {"cpu", "system", "compiler"};
    bool first = true;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *text = json_string_value(json_object_get(machine, keys[i]));
        if (text != NULL) {
            fputs(first ? "" : ", ", file);
            text_put(file, text, SIZE_MAX);
            first = false;
        }
        const json_t *cores = json_object_get(machine, "cores");
        if (i == 0 && json_is_integer(cores)) {
            fprintf(file, "%s%lld cores", first ? "" : ", ", (long long)json_integer_value(cores));
            first = false;
        }
    }
    fputc('\n', file);
}

static void put_head(FILE *file, const pool_run *run, const json_t *machine)
{
    fprintf(
        file,
        "Blocks of memory: nanoseconds per acquire and release, least/median of %zu samples of\n"
        "about a millisecond, in %zu round%s of turns. All are called through pointers, the pool\n"
        "%s.\n\n",
        run->rounds * ROUNDS_SAMPLES, run->rounds, run->rounds == 1 ? "" : "s",
        pool_library_text(&run->heaps->library));
    fprintf(file, "ortpool %s", ortp_version());
    put_version(file, run, HEAP_C_LIBRARY, "glibc");
    put_version(file, run, HEAP_MIMALLOC, "mimalloc");
    put_version(file, run, HEAP_ORT_PLAIN, "ONNX Runtime");
    fputc('\n', file);
    put_machine(file, machine);
}

static void put_targets(FILE *file, const figures *f)
{
    static const char *const words[] = {"open", "missed", "holds"};
    verdict targets[VERDICTS];
    figures_judge(f, targets);
    fputs("\nTargets\n", file);
    for (size_t i = 0; i < VERDICTS; i++) {
        fprintf(file, "  %-7s %s: %s\n          ", words[targets[i].holds + 1], targets[i].figure,
                targets[i].wanted);
        text_put(file, targets[i].reached, WIDE_COLUMNS - 10);
        fputc('\n', file);
    }
}

void pool_report_table(FILE *file, const pool_run *run, const json_t *machine)
{
    put_head(file, run, machine);
    for (bench_case which = 0; which < CASES; which++) {
        put_case(file, run, which);
        if (which == CASE_TWO_THREADS) {
            put_slowdowns(file, run);
        }
    }
    fputc('\n', file);
    for (int id = 0; id < HEAPS; id++) {
        const heap *h = &run->heaps->of[id];
        fprintf(file, "%-10s ", heap_names[id]);
        if (present(run, id)) {
            fputs(h->title, file);
        } else {
            fputs("NOT MEASURED: ", file);
            text_put(file, h->absent, WIDE_COLUMNS - 25);
        }
        fputc('\n', file);
    }
    if (run->figures->disturbed > 0) {
        fprintf(file,
                "\n%zu samples were dropped: the system took a processor away, or two threads had "
                "one.\n",
                run->figures->disturbed);
    }
    put_targets(file, run->figures);
    if (run->interrupted) {
        fputs("\nInterrupted: not all rounds were made.\n", file);
    }
}
