/* SPDX-License-Identifier: MIT */
/* See document.h. */
#include "document.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ortpool/ortpool.h>

#include "machine.h"
#include "row_figures.h"
#include "support.h"

/* ---- between rows ---- */

static const collected_row *find(const collection *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->rows[i].kind->name, name) == 0) {
            return &c->rows[i];
        }
    }
    return NULL;
}

/* How many times the baseline takes as long, round by round. */
static json_t *ratio_json(const collected_row *row, const collected_row *baseline)
{
    number_list a = round_medians(row), b = round_medians(baseline);
    for (size_t i = 0; i < a.count; i++) {
        a.values[i] = b.values[i] / a.values[i];
    }
    json_t *out = interval_json(interval_median(a.values, a.count));
    bench_put(out, "row", json_string(row->kind->name));
    bench_put(out, "baseline", json_string(baseline->kind->name));
    free(a.values);
    free(b.values);
    return out;
}

static json_t *ratios_json(const collection *c)
{
    json_t *out = bench_json(json_array());
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < c->count; k++) {
            if (c->rows[i].kind->own && !c->rows[k].kind->own) {
                bench_append(out, ratio_json(&c->rows[i], &c->rows[k]));
            }
        }
    }
    return out;
}

static bool same_words(const json_t *a, const json_t *b, size_t words)
{
    const size_t count = json_array_size(a) < words ? json_array_size(a) : words;
    if ((json_array_size(b) < words ? json_array_size(b) : words) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!json_equal(json_array_get(json_array_get(a, i), 0),
                        json_array_get(json_array_get(b, i), 0))) {
            return false;
        }
    }
    return true;
}

/* Rows of the same weights must find the same words, and each row the same in every round. */
static json_t *words_json(const collection *c)
{
    json_t *out = bench_json(json_object()), *notes = bench_json(json_array());
    bool same = true;
    const collected_row *reference = find(c, ROW_BATCHED);
    reference = reference != NULL ? reference : &c->rows[0];
    const json_t *wanted = json_object_get(reference->first, "words");
    for (size_t i = 0; i < c->count; i++) {
        const collected_row *row = &c->rows[i];
        const json_t *words = json_object_get(row->first, "words");
        const bool other_weights =
            row->kind->model != reference->kind->model && row->kind->model == ROW_MODEL_INT8;
        size_t any = 0, best = 0;
        for (size_t s = 0; s < json_array_size(wanted); s++) {
            const json_t *a = json_array_get(wanted, s), *b = json_array_get(words, s);
            any += !same_words(a, b, SIZE_MAX);
            best += !same_words(a, b, 1);
        }
        const double changed = sum_of_rounds(row, "other_words");
        char note[256];
        if (any > 0) {
            snprintf(note, sizeof(note),
                     "%s: other words than %s for %zu of %zu swipes, another first word for %zu",
                     row->kind->title, reference->kind->title, any, json_array_size(wanted), best);
            bench_append(notes, json_string(note));
            same = same && other_weights;
        }
        if (changed > 0) {
            snprintf(note, sizeof(note), "%s: other words in a later round for %.0f predictions",
                     row->kind->title, changed);
            bench_append(notes, json_string(note));
            same = false;
        }
    }
    bench_put(out, "same", json_boolean(same));
    bench_put(out, "notes", notes);
    return out;
}

/* ---- models ---- */

