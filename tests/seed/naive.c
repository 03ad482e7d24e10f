/* SPDX-License-Identifier: MIT */
/* The usual code: see naive.h. */
#include "naive.h"

#include "lexicon_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS 26
#define OUTSIDE UINT32_MAX /* the node of what no word of the lexicon begins like */
#define HOPE_UNIT 0.175    /* as the lexicon rounds */
#define LEAST 1e-300

struct naive {
    const OrtApi *api;
    const ortp_manifest *manifest;
    const ortp_swipe_config *config;
    const ortp_lexicon *lexicon;
    double *hopes; /* of each node of the lexicon; NULL: beams do not look ahead */
    ortp_path path;
    OrtMemoryInfo *cpu;
    OrtSession *encoder, *decoder;
    ortp_tensor_pool *pool; /* NULL, but see naive_use_idle_pool */
};

/* A tensor that goes into a run. */
typedef struct input {
    OrtValue *value;
    ortp_tensor *tensor; /* what it belongs to where there is a pool */
} input;

/* That some first points say a beam's letters and no others: the last point a letter, or none. */
typedef struct reading {
    double letter, blank;
} reading;

typedef struct beam {
    double score;
    uint32_t node;
    size_t length; /* of tokens, the start token included */
    int32_t *tokens;
    reading *readings; /* of 0, 1, 2, ... points; NULL: no second score */
} beam;

typedef struct candidate {
    double score, rank;
    size_t parent;
    int32_t token;
    uint32_t node;
} candidate;

/* One swipe under way. */
typedef struct search {
    naive *n;
    OrtValue *memory, *ctc_value;
    const float *ctc; /* [points, V]; NULL: no second score */
    input length;
    int32_t length_value;
    beam **beams;
    size_t beam_count;
    naive_words found;
    ortp_swipe_shape shape; /* of the swipe, where shapes count */
} search;

static bool worked(const naive *n, OrtStatus *status, const char *what)
{
    if (!status) {
        return true;
    }
    printf("  naive: %s: %s\n", what, n->api->GetErrorMessage(status));
    n->api->ReleaseStatus(status);
    return false;
}

static bool out_of_memory(void)
{
    printf("  naive: no memory\n");
    return false;
}

/* ---- set-up ---- */

static bool open_session(naive *n, OrtEnv *env, const char *path, OrtSession **out)
{
    OrtSessionOptions *options = NULL;
    if (!worked(n, n->api->CreateSessionOptions(&options), "session options")) {
        return false;
    }
    bool ok = worked(n, n->api->SetIntraOpNumThreads(options, 1), "threads") &&
              worked(n, n->api->CreateSession(env, path, options, out), path);
    n->api->ReleaseSessionOptions(options);
    return ok;
}

/* The largest log count of the words below each node, rounded; returns that of `node`. */
static double look_ahead(naive *n, uint32_t node)
{
    char letters[LETTERS];
    uint32_t nodes[LETTERS];
    double most = 0;
    ortp__lexicon_is_word(n->lexicon, node, &most);
    size_t children = ortp__lexicon_children(n->lexicon, node, letters, nodes);
    for (size_t i = 0; i < children; i++) {
        most = fmax(most, look_ahead(n, nodes[i]));
    }
    n->hopes[node] = floor(most / HOPE_UNIT + 0.5) * HOPE_UNIT;
    return most;
}

naive *naive_create(const OrtApi *api, OrtEnv *env, const ortp_predictor *settings, ortp_path path)
{
    naive *n = calloc(1, sizeof(*n));
    if (!n) {
        out_of_memory();
        return NULL;
    }
    n->api = api;
    n->manifest = ortp_model_manifest(ortp_predictor_model(settings));
    n->config = ortp_predictor_config(settings);
    n->lexicon = ortp_predictor_lexicon(settings);
    n->path = path;
    if (n->config->look_ahead > 0) {
        n->hopes = malloc(ortp__lexicon_nodes(n->lexicon) * sizeof(*n->hopes));
        if (!n->hopes) {
            out_of_memory();
            naive_destroy(n);
            return NULL;
        }
        look_ahead(n, 0);
    }
    if (!worked(n, api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &n->cpu),
                "memory info") ||
        !open_session(n, env, n->manifest->encoder_path, &n->encoder) ||
        !open_session(n, env, n->manifest->decoder_path, &n->decoder)) {
        naive_destroy(n);
        return NULL;
    }
    return n;
}

