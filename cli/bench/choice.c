/* SPDX-License-Identifier: MIT */
/* See choice.h. */
#include "choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "find_model.h"
#include "inputs.h"
#include "mimalloc.h"

static bool has(const char *folder, const char *file)
{
    char path[PATH_MAX + 64];
    const int length = snprintf(path, sizeof(path), "%s/%s", folder, file);
    return (size_t)length < sizeof(path) && access(path, R_OK) == 0;
}

/* A named folder must be one; false: said. */
static bool check_folder(const char *option, const char *folder)
{
    if (has(folder, "model.json")) {
        return true;
    }
    fprintf(stderr, "ortpool bench: --%s: no model in '%s': model.json cannot be read there: %s\n",
            option, folder, strerror(errno));
    return false;
}

static bool put_folder(choice *c, row_model model, const char *folder, const char *behind)
{
    const int length =
        snprintf(c->folders[model], sizeof(c->folders[model]), "%s%s", folder, behind);
    if ((size_t)length >= sizeof(c->folders[model]) || !has(c->folders[model], "model.json")) {
        c->folders[model][0] = '\0';
        return false;
    }
    c->collect.folders[model] = c->folders[model];
    return true;
}

/* What is named, or the bundled model and what lies beside it: fp32, and its usual export. */
static bool find_folders(choice *c)
{
    char found[PATH_MAX], message[2 * PATH_MAX];
    if (c->model == NULL && find_model("--model", NULL, found, sizeof(found), message, sizeof(message)) &&
        put_folder(c, ROW_MODEL, found, "-fp32")) {
        (void)put_folder(c, ROW_MODEL_INT8, found, "");
        (void)put_folder(c, ROW_MODEL_USUAL, found, "-usual");
    } else if (!find_model("--model", c->model, found, sizeof(found), message, sizeof(message))) {
        fprintf(stderr, "ortpool bench: %s\n", message);
        return false;
    } else {
        (void)put_folder(c, ROW_MODEL, found, "");
    }
    if ((c->usual != NULL && !check_folder("usual", c->usual)) ||
        (c->int8 != NULL && !check_folder("int8", c->int8))) {
        return false;
    }
    if (c->usual != NULL) {
        (void)put_folder(c, ROW_MODEL_USUAL, c->usual, "");
    }
    if (c->int8 != NULL) {
        (void)put_folder(c, ROW_MODEL_INT8, c->int8, "");
    }
    return true;
}

/* The file that is named, or samples.jsonl of one of the models' folders. */
static bool find_swipes(choice *c)
{
    static const row_model order[] = {ROW_MODEL, ROW_MODEL_INT8, ROW_MODEL_USUAL};
    const char *named = c->named_swipes;
    if (named != NULL) {
        c->collect.swipes = named;
        struct stat about;
        if (stat(named, &about) == 0 && !S_ISREG(about.st_mode)) {
            fprintf(stderr,
                    "ortpool bench: '%s' is no regular file: every row's process reads it\n",
                    named);
            return false;
        }
        if (access(named, R_OK) == 0) {
            return true;
        }
        fprintf(stderr, "ortpool bench: cannot read '%s': %s\n", named, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < ROW_MODELS; i++) {
        const char *folder = c->collect.folders[order[i]];
        if (folder != NULL && has(folder, "samples.jsonl")) {
            snprintf(c->swipes, sizeof(c->swipes), "%s/samples.jsonl", folder);
            c->collect.swipes = c->swipes;
            return true;
        }
    }
    if (!inputs_keyboard(c->collect.folders[ROW_MODEL])) {
        c->collect.swipes = "-"; /* what it predicts is made up */
        return true;
    }
    fputs("ortpool bench: the model has no samples.jsonl: name a file of swipes\n", stderr);
    return false;
}

static bool wants_row(const choice *c, const char *name)
{
    const size_t length = strlen(name);
    const char *at = c->rows;
    if (at == NULL) {
        return true;
    }
    while (*at != '\0') {
        const size_t part = strcspn(at, ",");
        if (part == length && strncmp(at, name, length) == 0) {
            return true;
        }
        at += part + (at[part] == ',');
    }
    return false;
}

/* Names in --rows that are none; true: all are. */
static bool check_rows(const choice *c)
{
    for (const char *at = c->rows; at != NULL && *at != '\0';) {
        char name[64];
        const size_t part = strcspn(at, ",");
        snprintf(name, sizeof(name), "%.*s", (int)(part < 63 ? part : 63), at);
        if (row_kind_find(name) == NULL) {
            fprintf(stderr, "ortpool bench: --rows: no row '%s'; --help has them\n", name);
            return false;
        }
        at += part + (at[part] == ',');
    }
    return true;
}

/* Why a row cannot be measured with its model; NULL: it can, or what is wrong is for the row to say. */
static const char *unfit(const row_kind *kind, const char *folder)
{
    ortp_manifest *m = NULL;
    const char *why = NULL;
    if (ortp_manifest_create(
            &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                           .directory = folder},
            &m, NULL) != ORTP_OK) {
        return NULL;
    }
    const bool steps = strcmp(kind->name, ROW_INCREMENTAL) == 0 || kind->model == ROW_MODEL_INT8;
    const bool usual = m->encoder.keys != NULL && m->encoder.length != NULL &&
                       m->decoder.length != NULL && m->decoder.layout == ORTP_MEMORY_BROADCAST;
    if (steps && m->step_path == NULL) {
        why = "the model has no decoder_step";
    } else if (!kind->own && !usual) {
        why = "it is written for models with keys and lengths that broadcast their memory";
    } else if (kind->cached && !inputs_keyboard(folder)) {
        why = "the cache is the predictor's, and the model has no keyboard";
    }
    ortp_manifest_destroy(m, NULL);
    return why;
}

static void leave_out(const choice *c, const row_kind *kind, const char *why)
{
    if (c->rows != NULL || !c->collect.quiet) {
        fprintf(stderr, "ortpool bench: no row %s: %s\n", kind->name, why);
    }
}

/* false: none is left; said. */
static bool choose_rows(choice *c)
{
    collect_options *o = &c->collect;
#if !defined(ORTPOOL_SANITIZED) /* its heap cannot be replaced */
    void *handle;
    o->mimalloc = mimalloc_open(&handle);
#endif
    for (size_t i = 0; i < row_kind_count; i++) {
        const row_kind *kind = &row_kinds[i];
        if (!wants_row(c, kind->name)) {
            continue;
        }
        if (o->folders[kind->model] == NULL) {
            leave_out(c, kind, kind->model == ROW_MODEL_INT8 ? "no --int8" : "no --usual");
        } else if (kind->mimalloc && o->mimalloc == NULL) {
            leave_out(c, kind, "libmimalloc is not installed");
        } else if (unfit(kind, o->folders[kind->model]) != NULL) {
            leave_out(c, kind, unfit(kind, o->folders[kind->model]));
        } else {
            o->rows[o->row_count++] = kind;
        }
    }
    if (o->row_count == 0) {
        fputs("ortpool bench: no row is left to measure\n", stderr);
    }
    return o->row_count > 0;
}

bool choice_make(choice *c)
{
    return find_folders(c) && find_swipes(c) && check_rows(c) && choose_rows(c);
}
