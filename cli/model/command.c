/* SPDX-License-Identifier: MIT */
/*
 * ortpool run: anyone's model, before and after. Each allocator is measured in a process of its own: child.h.
 */
#define _GNU_SOURCE 1

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "child.h"
#include "commands.h"
#include "interrupt.h"
#include "measure.h"
#include "output.h"
#include "report.h"
#include "size.h"
#include "text.h"

#define REPEATED_MAX 32u
#define MIB 1048576.0

/* What --child may say beside an allocator: without a limit, each shape once, which shows what a limit would
 * have to be. */
#define ENOUGH "enough"

static const char help[] =
    "usage: ortpool run [OPTION]... MODEL.onnx\n"
    "\n"
    "Runs any ONNX model again and again and shows times, allocations and memory: with\n"
    "ONNX Runtime's own arena, without it, and with ortpool, one process each.\n"
    "\n"
    "  --shape NAME=1,3,224,224  shape of an input that has free dimensions\n"
    "  --input NAME=FILE.npy     data of an input; else random numbers: real ones from 0\n"
    "                            to 1, whole ones from 0 to 9, bytes\n"
    "  --vary NAME:AXIS=A..B     a free dimension that is another one in each run, in a\n"
    "                            mixed order, at most 256 values; A..B/STEP: every STEP-th\n"
    "  --seed N                  of the random numbers and of that order (default 1)\n"
    "  --repeat N                timed runs (default 100); each shape runs twice before\n"
    "  --threads N               runs at once, 1 to 64 (default 1)\n"
    "  --intra N                 threads of ONNX Runtime in a run, 1 to 64 (default 1)\n"
    "  --allocator ort|none|ortpool|all\n"
    "                            whose memory: ONNX Runtime's arena, the C library's, or\n"
    "                            ortpool's; all (default): side by side\n"
    "  --budget SIZE             ortpool's hard limit: 64M or 64MiB, 1G; default: none\n"
    "  --save-outputs DIR        outputs of the first run as DIR/NAME.npy\n"
    "  --json                    one JSON object\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 ran, 1 outputs are not the same from all, 2 usage or set-up. Ctrl-C\n"
    "ends the runs with the report.\n";

enum {
    OPT_SHAPE = OPT_FIRST,
    OPT_INPUT,
    OPT_VARY,
    OPT_SEED,
    OPT_REPEAT,
    OPT_THREADS,
    OPT_INTRA,
    OPT_ALLOCATOR,
    OPT_BUDGET,
    OPT_SAVE,
    OPT_JSON,
    OPT_CHILD,
};

static const struct option long_options[] = {
    {"shape", required_argument, NULL, OPT_SHAPE},
    {"input", required_argument, NULL, OPT_INPUT},
    {"vary", required_argument, NULL, OPT_VARY},
    {"seed", required_argument, NULL, OPT_SEED},
    {"repeat", required_argument, NULL, OPT_REPEAT},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"intra", required_argument, NULL, OPT_INTRA},
    {"allocator", required_argument, NULL, OPT_ALLOCATOR},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"save-outputs", required_argument, NULL, OPT_SAVE},
    {"json", no_argument, NULL, OPT_JSON},
    {"child", required_argument, NULL, OPT_CHILD}, /* not for people */
    ARGUMENTS_END,
};

typedef struct wishes {
    measure_options measure;
    const char *shapes[REPEATED_MAX], *files[REPEATED_MAX], *varied[REPEATED_MAX];
    bool all;          /* every allocator */
    const char *child; /* what this process measures; NULL: it has others do so */
    bool json;
} wishes;

static bool append(const char **list, size_t *count, const char *text)
{
    if (*count == REPEATED_MAX) {
        return false;
    }
    list[(*count)++] = text;
    return true;
}

static bool take_allocator(const char *text, wishes *out)
{
    out->all = strcmp(text, "all") == 0;
    for (int kind = 0; kind < SUBJECT_KINDS; kind++) {
        if (strcmp(text, subject_names[kind]) == 0) {
            out->measure.subject.kind = (subject_kind)kind;
            return true;
        }
    }
    return out->all;
}

