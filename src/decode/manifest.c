/* SPDX-License-Identifier: MIT */
/*
 * Reads model.json. One allocation holds the struct and its strings.
 *
 * Fields are read into a struct on the stack whose strings still belong to the JSON tree; only when
 * all is well are they copied.
 */
#include "decode_internal.h"
#include "json_reader.h"

#include <stdio.h>
#include <string.h>

#define POINTS_MAX 65536
#define WIDTH_MAX 65536 /* of features and hidden */
#define TOKENS_MAX 4096
#define VOCABULARY_MAX 1048576

/* What the file says; strings belong to the JSON tree. */
typedef struct reading {
    ortp_manifest manifest;
    const char *operators[ORTP_OPERATORS_MAX];
} reading;

typedef struct holder {
    ortp_manifest manifest; /* first: the public pointer is this one */
    ortp_budget *budget;
    ortp_alloc alloc;
    size_t bytes;
} holder;

static void read_tokens(ortp__json *r, ortp_manifest *m)
{
    const int64_t last = (int64_t)m->vocabulary - 1;
    const char *names[] = {"pad", "unk", "sos", "eos"};
    int32_t *out[] = {&m->pad, &m->unk, &m->sos, &m->eos};
    for (size_t i = 0; i < ORTP__COUNT(names); i++) {
        const json_t *value = ortp__json_value(r, names[i]);
        *out[i] = (int32_t)ortp__json_integer(r, names[i], value, 0, last);
        for (size_t k = 0; k < i; k++) {
            if (r->status == ORTP_OK && *out[k] == *out[i]) {
                ortp__json_expected(r, names[i], "a token of its own");
            }
        }
    }
}

static void read_buckets(ortp__json *r, ortp_manifest *m)
{
    const json_t *list = ortp__json_value(r, "buckets");
    const size_t count = json_array_size(list);
    if (r->status != ORTP_OK) {
        return;
    }
    if (count == 0 || count > ORTP_BUCKETS_MAX) {
        char what[64];
        (void)snprintf(what, sizeof what, "an array of 1 to %u integers", ORTP_BUCKETS_MAX);
        ortp__json_expected(r, "buckets", what);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char field[32];
        (void)snprintf(field, sizeof field, "buckets[%zu]", i);
        const int64_t least = i == 0 ? 1 : (int64_t)m->buckets[i - 1] + 1;
        m->buckets[i] = (size_t)ortp__json_integer(r, field, json_array_get(list, i), least,
                                                   least > POINTS_MAX ? least : POINTS_MAX);
    }
    m->bucket_count = count;
    if (r->status == ORTP_OK && m->buckets[count - 1] != m->max_points) {
        ortp__json_expected(r, "buckets", "the last one to be max_points");
    }
}

static void read_operators(ortp__json *r, reading *read)
{
    const json_t *list = ortp__json_value(r, "operators");
    if (list == NULL || r->status != ORTP_OK) {
        return;
    }
    const size_t count = json_array_size(list);
    if (count == 0 || count > ORTP_OPERATORS_MAX) {
        char what[64];
        (void)snprintf(what, sizeof what, "an array of 1 to %u strings", ORTP_OPERATORS_MAX);
        ortp__json_expected(r, "operators", what);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        bool fits = json_is_string(value) && json_string_length(value) > 0;
        for (size_t k = 0; k < i && fits; k++) {
            fits = strcmp(read->operators[k], json_string_value(value)) != 0;
        }
        if (!fits) {
            char field[32];
            (void)snprintf(field, sizeof field, "operators[%zu]", i);
            ortp__json_expected(r, field, "the type of an operator, each once");
            return;
        }
        read->operators[i] = json_string_value(value);
    }
    read->manifest.operator_count = count;
}

static const char *read_version(ortp__json *r, const char *field)
{
    const char *version = ortp__json_string(r, field, true);
    ortp__version ignored;
    if (version != NULL && !ortp__version_read(version, false, &ignored)) {
        ortp__json_expected(r, field, "a version such as \"1.18\" or \"1.18.0\"");
    }
    return version;
}

static void read_opset(ortp__json *r, ortp_manifest *m)
{
    const json_t *value = ortp__json_value(r, "opset");
    if (value != NULL) {
        m->opset = (uint32_t)ortp__json_integer(r, "opset", value, 1, 1000);
    }
}

