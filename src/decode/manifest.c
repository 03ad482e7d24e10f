/* SPDX-License-Identifier: MIT */
/*
 * Reads model.json. One allocation holds the struct and its strings.
 *
 * Fields are read with jansson into a struct on the stack whose strings still belong to the JSON
 * tree; only when all is well are they copied. jansson's own memory is malloc's, and is gone when
 * the load returns.
 */
#include "decode_internal.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MANIFEST_FILE "model.json"
#define POINTS_MAX 65536
#define WIDTH_MAX 65536 /* of features and hidden */
#define TOKENS_MAX 4096
#define VOCABULARY_MAX 1048576

typedef struct holder {
    ortp_manifest manifest; /* first: the public pointer is this one */
    ortp_budget *budget;
    ortp_alloc alloc;
    size_t bytes;
} holder;

/* What is being read: the first failure stays, later reads do nothing. */
typedef struct reader {
    const char *directory;
    const json_t *section; /* the object that fields are looked up in */
    const char *prefix;    /* "encoder." */
    ortp_status status;
    ortp_error *error;
} reader;

static void expected(reader *r, const char *field, const char *what)
{
    if (r->status == ORTP_OK) {
        r->status = ortp__fail(r->error, ORTP_E_INVAL, "%s/" MANIFEST_FILE ": %s%s: expected %s",
                               r->directory, r->prefix, field, what);
    }
}

static void enter(reader *r, const json_t *root, const char *name, const char *prefix,
                  bool required)
{
    r->section = root;
    r->prefix = "";
    if (r->status != ORTP_OK || name == NULL) {
        return;
    }
    const json_t *section = json_object_get(root, name);
    if (!json_is_object(section) && (section != NULL || required)) {
        expected(r, name, "an object");
        return;
    }
    r->section = section; /* NULL, an absent section: every field is absent */
    r->prefix = prefix;
}

static const char *string_field(reader *r, const char *field, bool required)
{
    const json_t *value = json_object_get(r->section, field);
    if (r->status != ORTP_OK || (value == NULL && !required)) {
        return NULL;
    }
    if (!json_is_string(value)) {
        expected(r, field, "a string");
        return NULL;
    }
    if (json_string_length(value) == 0) {
        expected(r, field, "a string that is not empty");
        return NULL;
    }
    return json_string_value(value);
}

/* One of two words; `first` where the field is absent. True for the first. */
static bool choice_field(reader *r, const char *field, const char *first, const char *second)
{
    const char *value = string_field(r, field, false);
    if (value == NULL || strcmp(value, first) == 0) {
        return true;
    }
    if (strcmp(value, second) != 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "\"%s\" or \"%s\"", first, second);
        expected(r, field, what);
    }
    return false;
}

static int64_t integer_value(reader *r, const char *field, const json_t *value, int64_t least,
                             int64_t most)
{
    if (r->status != ORTP_OK) {
        return least;
    }
    const int64_t number = json_is_integer(value) ? (int64_t)json_integer_value(value) : least - 1;
    if (number < least || number > most) {
        char what[80];
        (void)snprintf(what, sizeof what, "an integer from %lld to %lld", (long long)least,
                       (long long)most);
        expected(r, field, what);
        return least;
    }
    return number;
}

static size_t size_field(reader *r, const char *field, int64_t least, int64_t most)
{
    return (size_t)integer_value(r, field, json_object_get(r->section, field), least, most);
}

/* A number of at least `least` (-INFINITY: any); 0 where the field is absent. */
static double number_field(reader *r, const char *field, double least)
{
    const json_t *value = json_object_get(r->section, field);
    if (r->status != ORTP_OK || value == NULL) {
        return 0.0;
    }
    const double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite(number) || number < least) {
        expected(r, field, least == 0.0 ? "a number of at least 0" : "a number");
        return 0.0;
    }
    return number;
}

static void read_tokens(reader *r, ortp_manifest *m)
{
    const int64_t last = (int64_t)m->vocabulary - 1;
    const char *names[] = {"pad", "unk", "sos", "eos"};
    int32_t *out[] = {&m->pad, &m->unk, &m->sos, &m->eos};
    for (size_t i = 0; i < ORTP__COUNT(names); i++) {
        const json_t *value = json_object_get(r->section, names[i]);
        *out[i] = (int32_t)integer_value(r, names[i], value, 0, last);
        for (size_t k = 0; k < i; k++) {
            if (r->status == ORTP_OK && *out[k] == *out[i]) {
                expected(r, names[i], "a token of its own");
            }
        }
    }
}

