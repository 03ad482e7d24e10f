/* SPDX-License-Identifier: MIT */
/* See row_figures.h. */
#include "row_figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define PERCENTS 101u

/* ---- lists of numbers ---- */

static number_list list_of(size_t capacity)
{
    number_list l = {calloc(capacity + 1, sizeof(double)), 0};
    if (l.values == NULL) {
        bench_die("the report", "no memory left");
    }
    return l;
}

/* Every latency of every round. */
static number_list all_times(const collected_row *row)
{
    const size_t rounds = json_array_size(row->rounds);
    const json_t *first = json_object_get(json_array_get(row->rounds, 0), "us");
    number_list all = list_of(rounds * json_array_size(first));
    for (size_t r = 0; r < rounds; r++) {
        const json_t *us = json_object_get(json_array_get(row->rounds, r), "us");
        for (size_t i = 0; i < json_array_size(us); i++) {
            all.values[all.count++] = json_number_value(json_array_get(us, i));
        }
    }
    return all;
}

/* A swipe's latency in each round. */
static number_list swipe_times(const collected_row *row, size_t swipe)
{
    const size_t rounds = json_array_size(row->rounds);
    number_list times = list_of(rounds);
    for (size_t r = 0; r < rounds; r++) {
        const json_t *us = json_object_get(json_array_get(row->rounds, r), "us");
        times.values[times.count++] = json_number_value(json_array_get(us, swipe));
    }
    return times;
}

number_list round_medians(const collected_row *row)
{
    const size_t rounds = json_array_size(row->rounds);
    number_list medians = list_of(rounds);
    for (size_t r = 0; r < rounds; r++) {
        const json_t *us = json_object_get(json_array_get(row->rounds, r), "us");
        number_list one = list_of(json_array_size(us));
        for (size_t i = 0; i < json_array_size(us); i++) {
            one.values[one.count++] = json_number_value(json_array_get(us, i));
        }
        medians.values[medians.count++] = interval_median(one.values, one.count).value;
        free(one.values);
    }
    return medians;
}

