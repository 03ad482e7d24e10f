/* SPDX-License-Identifier: MIT */
/*
 * ortpool inspect: what a model's manifest says and what its plan takes, before anything is opened. No
 * ONNX Runtime is needed, but for --check.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <ortpool/ortpool.h>
#include <ortpool/predict.h>

#include <ort_loader.h>

#include "arguments.h"
#include "commands.h"
#include "engine.h"
#include "find_model.h"
#include "output.h"
#include "path.h"
#include "size.h"
#include "text.h"

#define CACHE_ENTRIES 4u
#define THREADS_MAX 64u

static const char help[] =
    "usage: ortpool inspect [OPTION]... [DIR]\n"
    "\n"
    "Shows what the model in DIR (a folder with model.json; else ORTPOOL_MODEL, or\n"
    "models/swipe-en here or beside the program) is made of: graphs, inputs and\n"
    "outputs by role, shapes, buckets, operators, the least ONNX Runtime, and the\n"
    "memory that warm-up will take, by label. It opens nothing: no ONNX Runtime is\n"
    "needed.\n"
    "\n"
    "  --threads N      plan for N predictions at once, 1 to 64 (1)\n"
    "  --beam N         plan for this beam width, 1 to 32 (the model's)\n"
    "  --path PATH      plan for sequential, batched or incremental; auto: incremental\n"
    "                   where the model has the graph for it, else batched (auto)\n"
    "  --cache N        plan for N kept encoder outputs, 0 to 1024 (4)\n"
    "  --check          open the encoder and the path's decoder with ONNX Runtime and\n"
    "                   compare them with the manifest; says which path it runs\n"
    "  --json           one JSON object: name, directory, graphs, ports, shapes,\n"
    "                   buckets, tokens, beam, opset, operators, min_ort, swipe, plan\n"
    "                   (bytes), and with --check \"check\"\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 well; 2 usage, a manifest, or with --check a graph, that cannot\n"
    "be used.\n";

typedef struct inspection {
    const char *named;
    size_t threads, beam, cache;
    ortp_path path;
    bool check, json;
    ortp_path checked_path;

    char directory[4096];
    ortp_manifest *manifest;
    ortp_plan plan;
    bool planned;
    ortp_error plan_error;
    ortp_swipe_config swipe;
    bool has_swipe;
    ortp_error swipe_error;
    char ort_version[32]; /* of --check */
} inspection;

/* ---- options ---- */

enum { OPT_THREADS = OPT_FIRST, OPT_BEAM, OPT_PATH, OPT_CACHE, OPT_CHECK, OPT_JSON };

static const struct option long_options[] = {
    {"threads", required_argument, NULL, OPT_THREADS},
    {"beam", required_argument, NULL, OPT_BEAM},
    {"path", required_argument, NULL, OPT_PATH},
    {"cache", required_argument, NULL, OPT_CACHE},
    {"check", no_argument, NULL, OPT_CHECK},
    {"json", no_argument, NULL, OPT_JSON},
    ARGUMENTS_END,
};

/* NULL, or what would have been right. */
static const char *take(int option, const char *text, void *ctx)
{
    inspection *out = ctx;
    switch (option) {
    case OPT_THREADS:
        return count_parse(text, 1, THREADS_MAX, &out->threads) ? NULL : "a number from 1 to 64";
    case OPT_BEAM:
        return count_parse(text, 1, ORTP_BEAM_MAX, &out->beam) ? NULL : "a number from 1 to 32";
    case OPT_CACHE:
        return count_parse(text, 0, 1024, &out->cache) ? NULL : "a number from 0 to 1024";
    case OPT_PATH:
        return path_parse(text, &out->path) ? NULL : PATH_WORDS;
    case OPT_CHECK:
        out->check = true;
        return NULL;
    default:
        out->json = true;
        return NULL;
    }
}

/* ---- what is shown in both forms ---- */

enum { PORTS_MAX = 17 + 4 * ORTP_CROSS_MAX };

typedef struct port {
    const char *graph, *role, *name, *type;
    bool output;
    const char *shape; /* in symbols, see print_legend() */
} port;