static void read_buckets(reader *r, const json_t *root, ortp_manifest *m)
{
    const json_t *list = json_object_get(root, "buckets");
    const size_t count = json_array_size(list);
    if (r->status != ORTP_OK) {
        return;
    }
    if (count == 0 || count > ORTP_BUCKETS_MAX) {
        char what[64];
        (void)snprintf(what, sizeof what, "an array of 1 to %u integers", ORTP_BUCKETS_MAX);
        expected(r, "buckets", what);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char field[32];
        (void)snprintf(field, sizeof field, "buckets[%zu]", i);
        const int64_t least = i == 0 ? 1 : (int64_t)m->buckets[i - 1] + 1;
        m->buckets[i] = (size_t)integer_value(r, field, json_array_get(list, i), least,
                                              least > POINTS_MAX ? least : POINTS_MAX);
    }
    m->bucket_count = count;
    if (r->status == ORTP_OK && m->buckets[count - 1] != m->max_points) {
        expected(r, "buckets", "the last one to be max_points");
    }
}

static void read_ports(reader *r, const json_t *root, ortp_manifest *m)
{
    enter(r, root, "graphs", "graphs.", true);
    m->encoder_path = string_field(r, "encoder", true);
    m->decoder_path = string_field(r, "decoder", true);

    enter(r, root, "encoder", "encoder.", true);
    m->encoder.features = string_field(r, "features", true);
    m->encoder.keys = string_field(r, "keys", false);
    m->encoder.length = string_field(r, "length", false);
    m->encoder.source_mask = string_field(r, "source_mask", false);
    m->encoder.memory = string_field(r, "memory", true);
    if (m->encoder.length == NULL && m->encoder.source_mask == NULL) {
        expected(r, "length", "this or source_mask, without which padding would count");
    }

    enter(r, root, "decoder", "decoder.", true);
    m->decoder.memory = string_field(r, "memory", true);
    m->decoder.tokens = string_field(r, "tokens", true);
    m->decoder.length = string_field(r, "length", false);
    m->decoder.source_mask = string_field(r, "source_mask", false);
    m->decoder.logits = string_field(r, "logits", true);
    m->decoder.layout = choice_field(r, "memory_layout", "broadcast", "replicated")
                            ? ORTP_MEMORY_BROADCAST
                            : ORTP_MEMORY_REPLICATED;
    if (m->decoder.length == NULL && m->decoder.source_mask == NULL) {
        expected(r, "length", "this or source_mask, without which padding would count");
    }
}

static void read_search(reader *r, const json_t *root, ortp_manifest *m)
{
    enter(r, root, "beam", "beam.", true);
    m->beam_width = size_field(r, "width", 1, ORTP_BEAM_MAX);
    m->length_reward = number_field(r, "length_reward", -INFINITY);
    m->length_alpha = number_field(r, "length_alpha", 0.0);
    m->stop_margin = number_field(r, "stop_margin", 0.0);
}

static void read_version(reader *r, ortp_manifest *m)
{
    m->min_ort = string_field(r, "min_ort", true);
    if (m->min_ort != NULL) {
        unsigned major = 0;
        unsigned minor = 0;
        char rest = 0;
        if (sscanf(m->min_ort, "%3u.%3u%c", &major, &minor, &rest) != 2) {
            expected(r, "min_ort", "a version such as \"1.18\"");
        }
    }
}