/* NULL, or what would have been right. */
static const char *take(int option, const char *text, void *ctx)
{
    wishes *out = ctx;
    measure_options *m = &out->measure;
    size_t number = 0;
    switch (option) {
    case OPT_SHAPE:
        return append(out->shapes, &m->feed.shape_count, text) ? NULL : "one of at most 32";
    case OPT_INPUT:
        return append(out->files, &m->feed.file_count, text) ? NULL : "one of at most 32";
    case OPT_VARY:
        return append(out->varied, &m->feed.varied_count, text) ? NULL : "one of at most 32";
    case OPT_SEED:
        if (!count_parse(text, 0, UINT32_MAX, &number)) {
            return "a number from 0 to 4294967295";
        }
        m->feed.seed = number;
        return NULL;
    case OPT_REPEAT:
        return count_parse(text, 1, 100000000, &m->repeat) ? NULL : "a number from 1 to 100000000";
    case OPT_THREADS:
        return count_parse(text, 1, MEASURE_THREADS_MAX, &m->threads) ? NULL
                                                                      : "a number from 1 to 64";
    case OPT_INTRA:
        return count_parse(text, 1, 64, &m->subject.intra_threads) ? NULL : "a number from 1 to 64";
    case OPT_ALLOCATOR:
        return take_allocator(text, out) ? NULL : "'ort', 'none', 'ortpool' or 'all'";
    case OPT_BUDGET:
        return size_parse(text, &m->subject.budget)
                   ? NULL
                   : "a size above 0 such as 512K, 64MiB, 1G or bytes";
    case OPT_SAVE:
        m->save_outputs = text;
        return *text != '\0' ? NULL : "a folder";
    case OPT_CHILD:
        out->child = text;
        return NULL;
    default:
        out->json = true;
        return NULL;
    }
}

static bool parse(int argc, char **argv, wishes *out, int *code)
{
    *out = (wishes){.all = true};
    measure_options *m = &out->measure;
    m->repeat = 100;
    m->threads = 1;
    m->subject.intra_threads = 1;
    m->feed.seed = 1;
    m->feed.shapes = out->shapes;
    m->feed.files = out->files;
    m->feed.varied = out->varied;
    const arguments a = {"run", help, "model", long_options, take};
    if (!arguments_read(&a, argc, argv, out, &m->subject.path, code)) {
        return false;
    }
    if (m->subject.path == NULL) {
        return arguments_refuse(&a, code, "which model? name an .onnx file");
    }
    if (m->subject.budget > 0 && !out->all && m->subject.kind != SUBJECT_ORTPOOL) {
        return arguments_refuse(&a, code, "--budget is ortpool's: '--allocator %s' has none",
                                subject_names[m->subject.kind]);
    }
    m->quiet = out->json;
    return true;
}

/* In the process of --child. */
static int measure_here(wishes *w)
{
    char message[4096];
    ort_library library;
    child_begin();
    if (!ort_library_open(&library, message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    if (strcmp(w->child, ENOUGH) == 0) {
        w->measure.subject.kind = SUBJECT_ORTPOOL;
        w->measure.subject.budget = 0;
        w->measure.repeat = 1;
        w->measure.save_outputs = NULL;
    } else if (!take_allocator(w->child, w) || w->all) {
        fprintf(stderr, "ortpool run: --child: '%s' is nothing that is measured\n", w->child);
        return EXIT_SETUP;
    }
    json_t *row = measure(&library, &w->measure);
    /* Numbers of so few digits fit where jansson begins to read one: with no memory for more it aborts. */
    const bool told =
        row != NULL && json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
    json_decref(row);
    if (!told) {
        fputs("ortpool run: no memory for what was measured\n", stderr);
    }
    return told ? EXIT_ANSWERED : EXIT_SETUP;
}

/* What a limit that was too small should have been: what the same runs take without one. */
static void say_enough(const wishes *w, char **argv, int argc)
{
    json_t *row = child_run(argc, argv, ENOUGH);
    const json_t *peak = json_object_get(row, "charged_peak_bytes");
    if (json_is_number(peak)) {
        /* Runs at once have a block each; the rest is shared. */
        const double idle =
            json_number_value(json_object_get(json_object_get(row, "ledger"), "idle"));
        const double more = (double)(w->measure.threads - 1) * idle;
        /* What is declared follows the process, which does not grow by the same each time. */
        const double enough = ceil(1.05 * (json_number_value(peak) + more) / MIB + 1);
        fprintf(stderr, "    For these shapes about %.0f MiB would do: --budget %.0fM\n", enough,
                enough);
    }
    json_decref(row);
}

static int say_error(const wishes *w, char **argv, int argc, const json_t *row)
{
    char given[32];
    if (json_is_true(json_object_get(row, "budget"))) {
        size_format(w->measure.subject.budget, given, sizeof(given));
        fprintf(stderr, "ortpool run: --budget: %s is too small for this model and these shapes",
                given);
        if (w->measure.threads > 1) {
            fprintf(stderr, ", %zu runs at once that do not wait for each other",
                    w->measure.threads);
        }
        fputs("\n    ", stderr);
    } else {
        fputs("ortpool run: ", stderr);
    }
    /* A line for each thing that is wrong; what is quoted from a model is anybody's. */
    const char *text = json_string_value(json_object_get(row, "error"));
    while (text != NULL && *text != '\0') {
        char line[1024];
        const size_t length = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)length, text);
        text_put(stderr, line, SIZE_MAX);
        fputc('\n', stderr);
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    const char *all = json_string_value(json_object_get(row, "error"));
    if (all != NULL && (strstr(all, "is not a registered function/op") != NULL ||
                        strstr(all, "No Op registered") != NULL || strstr(all, "pset") != NULL ||
                        strstr(all, "IR version") != NULL)) {
        fprintf(stderr,
                "    This is ONNX Runtime %s; ORTPOOL_ONNXRUNTIME=FOLDER names another release.\n",
                json_string_value(json_object_get(row, "onnxruntime")));
    }
    if (json_is_true(json_object_get(row, "budget"))) {
        say_enough(w, argv, argc);
    }
    return EXIT_SETUP;
}

static bool same_outputs(json_t *const *rows, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (!json_equal(json_object_get(rows[i], "outputs"), json_object_get(rows[0], "outputs"))) {
            return false;
        }
    }
    return true;
}