bool naive_use_idle_pool(naive *n, ortp_runtime *runtime)
{
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = runtime;
    options.idle_bytes_max = 1; /* what is released is dropped at once */
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_tensor_pool_create(&options, &n->pool, &error);
    return status == ORTP_OK || seed_problem("naive: tensor pool", status, &error);
}

void naive_destroy(naive *n)
{
    if (n) {
        ortp_error error = ORTP_ERROR_INIT;
        if (n->pool && ortp_tensor_pool_destroy(n->pool, &error) != ORTP_OK) {
            seed_problem("naive: tensor pool", error.status, &error);
        }
        if (n->encoder) {
            n->api->ReleaseSession(n->encoder);
        }
        if (n->decoder) {
            n->api->ReleaseSession(n->decoder);
        }
        free(n->hopes);
        if (n->cpu) {
            n->api->ReleaseMemoryInfo(n->cpu);
        }
        free(n);
    }
}

/* ---- encoder ---- */

static bool wrap(naive *n, void *data, size_t bytes, const int64_t *shape, size_t rank,
                 ONNXTensorElementDataType type, input *out)
{
    *out = (input){NULL, NULL};
    if (!n->pool) {
        return worked(n,
                      n->api->CreateTensorWithDataAsOrtValue(n->cpu, data, bytes, shape, rank, type,
                                                             &out->value),
                      "tensor");
    }
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status =
        ortp_tensor_acquire(n->pool, (ortp_type)type, shape, rank, &out->tensor, &error);
    if (status != ORTP_OK) {
        return seed_problem("naive: tensor", status, &error);
    }
    memcpy(ortp_tensor_data(out->tensor), data, bytes);
    out->value = ortp_tensor_value(out->tensor);
    return true;
}

static void unwrap(naive *n, input *in)
{
    if (in->tensor) {
        ortp_tensor_release(in->tensor);
    } else if (in->value) {
        n->api->ReleaseValue(in->value);
    }
    *in = (input){NULL, NULL};
}

static void drop(naive *n, OrtValue *value)
{
    if (value) {
        n->api->ReleaseValue(value);
    }
}

static bool encode(search *s, const ortp_swipe *swipe)
{
    naive *n = s->n;
    size_t rows = n->manifest->max_points, width = n->manifest->features, length = 0;
    float *features = calloc(rows * width, sizeof(*features));
    int32_t *keys = calloc(rows, sizeof(*keys));
    input f = {NULL, NULL}, k = {NULL, NULL};
    ortp_error error = ORTP_ERROR_INIT;
    bool ok = features && keys;
    if (ok && ortp_swipe_features(n->config, swipe, features, keys, &length, &error) != ORTP_OK) {
        ok = seed_problem("naive: features", error.status, &error);
    }
    if (ok && n->config->shape_weight > 0) {
        s->shape.struct_size = sizeof(s->shape);
        (void)ortp_swipe_shape_of(n->config, features, length, &s->shape);
    }
    if (ok) {
        int64_t bucket = (int64_t)ortp_manifest_bucket(n->manifest, length);
        int64_t shape_features[] = {1, bucket, (int64_t)width}, shape_keys[] = {1, bucket};
        int64_t one = 1;
        s->length_value = (int32_t)length;
        ok = wrap(n, features, (size_t)bucket * width * sizeof(*features), shape_features, 3,
                  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &f) &&
             wrap(n, keys, (size_t)bucket * sizeof(*keys), shape_keys, 2,
                  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, &k) &&
             wrap(n, &s->length_value, sizeof(s->length_value), &one, 1,
                  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, &s->length); /* the decoder reads it too */
    }
    if (ok) {
        const char *in[] = {n->manifest->encoder.features, n->manifest->encoder.keys,
                            n->manifest->encoder.length};
        const char *out[] = {n->manifest->encoder.memory, n->manifest->encoder.ctc};
        const OrtValue *inputs[] = {f.value, k.value, s->length.value};
        OrtValue *values[] = {NULL, NULL};
        ok = worked(n, n->api->Run(n->encoder, NULL, in, inputs, 3, out, out[1] ? 2 : 1, values),
                    "encoder run");
        s->memory = values[0];
        s->ctc_value = values[1];
    }
    if (ok && n->manifest->ctc_weight > 0) {
        ok = worked(n, n->api->GetTensorMutableData(s->ctc_value, (void **)&s->ctc), "ctc");
    }
    unwrap(n, &f);
    unwrap(n, &k);
    free(features);
    free(keys);
    return ok;
}

