/* SPDX-License-Identifier: MIT */
/* ortpool bench pool: what acquiring and releasing a block costs, beside other allocators. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ortpool/ortpool.h>

#include "arguments.h"
#include "commands.h"
#include "interrupt.h"
#include "machine.h"
#include "output.h"
#include "pool_report.h"
#include "rounds.h"
#include "size.h"

#define ROUNDS_DEFAULT 25u
#define ROUNDS_MAX 10000u
#define SIZE_MAX_BYTES ((size_t)64 << 20)
#define SIZES_WORDS "1 to 16 different sizes from 1 to 64M, with commas"

static const char help[] =
    "usage: ortpool bench pool [OPTION]...\n"
    "\n"
    "What acquiring and releasing a block of memory costs: both options of the pool, the\n"
    "C library, mimalloc where it is installed, ONNX Runtime's arena and its default\n"
    "allocator, beside a floor of as many calls that do nothing. All in one process, in\n"
    "turns; a second thread is alive throughout.\n"
    "\n"
    "  pair         one thread acquires and releases\n"
    "  two-threads  two threads do, with blocks of their own\n"
    "  hand-over    one thread acquires, the other releases\n"
    "  live-16      16 blocks at a time, the first line of each written\n"
    "\n"
    "  --rounds N    2 samples of a millisecond of each in a round (default 25, about 20 s)\n"
    "  --sizes LIST  bytes of the blocks: 64,640,150K; at most 16 (default: 64 to 8M)\n"
    "  --json        one JSON document\n"
    "  --csv         a line for each case, allocator and size\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 measured, 2 usage or set-up, or what was counted is not what was\n"
    "timed. Ctrl-C ends the rounds with what there is.\n";

/* Powers, tensors of the bundled model, and both sides of where blocks get mappings of their own. */
static const size_t default_sizes[] = {64,    128,   640,    5632,   38400,   57344,
                                       61440, 65536, 153600, 614400, 1228800, 8388608};

enum { OPT_ROUNDS = OPT_FIRST, OPT_SIZES, OPT_JSON, OPT_CSV };

static const struct option long_options[] = {
    {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"sizes", required_argument, NULL, OPT_SIZES},
    {"json", no_argument, NULL, OPT_JSON},
    {"csv", no_argument, NULL, OPT_CSV},
    ARGUMENTS_END,
};

typedef struct wishes {
    size_t rounds;
    size_t sizes[FIGURES_SIZES_MAX];
    size_t size_count;
    bool json, csv;
} wishes;

static bool has(const wishes *w, size_t size)
{
    for (size_t i = 0; i < w->size_count; i++) {
        if (w->sizes[i] == size) {
            return true;
        }
    }
    return false;
}

static bool take_sizes(const char *text, wishes *out)
{
    out->size_count = 0;
    for (;;) {
        char word[24];
        size_t size = 0;
        const size_t length = strcspn(text, ",");
        if (length >= sizeof(word) || out->size_count == FIGURES_SIZES_MAX) {
            return false;
        }
        snprintf(word, sizeof(word), "%.*s", (int)length, text);
        if (!size_parse(word, &size) || size > SIZE_MAX_BYTES || has(out, size)) {
            return false;
        }
        out->sizes[out->size_count++] = size;
        if (text[length] == '\0') {
            return true;
        }
        text += length + 1;
    }
}

/* NULL, or what would have been right. */
static const char *take(int option, const char *text, void *ctx)
{
    wishes *out = ctx;
    switch (option) {
    case OPT_ROUNDS:
        return count_parse(text, 1, ROUNDS_MAX, &out->rounds) ? NULL : "a number from 1 to 10000";
    case OPT_SIZES:
        return take_sizes(text, out) ? NULL : SIZES_WORDS;
    case OPT_JSON:
        out->json = true;
        return NULL;
    default:
        out->csv = true;
        return NULL;
    }
}

static bool parse(int argc, char **argv, wishes *out, int *code)
{
    const arguments a = {"bench pool", help, "operand", long_options, take};
    const char *operand;
    *out = (wishes){.rounds = ROUNDS_DEFAULT,
                    .size_count = sizeof(default_sizes) / sizeof(default_sizes[0])};
    memcpy(out->sizes, default_sizes, sizeof(default_sizes));
    if (!arguments_read(&a, argc, argv, out, &operand, code)) {
        return false;
    }
    if (operand != NULL) {
        return arguments_refuse(&a, code, "'%s' is no option, and nothing else is taken", operand);
    }
    if (out->json && out->csv) {
        return arguments_refuse(&a, code, "--json or --csv, not both");
    }
    return true;
}

static int fail(const char *message)
{
    fprintf(stderr, "ortpool bench pool: %s\n", message);
    return EXIT_SETUP;
}

/* The document of `ortpool bench` with the pool alone; NULL: no memory. */
static char *document(const pool_run *run, json_t *machine)
{
    char date[MACHINE_DATE_BYTES];
    machine_date(date);
    json_t *pool = pool_report_json(run);
    json_t *json = pool == NULL
                       ? NULL
                       : json_pack("{s:s, s:i, s:s, s:O, s:o}", "ortpool", ortp_version(), "bench",
                                   1, "date", date, "machine", machine, "pool", pool);
    char *text = json != NULL ? machine_document(json) : NULL;
    json_decref(json);
    return text;
}

static int print(const wishes *w, const pool_run *run)
{
    output out;
    output_start(&out, w->json, 0);
    json_t *machine = machine_json();
    char *text = machine != NULL && w->json ? document(run, machine) : NULL;
    int code = interrupt_signal() != 0 ? 128 + interrupt_signal() : EXIT_ANSWERED;
    if (machine == NULL || (w->json && text == NULL)) {
        code = fail("no memory for the report");
    } else if (w->json) {
        fprintf(out.file, "%s\n", text);
    } else if (w->csv) {
        pool_report_csv(out.file, run);
    } else {
        pool_report_table(out.file, run, machine);
    }
    free(text);
    json_decref(machine);
    return output_finish(&out, code);
}

static int measure(const wishes *w, heaps *all)
{
    char message[512] = "";
    figures *f = malloc(sizeof(*f));
    if (f == NULL) {
        return fail("no memory for the figures");
    }
    int code;
    if (!rounds_run(all, w->sizes, w->size_count, w->rounds, w->json || w->csv, f, message,
                    sizeof(message))) {
        code = fail(message);
    } else {
        const pool_run run = {f, all, w->rounds, interrupt_signal() != 0};
        code = print(w, &run);
    }
    free(f);
    return code;
}

int bench_pool(int argc, char **argv)
{
    wishes w;
    int code;
    if (!parse(argc, argv, &w, &code)) {
        return code;
    }
    char message[512] = "";
    heaps *all = malloc(sizeof(*all)); /* of some size: paths and messages */
    if (all == NULL) {
        return fail("no memory for what is measured");
    }
    code = heaps_open(all, message, sizeof(message)) ? measure(&w, all) : fail(message);
    if (!heaps_close(all) && code == EXIT_ANSWERED) {
        code = fail("blocks were left in a pool");
    }
    free(all);
    return code;
}
