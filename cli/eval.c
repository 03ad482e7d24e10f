/* SPDX-License-Identifier: MIT */
/* ortpool eval: swipes whose word is known in, how often it was found out. */
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "engine.h"
#include "options.h"
#include "output.h"
#include "percentiles.h"
#include "progress.h"
#include "run.h"
#include "score.h"
#include "text.h"

#define CANDIDATES 5u

static const subcommand eval_command = {
    .name = "eval",
    .needs_input = true,
    .help = "usage: ortpool eval [OPTION]... FILE|-\n"
            "\n"
            "Reads swipes as `ortpool predict` does, each with its \"word\", and prints how\n"
            "often the word was found: first, among three, among five; by length, in the\n"
            "lexicon and out of it; and how long predictions took. Every line counts, one\n"
            "that fails as wrong. The encoder cache is off, so that each line is timed for\n"
            "itself.\n"
            "\n"
            "  --json           one JSON object instead of a table; top1, top3 and top5\n"
            "                   are fractions\n"
            "  --beam N         beam width of the search, 1 to 32 (the model's)\n"
            "  --path PATH      auto (default), incremental, batched or sequential\n"
            "  --pool KIND      thread (default) or striped\n"
            "  --budget SIZE    limit of all memory that ortpool maps or declares:\n"
            "                   512K, 64M or 64MiB, 1G, or bytes (none)\n"
            "  --threads N      predictions in parallel, 1 to 64 (1)\n"
            "  --no-warmup      start at once; the first predictions pay for the set-up\n"
            "  --stats[=json]   print the memory ledger at the end; with --json or =json\n"
            "                   as a last line {\"stats\":{..}}\n"
            "  --model DIR      folder with model.json (ORTPOOL_MODEL, or else\n"
            "                   models/swipe-en here or beside the program)\n"
            "  --help, --version\n"
            "\n"
            "Exit status: 0 all lines predicted; 1 a line failed; 2 usage or set-up;\n"
            "130 interrupted. training/convert_hws.py makes such lines from the\n"
            "How-We-Swipe recordings.\n",
};

typedef struct evaluation {
    const ortp_lexicon *lexicon;
    score score;
    percentiles microseconds;
    progress bar;
    bool no_memory;
} evaluation;

static void show_progress(evaluation *e, double position)
{
    char note[96];
    const tally *all = &e->score.all;
    snprintf(note, sizeof(note), "%zu rows, top-1 %.1f %%", all->rows,
             100.0 * (double)all->top1 / (double)all->rows);
    progress_update(&e->bar, position, note);
}

static bool count_answer(void *ctx, const answer *a)
{
    evaluation *e = ctx;
    const char *word = a->row->word;
    const ortp_prediction *p = a->error == NULL ? a->prediction : NULL;
    score_add(&e->score, word, word != NULL && ortp_lexicon_contains(e->lexicon, word), p);
    if (p != NULL && !percentiles_add(&e->microseconds, p->microseconds)) {
        e->no_memory = true;
        return false;
    }
    if (a->error != NULL) {
        progress_clear(&e->bar);
        fputs("ortpool: ", stderr);
        text_put(stderr, a->error, SIZE_MAX);
        fputc('\n', stderr);
    }
    show_progress(e, a->position);
    return true;
}

/* ---- JSON ---- */

/* A fraction of no rows is no number. */
static void json_fraction(FILE *file, const char *name, size_t part, size_t rows)
{
    if (rows == 0) {
        fprintf(file, "\"%s\":null", name);
    } else {
        fprintf(file, "\"%s\":%.6f", name, (double)part / (double)rows);
    }
}

static void json_tally(FILE *file, const tally *t)
{
    fprintf(file, "\"rows\":%zu,", t->rows);
    json_fraction(file, "top1", t->top1, t->rows);
    fputc(',', file);
    json_fraction(file, "top3", t->top3, t->rows);
    fputc(',', file);
    json_fraction(file, "top5", t->top5, t->rows);
}

static void json_named_tally(FILE *file, const char *name, const tally *t)
{
    fprintf(file, "\"%s\":{", name);
    json_tally(file, t);
    fputc('}', file);
}

static void json_latency(FILE *file, percentiles *p)
{
    if (p->count == 0) {
        fputs("null", file);
        return;
    }
    fprintf(file, "{\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"max\":%llu,\"mean\":%.0f}",
            (unsigned long long)percentiles_get(p, 50), (unsigned long long)percentiles_get(p, 90),
            (unsigned long long)percentiles_get(p, 99), (unsigned long long)percentiles_get(p, 100),
            percentiles_mean(p));
}