/* ---- decoder ---- */

/* One run for `count` beams; rows: [count, V], the logits of the beams' last positions. */
static bool run_decoder(search *s, beam *const *beams, size_t count, float *rows)
{
    naive *n = s->n;
    size_t width = n->manifest->max_tokens, vocabulary = n->manifest->vocabulary;
    int32_t *tokens = calloc(count * width, sizeof(*tokens)); /* zero is the padding */
    if (!tokens) {
        return out_of_memory();
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(tokens + i * width, beams[i]->tokens, beams[i]->length * sizeof(*tokens));
    }
    int64_t shape[] = {(int64_t)count, (int64_t)width};
    input t;
    bool ok = wrap(n, tokens, count * width * sizeof(*tokens), shape, 2,
                   ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, &t);
    OrtValue *logits = NULL;
    float *data = NULL;
    const char *in[] = {n->manifest->decoder.memory, n->manifest->decoder.tokens,
                        n->manifest->decoder.length};
    const char *out[] = {n->manifest->decoder.logits};
    const OrtValue *inputs[] = {s->memory, t.value, s->length.value};
    ok = ok &&
         worked(n, n->api->Run(n->decoder, NULL, in, inputs, 3, out, 1, &logits), "decoder run") &&
         worked(n, n->api->GetTensorMutableData(logits, (void **)&data), "logits");
    for (size_t i = 0; ok && i < count; i++) {
        const float *from = data + (i * width + beams[i]->length - 1) * vocabulary;
        memcpy(rows + i * vocabulary, from, vocabulary * sizeof(*rows));
    }
    drop(n, logits);
    unwrap(n, &t);
    free(tokens);
    return ok;
}

static float *next_logits(search *s)
{
    size_t vocabulary = s->n->manifest->vocabulary;
    float *rows = malloc(s->beam_count * vocabulary * sizeof(*rows));
    bool ok = rows != NULL;
    if (ok && s->n->path == ORTP_PATH_BATCHED) {
        ok = run_decoder(s, s->beams, s->beam_count, rows);
    } else {
        for (size_t i = 0; ok && i < s->beam_count; i++) {
            ok = run_decoder(s, &s->beams[i], 1, rows + i * vocabulary);
        }
    }
    if (!ok) {
        free(rows);
        return NULL;
    }
    return rows;
}

static double *log_softmax(const float *logits, size_t count)
{
    double *out = malloc(count * sizeof(*out));
    if (out) {
        double top = logits[0], sum = 0;
        for (size_t i = 1; i < count; i++) {
            top = logits[i] > top ? logits[i] : top;
        }
        for (size_t i = 0; i < count; i++) {
            sum += exp(logits[i] - top);
        }
        for (size_t i = 0; i < count; i++) {
            out[i] = logits[i] - top - log(sum);
        }
    }
    return out;
}

/* ---- second score, by CTC ---- */

