/* SPDX-License-Identifier: MIT */
/* ortpool soak: the predictor at work for long, under pressure. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../arguments.h"
#include "../commands.h"
#include "../find_model.h"
#include "../interrupt.h"
#include "../path.h"
#include "../size.h"
#include "report.h"

#define PREDICTIONS_MAX 1000000000u
#define SECONDS_MAX 1000000u
#define SECONDS_DEFAULT 60u
#define THREADS_DEFAULT 2u

static const char help[] =
    "usage: ortpool soak [OPTION]... [FILE|-]\n"
    "\n"
    "Predicts swipes for long, on several threads, while limits are set near and below\n"
    "what is charged, memory is trimmed, caches are dropped and warm-ups come again; and\n"
    "checks that every word is the one that one thread alone finds, bit for bit; that\n"
    "the memory ledger adds up and the limit holds; that nothing grows, and that\n"
    "everything is given back. What does not fit is refused, which is no failure: it\n"
    "must succeed afterwards.\n"
    "\n"
    "FILE has swipes as `ortpool predict` takes them; without it the samples.jsonl of\n"
    "the model's folder, or else of the bundled model.\n"
    "\n"
    "  --predictions N  end after so many that gave words, 1 to 1000000000\n"
    "  --seconds S      end after so long, 1 to 1000000 (60 without --predictions)\n"
    "  --threads N      predictions in parallel, 1 to 64 (2); one more makes pressure\n"
    "  --seed N         of the pressure and of the order of swipes (1)\n"
    "  --beam N         beam width of the search, 1 to 32 (the model's)\n"
    "  --path PATH      auto (default), incremental, batched or sequential\n"
    "  --pool KIND      thread (default) or striped\n"
    "  --budget SIZE    limit of all memory that ortpool maps or declares, above which\n"
    "                   the pressure never raises it: 512K, 64M or 64MiB, 1G, or bytes (none)\n"
    "  --json           one JSON object instead of tables\n"
    "  --model DIR      folder with model.json (ORTPOOL_MODEL, or else\n"
    "                   models/swipe-en here or beside the program)\n"
    "  --help, --version\n"
    "\n"
    "Ctrl-C ends the run with the report. Exit status: 0 all checks held; 1 one failed;\n"
    "2 usage or set-up; 130 interrupted, all checks held so far.\n";

enum {
    OPT_PREDICTIONS = OPT_FIRST,
    OPT_SECONDS,
    OPT_THREADS,
    OPT_SEED,
    OPT_BEAM,
    OPT_PATH,
    OPT_POOL,
    OPT_BUDGET,
    OPT_JSON,
    OPT_MODEL,
};

static const struct option long_options[] = {
    {"predictions", required_argument, NULL, OPT_PREDICTIONS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"beam", required_argument, NULL, OPT_BEAM},
    {"path", required_argument, NULL, OPT_PATH},
    {"pool", required_argument, NULL, OPT_POOL},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"json", no_argument, NULL, OPT_JSON},
    {"model", required_argument, NULL, OPT_MODEL},
    ARGUMENTS_END,
};

typedef struct wishes {
    run_options engine;
    size_t predictions, seconds, seed;
} wishes;

/* NULL, or what would have been right. */
static const char *take(int option, const char *text, void *ctx)
{
    wishes *out = ctx;
    bool second = false;
    switch (option) {
    case OPT_PREDICTIONS:
        return count_parse(text, 1, PREDICTIONS_MAX, &out->predictions)
                   ? NULL
                   : "a number from 1 to 1000000000";
    case OPT_SECONDS:
        return count_parse(text, 1, SECONDS_MAX, &out->seconds) ? NULL
                                                                : "a number from 1 to 1000000";
    case OPT_THREADS:
        return count_parse(text, 1, SOAK_THREADS_MAX, &out->engine.threads)
                   ? NULL
                   : "a number from 1 to 64";
    case OPT_SEED:
        return count_parse(text, 0, UINT32_MAX, &out->seed) ? NULL
                                                            : "a number from 0 to 4294967295";
    case OPT_BEAM:
        return count_parse(text, 1, ORTP_BEAM_MAX, &out->engine.beam) ? NULL
                                                                      : "a number from 1 to 32";
    case OPT_PATH:
        return path_parse(text, &out->engine.path) ? NULL : PATH_WORDS;
    case OPT_POOL:
        if (!arguments_choose(text, "thread", "striped", &second)) {
            return "'thread' or 'striped'";
        }
        out->engine.pool = second ? ORTP_POOL_STRIPED : ORTP_POOL_THREAD_CACHED;
        return NULL;
    case OPT_BUDGET:
        return size_parse(text, &out->engine.budget)
                   ? NULL
                   : "a size above 0 such as 512K, 64MiB, 1G or bytes";
    case OPT_MODEL:
        out->engine.model = text;
        return *text != '\0' ? NULL : "a model's folder";
    default:
        out->engine.json = true;
        return NULL;
    }
}