/* The ports that the manifest names; how many. */
static size_t ports_of(const ortp_manifest *m, port out[PORTS_MAX])
{
    const bool copied = m->decoder.layout == ORTP_MEMORY_REPLICATED;
    const port all[] = {
        {"encoder", "features", m->encoder.features, "float", false, "1,S,F"},
        {"encoder", "keys", m->encoder.keys, "int32 or int64", false, "1,S"},
        {"encoder", "length", m->encoder.length, "int32 or int64", false, "1"},
        {"encoder", "source_mask", m->encoder.source_mask, "bool", false, "1,S"},
        {"encoder", "memory", m->encoder.memory, "float", true, "1,S,D"},
        {"encoder", "ctc", m->encoder.ctc, "float", true, "1,S,V"},
        {"decoder", "memory", m->decoder.memory, "float", false, copied ? "n,S,D" : "1,S,D"},
        {"decoder", "tokens", m->decoder.tokens, "int32 or int64", false, "n,T"},
        {"decoder", "length", m->decoder.length, "int32 or int64", false, "1"},
        {"decoder", "source_mask", m->decoder.source_mask, "bool", false, "n,S"},
        {"decoder", "logits", m->decoder.logits, "float", true, "n,T,V"},
        {"step", "token", m->step.token, "int32 or int64", false, "n"},
        {"step", "past_length", m->step.past_length, "int32", false, "1"},
        {"step", "length", m->step.length, "int32 or int64", false, "1"},
        {"step", "beam_width", m->step.beam_width, "int32", false, "1"},
        {"step", "indirection", m->step.indirection, "int32", false, "1,n,T"},
        {"step", "logits", m->step.logits, "float", true, "n,V"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].name != NULL) {
            out[count++] = all[i];
        }
    }
    for (size_t i = 0; i < m->step.cross_count; i++) {
        out[count++] = (port){"encoder", "cross", m->encoder.cross[i], "float", true, "1,H,S,K"};
    }
    for (size_t i = 0; i < m->step.cross_count; i++) {
        out[count++] = (port){"step", "cross", m->step.cross[i], "float", false, "1,H,S,K"};
        out[count++] = (port){"step", "past", m->step.past[i], "float", false, "n,H,T,K"};
        out[count++] = (port){"step", "present", m->step.present[i], "float", true, "n,H,T,K"};
    }
    return count;
}

typedef struct plan_row {
    const char *key, *label, *what;
    size_t bytes;
} plan_row;

enum { PLAN_ROWS = 4 };

static void plan_rows(const ortp_plan *plan, plan_row out[PLAN_ROWS])
{
    out[0] = (plan_row){"weights", "declared: weights", "the graphs' files (mapped where packed)",
                        plan->declared_bytes};
    out[1] = (plan_row){"tensors", "mapped: tensors", "encoder inputs, a set per thread and bucket",
                        plan->tensor_bytes};
    out[2] = (plan_row){"cache", "mapped: cache", "encoder outputs and keys, kept and in work",
                        plan->cache_bytes};
    out[3] = (plan_row){"decode", "mapped: decode", "decoder buffers, a set per thread",
                        plan->decode_bytes};
}

/* Bytes of a file, or -1 with errno. */
static int64_t file_bytes(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (int64_t)about.st_size : -1;
}

/* ---- table ---- */

static void heading(const output *out, const char *text)
{
    fputc('\n', out->file);
    output_style_set(out, STYLE_BOLD);
    fputs(text, out->file);
    output_style_set(out, STYLE_PLAIN);
    fputc('\n', out->file);
}

static void labelled(const output *out, const char *label, const char *text)
{
    fprintf(out->file, "  %-12s", label);
    text_put(out->file, text, SIZE_MAX);
    fputc('\n', out->file);
}

static void table_file(const output *out, const char *label, const char *path)
{
    const int64_t bytes = file_bytes(path);
    fprintf(out->file, "  %-12s", label);
    text_put(out->file, strrchr(path, '/') + 1, SIZE_MAX); /* the library puts the folder before */
    if (bytes < 0) {
        fprintf(out->file, ": %s\n", strerror(errno));
    } else {
        char size[32];
        size_format((size_t)bytes, size, sizeof(size));
        fprintf(out->file, "  %s\n", size);
    }
}