static json_t *numbers(const double *values, size_t count)
{
    json_t *out = bench_json(json_array());
    for (size_t i = 0; i < count; i++) {
        bench_append(out, json_real(values[i]));
    }
    return out;
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* ---- a row ---- */

static void put_latencies(json_t *out, const collected_row *row)
{
    number_list medians = round_medians(row), all = all_times(row);
    double percentiles[PERCENTS];
    bench_put(out, "predictions", json_integer((json_int_t)all.count));
    bench_put(out, "round_p50_us", numbers(medians.values, medians.count));
    bench_put(out, "p50_us", interval_json(interval_median(medians.values, medians.count)));
    bench_put(out, "p90_us", interval_json(interval_quantile(all.values, all.count, 0.9)));
    bench_put(out, "p99_us", interval_json(interval_quantile(all.values, all.count, 0.99)));
    for (size_t p = 0; p < PERCENTS; p++) {
        percentiles[p] = interval_quantile(all.values, all.count, (double)p / (PERCENTS - 1)).value;
    }
    bench_put(out, "distribution_us", numbers(percentiles, PERCENTS));
    free(medians.values);
    free(all.values);
}

json_t *tail_json(double *us, size_t count)
{
    if (us == NULL) {
        return json_null();
    }
    json_t *out = bench_json(json_object());
    bench_put(out, "predictions", json_integer((json_int_t)count));
    bench_put(out, "p50_us", json_real(interval_quantile(us, count, 0.5).value));
    bench_put(out, "p99_us", json_real(interval_quantile(us, count, 0.99).value));
    bench_put(out, "p999_us", json_real(interval_quantile(us, count, 0.999).value));
    bench_put(out, "max_us", json_real(us[count - 1]));
    return out;
}

static json_t *start_figure(const json_t *starts, const char *a, const char *b)
{
    const size_t count = json_array_size(starts);
    if (count == 0) {
        return json_null();
    }
    number_list values = list_of(count);
    for (size_t i = 0; i < count; i++) {
        const json_t *start = json_array_get(starts, i);
        const double more = b != NULL ? bench_figure(start, b) : 0;
        values.values[values.count++] = bench_figure(start, a) + more;
    }
    json_t *out = interval_json(interval_median(values.values, values.count));
    free(values.values);
    return out;
}

/* First predictions over the steady median of the same swipe. */
static json_t *start_ratio(const json_t *starts, const collected_row *row)
{
    const size_t count = json_array_size(starts);
    if (count == 0) {
        return json_null();
    }
    number_list ratios = list_of(count);
    for (size_t i = 0; i < count; i++) {
        const json_t *start = json_array_get(starts, i);
        number_list steady = swipe_times(row, (size_t)bench_figure(start, "swipe"));
        ratios.values[ratios.count++] =
            bench_figure(start, "first_us") / interval_median(steady.values, steady.count).value;
        free(steady.values);
    }
    json_t *out = interval_json(interval_median(ratios.values, ratios.count));
    free(ratios.values);
    return out;
}

static void put_starts(json_t *out, const collected_row *row)
{
    bench_put(out, "starts", json_integer((json_int_t)json_array_size(row->cold)));
    bench_put(out, "load_us", start_figure(row->cold, "load_us", NULL));
    bench_put(out, "first_cold_us", start_figure(row->cold, "first_us", NULL));
    bench_put(out, "first_loading_us", start_figure(row->cold, "first_us", "load_us"));
    bench_put(out, "first_cold_ratio", start_ratio(row->cold, row));
    bench_put(out, "warm_us", start_figure(row->warm, "warm_us", NULL));
    bench_put(out, "first_warm_us", start_figure(row->warm, "first_us", NULL));
    bench_put(out, "first_warm_ratio", start_ratio(row->warm, row));
}

double sum_of_rounds(const collected_row *row, const char *key)
{
    double sum = 0;
    for (size_t r = 0; r < json_array_size(row->rounds); r++) {
        sum += bench_figure(json_array_get(row->rounds, r), key);
    }
    return sum;
}

static double most_of_rounds(const collected_row *row, const char *key)
{
    double most = NAN;
    for (size_t r = 0; r < json_array_size(row->rounds); r++) {
        most = fmax(most, bench_figure(json_array_get(row->rounds, r), key));
    }
    return most;
}

static void put_per_prediction(json_t *out, const collected_row *row, double predictions)
{
    static const char *const keys[] = {"encoder_us", "decoder_us", "encoder_runs", "decoder_runs",
                                       "faults"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        bench_put(out, keys[i], json_real(sum_of_rounds(row, keys[i]) / predictions));
    }
    bench_put(out, "cache_hits", json_real(sum_of_rounds(row, "hits") / predictions));
    bench_put(out, "memory_calls", real_or_null(row->memory_calls));
}

static json_t *phase(double calls, double bytes)
{
    json_t *out = bench_json(json_object());
    bench_put(out, "heap_calls", json_real(calls));
    bench_put(out, "heap_bytes", json_real(bytes));
    return out;
}

/* The counted round, a prediction. Without libortpool-heapcount.so (a sanitizer's build) there is no count. */
static void put_allocations(json_t *out, const collected_row *row)
{
    static const char *const none[] = {"heap_calls", "heap_bytes", "tensors", "phases"};
    const json_t *counted = row->counted;
    const double n = (double)json_array_size(json_object_get(counted, "us"));
    const double calls = bench_figure(counted, "heap_calls") / n;
    const double bytes = bench_figure(counted, "heap_bytes") / n;
    if (isnan(calls)) {
        for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
            bench_put(out, none[i], json_null());
        }
        return;
    }
    const double tensors = bench_figure(counted, "tensors") + bench_figure(counted, "mappings") +
                           bench_figure(counted, "aligned_new");
    const double encoder = bench_figure(counted, "encoder_heap_calls") / n;
    const double encoder_bytes = bench_figure(counted, "encoder_heap_bytes") / n;
    const double decoder = bench_figure(counted, "decoder_heap_calls") / n;
    const double decoder_bytes = bench_figure(counted, "decoder_heap_bytes") / n;
    bench_put(out, "tensors", json_real(tensors / n));
    bench_put(out, "heap_calls", json_real(calls));
    bench_put(out, "heap_bytes", json_real(bytes));
    json_t *phases = bench_json(json_object());
    bench_put(phases, "encoder", phase(encoder, encoder_bytes));
    bench_put(phases, "decoder", phase(decoder, decoder_bytes));
    bench_put(phases, "rest",
              phase(calls - encoder - decoder, bytes - encoder_bytes - decoder_bytes));
    bench_put(out, "phases", phases);
}

/* Growth from the first round kept to the last; NAN where there is but one. */
static double growth(const collected_row *row, const char *key)
{
    const size_t rounds = json_array_size(row->rounds);
    if (rounds < 2) {
        return NAN;
    }
    return bench_figure(json_array_get(row->rounds, rounds - 1), key) -
           bench_figure(json_array_get(row->rounds, 0), key);
}

static void put_memory(json_t *out, const collected_row *row)
{
    const bool own = row->kind->own;
    bench_put(out, "peak_resident", json_real(most_of_rounds(row, "resident_peak")));
    bench_put(out, "peak_anonymous", json_real(most_of_rounds(row, "anonymous")));
    bench_put(out, "peak_mapped",
              own ? json_real(most_of_rounds(row, "mapped_peak")) : json_null());
    bench_put(out, "mapped_growth", own ? real_or_null(growth(row, "mapped")) : json_null());
    bench_put(out, "heap_growth", real_or_null(growth(row, "heap_in_use")));
}

static const char *folder_name(const char *folder)
{
    const char *slash = strrchr(folder, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : folder;
}

json_t *row_json(const collection *c, const collected_row *row)
{
    json_t *out = bench_json(json_object());
    bench_put(out, "name", json_string(row->kind->name));
    bench_put(out, "title", json_string(row->kind->title));
    json_t *model = json_string(folder_name(c->options->folders[row->kind->model]));
    bench_put(out, "model", model != NULL ? model : json_string("(a name that is no UTF-8)"));
    bench_put(out, "own", json_boolean(row->kind->own));
    put_latencies(out, row);
    bench_put(out, "tail", tail_json(row->tail_us, c->options->tail));
    put_starts(out, row);
    put_allocations(out, row);
    put_per_prediction(out, row, bench_figure(out, "predictions"));
    put_memory(out, row);
    return out;
}
