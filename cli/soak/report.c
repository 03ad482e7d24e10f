/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>

#include "../size.h"

#define NAME_COLUMNS 30

static const struct {
    const char *key, *text;
} actions[] = {
#define CHAOS_NAMES(name, key, text) {key, text},
    CHAOS_MAP(CHAOS_NAMES)
#undef CHAOS_NAMES
};

static uint64_t with_words(const record_counts *c)
{
    return c->right + c->wrong;
}

/* ---- table ---- */

static void heading(output *out, const char *format, ...) ORTP_PRINTF(2, 3);

static void heading(output *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    output_style_set(out, STYLE_BOLD);
    vfprintf(out->file, format, args);
    output_style_set(out, STYLE_PLAIN);
    fputc('\n', out->file);
    va_end(args);
}

static void table_latency(FILE *file, const char *name, const histogram *h)
{
    fprintf(file, "%-*s", NAME_COLUMNS, name);
    if (h->count == 0) {
        fprintf(file, "%10s\n", "none");
        return;
    }
    fprintf(file, "%10" PRIu64 " %9.1f %9.1f %9.1f %9.1f\n", h->count,
            (double)histogram_get(h, 50) / 1000, (double)histogram_get(h, 99) / 1000,
            (double)histogram_get(h, 99.9) / 1000, (double)h->max / 1000);
}

static void table_predictions(output *out, const soak *s, const record_counts *c)
{
    FILE *file = out->file;
    fprintf(file, "%-*s%10" PRIu64 "  in %.1f s, %.1f per second\n", NAME_COLUMNS,
            "predictions with words", with_words(c), s->seconds,
            (double)with_words(c) / fmax(s->seconds - s->paused, 1e-9));
    fprintf(file, "%-*s%10" PRIu64 "\n", NAME_COLUMNS, "  of these wrong", c->wrong);
    fprintf(file, "%-*s%10" PRIu64 "\n", NAME_COLUMNS, "refused by the budget", c->refused_budget);
    fprintf(file, "%-*s%10" PRIu64 "\n", NAME_COLUMNS, "refused at their deadline",
            c->refused_deadline);
    fprintf(file, "%-*s%10" PRIu64 "\n\n", NAME_COLUMNS, "  tried again, well", s->recovered);
    heading(out, "%-*s%10s %9s %9s %9s %9s", NAME_COLUMNS, "latency, ms", "count", "p50", "p99",
            "p99.9", "max");
    table_latency(file, "encoder cache missed", &s->record.misses);
    table_latency(file, "encoder cache hit", &s->record.hits);
}

static void table_pressure(output *out, const soak *s)
{
    fputc('\n', out->file);
    heading(out, "pressure");
    for (size_t i = 0; i < CHAOS_ACTIONS; i++) {
        fprintf(out->file, "%-*s%10" PRIu64, NAME_COLUMNS, actions[i].text, s->chaos.counts[i]);
        if (i == CHAOS_WARM) {
            fprintf(out->file, "  %" PRIu64 " refused, %" PRIu64 " cut short",
                    s->chaos.warmups_refused, s->chaos.warmups_cut);
        }
        fputc('\n', out->file);
    }
}

static void table_checkpoints(output *out, const soak *s)
{
    fputc('\n', out->file);
    heading(out, "%10s %12s %15s %15s %15s", "quiet at s", "predictions", "mapped", "heap",
            "anonymous");
    for (size_t i = 0; i < s->checkpoint_count; i++) {
        const checkpoint *c = &s->checkpoints[i];
        fprintf(out->file, "%10.1f %12" PRIu64 " %15" PRIu64 " %15" PRIu64 " %15" PRIu64 "\n",
                c->seconds, c->predictions, c->mapped, c->heap, c->anonymous);
    }
}

static void table_growth(FILE *file, const char *name, const growth *g, uint64_t allowance)
{
    if (!g->judged) {
        fprintf(file, "growth of %s: not judged: %s\n", name,
                "too few quiet points, or not known here");
        return;
    }
    fprintf(file,
            "growth of %s: %+" PRId64 " bytes from the first quarter's median to the last's, tau "
            "%+.2f (allowed: %" PRIu64 ")\n",
            name, (int64_t)(g->last - g->first), g->tau, allowance);
}

static void table_verdict(output *out, const soak *s, const soak_about *about)
{
    fputc('\n', out->file);
    table_growth(out->file, "what ortpool maps", &s->mapped, SOAK_MAPPED_ALLOWANCE);
    table_growth(out->file, "the heap", &s->heap, SOAK_HEAP_ALLOWANCE);
    fputc('\n', out->file);
    if (about->signal != 0) {
        fputs("Interrupted.\n", out->file);
    }
    const size_t count = s->failures.count;
    output_style_set(out, count == 0 ? STYLE_GREEN : STYLE_RED);
    if (count == 0) {
        fputs("good: words, ledger, limits, memory", out->file);
    } else {
        fprintf(out->file, "failed: %zu time%s", count, count == 1 ? "" : "s");
    }
    output_style_set(out, STYLE_PLAIN);
    fputc('\n', out->file);
    for (size_t i = 0; i < count && i < FAILURES_KEPT; i++) {
        fprintf(out->file, "  %s\n", s->failures.kept[i]);
    }
}

