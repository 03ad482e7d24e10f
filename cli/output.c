/* SPDX-License-Identifier: MIT */
/*
 * Answers appear as they come, so a table cannot know its widest word beforehand: columns start
 * wide enough for most and grow when they must, which leaves the lines before a little narrower.
 */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "size.h"
#include "text.h"

#define ID_COLUMNS 4
#define ID_COLUMNS_MAX 24
#define WORD_COLUMNS 11 /* three candidates then fit 80 columns */
#define SCORE_COLUMNS 6
#define GAP 2
#define LABEL_COLUMNS 34 /* of the lines above the ledger */

void output_start(output *out, bool json, size_t top)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    *out = (output){
        .file = stdout,
        .json = json,
        .colour = terminal && (no_colour == NULL || *no_colour == '\0'),
        .top = top,
        .id_columns = ID_COLUMNS,
        .word_columns = WORD_COLUMNS,
    };
}

void output_style_set(const output *out, output_style style)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[32m", "\033[31m"};
    if (out->colour) {
        fputs(codes[style], out->file);
    }
}

/* Hands a finished line on, so that a reader that waits for it gets it. */
static bool flush_line(output *out)
{
    (void)fflush(out->file); /* where that fails, ferror() knows */
    if (out->write_errno == 0 && ferror(out->file)) {
        out->write_errno = errno != 0 ? errno : EIO;
    }
    return out->write_errno == 0;
}

/* ---- JSON ---- */

static void json_id(FILE *file, const swipe_row *row)
{
    fputs("{\"id\":", file);
    if (row->id_kind == ID_STRING) {
        text_put_json(file, row->id);
    } else {
        fputs(row->id_kind == ID_NUMBER ? row->id : "null", file);
    }
}

static void json_answer(FILE *file, const answer *a)
{
    const ortp_prediction *p = a->prediction;
    json_id(file, a->row);
    if (a->error != NULL) {
        fputs(",\"error\":", file);
        text_put_json(file, a->error);
        fputs("}\n", file);
        return;
    }
    fputs(",\"candidates\":[", file);
    for (size_t i = 0; i < p->candidate_count; i++) {
        fputs(i == 0 ? "{\"word\":" : ",{\"word\":", file);
        text_put_json(file, p->candidates[i].word);
        fprintf(file, ",\"score\":%.6g,\"confidence\":%.4f}", p->candidates[i].score,
                p->candidates[i].confidence);
    }
    fprintf(file,
            "],\"cache\":\"%s\",\"us\":%llu,\"stages_us\":{\"features\":%llu,\"encoder\":%llu,"
            "\"decoder\":%llu,\"search\":%llu}}\n",
            p->cache_hit ? "hit" : "miss", (unsigned long long)p->microseconds,
            (unsigned long long)p->features_us, (unsigned long long)p->encoder_us,
            (unsigned long long)p->decoder_us, (unsigned long long)p->search_us);
}

/* ---- table ---- */

/* "hello -0.31": word and score in one cell. */
static size_t cell_columns(const output *out)
{
    return out->word_columns + 1 + SCORE_COLUMNS;
}

static void table_header(output *out)
{
    static const char *const ranks[] = {"word", "second", "third"};
    output_style_set(out, STYLE_BOLD);
    text_pad(out->file, out->id_columns - strlen("id"));
    fputs("id", out->file);
    size_t named = sizeof(ranks) / sizeof(ranks[0]);
    for (size_t i = 0; i < out->top; i++) {
        char rank[24];
        snprintf(rank, sizeof(rank), "%zuth", i + 1);
        const char *name = i < named ? ranks[i] : rank;
        text_pad(out->file, GAP);
        fprintf(out->file, "%-*s %*s", (int)out->word_columns, name, SCORE_COLUMNS, "score");
    }
    fprintf(out->file, "  cache      ms");
    output_style_set(out, STYLE_PLAIN);
    fputc('\n', out->file);
    out->header_done = true;
}

static void table_id(output *out, const swipe_row *row)
{
    const char *id = row->id_kind == ID_UNKNOWN ? "-" : row->id;
    size_t columns = text_columns(id);
    if (columns > ID_COLUMNS_MAX) {
        columns = ID_COLUMNS_MAX;
    }
    if (columns > out->id_columns) {
        out->id_columns = columns;
    }
    text_pad(out->file, out->id_columns - columns);
    text_put(out->file, id, ID_COLUMNS_MAX);
}

static void table_candidates(output *out, const ortp_prediction *p)
{
    for (size_t i = 0; i < p->candidate_count; i++) {
        size_t columns = text_columns(p->candidates[i].word);
        out->word_columns = columns > out->word_columns ? columns : out->word_columns;
    }
    for (size_t i = 0; i < out->top; i++) {
        text_pad(out->file, GAP);
        if (i >= p->candidate_count) {
            const char *none = p->candidate_count == 0 && i == 0 ? "(no word)" : "";
            fprintf(out->file, "%-*s", (int)cell_columns(out), none);
            continue;
        }
        const ortp_candidate *c = &p->candidates[i];
        output_style_set(out, i == 0 ? STYLE_BOLD : STYLE_PLAIN);
        size_t columns = text_put(out->file, c->word, SIZE_MAX);
        output_style_set(out, STYLE_PLAIN);
        text_pad(out->file, out->word_columns - columns);
        output_style_set(out, STYLE_DIM);
        fprintf(out->file, " %*.2f", SCORE_COLUMNS, c->score);
        output_style_set(out, STYLE_PLAIN);
    }
}

static void table_answer(output *out, const answer *a)
{
    if (!out->header_done) {
        table_header(out);
    }
    table_id(out, a->row);
    if (a->error != NULL) {
        text_pad(out->file, GAP);
        output_style_set(out, STYLE_RED);
        fprintf(out->file, "(line %zu failed)", a->line);
        output_style_set(out, STYLE_PLAIN);
        fputc('\n', out->file);
        return;
    }
    const ortp_prediction *p = a->prediction;
    table_candidates(out, p);
    text_pad(out->file, GAP);
    output_style_set(out, p->cache_hit ? STYLE_GREEN : STYLE_DIM);
    fprintf(out->file, "%-5s", p->cache_hit ? "hit" : "miss");
    output_style_set(out, STYLE_PLAIN);
    fprintf(out->file, " %7.1f\n", (double)p->microseconds / 1000);
}

bool output_answer(output *out, const answer *a)
{
    errno = 0;
    if (out->json) {
        json_answer(out->file, a);
    } else {
        table_answer(out, a);
    }
    bool ok = flush_line(out);
    if (ok && a->error != NULL && !out->json) {
        fputs("ortpool: ", stderr);
        text_put(stderr, a->error, SIZE_MAX);
        fputc('\n', stderr);
    }
    return ok;
}

/* ---- statistics ---- */

static void json_stats(const output *out, const char *ledger, const engine *e, const run_summary *s,
                       double rate)
{
    /* The ledger is one object; the run's figures join it before its last brace. */
    fprintf(out->file, "{\"stats\":%.*s", (int)strlen(ledger) - 1, ledger);
    fprintf(out->file,
            ",\"lines\":%zu,\"lines_failed\":%zu,\"seconds\":%.3f,\"words_per_second\":%.2f"
            ",\"warmup_us\":%llu,\"warmup_steps\":%zu,\"warmup_mapped\":%zu,\"ort_version\":",
            s->lines, s->failed, s->seconds, rate, (unsigned long long)e->warmup.microseconds,
            e->warmup.steps_done, e->warmup.mapped_bytes);
    text_put_json(out->file, e->ort_version);
    fputs("}}\n", out->file);
}

static void table_line(const output *out, const char *label)
{
    fprintf(out->file, "%-*s", LABEL_COLUMNS, label);
}

static void table_stats(const output *out, const char *ledger, const engine *e,
                        const run_summary *s, double rate)
{
    fputc('\n', out->file);
    output_style_set(out, STYLE_BOLD);
    fprintf(out->file, "Run, on ONNX Runtime %s\n", e->ort_version);
    output_style_set(out, STYLE_PLAIN);
    table_line(out, "warm-up");
    if (e->warmup.steps_total == 0) {
        fputs("none\n", out->file);
    } else {
        char mapped[32];
        size_format(e->warmup.mapped_bytes, mapped, sizeof(mapped));
        fprintf(out->file, "%.0f ms, %zu steps, %s mapped\n", (double)e->warmup.microseconds / 1000,
                e->warmup.steps_done, mapped);
    }
    table_line(out, "swipes");
    fprintf(out->file, "%zu in %.2f s, %.1f words per second", s->lines, s->seconds, rate);
    if (s->failed > 0) {
        fprintf(out->file, ", %zu failed", s->failed);
    }
    fputs("\n\n", out->file);
    output_style_set(out, STYLE_BOLD);
    fputs("Memory: charged is mapped + declared, mapped is in use + idle + metadata\n", out->file);
    output_style_set(out, STYLE_PLAIN);
    fputs(ledger, out->file);
}

bool output_stats(output *out, const run_options *options, const engine *e,
                  const run_summary *summary)
{
    if (options->stats == STATS_NONE || out->write_errno != 0) {
        return true;
    }
    ortp_stats stats = ORTP_STATS_INIT;
    (void)ortp_stats_collect(e->runtime, &stats);
    bool json = options->json || options->stats == STATS_JSON;
    ortp_stats_format format = json ? ORTP_STATS_JSON : ORTP_STATS_TABLE;
    size_t length = 0;
    ortp_stats_write(&stats, format, NULL, 0, &length);
    char *ledger = malloc(length + 1);
    if (ledger == NULL) {
        fputs("ortpool: no memory for the statistics\n", stderr);
        return false;
    }
    ortp_stats_write(&stats, format, ledger, length + 1, NULL);
    double rate = (double)(summary->lines - summary->failed) / summary->seconds;
    errno = 0;
    if (json) {
        json_stats(out, ledger, e, summary, rate);
    } else {
        table_stats(out, ledger, e, summary, rate);
    }
    free(ledger);
    (void)flush_line(out);
    return true;
}

int output_finish(output *out, int code)
{
    errno = 0;
    (void)flush_line(out);
    if (out->write_errno == 0 || out->write_errno == EPIPE) {
        return code;
    }
    fprintf(stderr, "ortpool: the output could not be written: %s\n", strerror(out->write_errno));
    return EXIT_SETUP;
}