/* A list of `count` names, each once; 0: of a key and a value for each layer, any number of layers. */
static size_t read_names(ortp__json *r, const char *field, size_t count, const char **out)
{
    const json_t *list = ortp__json_value(r, field);
    const size_t found = json_array_size(list);
    if (r->status != ORTP_OK) {
        return 0;
    }
    if (found == 0 || found % 2 != 0 || found > ORTP_CROSS_MAX || (count > 0 && found != count)) {
        char what[80];
        if (count > 0) {
            (void)snprintf(what, sizeof what, "an array of %zu strings, as decoder_step.cross",
                           count);
        } else {
            (void)snprintf(what, sizeof what, "an array of 2 to %u strings, a key and a value each",
                           ORTP_CROSS_MAX);
        }
        ortp__json_expected(r, field, what);
        return 0;
    }
    for (size_t i = 0; i < found; i++) {
        const json_t *value = json_array_get(list, i);
        bool fits = json_is_string(value) && json_string_length(value) > 0;
        for (size_t k = 0; k < i && fits; k++) {
            fits = strcmp(out[k], json_string_value(value)) != 0;
        }
        if (!fits) {
            char name[40];
            (void)snprintf(name, sizeof name, "%s[%zu]", field, i);
            ortp__json_expected(r, name, "the name of a port, each once");
            return 0;
        }
        out[i] = json_string_value(value);
    }
    return found;
}

/* Both parts of what only the incremental path wants: the section, and the encoder's outputs for it. */
static void read_step(ortp__json *r, ortp_manifest *m)
{
    if (m->step_path == NULL) {
        ortp__json_enter(r, NULL, "");
        if (ortp__json_value(r, "decoder_step") != NULL) {
            ortp__json_expected(r, "graphs.decoder_step", "a path, since there is a decoder_step");
        }
        return;
    }
    ortp__json_enter(r, "decoder_step", "decoder_step.");
    m->step.token = ortp__json_string(r, "token", true);
    m->step.past_length = ortp__json_string(r, "past_length", true);
    m->step.length = ortp__json_string(r, "length", true);
    m->step.beam_width = ortp__json_string(r, "beam_width", true);
    m->step.indirection = ortp__json_string(r, "indirection", true);
    m->step.logits = ortp__json_string(r, "logits", true);
    m->step.cross_count = read_names(r, "cross", 0, m->step.cross);
    (void)read_names(r, "past", m->step.cross_count, m->step.past);
    (void)read_names(r, "present", m->step.cross_count, m->step.present);
    m->step.kv_heads = ortp__json_size(r, "kv_heads", 1, WIDTH_MAX);
    m->step.kv_size = ortp__json_size(r, "kv_size", 1, WIDTH_MAX);
    m->step.min_ort = read_version(r, "min_ort");
    ortp__json_enter(r, "encoder", "encoder.");
    (void)read_names(r, "cross", m->step.cross_count, m->encoder.cross);
}

static void read_ports(ortp__json *r, ortp_manifest *m)
{
    ortp__json_enter(r, "graphs", "graphs.");
    m->encoder_path = ortp__json_string(r, "encoder", true);
    m->decoder_path = ortp__json_string(r, "decoder", true);
    m->step_path = ortp__json_string(r, "decoder_step", false);

    ortp__json_enter(r, "encoder", "encoder.");
    m->encoder.features = ortp__json_string(r, "features", true);
    m->encoder.keys = ortp__json_string(r, "keys", false);
    m->encoder.length = ortp__json_string(r, "length", false);
    m->encoder.source_mask = ortp__json_string(r, "source_mask", false);
    m->encoder.memory = ortp__json_string(r, "memory", true);
    m->encoder.ctc = ortp__json_string(r, "ctc", false);
    if (m->encoder.ctc != NULL && strcmp(m->encoder.ctc, m->encoder.memory) == 0) {
        ortp__json_expected(r, "ctc", "another output than memory");
    }
    if (m->encoder.length == NULL && m->encoder.source_mask == NULL) {
        ortp__json_expected(r, "length", "this or source_mask, without which padding would count");
    }

    ortp__json_enter(r, "decoder", "decoder.");
    m->decoder.memory = ortp__json_string(r, "memory", true);
    m->decoder.tokens = ortp__json_string(r, "tokens", true);
    m->decoder.length = ortp__json_string(r, "length", false);
    m->decoder.source_mask = ortp__json_string(r, "source_mask", false);
    m->decoder.logits = ortp__json_string(r, "logits", true);
    m->decoder.layout = ortp__json_choice(r, "memory_layout", "broadcast", "replicated")
                            ? ORTP_MEMORY_BROADCAST
                            : ORTP_MEMORY_REPLICATED;
    if (m->decoder.length == NULL && m->decoder.source_mask == NULL) {
        ortp__json_expected(r, "length", "this or source_mask, without which padding would count");
    }
}

