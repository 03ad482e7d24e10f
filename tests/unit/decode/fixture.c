/* SPDX-License-Identifier: MIT */
/* See fixture.h. */
#include "fixture.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

ortp_status fixture_try(fixture *f, const char *folder, ortp_path path,
                        const ortp_runtime_options *options, ortp_error *error)
{
    *f = (fixture){.runtime = test_runtime_create(options)};
    ortp_tensor_pool_options tensors = ORTP_TENSOR_POOL_OPTIONS_INIT;
    tensors.runtime = f->runtime;
    assert_ok(ortp_tensor_pool_create(&tensors, &f->tensors, error), *error);
    ortp_model_options model = ORTP_MODEL_OPTIONS_INIT;
    model.runtime = f->runtime;
    model.tensors = f->tensors;
    model.directory = folder;
    model.path = path;
    model.intra_threads = 1;
    const ortp_status status = ortp_model_create(&model, &f->model, error);
    f->manifest = status == ORTP_OK ? ortp_model_manifest(f->model) : NULL;
    return status;
}

static void open_model(fixture *f, const char *folder, ortp_path path,
                       const ortp_runtime_options *options)
{
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(fixture_try(f, folder, path, options, &error), error);
}

void fixture_open_at(fixture *f, const char *path, const ortp_runtime_options *options)
{
    open_model(f, path, ORTP_PATH_AUTO, options);
}

void fixture_open_on(fixture *f, const char *directory, ortp_path path)
{
    open_model(f, test_file(directory), path, NULL);
}

void fixture_open(fixture *f, const char *directory, const ortp_runtime_options *options)
{
    fixture_open_at(f, test_file(directory), options);
}

void fixture_close(fixture *f)
{
    ortp_error error = ORTP_ERROR_INIT;
    test_assert_ledger(ortp_runtime_budget(f->runtime), ortp_runtime_pool(f->runtime));
    assert_int_equal(ortp_model_destroy(f->model, NULL), ORTP_OK);
    assert_ok(ortp_tensor_pool_destroy(f->tensors, &error), error);
    test_runtime_destroy(f->runtime);
}

json_t *load_json(const char *project_file)
{
    json_error_t error;
    json_t *root = json_load_file(test_file(project_file), 0, &error);
    if (root == NULL) {
        fail_msg("%s: %s", project_file, error.text);
    }
    return root;
}