static int interrupted(void)
{
    return interrupt_signal() != 0 ? 128 + interrupt_signal() : EXIT_SETUP;
}

/* The samples of the model, or else of the bundled one. */
static bool read_samples(const engine *e, swipe_file *swipes)
{
    static const char file[] = "samples.jsonl";
    char name[sizeof e->model + sizeof file + 1];
    snprintf(name, sizeof name, "%s/%s", e->model, file);
    if (access(name, F_OK) != 0) {
        char bundled[sizeof e->model];
        if (!find_bundled_model(bundled, sizeof bundled)) {
            fprintf(stderr, "ortpool soak: no %s, and no bundled model: name a FILE of swipes\n",
                    name);
            return false;
        }
        snprintf(name, sizeof name, "%s/%s", bundled, file);
    }
    return swipe_file_read(swipes, name);
}

static int report(const soak *s, const wishes *w, soak_about *about, bool good)
{
    output out;
    output_start(&out, w->engine.json, 0);
    about->signal = interrupt_signal();
    int code = good ? EXIT_ANSWERED : EXIT_INPUT;
    if (good && about->signal != 0) {
        code = 128 + about->signal;
    }
    if (!report_write(&out, s, about)) {
        code = EXIT_SETUP;
    }
    return output_finish(&out, code);
}

static int run(soak *s, engine *e, const wishes *w)
{
    const ortp_path asked = w->engine.path;
    const ortp_path taken = ortp_model_path(ortp_predictor_model(e->predictor));
    soak_about about = {.model = e->model,
                        .ort_version = e->ort_version,
                        .path = path_name(asked == ORTP_PATH_SEQUENTIAL ? asked : taken),
                        .pool = w->engine.pool == ORTP_POOL_STRIPED ? "striped" : "thread",
                        .beam = w->engine.beam};
    if (!soak_reference(s) || !soak_run(s)) {
        return interrupted();
    }
    const bool good = soak_finish(s, e);
    const int code = report(s, w, &about, good);
    if (s->stuck) {
        _exit(code); /* a thread is at work on what would be freed */
    }
    return code;
}

static int start(engine *e, const swipe_file *swipes, const wishes *w)
{
    const soak_options options = {
        .predictions = w->predictions,
        .seconds = (double)w->seconds,
        .threads = w->engine.threads,
        .budget = w->engine.budget > 0 ? w->engine.budget : ORTP_UNLIMITED,
        .seed = w->seed,
        .quiet = w->engine.json,
    };
    soak *s = malloc(sizeof *s);
    if (s == NULL || !soak_start(s, e, swipes, &options)) {
        free(s);
        return EXIT_SETUP;
    }
    const int code = run(s, e, w);
    soak_free(s);
    free(s);
    return code;
}

int command_soak(int argc, char **argv)
{
    wishes w = {.engine = {.threads = THREADS_DEFAULT}, .seed = 1};
    const arguments a = {
        .command = "soak", .help = help, .operand = "input", .known = long_options, .take = take};
    const char *input = NULL;
    int code;
    if (!arguments_read(&a, argc, argv, &w, &input, &code)) {
        return code;
    }
    if (w.predictions == 0 && w.seconds == 0) {
        w.seconds = SECONDS_DEFAULT;
    }
    swipe_file swipes = {0};
    if (input != NULL && !swipe_file_read(&swipes, input)) {
        return interrupted();
    }
    engine e;
    code = engine_open(&e, &w.engine, false);
    if (code == EXIT_ANSWERED) {
        code = input != NULL || read_samples(&e, &swipes) ? start(&e, &swipes, &w) : interrupted();
    }
    swipe_file_free(&swipes);
    const int closed = engine_close(&e, code);
    return code == EXIT_INPUT ? code : closed; /* what is still in use then was told */
}