static void json_report(FILE *file, evaluation *e, const run_summary *summary)
{
    const score *s = &e->score;
    fputc('{', file);
    json_tally(file, &s->all);
    fprintf(file, ",\"failed\":%zu,\"by_length\":{", s->failed);
    for (int i = 0; i < LENGTH_CLASSES; i++) {
        fputs(i == 0 ? "" : ",", file);
        json_named_tally(file, score_length_name((length_class)i), &s->by_length[i]);
    }
    fputs("},", file);
    json_named_tally(file, "in_lexicon", &s->in_lexicon);
    fputc(',', file);
    json_named_tally(file, "out_of_lexicon", &s->out_of_lexicon);
    fputs(",\"latency_us\":", file);
    json_latency(file, &e->microseconds);
    fprintf(file, ",\"seconds\":%.3f}\n", summary->seconds);
}

/* ---- table ---- */

static void table_cell(FILE *file, size_t part, size_t rows)
{
    if (rows == 0) {
        fprintf(file, " %8s", "-");
    } else {
        fprintf(file, " %7.1f%%", 100 * (double)part / (double)rows);
    }
}

static void table_tally(FILE *file, const char *name, const tally *t)
{
    fprintf(file, "%-18s %8zu", name, t->rows);
    table_cell(file, t->top1, t->rows);
    table_cell(file, t->top3, t->rows);
    table_cell(file, t->top5, t->rows);
    fputc('\n', file);
}

static void table_report(output *out, evaluation *e, const run_summary *summary)
{
    const score *s = &e->score;
    FILE *file = out->file;
    output_style_set(out, STYLE_BOLD);
    fprintf(file, "%-18s %8s %8s %8s %8s", "", "rows", "top-1", "top-3", "top-5");
    output_style_set(out, STYLE_PLAIN);
    fputc('\n', file);
    table_tally(file, "all", &s->all);
    for (int i = 0; i < LENGTH_CLASSES; i++) {
        char name[24];
        snprintf(name, sizeof(name), "%s letters", score_length_name((length_class)i));
        table_tally(file, name, &s->by_length[i]);
    }
    table_tally(file, "in the lexicon", &s->in_lexicon);
    table_tally(file, "out of it", &s->out_of_lexicon);
    if (s->failed > 0) {
        fprintf(file, "\n%zu of %zu rows failed and count as wrong\n", s->failed, s->all.rows);
    }
    percentiles *p = &e->microseconds;
    if (p->count > 0) {
        fprintf(file, "\nper prediction     p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, max %.1f ms\n",
                (double)percentiles_get(p, 50) / 1000, (double)percentiles_get(p, 90) / 1000,
                (double)percentiles_get(p, 99) / 1000, (double)percentiles_get(p, 100) / 1000);
    }
    fprintf(file, "in all             %.1f s, %.1f words per second\n", summary->seconds,
            (double)p->count / summary->seconds);
}

static void clear_progress(void *ctx)
{
    evaluation *e = ctx;
    progress_clear(&e->bar);
}

static int evaluate(engine *e, const run_options *options, line_reader *reader)
{
    evaluation ev = {.lexicon = ortp_predictor_lexicon(e->predictor)};
    output out;
    output_start(&out, options->json, options->top);
    progress_start(&ev.bar, "evaluating", 0, options->json);
    run r = {.engine = e,
             .options = options,
             .want_word = true,
             .result = count_answer,
             .finished = clear_progress,
             .ctx = &ev};
    int code = run_lines(&r, reader);
    progress_clear(&ev.bar);
    if (ev.no_memory) {
        fputs("ortpool: no memory for another latency\n", stderr);
        code = EXIT_SETUP;
    }
    if (options->json) {
        json_report(out.file, &ev, &r.summary);
    } else if (r.summary.lines > 0) {
        table_report(&out, &ev, &r.summary);
    }
    if (r.summary.lines > 0 && !output_stats(&out, options, e, &r.summary)) {
        code = EXIT_SETUP;
    }
    percentiles_free(&ev.microseconds);
    return output_finish(&out, code);
}

int command_eval(int argc, char **argv)
{
    run_options options;
    int code;
    if (!options_parse(&eval_command, argc, argv, &options, &code)) {
        return code;
    }
    options.top = CANDIDATES;
    line_reader reader;
    if (!run_open_input(&reader, options.input)) {
        return EXIT_SETUP;
    }
    engine e;
    code = engine_open(&e, &options, true);
    if (code == EXIT_ANSWERED) {
        code = evaluate(&e, &options, &reader);
    }
    line_reader_close(&reader);
    return engine_close(&e, code);
}