json_t *load_json_line(const char *project_file, size_t index)
{
    size_t bytes = 0;
    char *text = test_read_file(test_file(project_file), &bytes);
    text[bytes] = '\0';
    char *line = text;
    for (size_t i = 0; i < index && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    json_t *root = NULL;
    if (line != NULL && line[0] != '\0') {
        root = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(root);
    }
    free(text);
    return root;
}

double number_at(const json_t *array, size_t index)
{
    const json_t *value = json_array_get(array, index);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

double beam_setting(const char *directory, const char *name)
{
    char file[256];
    (void)snprintf(file, sizeof file, "%s/model.json", directory);
    json_t *root = load_json(file);
    const json_t *value = json_object_get(json_object_get(root, "beam"), name);
    assert_true(json_is_number(value));
    const double number = json_number_value(value);
    json_decref(root);
    return number;
}

void encoder_case_read(encoder_case *c, const json_t *from, size_t features)
{
    const json_t *rows = json_object_get(from, "features");
    const json_t *keys = json_object_get(from, "nearest_keys");
    keys = keys != NULL ? keys : json_object_get(from, "keys");
    c->length = (size_t)json_integer_value(json_object_get(from, "length"));
    assert_true(c->length > 0 && c->length <= json_array_size(rows));
    c->features = malloc(c->length * features * sizeof *c->features);
    c->keys = malloc(c->length * sizeof *c->keys);
    assert_non_null(c->features);
    assert_non_null(c->keys);
    for (size_t i = 0; i < c->length; i++) {
        for (size_t k = 0; k < features; k++) {
            c->features[i * features + k] = (float)number_at(json_array_get(rows, i), k);
        }
        c->keys[i] = (int32_t)number_at(keys, i);
    }
}

void encoder_case_free(encoder_case *c)
{
    free(c->features);
    free(c->keys);
}

ortp_tensor *encode(const fixture *f, const json_t *from)
{
    encoder_case c;
    encoder_case_read(&c, from, f->manifest->features);
    const ortp_encoder_input input = {c.features, c.keys, c.length};
    ortp_error error = ORTP_ERROR_INIT;
    ortp_tensor *memory = NULL;
    assert_ok(ortp_model_encode(f->model, &input, &memory, &error), error);
    encoder_case_free(&c);
    return memory;
}

/* ---- changed models ---- */

/* One that is there. */
static void copy_file(const char *from, const char *folder, const char *file)
{
    char source[256];
    char target[256];
    size_t bytes = 0;
    (void)snprintf(source, sizeof source, "%s/%s", from, file);
    if (access(test_file(source), R_OK) != 0) {
        return;
    }
    (void)snprintf(target, sizeof target, "%s/%s", folder, file);
    void *data = test_read_file(test_file(source), &bytes);
    test_write_file(target, data, bytes);
    free(data);
}

/* "encoder.features" in `root` becomes `value`, or goes. */
static void change(json_t *root, const char *path, const char *value)
{
    char field[64];
    const char *dot = strchr(path, '.');
    if (dot != NULL) {
        (void)snprintf(field, sizeof field, "%.*s", (int)(dot - path), path);
        root = json_object_get(root, field);
        path = dot + 1;
    }
    assert_true(json_is_object(root));
    if (value == NULL) {
        assert_int_equal(json_object_del(root, path), 0);
    } else {
        json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(parsed);
        assert_int_equal(json_object_set_new(root, path, parsed), 0);
    }
}

void make_model_folder(const char *name, const char *from, const char *path, const char *value)
{
    char file[256];
    assert_true(mkdir(name, 0777) == 0 || errno == EEXIST);
    copy_file(from, name, "encoder.onnx");
    copy_file(from, name, "decoder.onnx");
    copy_file(from, name, "decoder_step.onnx");
    copy_file(from, name, "weights.bin");
    (void)snprintf(file, sizeof file, "%s/model.json", from);
    json_t *root = load_json(file);
    if (path != NULL) {
        change(root, path, value);
    }
    (void)snprintf(file, sizeof file, "%s/model.json", name);
    assert_int_equal(json_dump_file(root, file, JSON_INDENT(1)), 0);
    json_decref(root);
}

/* ---- the lexicon ---- */

static uint32_t trie_child(trie *t, uint32_t node, int32_t token)
{
    for (uint32_t child = t->nodes[node].first_child; child != 0; child = t->nodes[child].sibling) {
        if (t->nodes[child].token == token) {
            return child;
        }
    }
    if (t->count == t->capacity) {
        t->capacity = t->capacity > 0 ? t->capacity * 2 : 64;
        t->nodes = realloc(t->nodes, t->capacity * sizeof *t->nodes);
        assert_non_null(t->nodes);
    }
    const uint32_t made = (uint32_t)t->count++;
    t->nodes[made] = (trie_node){.token = token, .sibling = t->nodes[node].first_child};
    t->nodes[node].first_child = made;
    return made;
}

void trie_add(trie *t, const char *word, int64_t count)
{
    if (t->nodes == NULL) {
        t->capacity = 64;
        t->nodes = calloc(t->capacity, sizeof *t->nodes);
        assert_non_null(t->nodes);
        t->count = 1;
    }
    uint32_t node = 0;
    for (; *word != '\0'; word++) {
        node = trie_child(t, node, 4 + *word - 'a');
    }
    t->nodes[node].count = count;
}

void trie_read(trie *t, const char *directory)
{
    *t = (trie){.weight = beam_setting(directory, "frequency_weight")};
    char path[256];
    (void)snprintf(path, sizeof path, "%s/model.json", directory);
    json_t *manifest = load_json(path);
    const char *lexicon = json_string_value(json_object_get(manifest, "lexicon"));
    assert_non_null(lexicon);
    (void)snprintf(path, sizeof path, "%s/%s", directory, lexicon);
    json_decref(manifest);
    FILE *file = fopen(test_file(path), "r");
    assert_non_null(file);
    char word[64];
    long long count = 0;
    while (fscanf(file, "%63s %lld", word, &count) == 2) {
        trie_add(t, word, count);
    }
    (void)fclose(file);
}

void trie_free(trie *t)
{
    free(t->nodes);
}

static size_t trie_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                        size_t capacity, bool *may_end)
{
    const trie *t = ctx;
    size_t count = 0;
    for (uint32_t child = t->nodes[state].first_child; child != 0 && count < capacity;
         child = t->nodes[child].sibling) {
        tokens[count] = t->nodes[child].token;
        states[count++] = child;
    }
    *may_end = t->nodes[state].count > 0;
    return count;
}

static double trie_final(void *ctx, uint32_t state)
{
    const trie *t = ctx;
    return t->weight * log((double)t->nodes[state].count + 1.0);
}

ortp_constraint trie_constraint(trie *t)
{
    return (ortp_constraint){.struct_size = sizeof(ortp_constraint),
                             .ctx = t,
                             .root = 0,
                             .next = trie_next,
                             .final_score = trie_final};
}

const char *word_of(const ortp_hypothesis *result)
{
    static char word[ORTP_TOKENS_MAX + 1];
    for (size_t i = 0; i < result->length; i++) {
        word[i] = (char)('a' + result->tokens[i] - 4);
    }
    word[result->length] = '\0';
    return word;
}

void assert_same_results(const ortp_hypothesis *a, size_t a_count, const ortp_hypothesis *b,
                         size_t b_count, double tolerance)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_int_equal(a[i].length, b[i].length);
        assert_memory_equal(a[i].tokens, b[i].tokens, a[i].length * sizeof a[i].tokens[0]);
        assert_int_equal(a[i].state, b[i].state);
        assert_true(fabs(a[i].score - b[i].score) <= tolerance);
        assert_true(fabs(a[i].log_prob - b[i].log_prob) <= tolerance);
    }
}