static void table_ports(const output *out, const ortp_manifest *m)
{
    port ports[PORTS_MAX];
    const size_t count = ports_of(m, ports);
    for (size_t i = 0; i < count; i++) {
        const port *p = &ports[i];
        const bool first = i == 0 || strcmp(ports[i - 1].graph, p->graph) != 0;
        fprintf(out->file, "  %-9s%-4s%-12s ", first ? p->graph : "", p->output ? "out" : "in",
                p->role);
        const size_t width = text_put(out->file, p->name, 28);
        text_pad(out->file, width < 24 ? 24 - width : 1);
        fprintf(out->file, "%-15s[%s]\n", p->type, p->shape);
    }
    fprintf(out->file,
            "  F = %zu features, D = %zu hidden, T = %zu tokens, V = %zu in the vocabulary,\n"
            "  n = beams of a run (%zu wide), S = points, rounded up to a bucket:",
            m->features, m->hidden, m->max_tokens, m->vocabulary, m->beam_width);
    for (size_t i = 0; i < m->bucket_count; i++) {
        fprintf(out->file, "%s %zu", i > 0 ? "," : "", m->buckets[i]);
    }
    fputc('\n', out->file);
}

static void table_operators(const output *out, const ortp_manifest *m)
{
    size_t column = 0;
    for (size_t i = 0; i < m->operator_count; i++) {
        const size_t width = text_columns(m->operators[i]);
        if (column + width + 2 > 78) {
            fputs("\n ", out->file);
            column = 0;
        }
        fputs(i == 0 ? "  " : " ", out->file);
        text_put(out->file, m->operators[i], SIZE_MAX);
        fputs(i + 1 < m->operator_count ? "," : "\n", out->file);
        column += width + 2;
    }
    if (m->operator_count == 0) {
        fputs("  the manifest does not say\n", out->file);
    }
}

/* What the plan is for; what runs, ONNX Runtime's version has a say in. */
static ortp_path planned_path(const inspection *i)
{
    if (i->path != ORTP_PATH_AUTO) {
        return i->path;
    }
    return i->manifest->step_path != NULL ? ORTP_PATH_INCREMENTAL : ORTP_PATH_BATCHED;
}

static void table_plan(const output *out, const inspection *i)
{
    char title[128];
    snprintf(title, sizeof(title), "Plan for %zu thread%s, %zu beams, %s, %zu cached", i->threads,
             i->threads == 1 ? "" : "s", i->beam > 0 ? i->beam : i->manifest->beam_width,
             path_name(planned_path(i)), i->cache);
    heading(out, title);
    if (!i->planned) {
        labelled(out, "none:", i->plan_error.message);
        return;
    }
    plan_row rows[PLAN_ROWS];
    plan_rows(&i->plan, rows);
    for (size_t k = 0; k < PLAN_ROWS; k++) {
        char size[32];
        size_format(rows[k].bytes, size, sizeof(size));
        fprintf(out->file, "  %-20s%12s  %s\n", rows[k].label, size, rows[k].what);
    }
    char size[32];
    size_format(i->plan.total_bytes, size, sizeof(size));
    output_style_set(out, STYLE_BOLD);
    fprintf(out->file, "  %-20s%12s\n", "in all", size);
    output_style_set(out, STYLE_PLAIN);
    fputs("  Not in it: the lexicon, the ledger's own structures, what ONNX Runtime holds beyond\n"
          "  the files (up to 0.6 of them where it repacks weights), and the block of each run.\n",
          out->file);
}

static void table_words(const output *out, const ortp_swipe_config *swipe)
{
    char text[160];
    snprintf(text, sizeof(text), "count weight %g, look-ahead %g, temperature %g",
             swipe->frequency_weight, swipe->look_ahead, swipe->temperature);
    labelled(out, "words", text);
    if (swipe->count_limit > 0.0) {
        snprintf(text, sizeof(text), "limit %g", swipe->count_limit);
        labelled(out, "counts", text);
    }
    if (swipe->free_score != 0.0) {
        snprintf(text, sizeof(text), "score %g", swipe->free_score);
        labelled(out, "other words", text);
    }
    if (swipe->shape_weight > 0.0) {
        snprintf(text, sizeof(text), "weight %g", swipe->shape_weight);
        labelled(out, "shapes", text);
    }
}