static void read_all(reader *r, const json_t *root, ortp_manifest *m)
{
    enter(r, root, NULL, NULL, true);
    if (!json_is_object(root)) {
        expected(r, "the file", "a JSON object");
        return;
    }
    m->name = string_field(r, "name", true);
    m->mask_true_is_padding = choice_field(r, "source_mask_true", "padding", "valid");
    m->max_points = size_field(r, "max_points", 1, POINTS_MAX);
    m->features = size_field(r, "features", 1, WIDTH_MAX);
    m->hidden = size_field(r, "hidden", 1, WIDTH_MAX);
    m->max_tokens = size_field(r, "max_tokens", 2, TOKENS_MAX);
    m->vocabulary = size_field(r, "vocabulary", 4, VOCABULARY_MAX);
    read_buckets(r, root, m);
    read_version(r, m);
    read_ports(r, root, m);
    enter(r, root, "tokens", "tokens.", true);
    read_tokens(r, m);
    read_search(r, root, m);
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

/* Copies what was read, and its strings, into one allocation. */
static ortp_status keep(const char *directory, const ortp_manifest *read, ortp_budget *budget,
                        const ortp_alloc *alloc, ortp_manifest **out)
{
    ortp_manifest copy = *read;
    copy.directory = directory;
    copy.path = MANIFEST_FILE;
    const char **strings[] = {
        &copy.path,           &copy.encoder_path,        &copy.decoder_path,
        &copy.name,           &copy.directory,           &copy.encoder.features,
        &copy.encoder.keys,   &copy.encoder.length,      &copy.encoder.source_mask,
        &copy.encoder.memory, &copy.decoder.memory,      &copy.decoder.tokens,
        &copy.decoder.length, &copy.decoder.source_mask, &copy.decoder.logits,
        &copy.min_ort,
    };
    enum { JOINED = 3 }; /* the first three are paths below the directory */
    size_t bytes = sizeof(holder);
    for (size_t i = 0; i < ORTP__COUNT(strings); i++) {
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
    char *at = (char *)(kept + 1);
    for (size_t i = 0; i < ORTP__COUNT(strings); i++) {
        *strings[i] = copy_string(&at, directory, *strings[i], i < JOINED);
    }
    kept->manifest = copy;
    kept->budget = budget;
    kept->alloc = *alloc;
    kept->bytes = bytes;
    *out = &kept->manifest;
    return ORTP_OK;
}

/* The file as a JSON tree. */
static ortp_status parse(const char *directory, const ortp_alloc *alloc, json_t **out,
                         ortp_error *error)
{
    const size_t bytes = strlen(directory) + sizeof "/" MANIFEST_FILE;
    char *path = ortp__raw_alloc(alloc, bytes);
    if (path == NULL) {
        return ortp__fail(error, ORTP_E_NOMEM, "%s/" MANIFEST_FILE ": no memory for its path",
                          directory);
    }
    (void)snprintf(path, bytes, "%s/" MANIFEST_FILE, directory);
    FILE *file = fopen(path, "rb");
    ortp_status status = ORTP_OK;
    if (file == NULL) {
        status = errno == ENOMEM ? ORTP_E_NOMEM : ORTP_E_NOTFOUND;
        status = ortp__fail(error, status, "%s: cannot be opened", path);
    } else {
        json_error_t problem;
        *out = json_loadf(file, JSON_REJECT_DUPLICATES, &problem);
        (void)fclose(file);
        if (*out == NULL) {
            status =
                json_error_code(&problem) == json_error_out_of_memory ? ORTP_E_NOMEM : ORTP_E_INVAL;
            status = ortp__fail(error, status, "%s: line %d: %s", path, problem.line, problem.text);
        }
    }
    ortp__raw_free(alloc, path, bytes);
    return status;
}

ortp_status ortp_manifest_load(const char *directory, ortp_budget *budget, const ortp_alloc *alloc,
                               ortp_manifest **out, ortp_error *error)
{
    if (out == NULL || directory == NULL || directory[0] == '\0') {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_manifest_load: directory and out are required");
    }
    *out = NULL;
    const ortp_alloc standard = {0};
    ortp_alloc resolved;
    ortp_status status = ortp__alloc_resolve(alloc != NULL ? alloc : &standard, &resolved);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_manifest_load: alloc has one of its two functions");
    }
    json_t *root = NULL;
    status = parse(directory, &resolved, &root, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_manifest read = {0};
    reader r = {.directory = directory, .prefix = "", .status = ORTP_OK, .error = error};
    read_all(&r, root, &read);
    status = r.status;
    if (status == ORTP_OK) {
        status = keep(directory, &read, budget, &resolved, out);
        if (status != ORTP_OK) {
            (void)ortp__fail(error, status, "%s/" MANIFEST_FILE ": no memory to keep it",
                             directory);
        }
    }
    json_decref(root);
    return status;
}

void ortp_manifest_destroy(ortp_manifest *manifest)
{
    if (manifest == NULL) {
        return;
    }
    holder *kept = (holder *)manifest;
    const ortp_alloc alloc = kept->alloc;
    if (kept->budget != NULL) {
        ortp__meta_free(kept->budget, &alloc, kept, kept->bytes);
    } else {
        ortp__raw_free(&alloc, kept, kept->bytes);
    }
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