static void read_search(ortp__json *r, ortp_manifest *m)
{
    ortp__json_enter(r, "beam", "beam.");
    m->beam_width = ortp__json_size(r, "width", 1, ORTP_BEAM_MAX);
    m->length_reward = ortp__json_number(r, "length_reward", ORTP__JSON_ANY, false);
    m->length_alpha = ortp__json_number(r, "length_alpha", ORTP__JSON_NOT_NEGATIVE, false);
    m->stop_margin = ortp__json_number(r, "stop_margin", ORTP__JSON_NOT_NEGATIVE, false);
    m->ctc_weight = ortp__json_number(r, "ctc_weight", ORTP__JSON_NOT_NEGATIVE, false);
    if (m->ctc_weight > 0.0 && m->encoder.ctc == NULL) {
        ortp__json_expected(r, "ctc_weight", "0, since the encoder has no ctc");
    }
}

static void read_all(ortp__json *r, reading *read)
{
    ortp_manifest *m = &read->manifest;
    m->name = ortp__json_string(r, "name", true);
    m->mask_true_is_padding = ortp__json_choice(r, "source_mask_true", "padding", "valid");
    m->max_points = ortp__json_size(r, "max_points", 1, POINTS_MAX);
    m->features = ortp__json_size(r, "features", 1, WIDTH_MAX);
    m->hidden = ortp__json_size(r, "hidden", 1, WIDTH_MAX);
    m->max_tokens = ortp__json_size(r, "max_tokens", 2, TOKENS_MAX);
    m->vocabulary = ortp__json_size(r, "vocabulary", 4, VOCABULARY_MAX);
    read_buckets(r, m);
    m->min_ort = read_version(r, "min_ort");
    read_opset(r, m);
    read_operators(r, read);
    read_ports(r, m);
    read_step(r, m);
    ortp__json_enter(r, "tokens", "tokens.");
    read_tokens(r, m);
    read_search(r, m);
}

/* Bytes of a string with the directory before it where `joined`; 0 for NULL. */
static size_t string_bytes(const char *directory, const char *text, bool joined)
{
    if (text == NULL) {
        return 0;
    }
    return strlen(text) + 1 + (joined ? strlen(directory) + 1 : 0);
}

static const char *copy_string(char **at, const char *directory, const char *text, bool joined)
{
    const size_t bytes = string_bytes(directory, text, joined);
    if (bytes == 0) {
        return NULL;
    }
    char *copy = *at;
    (void)snprintf(copy, bytes, "%s%s%s", joined ? directory : "", joined ? "/" : "", text);
    *at += bytes;
    return copy;
}

enum { JOINED = 4, STRINGS_MAX = 25 + 4 * ORTP_CROSS_MAX };

/* Where the strings of a manifest stand; the first JOINED are paths below its directory. */
static size_t strings_of(ortp_manifest *m, const char **out[STRINGS_MAX])
{
    const char **single[] = {
        &m->path,
        &m->encoder_path,
        &m->decoder_path,
        &m->step_path,
        &m->name,
        &m->directory,
        &m->encoder.features,
        &m->encoder.keys,
        &m->encoder.length,
        &m->encoder.source_mask,
        &m->encoder.memory,
        &m->encoder.ctc,
        &m->decoder.memory,
        &m->decoder.tokens,
        &m->decoder.length,
        &m->decoder.source_mask,
        &m->decoder.logits,
        &m->min_ort,
        &m->step.token,
        &m->step.past_length,
        &m->step.length,
        &m->step.beam_width,
        &m->step.indirection,
        &m->step.logits,
        &m->step.min_ort,
    };
    size_t count = 0;
    for (size_t i = 0; i < ORTP__COUNT(single); i++) {
        out[count++] = single[i];
    }
    for (size_t i = 0; i < m->step.cross_count; i++) {
        out[count++] = &m->encoder.cross[i];
        out[count++] = &m->step.cross[i];
        out[count++] = &m->step.past[i];
        out[count++] = &m->step.present[i];
    }
    return count;
}