static void table(const output *out, const inspection *i)
{
    const ortp_manifest *m = i->manifest;
    char text[160];
    output_style_set(out, STYLE_BOLD);
    text_put(out->file, m->name, SIZE_MAX);
    output_style_set(out, STYLE_PLAIN);
    fputs(" in ", out->file);
    text_put(out->file, m->directory, SIZE_MAX);
    fputc('\n', out->file);

    heading(out, "Files");
    table_file(out, "encoder", m->encoder_path);
    table_file(out, "decoder", m->decoder_path);
    if (m->step_path != NULL) {
        table_file(out, "step", m->step_path);
    }
    if (i->has_swipe) {
        table_file(out, "lexicon", i->swipe.lexicon_path);
    }
    heading(out, "Inputs and outputs by role");
    table_ports(out, m);

    heading(out, "Search");
    snprintf(text, sizeof(text), "pad %d, unknown %d, start %d, end %d", (int)m->pad, (int)m->unk,
             (int)m->sos, (int)m->eos);
    labelled(out, "tokens", text);
    snprintf(text, sizeof(text), "%zu wide, length reward %g, length penalty %g, stop margin %g",
             m->beam_width, m->length_reward, m->length_alpha, m->stop_margin);
    labelled(out, "beams", text);
    if (m->encoder.ctc != NULL) {
        snprintf(text, sizeof(text), "weight %g", m->ctc_weight);
        labelled(out, "ctc", text);
    }
    if (i->has_swipe) {
        table_words(out, &i->swipe);
        snprintf(text, sizeof(text), "%zu keys in %zu rows, %zu wide", i->swipe.layout.key_count,
                 i->swipe.layout.rows, i->swipe.layout.columns);
        labelled(out, "keyboard", text);
    } else {
        fputs("  keyboard    none that predict and eval could use: ", out->file);
        text_put(out->file, i->swipe_error.message, SIZE_MAX);
        fputc('\n', out->file);
    }
    heading(out, "Operators");
    table_operators(out, m);
    if (m->opset > 0) {
        fprintf(out->file, "  of opset %" PRIu32 "; ", m->opset);
    } else {
        fputs("  ", out->file);
    }
    fputs("ONNX Runtime ", out->file);
    text_put(out->file, m->min_ort, SIZE_MAX);
    fputs(" or later", out->file);
    if (m->step_path != NULL) {
        fputs("\n  incremental path from ONNX Runtime ", out->file);
        text_put(out->file, m->step.min_ort, SIZE_MAX);
        fputs(" on, batched path before", out->file);
    }
    fputc('\n', out->file);

    table_plan(out, i);
    if (i->check) {
        fprintf(out->file,
                "\nThe graphs of the %s path agree with the manifest (ONNX Runtime %s).\n",
                path_name(i->checked_path), i->ort_version);
    }
}

/* ---- JSON ---- */

static void json_text(FILE *file, const char *key, const char *text)
{
    fprintf(file, "\"%s\":", key);
    text_put_json(file, text);
}

static void json_graph(FILE *file, const char *key, const char *path)
{
    const int64_t bytes = file_bytes(path);
    fprintf(file, "\"%s\":{", key);
    json_text(file, "path", path);
    if (bytes < 0) {
        fputs(",\"bytes\":null}", file);
    } else {
        fprintf(file, ",\"bytes\":%" PRId64 "}", bytes);
    }
}

static void json_ports(FILE *file, const ortp_manifest *m)
{
    port ports[PORTS_MAX];
    const size_t count = ports_of(m, ports);
    fputs(",\"ports\":[", file);
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "%s{\"graph\":\"%s\",\"direction\":\"%s\",\"role\":\"%s\",", i > 0 ? "," : "",
                ports[i].graph, ports[i].output ? "output" : "input", ports[i].role);
        json_text(file, "name", ports[i].name);
        fprintf(file, ",\"type\":\"%s\",\"shape\":\"%s\"}", ports[i].type, ports[i].shape);
    }
    fprintf(file, "],\"shapes\":{\"F\":%zu,\"D\":%zu,\"T\":%zu,\"V\":%zu,\"S\":%zu},\"buckets\":[",
            m->features, m->hidden, m->max_tokens, m->vocabulary, m->max_points);
    for (size_t i = 0; i < m->bucket_count; i++) {
        fprintf(file, "%s%zu", i > 0 ? "," : "", m->buckets[i]);
    }
    fputc(']', file);
}

