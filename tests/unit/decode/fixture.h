/* SPDX-License-Identifier: MIT */
/*
 * What the decode tests share: a model opened over its own runtime, JSON files, changed copies of a
 * model's folder, a lexicon as a constraint.
 */
#ifndef TEST_DECODE_FIXTURE_H
#define TEST_DECODE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include <ortpool/decoder.h>

#include "test_ort.h"

#define TINY "tests/graphs/tiny"
#define MASK "tests/graphs/mask"
#define STEP "tests/graphs/step" /* with a decoder_step */
#define CTC "tests/graphs/ctc"   /* the same and a CTC head */
#define SWIPE "models/swipe-en-fp32"

/* Fails with the error's message. */
#define assert_ok(call, error)                                                                     \
    do {                                                                                           \
        const ortp_status status_ = (call);                                                        \
        if (status_ != ORTP_OK) {                                                                  \
            fail_msg("%s: %s: %s", #call, ortp_status_name(status_), (error).message);             \
        }                                                                                          \
    } while (0)

typedef struct fixture {
    ortp_runtime *runtime;
    ortp_tensor_pool *tensors;
    ortp_model *model;
    const ortp_manifest *manifest;
} fixture;

/* directory: of the project, TINY and so on. options NULL: the runtime's defaults. */
void fixture_open(fixture *f, const char *directory, const ortp_runtime_options *options);
/* The same for any path. */
void fixture_open_at(fixture *f, const char *path, const ortp_runtime_options *options);
/* The same with the decoder that a path runs. */
void fixture_open_on(fixture *f, const char *directory, ortp_path path);
/* The same, giving what ortp_model_create() says; without a model there is the rest. */
ortp_status fixture_try(fixture *f, const char *folder, ortp_path path,
                        const ortp_runtime_options *options, ortp_error *error);
/* Ledger balanced, nothing left. */
void fixture_close(fixture *f);

json_t *load_json(const char *project_file);
/* Line `index` of a file of JSON lines. */
json_t *load_json_line(const char *project_file, size_t index);
double number_at(const json_t *array, size_t index);
/* A number of the "beam" section of a project's model. */
double beam_setting(const char *directory, const char *name);

/* Features and keys of a case of golden.jsonl or of an expected.json; free() both. */
typedef struct encoder_case {
    float *features;
    int32_t *keys;
    size_t length;
} encoder_case;
void encoder_case_read(encoder_case *c, const json_t *from, size_t features);
void encoder_case_free(encoder_case *c);
/* Encodes it. */
ortp_tensor *encode(const fixture *f, const json_t *from);

/*
 * A folder `name` below the current one with the graphs of `from` (a project's folder) and its
 * model.json, in which the field at `path` ("encoder.features", "buckets") is `value` (JSON text;
 * NULL: removed). path NULL: unchanged.
 */
void make_model_folder(const char *name, const char *from, const char *path, const char *value);

/* A lexicon as a constraint: a to z are tokens 4 to 29; final score: weight * ln(count + 1). */
typedef struct trie_node {
    uint32_t first_child, sibling; /* 0: none */
    int32_t token;
    int64_t count; /* 0: no word ends here */
} trie_node;

typedef struct trie {
    trie_node *nodes; /* 0 is the root */
    size_t count, capacity;
    double weight;
} trie;

/* The lexicon of a project's model, with its frequency weight. */
void trie_read(trie *t, const char *directory);
void trie_add(trie *t, const char *word, int64_t count);
void trie_free(trie *t);
ortp_constraint trie_constraint(trie *t);
/* The letters of a result; a static array. */
const char *word_of(const ortp_hypothesis *result);

/* Equal tokens, states and scores within `tolerance`, in order. */
void assert_same_results(const ortp_hypothesis *a, size_t a_count, const ortp_hypothesis *b,
                         size_t b_count, double tolerance);

#endif
