/* SPDX-License-Identifier: MIT */
/* ortpool bench: what ortpool buys on this machine, with this model. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arguments.h"
#include "bench.h"
#include "choice.h"
#include "collect.h"
#include "commands.h"
#include "compare.h"
#include "document.h"
#include "interrupt.h"
#include "output.h"
#include "page.h"
#include "parts.h"
#include "size.h"
#include "table.h"

static const char help[] =
    "usage: ortpool bench [OPTION]... [SWIPES.jsonl]\n"
    "       ortpool bench pool [OPTION]...\n"
    "       ortpool bench --compare EARLIER.json LATER.json\n"
    "\n"
    "Predicts swipes the usual way, by ONNX Runtime well used and by ortpool, each in a process\n"
    "of its own, all in turns, and shows times, allocations, page faults and memory. Without\n"
    "a file: the swipes that come with the model; a model without a keyboard gets inputs that are\n"
    "made up. 'pool' measures the block pool by itself.\n"
    "\n"
    "  --model DIR    the model (default: swipe-en-fp32 beside the bundled one, or that)\n"
    "  --usual DIR    the same weights as an exporter writes them: two more rows\n"
    "  --int8 DIR     the same model, quantised: one more row\n"
    "  --rows LIST    of these, with commas between them: naive-usual, naive, well-used-usual,\n"
    "                 well-used, no-arena, mimalloc, sequential, batched, incremental, int8, hits\n"
    "  --beam N       1 to 32 (default: the model's)\n"
    "  --most N       swipes (default 20)\n"
    "  --rounds N     in which every row predicts all swipes (default 5)\n"
    "  --starts N     processes that predict once, for the first prediction (default 5; 0: none)\n"
    "  --tail N       predictions of one swipe by ortpool's rows, for p99.9 (default 0: none)\n"
    "  --typing N     swipes of a typing session (default 100; 0: none)\n"
    "  --pool         the block pool, too\n"
    "  --json, --csv  in place of the table\n"
    "  --html FILE    a page with plots, too\n"
    "  --save FILE    the JSON, too\n"
    "  --from FILE    measures nothing: the table, CSV or page of a run that --json or --save "
    "kept\n"
    "  --compare      two files of --json: p50 and counts of each row, later over earlier; exit\n"
    "                 status 1 where one of ortpool's rows became worse\n"
    "  --noise PART   with --compare: what is no change (default 0.03)\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 measured, 1 rows found other words or --compare found worse, 2 usage or\n"
    "set-up. Ctrl-C ends the rounds with what they gave. mimalloc and strace are used where they\n"
    "are installed.\n";

enum {
    OPT_MODEL = OPT_FIRST,
    OPT_USUAL,
    OPT_INT8,
    OPT_ROWS,
    OPT_BEAM,
    OPT_MOST,
    OPT_ROUNDS,
    OPT_STARTS,
    OPT_TAIL,
    OPT_TYPING,
    OPT_POOL,
    OPT_JSON,
    OPT_CSV,
    OPT_HTML,
    OPT_SAVE,
    OPT_FROM,
    OPT_COMPARE,
    OPT_NOISE,
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, OPT_MODEL},
    {"usual", required_argument, NULL, OPT_USUAL},
    {"int8", required_argument, NULL, OPT_INT8},
    {"rows", required_argument, NULL, OPT_ROWS},
    {"beam", required_argument, NULL, OPT_BEAM},
    {"most", required_argument, NULL, OPT_MOST},
    {"rounds", required_argument, NULL, OPT_ROUNDS},
    {"starts", required_argument, NULL, OPT_STARTS},
    {"tail", required_argument, NULL, OPT_TAIL},
    {"typing", required_argument, NULL, OPT_TYPING},
    {"pool", no_argument, NULL, OPT_POOL},
    {"json", no_argument, NULL, OPT_JSON},
    {"csv", no_argument, NULL, OPT_CSV},
    {"html", required_argument, NULL, OPT_HTML},
    {"save", required_argument, NULL, OPT_SAVE},
    {"from", required_argument, NULL, OPT_FROM},
    {"compare", required_argument, NULL, OPT_COMPARE},
    {"noise", required_argument, NULL, OPT_NOISE},
    ARGUMENTS_END,
};

typedef struct wishes {
    choice choice;
    const char *html, *save, *earlier, *from;
    size_t typing;
    bool pool, json, csv;
    double noise;
} wishes;

/* ---- options ---- */

static const char *take(int option, const char *text, void *ctx)
{
    wishes *w = ctx;
    collect_options *c = &w->choice.collect;
    char *end = NULL;
    switch (option) {
    case OPT_MODEL:
        w->choice.model = text;
        return *text != '\0' ? NULL : "a model's folder";
    case OPT_USUAL:
        w->choice.usual = text;
        return *text != '\0' ? NULL : "a model's folder";
    case OPT_INT8:
        w->choice.int8 = text;
        return *text != '\0' ? NULL : "a model's folder";
    case OPT_ROWS:
        w->choice.rows = text;
        return NULL;
    case OPT_BEAM:
        return count_parse(text, 1, ORTP_BEAM_MAX, &c->beam) ? NULL : "a number from 1 to 32";
    case OPT_MOST:
        return count_parse(text, 1, 4096, &c->most) ? NULL : "a number from 1 to 4096";
    case OPT_ROUNDS:
        return count_parse(text, 1, 1000, &c->rounds) ? NULL : "a number from 1 to 1000";
    case OPT_STARTS:
        return count_parse(text, 0, 1000, &c->starts) ? NULL : "a number from 0 to 1000";
    case OPT_TAIL:
        return count_parse(text, 0, 1000000, &c->tail) ? NULL : "a number from 0 to 1000000";
    case OPT_TYPING:
        return count_parse(text, 0, 10000, &w->typing) ? NULL : "a number from 0 to 10000";
    case OPT_POOL:
        w->pool = true;
        return NULL;
    case OPT_JSON:
        w->json = true;
        return NULL;
    case OPT_CSV:
        w->csv = true;
        return NULL;
    case OPT_HTML:
        w->html = text;
        return *text != '\0' ? NULL : "a file";
    case OPT_SAVE:
        w->save = text;
        return *text != '\0' ? NULL : "a file";
    case OPT_FROM:
        w->from = text;
        return *text != '\0' ? NULL : "a file of `ortpool bench --json`";
    case OPT_COMPARE:
        w->earlier = text;
        return *text != '\0' ? NULL : "a file of `ortpool bench --json`";
    default: /* OPT_NOISE */
        w->noise = strtod(text, &end);
        return end != text && *end == '\0' && w->noise >= 0 && w->noise <= 1
                   ? NULL
                   : "a number from 0 to 1";
    }
}