static void json_plan(FILE *file, const inspection *i)
{
    fputs(",\"plan\":", file);
    if (!i->planned) {
        fputs("null,", file);
        json_text(file, "plan_error", i->plan_error.message);
        return;
    }
    plan_row rows[PLAN_ROWS];
    plan_rows(&i->plan, rows);
    fprintf(file, "{\"threads\":%zu,\"beams\":%zu,\"path\":\"%s\",\"cache\":%zu", i->threads,
            i->beam > 0 ? i->beam : i->manifest->beam_width, path_name(planned_path(i)), i->cache);
    fputs(",\"bytes\":{", file);
    for (size_t k = 0; k < PLAN_ROWS; k++) {
        fprintf(file, "\"%s\":%zu,", rows[k].key, rows[k].bytes);
    }
    fprintf(file, "\"total\":%zu}}", i->plan.total_bytes);
}

static void json(FILE *file, const inspection *i)
{
    const ortp_manifest *m = i->manifest;
    fputc('{', file);
    json_text(file, "name", m->name);
    fputc(',', file);
    json_text(file, "directory", m->directory);
    fputs(",\"graphs\":{", file);
    json_graph(file, "encoder", m->encoder_path);
    fputc(',', file);
    json_graph(file, "decoder", m->decoder_path);
    if (m->step_path != NULL) {
        fputc(',', file);
        json_graph(file, "decoder_step", m->step_path);
    }
    fputc('}', file);
    json_ports(file, m);
    fprintf(file, ",\"tokens\":{\"pad\":%d,\"unk\":%d,\"sos\":%d,\"eos\":%d}", (int)m->pad,
            (int)m->unk, (int)m->sos, (int)m->eos);
    fprintf(file,
            ",\"beam\":{\"width\":%zu,\"length_reward\":%.17g,\"length_alpha\":%.17g,"
            "\"stop_margin\":%.17g,\"ctc_weight\":%.17g",
            m->beam_width, m->length_reward, m->length_alpha, m->stop_margin, m->ctc_weight);
    if (i->has_swipe) {
        fprintf(file,
                ",\"frequency_weight\":%.17g,\"count_limit\":%.17g,\"look_ahead\":%.17g,"
                "\"free_score\":%.17g,\"shape_weight\":%.17g,\"temperature\":%.17g",
                i->swipe.frequency_weight, i->swipe.count_limit, i->swipe.look_ahead,
                i->swipe.free_score, i->swipe.shape_weight, i->swipe.temperature);
    }
    fputs("},\"opset\":", file);
    fprintf(file, m->opset > 0 ? "%" PRIu32 : "null", m->opset);
    fputs(",\"operators\":[", file);
    for (size_t k = 0; k < m->operator_count; k++) {
        fputs(k > 0 ? "," : "", file);
        text_put_json(file, m->operators[k]);
    }
    fputs("],", file);
    json_text(file, "min_ort", m->min_ort);
    if (m->step_path != NULL) {
        fputc(',', file);
        json_text(file, "min_ort_incremental", m->step.min_ort);
    }
    fputs(",\"swipe\":", file);
    if (i->has_swipe) {
        fprintf(file, "{\"keys\":%zu,\"rows\":%zu,\"columns\":%zu,", i->swipe.layout.key_count,
                i->swipe.layout.rows, i->swipe.layout.columns);
        json_graph(file, "lexicon", i->swipe.lexicon_path);
        fputc('}', file);
    } else {
        fputs("null,", file);
        json_text(file, "swipe_error", i->swipe_error.message);
    }
    json_plan(file, i);
    if (i->check) {
        fputs(",\"check\":{\"agrees\":true,", file);
        json_text(file, "onnxruntime", i->ort_version);
        fprintf(file, ",\"path\":\"%s\"", path_name(i->checked_path));
        fputc('}', file);
    }
    fputs("}\n", file);
}

/* ---- the command ---- */

static int fail(const char *message)
{
    fputs("ortpool: ", stderr);
    text_put(stderr, message, SIZE_MAX);
    fputc('\n', stderr);
    return EXIT_SETUP;
}