/* Of the graphs and what they keep beside themselves; lexicon and documents are not counted. */
static double graph_bytes(const char *folder)
{
    double bytes = 0;
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        char path[4600];
        struct stat about;
        const int length = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (dot != NULL && (strcmp(dot, ".onnx") == 0 || strcmp(dot, ".bin") == 0) &&
            (size_t)length < sizeof(path) && stat(path, &about) == 0) {
            bytes += (double)about.st_size;
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return bytes;
}

static json_t *models_json(const collection *c)
{
    static const char *const roles[ROW_MODELS] = {"model", "usual", "int8"};
    json_t *out = bench_json(json_array());
    for (size_t i = 0; i < ROW_MODELS; i++) {
        if (c->options->folders[i] != NULL) {
            json_t *model = bench_json(json_object());
            bench_put(model, "role", json_string(roles[i]));
            bench_put(model, "graph_bytes", json_real(graph_bytes(c->options->folders[i])));
            bench_append(out, model);
        }
    }
    return out;
}

/* ---- all of it ---- */

static json_t *method_json(const collection *c)
{
    json_t *out = bench_json(json_object());
    const size_t swipes = json_array_size(json_object_get(c->rows[0].first, "words"));
    bench_put(out, "swipes", json_integer((json_int_t)swipes));
    bench_put(out, "rounds", json_integer((json_int_t)json_array_size(c->rows[0].rounds)));
    bench_put(out, "beam",
              c->options->beam > 0 ? json_integer((json_int_t)c->options->beam)
                                   : json_null()); /* the model's own */
    bench_put(out, "tail", json_integer((json_int_t)c->options->tail));
    bench_put(out, "starts", json_integer((json_int_t)c->options->starts));
    bench_put(out, "traced", json_boolean(c->traced));
    const char *missing = spawn_heap_count_missing();
    bench_put(out, "heap_missing", missing != NULL ? json_string(missing) : json_null());
    bench_put(out, "cut_short", json_boolean(c->cut_short));
    return out;
}

static json_t *noise_json(const collection *c)
{
    if (c->spin_tail_us == NULL) {
        return json_null();
    }
    json_t *out = tail_json(c->spin_tail_us, c->options->tail);
    bench_put(out, "swipe", json_integer((json_int_t)c->tail_swipe));
    return out;
}

json_t *document_make(const collection *c)
{
    json_t *out = bench_json(json_object()), *rows = bench_json(json_array());
    bench_put(out, "ortpool", json_string(ortp_version()));
    bench_put(out, "bench", json_integer(DOCUMENT_FORMAT));
    char date[MACHINE_DATE_BYTES];
    machine_date(date);
    bench_put(out, "date", json_string(date));
    bench_put(out, "machine", machine_json());
    bench_put(out, "ort", json_string(bench_text(c->rows[0].first, "ort")));
    bench_put(out, "method", method_json(c));
    bench_put(out, "models", models_json(c));
    bench_put(out, "noise", noise_json(c));
    for (size_t i = 0; i < c->count; i++) {
        bench_append(rows, row_json(c, &c->rows[i]));
    }
    bench_put(out, "rows", rows);
    bench_put(out, "ratios", ratios_json(c));
    bench_put(out, "words", words_json(c));
    bench_put(out, "typing", json_null());
    bench_put(out, "pool", json_null());
    return out;
}

const json_t *document_row(const json_t *document, const char *name)
{
    const json_t *rows = json_object_get(document, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(bench_text(row, "name"), name) == 0) {
            return row;
        }
    }
    return NULL;
}

const char *document_headline(const json_t *document)
{
    static const char *const names[] = {ROW_INCREMENTAL, ROW_BATCHED, "sequential", "int8"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (document_row(document, names[i]) != NULL) {
            return names[i];
        }
    }
    return ROW_INCREMENTAL;
}

json_t *document_load(const char *path)
{
    json_error_t error;
    json_t *document = json_load_file(path, 0, &error);
    if (document == NULL) {
        fprintf(stderr, "ortpool bench: '%s': %s\n", path, error.text);
        return NULL;
    }
    if (bench_figure(document, "bench") != DOCUMENT_FORMAT ||
        !json_is_array(json_object_get(document, "rows"))) {
        fprintf(stderr,
                "ortpool bench: '%s' is not what `ortpool bench --json` of this version "
                "writes\n",
                path);
        json_decref(document);
        return NULL;
    }
    return document;
}
