/* SPDX-License-Identifier: MIT */
/* See table.h. */
#include <math.h>
#include <string.h>

#include "support.h"
#include "table.h"

/* "a.b": b of the object a. */
static const char *const columns[] = {
    "p50_us.value",     "p50_us.low",          "p50_us.high",
    "p90_us.value",     "p90_us.low",          "p90_us.high",
    "p99_us.value",     "p99_us.low",          "p99_us.high",
    "tail.predictions", "tail.p50_us",         "tail.p999_us",
    "load_us.value",    "first_cold_us.value", "first_loading_us.value",
    "warm_us.value",    "first_warm_us.value", "first_warm_ratio.value",
    "tensors",          "heap_calls",          "heap_bytes",
    "faults",           "memory_calls",        "encoder_us",
    "decoder_us",       "encoder_runs",        "decoder_runs",
    "cache_hits",       "peak_resident",       "peak_anonymous",
    "peak_mapped",      "predictions",
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static double figure(const json_t *row, const char *column)
{
    char outer[64];
    const char *dot = strchr(column, '.');
    if (dot == NULL) {
        return bench_figure(row, column);
    }
    snprintf(outer, sizeof(outer), "%.*s", (int)(dot - column), column);
    return bench_figure(json_object_get(row, outer), dot + 1);
}

/* In quotes, which are doubled inside: a comma or a line's end in a name parts nothing. */
static void write_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

void csv_write(FILE *out, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    fputs("name,title,model", out);
    for (size_t i = 0; i < COLUMNS; i++) {
        const char *dot = strchr(columns[i], '.');
        const bool plain = dot == NULL || strcmp(dot, ".value") == 0;
        const int length = (int)(plain && dot != NULL ? dot - columns[i] : (int)strlen(columns[i]));
        fprintf(out, ",%.*s", length, columns[i]);
    }
    fputc('\n', out);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        write_text(out, bench_text(row, "name"));
        fputc(',', out);
        write_text(out, bench_text(row, "title"));
        fputc(',', out);
        write_text(out, bench_text(row, "model"));
        for (size_t i = 0; i < COLUMNS; i++) {
            const double value = figure(row, columns[i]);
            fputc(',', out);
            if (!isnan(value)) {
                fprintf(out, "%.10g", value);
            }
        }
        fputc('\n', out);
    }
}