/* The rows as JSON, to be freed; NULL: no memory. (json_dumps() loses what it has no memory for.) */
static char *json_of(json_t *const *rows, size_t count)
{
    json_t *list = json_array();
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        whole = json_array_append(list, rows[i]) == 0 && whole;
    }
    const size_t bytes = whole ? json_dumpb(list, NULL, 0, JSON_INDENT(1)) : 0;
    char *text = bytes > 0 ? malloc(bytes + 1) : NULL;
    if (text != NULL) {
        text[json_dumpb(list, text, bytes, JSON_INDENT(1)) == bytes ? bytes : 0] = '\0';
    }
    json_decref(list);
    if (text != NULL && *text == '\0') {
        free(text);
        return NULL;
    }
    return text;
}

static int print(const wishes *w, json_t *const *rows, size_t count)
{
    output out;
    output_start(&out, w->json, 0);
    if (w->json) {
        char *text = json_of(rows, count);
        if (text == NULL) {
            fputs("ortpool run: no memory for the report\n", stderr);
            return output_finish(&out, EXIT_SETUP);
        }
        fputs("{\n\"model\": ", out.file);
        text_put_json(out.file, w->measure.subject.path);
        fprintf(out.file, ",\n\"rows\": %s\n}\n", text);
        free(text);
    } else {
        report_table(out.file, w->measure.subject.path, (const json_t *const *)rows, count);
    }
    int code = same_outputs(rows, count) ? EXIT_ANSWERED : EXIT_INPUT;
    if (interrupt_signal() != 0) {
        code = 128 + interrupt_signal();
    }
    return output_finish(&out, code);
}

static int measure_all(const wishes *w, char **argv, int argc)
{
    json_t *rows[SUBJECT_KINDS] = {NULL};
    size_t count = 0;
    int code = EXIT_ANSWERED;
    for (int kind = 0; kind < SUBJECT_KINDS && code == EXIT_ANSWERED && interrupt_signal() == 0;
         kind++) {
        if (!w->all && w->measure.subject.kind != (subject_kind)kind) {
            continue;
        }
        json_t *row = child_run(argc, argv, subject_names[kind]);
        if (row == NULL) {
            code = EXIT_SETUP;
        } else if (json_object_get(row, "error") != NULL) {
            code = say_error(w, argv, argc, row);
            json_decref(row);
        } else {
            rows[count++] = row;
        }
    }
    if (code == EXIT_ANSWERED && count > 0) {
        code = print(w, rows, count);
    } else if (interrupt_signal() != 0) {
        fputs("ortpool run: interrupted before the runs were made: nothing was measured\n", stderr);
        code = 128 + interrupt_signal();
    }
    for (size_t i = 0; i < count; i++) {
        json_decref(rows[i]);
    }
    return code;
}

int command_run(int argc, char **argv)
{
    wishes w;
    int code;
    if (!parse(argc, argv, &w, &code)) {
        return code;
    }
    return w.child != NULL ? measure_here(&w) : measure_all(&w, argv, argc);
}