/* That so many points say the beam, and `token` can be the next letter: again only after a blank. */
static double before(const beam *b, size_t points, int32_t token)
{
    const reading *r = &b->readings[points];
    return token == b->tokens[b->length - 1] ? r->blank : r->letter + r->blank;
}

/* Those of a beam with one more letter; no beam: those of no letters. */
static reading *new_readings(const search *s, const beam *parent, int32_t token)
{
    const ortp_manifest *m = s->n->manifest;
    size_t points = (size_t)s->length_value;
    reading *out = malloc((points + 1) * sizeof(*out));
    if (out) {
        out[0] = (reading){0, parent ? 0 : 1};
        for (size_t t = 0; t < points; t++) {
            const float *point = s->ctc + t * m->vocabulary;
            double begun = parent ? before(parent, t, token) : 0;
            out[t + 1] = (reading){(out[t].letter + begun) * point[token],
                                   (out[t].letter + out[t].blank) * point[m->pad]};
        }
    }
    return out;
}

/* For all that begins with the beam and the token. */
static double score_of_prefix(const search *s, const beam *b, int32_t token)
{
    double sum = 0;
    for (size_t t = 0; s->ctc && t < (size_t)s->length_value; t++) {
        sum += before(b, t, token) * s->ctc[t * s->n->manifest->vocabulary + (size_t)token];
    }
    return s->ctc ? s->n->manifest->ctc_weight * log(fmax(sum, LEAST)) : 0;
}

static double score_of_whole(const search *s, const beam *b)
{
    if (!s->ctc) {
        return 0;
    }
    const reading *last = &b->readings[s->length_value];
    return s->n->manifest->ctc_weight * log(fmax(last->letter + last->blank, LEAST));
}

/* ---- search ---- */

static beam *new_beam(const search *s, const beam *parent, double score, int32_t token,
                      uint32_t node)
{
    beam *b = malloc(sizeof(*b));
    size_t letters = parent ? parent->length : 0;
    int32_t *tokens = malloc((letters + 1) * sizeof(*tokens));
    reading *readings = s->ctc ? new_readings(s, parent, token) : NULL;
    if (!b || !tokens || (s->ctc && !readings)) {
        free(b);
        free(tokens);
        free(readings);
        return NULL;
    }
    if (letters > 0) {
        memcpy(tokens, parent->tokens, letters * sizeof(*tokens));
    }
    tokens[letters] = token;
    *b = (beam){score, node, letters + 1, tokens, readings};
    return b;
}

static void free_beams(beam **beams, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (beams[i]) {
            free(beams[i]->tokens);
            free(beams[i]->readings);
            free(beams[i]);
        }
    }
    free(beams);
}

/* bonus: for being a word of the lexicon, or none. */
static bool finish_word(search *s, const beam *b, double score, double bonus)
{
    naive *n = s->n;
    naive_word *items = realloc(s->found.items, (s->found.count + 1) * sizeof(*s->found.items));
    if (!items) {
        return out_of_memory();
    }
    s->found.items = items;
    naive_word *w = &items[s->found.count++];
    size_t letters = b->length - 1;
    for (size_t i = 0; i < letters; i++) {
        w->word[i] = (char)('a' + b->tokens[i + 1] - n->config->first_letter);
    }
    w->word[letters] = '\0';
    w->confidence = 0;
    w->score = score + bonus + n->manifest->length_reward * (double)letters + score_of_whole(s, b);
    w->score /= pow((5 + (double)letters) / 6, n->manifest->length_alpha);
    return true;
}

static int by_word_score(const void *a, const void *b)
{
    double x = ((const naive_word *)a)->score, y = ((const naive_word *)b)->score;
    return (x < y) - (x > y);
}

static int by_rank(const void *a, const void *b)
{
    double x = ((const candidate *)a)->rank, y = ((const candidate *)b)->rank;
    return (x < y) - (x > y);
}