static void table(output *out, const soak *s, const soak_about *about, const record_counts *c)
{
    char limit[32] = "none";
    if (s->options.budget != ORTP_UNLIMITED) {
        size_format(s->options.budget, limit, sizeof limit);
    }
    heading(out, "%s on ONNX Runtime %s, %s path, pool %s, %zu thread%s, limit %s, seed %" PRIu64,
            about->model, about->ort_version, about->path, about->pool, s->options.threads,
            s->options.threads == 1 ? "" : "s", limit, s->options.seed);
    fputc('\n', out->file);
    table_predictions(out, s, c);
    table_pressure(out, s);
    table_checkpoints(out, s);
    table_verdict(out, s, about);
}

/* ---- JSON ---- */

/* Bytes that are no UTF-8 give null. */
static json_t *text(const char *bytes)
{
    json_t *made = json_string(bytes);
    return made != NULL ? made : json_null();
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *latency(const histogram *h)
{
    if (h->count == 0) {
        return json_null();
    }
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "count", number(h->count), "p50",
                     number(histogram_get(h, 50)), "p99", number(histogram_get(h, 99)), "p999",
                     number(histogram_get(h, 99.9)), "max", number(h->max));
}

static json_t *pressure(const chaos *c)
{
    json_t *made = json_object();
    for (size_t i = 0; i < CHAOS_ACTIONS; i++) {
        (void)json_object_set_new(made, actions[i].key, number(c->counts[i]));
    }
    (void)json_object_set_new(made, "warmups_refused", number(c->warmups_refused));
    (void)json_object_set_new(made, "warmups_cut", number(c->warmups_cut));
    return made;
}

static json_t *checkpoints(const soak *s)
{
    json_t *made = json_array();
    for (size_t i = 0; i < s->checkpoint_count; i++) {
        const checkpoint *c = &s->checkpoints[i];
        (void)json_array_append_new(made, json_pack("{s:f,s:o,s:o,s:o,s:o}", "seconds", c->seconds,
                                                    "predictions", number(c->predictions), "mapped",
                                                    number(c->mapped), "heap", number(c->heap),
                                                    "anonymous", number(c->anonymous)));
    }
    return made;
}

static json_t *growth_of(const growth *g, uint64_t allowance)
{
    return json_pack("{s:b,s:b,s:o,s:o,s:f,s:o}", "judged", g->judged, "grown", g->grown, "first",
                     number(g->first), "last", number(g->last), "tau", g->tau, "allowance",
                     number(allowance));
}

static json_t *failed(const failures *f)
{
    json_t *kept = json_array();
    for (size_t i = 0; i < f->count && i < FAILURES_KEPT; i++) {
        (void)json_array_append_new(kept, text(f->kept[i]));
    }
    return json_pack("{s:o,s:o}", "count", number(f->count), "first", kept);
}

/* NULL without memory. */
static json_t *document(const soak *s, const soak_about *about, const record_counts *c)
{
    const soak_options *o = &s->options;
    json_t *limit = o->budget == ORTP_UNLIMITED ? json_null() : number(o->budget);
    json_t *beam = about->beam == 0 ? json_null() : number(about->beam);
    return json_pack(
        "{s:i,s:s,s:o,s:o, s:s,s:s,s:o,s:o,s:o,s:o, s:f,s:f,s:o,s:o,s:o,s:o, s:{s:o,s:o,s:o},"
        "s:{s:o,s:o}, s:o,s:o, s:{s:o,s:o}, s:b,s:o,s:s}",
        "soak", 1, "ortpool", ortp_version(), "ort", text(about->ort_version), "model",
        text(about->model), /* */
        "path", about->path, "pool", about->pool, "beam", beam, "threads", number(o->threads),
        "budget", limit, "seed", number(o->seed), /* */
        "seconds", s->seconds, "paused_seconds", s->paused, "predictions", number(with_words(c)),
        "right", number(c->right), "wrong", number(c->wrong), "failed", number(c->failed), /* */
        "refused", "budget", number(c->refused_budget), "deadline", number(c->refused_deadline),
        "recovered", number(s->recovered),                                                 /* */
        "latency_us", "miss", latency(&s->record.misses), "hit", latency(&s->record.hits), /* */
        "pressure", pressure(&s->chaos), "checkpoints", checkpoints(s),                    /* */
        "growth", "mapped", growth_of(&s->mapped, SOAK_MAPPED_ALLOWANCE), "heap",
        growth_of(&s->heap, SOAK_HEAP_ALLOWANCE), /* */
        "interrupted", about->signal != 0, "failures", failed(&s->failures), "verdict",
        s->failures.count == 0 ? "good" : "failed");
}

bool report_write(output *out, const soak *s, const soak_about *about)
{
    const record_counts c = s->record.counts; /* the threads have ended */
    if (!out->json) {
        table(out, s, about, &c);
        return true;
    }
    json_t *made = document(s, about, &c);
    if (made == NULL) {
        fputs("ortpool soak: no memory for the report\n", stderr);
        return false;
    }
    (void)json_dumpf(made, out->file, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', out->file);
    json_decref(made);
    return true;
}