/* Copies what was read, the array of operators and all strings into one allocation. */
static ortp_status keep(const char *directory, const reading *read, ortp_budget *budget,
                        const ortp_alloc *alloc, ortp_manifest **out)
{
    ortp_manifest copy = read->manifest;
    copy.directory = directory;
    copy.path = ORTP__MANIFEST_FILE;
    const char **strings[STRINGS_MAX];
    const size_t string_count = strings_of(&copy, strings);
    size_t bytes = sizeof(holder) + copy.operator_count * sizeof(char *);
    for (size_t i = 0; i < copy.operator_count; i++) {
        bytes += string_bytes("", read->operators[i], false);
    }
    for (size_t i = 0; i < string_count; i++) {
        bytes += string_bytes(directory, *strings[i], i < JOINED);
    }
    void *memory = NULL;
    if (budget != NULL) {
        const ortp_status status =
            ortp__meta_alloc(budget, alloc, bytes, ORTP_RECLAIM_CACHE, &memory);
        if (status != ORTP_OK) {
            return status;
        }
    } else if ((memory = ortp__raw_alloc(alloc, bytes)) == NULL) {
        return ORTP_E_NOMEM;
    }
    holder *kept = memory;
    const char **operators = (const char **)(kept + 1);
    char *at = (char *)(operators + copy.operator_count);
    for (size_t i = 0; i < copy.operator_count; i++) {
        operators[i] = copy_string(&at, "", read->operators[i], false);
    }
    copy.operators = copy.operator_count > 0 ? operators : NULL;
    for (size_t i = 0; i < string_count; i++) {
        *strings[i] = copy_string(&at, directory, *strings[i], i < JOINED);
    }
    kept->manifest = copy;
    kept->budget = budget;
    kept->alloc = *alloc;
    kept->bytes = bytes;
    *out = &kept->manifest;
    return ORTP_OK;
}

ortp_status ortp_manifest_create(const ortp_manifest_options *given, ortp_manifest **out,
                                 ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_manifest_create: out is required");
    }
    *out = NULL;
    ortp_manifest_options options;
    ortp_status status = ortp__options_copy(&options, sizeof options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_manifest_create: " ORTP__OTHER_VERSION);
    }
    const char *directory = options.directory;
    if (directory == NULL || directory[0] == '\0') {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_manifest_create: directory is required");
    }
    ortp_alloc alloc;
    status = ortp__alloc_resolve(&options.alloc, &alloc);
    if (status != ORTP_OK) {
        return ortp__fail(error, status,
                          "ortp_manifest_create: alloc has one of its two functions");
    }
    ortp__json r;
    reading read = {0};
    status = ortp__json_open(&r, directory, error);
    if (status == ORTP_OK) {
        read_all(&r, &read);
        status = r.status;
    }
    if (status == ORTP_OK) {
        status = keep(directory, &read, options.budget, &alloc, out);
        if (status != ORTP_OK) {
            (void)ortp__fail(error, status, "%s/" ORTP__MANIFEST_FILE ": no memory to keep it",
                             directory);
        }
    }
    ortp__json_close(&r);
    return status;
}

ortp_status ortp_manifest_destroy(ortp_manifest *manifest, ortp_error *error)
{
    (void)error; /* nothing is refused */
    if (manifest == NULL) {
        return ORTP_OK;
    }
    holder *kept = (holder *)manifest;
    const ortp_alloc alloc = kept->alloc;
    if (kept->budget != NULL) {
        ortp__meta_free(kept->budget, &alloc, kept, kept->bytes);
    } else {
        ortp__raw_free(&alloc, kept, kept->bytes);
    }
    return ORTP_OK;
}

size_t ortp_manifest_bucket(const ortp_manifest *manifest, size_t length)
{
    for (size_t i = 0; i < manifest->bucket_count; i++) {
        if (length <= manifest->buckets[i]) {
            return manifest->buckets[i];
        }
    }
    return 0;
}