/* The letters that may follow a beam, and their nodes: those of words first; returns how many. */
static size_t following(const naive *n, uint32_t node, char *letters, uint32_t *nodes)
{
    size_t words = ortp__lexicon_children(n->lexicon, node, letters, nodes), count = words;
    for (char letter = 'a'; n->config->free_score != 0 && letter <= 'z'; letter++) {
        if (!memchr(letters, letter, words)) {
            letters[count] = letter;
            nodes[count++] = OUTSIDE;
        }
    }
    return count;
}

/* What a log count is worth. */
static double worth(const naive *n, double log_count)
{
    return n->config->count_limit > 0 ? log_count - log(1 + exp(log_count) / n->config->count_limit)
                                      : log_count;
}

static double hope_of(const naive *n, uint32_t node)
{
    if (node == OUTSIDE) {
        return n->config->free_score;
    }
    return n->hopes ? n->config->look_ahead * worth(n, n->hopes[node]) : 0;
}

/* Adds what may follow beam `index`; *count grows by 26 at most. */
static bool expand(search *s, size_t index, const float *logits, candidate *list, size_t *count)
{
    naive *n = s->n;
    const beam *b = s->beams[index];
    double *logp = log_softmax(logits, n->manifest->vocabulary);
    if (!logp) {
        return out_of_memory();
    }
    char letters[LETTERS];
    uint32_t nodes[LETTERS];
    size_t children = following(n, b->node, letters, nodes);
    for (size_t i = 0; i < children; i++) {
        int32_t token = n->config->first_letter + (letters[i] - 'a');
        double score = b->score + logp[token];
        double rank = score + score_of_prefix(s, b, token) + hope_of(n, nodes[i]);
        list[(*count)++] = (candidate){score, rank, index, token, nodes[i]};
    }
    double log_count, end = b->score + logp[n->manifest->eos];
    bool ok = true;
    if (ortp__lexicon_is_word(n->lexicon, b->node, &log_count)) {
        ok = finish_word(s, b, end, n->config->frequency_weight * worth(n, log_count));
    } else if (n->config->free_score != 0 && b->length > 1) {
        ok = finish_word(s, b, end, n->config->free_score);
    }
    free(logp);
    return ok;
}

/* The best candidates become the beams, as copies; those that cannot win any more are left out. */
static bool choose(search *s, candidate *list, size_t count)
{
    naive *n = s->n;
    qsort(list, count, sizeof(*list), by_rank);
    if (s->found.count > 1) {
        qsort(s->found.items, s->found.count, sizeof(*s->found.items), by_word_score);
    }
    size_t width = count < n->manifest->beam_width ? count : n->manifest->beam_width;
    beam **next = calloc(width + 1, sizeof(*next));
    size_t kept = 0;
    bool ok = next != NULL;
    for (size_t i = 0; ok && i < width; i++) {
        const beam *parent = s->beams[list[i].parent];
        double hope = list[i].rank + n->manifest->length_reward * (double)parent->length +
                      n->manifest->stop_margin;
        if (n->manifest->stop_margin > 0 && s->found.count >= 3 &&
            hope <= s->found.items[2].score) {
            continue;
        }
        next[kept] = new_beam(s, parent, list[i].score, list[i].token, list[i].node);
        ok = next[kept] != NULL;
        kept += ok;
    }
    if (!ok) {
        if (next) {
            free_beams(next, kept);
        }
        return out_of_memory();
    }
    free_beams(s->beams, s->beam_count);
    s->beams = next;
    s->beam_count = kept;
    return true;
}

static bool step(search *s)
{
    float *logits = next_logits(s);
    candidate *list = malloc(s->beam_count * LETTERS * sizeof(*list));
    size_t count = 0;
    bool ok = logits && list;
    for (size_t i = 0; ok && i < s->beam_count; i++) {
        ok = expand(s, i, logits + i * s->n->manifest->vocabulary, list, &count);
    }
    ok = ok && choose(s, list, count);
    free(list);
    free(logits);
    return ok;
}