/* ---- what is written ---- */

/* Before anything is measured: where a file is to go. false: said. */
static bool can_save(const char *path)
{
    char folder[PATH_MAX];
    struct stat about;
    const bool there = path != NULL && stat(path, &about) == 0;
    if (path == NULL || (there && !S_ISDIR(about.st_mode) && access(path, W_OK) == 0)) {
        return true;
    }
    const int number = there && S_ISDIR(about.st_mode) ? EISDIR : errno;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
             slash != NULL ? path : ".");
    if (number == ENOENT && access(folder, W_OK) == 0) {
        return true;
    }
    fprintf(stderr, "ortpool bench: '%s' could not be written: %s\n", path, strerror(number));
    return false;
}

static bool save(const char *path, const json_t *document, bool page)
{
    FILE *file = fopen(path, "w");
    bool written = file != NULL;
    if (written && page) {
        written = page_write(file, document);
    } else if (written) {
        written = json_dumpf(document, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 &&
                  fputc('\n', file) != EOF;
    }
    if (file != NULL && fclose(file) != 0) {
        written = false;
    }
    if (!written) {
        fprintf(stderr, "ortpool bench: '%s' could not be written: %s\n", path, strerror(errno));
    }
    return written;
}

static int write_all(const wishes *w, const json_t *document)
{
    output out;
    int code = json_is_true(json_object_get(json_object_get(document, "words"), "same"))
                   ? EXIT_ANSWERED
                   : EXIT_INPUT;
    output_start(&out, w->json, 0);
    if (w->json) {
        if (json_dumpf(document, out.file, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0) {
            code = EXIT_SETUP;
        }
        fputc('\n', out.file);
    } else if (w->csv) {
        csv_write(out.file, document);
    } else {
        table_write(out.file, document);
    }
    if ((w->save != NULL && !save(w->save, document, false)) ||
        (w->html != NULL && !save(w->html, document, true))) {
        code = EXIT_SETUP;
    }
    return output_finish(&out, code);
}

/* ---- the command ---- */

/* Verdicts are made anew: they are this version's. */
static int show_again(const wishes *w)
{
    json_t *document = can_save(w->save) && can_save(w->html) ? document_load(w->from) : NULL;
    if (document == NULL) {
        return EXIT_SETUP;
    }
    targets_add(document);
    const int code = write_all(w, document);
    json_decref(document);
    return code;
}

static int bench_predictions(wishes *w)
{
    collection c;
    if (!can_save(w->save) || !can_save(w->html) || !choice_make(&w->choice)) {
        return EXIT_SETUP;
    }
    const collect_options *options = &w->choice.collect;
    int code = EXIT_SETUP;
    if (collect(options, &c)) {
        json_t *document = document_make(&c);
        const bool whole = !c.cut_short && parts_add(document, options, w->typing, w->pool);
        targets_add(document);
        code = write_all(w, document); /* what there is, where a part failed */
        code = whole ? code : EXIT_SETUP;
        json_decref(document);
    } else if (interrupt_signal() != 0) {
        fputs("ortpool bench: interrupted before the first round was whole: nothing was measured\n",
              stderr);
    }
    collection_free(&c);
    return interrupt_signal() != 0 ? 128 + interrupt_signal() : code;
}

int command_bench(int argc, char **argv)
{
    static wishes w;
    row_options row;
    int code;
    if (argc > 1 && strcmp(argv[1], "pool") == 0) {
        return bench_pool(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "row") == 0 && row_options_read(argc - 1, argv + 1, &row)) {
        return row_serve(&row);
    }
    if (argc > 1 && strcmp(argv[1], "typing") == 0 && argc == 7) {
        return typing_serve(argv[2], argv[3], strtoul(argv[4], NULL, 10),
                            strtoul(argv[5], NULL, 10), strcmp(argv[6], "quiet") == 0);
    }
    w = (wishes){.typing = 100, .noise = 0.03};
    w.choice.collect = (collect_options){.most = 20, .rounds = 5, .starts = 5};
    const arguments a = {"bench", help, "file of swipes", long_options, take};
    if (!arguments_read(&a, argc, argv, &w, &w.choice.named_swipes, &code)) {
        return code;
    }
    if (w.json && w.csv) {
        return arguments_refuse(&a, &code, "--json or --csv, not both"), code;
    }
    w.choice.collect.quiet = w.json || w.csv;
    if (w.earlier != NULL) {
        if (w.choice.named_swipes == NULL) {
            return arguments_refuse(&a, &code,
                                    "--compare needs two files: EARLIER.json LATER.json"),
                   code;
        }
        return compare_files(stdout, w.earlier, w.choice.named_swipes, w.noise);
    }
    if (w.from != NULL) {
        return show_again(&w);
    }
    return bench_predictions(&w);
}