/* Encoder and decoder in sessions of their own, for their ports alone. */
static ortp_status open_graphs(inspection *i, const ort_library *library, ortp_error *error)
{
    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.api = library->api;
    runtime_options.ort_version = library->version;
    runtime_options.api_version = library->api_version;
    ortp_runtime *runtime = NULL;
    ortp_tensor_pool *tensors = NULL;
    ortp_model *model = NULL;
    ortp_status status = ortp_runtime_create(&runtime_options, &runtime, error);
    if (status == ORTP_OK) {
        ortp_tensor_pool_options tensor_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
        tensor_options.runtime = runtime;
        status = ortp_tensor_pool_create(&tensor_options, &tensors, error);
    }
    if (status == ORTP_OK) {
        ortp_model_options model_options = ORTP_MODEL_OPTIONS_INIT;
        model_options.runtime = runtime;
        model_options.tensors = tensors;
        model_options.directory = i->directory;
        model_options.path = i->path;
        model_options.intra_threads = 1;
        status = ortp_model_create(&model_options, &model, error);
    }
    if (status == ORTP_OK) {
        i->checked_path = i->path == ORTP_PATH_SEQUENTIAL ? i->path : ortp_model_path(model);
    }
    (void)ortp_model_destroy(model, NULL);
    (void)ortp_tensor_pool_destroy(tensors, NULL);
    (void)ortp_runtime_destroy(runtime, NULL);
    return status;
}

static int check(inspection *i)
{
    char message[4096];
    ort_library library;
    if (!ort_library_open(&library, message, sizeof(message))) {
        fprintf(stderr, "ortpool: %s\n", message);
        return EXIT_SETUP;
    }
    ortp_error error = ORTP_ERROR_INIT;
    if (open_graphs(i, &library, &error) != ORTP_OK) {
        return fail(error.message);
    }
    memcpy(i->ort_version, library.version, sizeof(i->ort_version));
    return EXIT_ANSWERED;
}

/* Everything but ONNX Runtime. */
static int read_model(inspection *i)
{
    char message[2 * sizeof(i->directory)];
    if (!find_model(NULL, i->named, i->directory, sizeof(i->directory), message, sizeof(message))) {
        return fail(message);
    }
    ortp_error error = ORTP_ERROR_INIT;
    if (ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = i->directory},
            &i->manifest, &error) != ORTP_OK) {
        return fail(error.message);
    }
    /* A model of another workload has no such sections: said, and no failure. */
    i->swipe_error = (ortp_error)ORTP_ERROR_INIT;
    i->swipe = (ortp_swipe_config)ORTP_SWIPE_CONFIG_INIT;
    const ortp_status status = ortp_swipe_config_load(i->directory, &i->swipe, &i->swipe_error);
    i->has_swipe = status == ORTP_OK;
    if (status != ORTP_OK && status != ORTP_E_INVAL) {
        return fail(i->swipe_error.message);
    }
    i->plan_error = (ortp_error)ORTP_ERROR_INIT;
    i->plan = (ortp_plan)ORTP_PLAN_INIT;
    i->planned = ortp_plan_estimate(i->manifest, i->beam, i->path, i->threads, i->cache, &i->plan,
                                    &i->plan_error) == ORTP_OK;
    return EXIT_ANSWERED;
}

static int inspect(inspection *i)
{
    int code = read_model(i);
    if (code == EXIT_ANSWERED && i->check) {
        code = check(i);
    }
    if (code != EXIT_ANSWERED) {
        return code;
    }
    output out;
    output_start(&out, i->json, 0);
    if (i->json) {
        json(out.file, i);
    } else {
        table(&out, i);
    }
    if (!i->planned) {
        code = i->json ? EXIT_SETUP : fail(i->plan_error.message);
    }
    return output_finish(&out, code);
}

int command_inspect(int argc, char **argv)
{
    inspection i = {.threads = 1, .cache = CACHE_ENTRIES};
    const arguments a = {"inspect", help, "model", long_options, take};
    int code;
    if (!arguments_read(&a, argc, argv, &i, &i.named, &code)) {
        return code;
    }
    code = inspect(&i);
    ortp_manifest_destroy(i.manifest, NULL);
    return code;
}