/* The best words, their scores less what their shapes tell against them. */
static void weigh_shapes(search *s)
{
    naive_words *found = &s->found;
    qsort(found->items, found->count, sizeof(*found->items), by_word_score);
    found->count = found->count < ORTP_CANDIDATES_MAX ? found->count : ORTP_CANDIDATES_MAX;
    for (size_t i = 0; i < found->count; i++) {
        found->items[i].score -=
            s->n->config->shape_weight *
            ortp_swipe_shape_distance(s->n->config, &s->shape, found->items[i].word);
    }
}

/* Best first, the first of them with their confidences. */
static void rank_words(search *s)
{
    naive_words *found = &s->found;
    qsort(found->items, found->count, sizeof(*found->items), by_word_score);
    size_t count = found->count < ORTP_CANDIDATES_MAX ? found->count : ORTP_CANDIDATES_MAX;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        naive_word *w = &found->items[i];
        w->confidence = exp((w->score - found->items[0].score) / s->n->config->temperature);
        sum += w->confidence;
    }
    for (size_t i = 0; i < count; i++) {
        found->items[i].confidence /= sum;
    }
}

bool naive_predict(naive *n, const ortp_swipe *swipe, naive_words *out)
{
    search s = {.n = n};
    *out = (naive_words){NULL, 0};
    bool ok = encode(&s, swipe);
    s.beams = calloc(1, sizeof(*s.beams));
    if (ok && s.beams) {
        s.beams[0] = new_beam(&s, NULL, 0, n->manifest->sos, 0);
        s.beam_count = 1;
        ok = s.beams[0] != NULL;
    }
    ok = ok && s.beams;
    for (size_t i = 1; ok && i < n->manifest->max_tokens && s.beam_count > 0; i++) {
        ok = step(&s);
    }
    if (ok && s.found.count > 0) {
        if (n->config->shape_weight > 0) {
            weigh_shapes(&s);
        }
        rank_words(&s);
    }
    drop(n, s.memory);
    drop(n, s.ctc_value);
    unwrap(n, &s.length);
    if (s.beams) {
        free_beams(s.beams, s.beam_count);
    }
    if (ok) {
        *out = s.found;
    } else {
        free(s.found.items);
    }
    return ok;
}

void naive_words_free(naive_words *words)
{
    free(words->items);
    *words = (naive_words){NULL, 0};
}

void naive_as_prediction(const naive_words *words, ortp_prediction *out)
{
    *out = (ortp_prediction)ORTP_PREDICTION_INIT;
    out->candidate_count = words->count < 3 ? words->count : 3;
    for (size_t i = 0; i < out->candidate_count; i++) {
        memcpy(out->candidates[i].word, words->items[i].word, sizeof(out->candidates[i].word));
        out->candidates[i].score = words->items[i].score;
        out->candidates[i].confidence = words->items[i].confidence;
    }
}

/* ---- comparison ---- */

#define SCORE_GAP 1e-3 /* of confidences too */

static bool has_word(const naive_words *words, const ortp_candidate *c)
{
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->items[i].word, c->word) == 0) {
            return fabs(words->items[i].score - c->score) <= SCORE_GAP &&
                   fabs(words->items[i].confidence - c->confidence) <= SCORE_GAP;
        }
    }
    return false;
}

bool naive_agrees(const naive_words *words, const ortp_prediction *prediction, const char *label)
{
    size_t expected = words->count < 3 ? words->count : 3;
    if (prediction->candidate_count != expected || expected == 0) {
        printf("  %s: ortpool has %zu words, the naive code %zu\n", label,
               prediction->candidate_count, expected);
        return false;
    }
    for (size_t i = 0; i < expected; i++) {
        const ortp_candidate *c = &prediction->candidates[i];
        if (fabs(words->items[i].score - c->score) > SCORE_GAP || !has_word(words, c)) {
            printf("  %s, rank %zu: ortpool says %s (%.4f, %.4f), the naive code %s (%.4f, %.4f)\n",
                   label, i + 1, c->word, c->score, c->confidence, words->items[i].word,
                   words->items[i].score, words->items[i].confidence);
            return false;
        }
    }
    return true;
}
