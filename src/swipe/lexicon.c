/* SPDX-License-Identifier: MIT */
/*
 * The lexicon: one block with the trie (lexicon_internal.h shows its form), and the walks over it.
 */
#include "lexicon_internal.h"
#include "lexicon_walk.h"

#include <math.h>
#include <string.h>

#define NODE_BYTES (sizeof(ortp__node) + sizeof(uint8_t))

struct ortp_lexicon {
    ortp_pool *pool;
    ortp_alloc alloc;
    ortp_block *block;
    const ortp__node *nodes;
    const uint8_t *hopes; /* the largest log count of each node's words, see trie.c */
    size_t node_count;
    size_t word_count;
};

static ortp_status build(ortp_lexicon *lexicon, ortp__wordlist *list, ortp_error *error)
{
    const size_t count = ortp__trie_count(list);
    const size_t bytes = count * NODE_BYTES;
    if (count > UINT32_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "%s: too many words", list->path);
    }
    const ortp_status status =
        ortp_pool_acquire(lexicon->pool, bytes, ORTP_LABEL_OTHER, &lexicon->block);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "%s: %zu bytes for its trie: %s", list->path, bytes,
                          ortp_status_text(status));
    }
    ortp__node *nodes = ortp_block_data(lexicon->block);
    lexicon->word_count = ortp__trie_build(list, nodes);
    uint8_t *hopes = (uint8_t *)(nodes + count);
    ortp__trie_hopes(nodes, count, hopes);
    lexicon->nodes = nodes;
    lexicon->hopes = hopes;
    lexicon->node_count = count;
    return ORTP_OK;
}

ortp_status ortp_lexicon_create(const ortp_lexicon_options *options, ortp_lexicon **out,
                                ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_lexicon_create: out is required");
    }
    *out = NULL;
    ortp_lexicon_options given = {0};
    ortp_status status = ortp__options_copy(&given, sizeof given, options);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_lexicon_create: " ORTP__OTHER_VERSION);
    }
    if (given.pool == NULL || given.path == NULL || given.path[0] == '\0') {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_lexicon_create: pool and path are required");
    }
    ortp_alloc alloc;
    status = ortp__alloc_resolve(&given.alloc, &alloc);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_lexicon_create: alloc has one of its two functions");
    }
    ortp_budget *budget = ortp_pool_budget(given.pool);
    void *memory = NULL;
    status = ortp__meta_alloc(budget, &alloc, sizeof(ortp_lexicon), ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "%s: %s", given.path, ortp_status_text(status));
    }
    ortp_lexicon *lexicon = memory;
    lexicon->pool = given.pool;
    lexicon->alloc = alloc;
    ortp__wordlist list = {.budget = budget, .alloc = &alloc, .path = given.path};
    status = ortp__wordlist_read(&list, error);
    if (status == ORTP_OK) {
        status = build(lexicon, &list, error);
        ortp__wordlist_free(&list);
    }
    if (status != ORTP_OK) {
        (void)ortp_lexicon_destroy(lexicon, NULL);
        return status;
    }
    *out = lexicon;
    return ORTP_OK;
}

ortp_status ortp_lexicon_destroy(ortp_lexicon *lexicon, ortp_error *error)
{
    (void)error; /* nothing is refused */
    if (lexicon != NULL) {
        const ortp_alloc alloc = lexicon->alloc;
        ortp_budget *budget = ortp_pool_budget(lexicon->pool);
        (void)ortp_block_release(lexicon->block);
        ortp__meta_free(budget, &alloc, lexicon, sizeof *lexicon);
    }
    return ORTP_OK;
}

size_t ortp_lexicon_words(const ortp_lexicon *lexicon)
{
    return lexicon->word_count;
}

size_t ortp__lexicon_nodes(const ortp_lexicon *lexicon)
{
    return lexicon->node_count;
}

size_t ortp_lexicon_bytes(const ortp_lexicon *lexicon)
{
    return lexicon->node_count * NODE_BYTES;
}

/* The child of `node` by letter number; 0: none. */
static uint32_t find_child(const ortp__node *nodes, uint32_t node, uint32_t letter)
{
    uint32_t child = nodes[node].child;
    if (child == 0) {
        return 0;
    }
    while ((nodes[child].packed & ORTP__NODE_LETTER) < letter) {
        if ((nodes[child].packed & ORTP__NODE_LAST) != 0) {
            return 0;
        }
        child++;
    }
    return (nodes[child].packed & ORTP__NODE_LETTER) == letter ? child : 0;
}

bool ortp__lexicon_walk(const ortp_lexicon *lexicon, uint32_t from, const char *prefix,
                       size_t length, uint32_t *node)
{
    if (from >= lexicon->node_count) {
        return false;
    }
    uint32_t at = from;
    for (size_t i = 0; i < length; i++) {
        if (prefix[i] < 'a' || prefix[i] > 'z') {
            return false;
        }
        at = find_child(lexicon->nodes, at, (uint32_t)(prefix[i] - 'a'));
        if (at == 0) {
            return false;
        }
    }
    *node = at;
    return true;
}

size_t ortp__lexicon_children(const ortp_lexicon *lexicon, uint32_t node, char *letters,
                             uint32_t *nodes)
{
    if (node >= lexicon->node_count || lexicon->nodes[node].child == 0) {
        return 0;
    }
    size_t count = 0;
    uint32_t child = lexicon->nodes[node].child;
    bool last = false;
    while (!last) {
        const uint32_t packed = lexicon->nodes[child].packed;
        letters[count] = (char)('a' + (packed & ORTP__NODE_LETTER));
        nodes[count] = child;
        last = (packed & ORTP__NODE_LAST) != 0;
        count++;
        child++;
    }
    return count;
}

bool ortp__lexicon_is_word(const ortp_lexicon *lexicon, uint32_t node, double *log_count)
{
    if (node >= lexicon->node_count || (lexicon->nodes[node].packed & ORTP__NODE_WORD) == 0) {
        return false;
    }
    if (log_count != NULL) {
        *log_count = (double)(lexicon->nodes[node].packed >> ORTP__NODE_LOG_SHIFT) / ORTP__LOG_UNIT;
    }
    return true;
}

bool ortp_lexicon_contains(const ortp_lexicon *lexicon, const char *word)
{
    uint32_t node = 0;
    return ortp__lexicon_walk(lexicon, 0, word, strlen(word), &node) &&
           ortp__lexicon_is_word(lexicon, node, NULL);
}

/* The state of a beam that no word begins like. */
#define FREE UINT32_MAX

/* Letters that lead out of the lexicon, behind `count` that do not. */
static size_t add_free(const ortp_lexicon_constraint *c, size_t count, int32_t *tokens,
                       uint32_t *states, size_t capacity)
{
    size_t words = count; /* rising, and so far behind as the letter that is looked at */
    size_t at = 0;
    for (int32_t letter = 0; letter < (int32_t)ORTP__LETTERS && count < capacity; letter++) {
        const int32_t token = c->first_letter + letter;
        if (at < words && tokens[at] == token) {
            at++;
        } else {
            tokens[count] = token;
            states[count++] = FREE;
        }
    }
    return count;
}

static size_t constraint_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                              size_t capacity, bool *may_end)
{
    const ortp_lexicon_constraint *c = ctx;
    char letters[ORTP__LETTERS];
    uint32_t nodes[ORTP__LETTERS];
    const size_t found = ortp__lexicon_children(c->lexicon, state, letters, nodes);
    const size_t count = found < capacity ? found : capacity;
    for (size_t i = 0; i < count; i++) {
        tokens[i] = c->first_letter + (letters[i] - 'a');
        states[i] = nodes[i];
    }
    *may_end = ortp__lexicon_is_word(c->lexicon, state, NULL);
    if (c->free_score == 0.0 || (state != FREE && state >= c->lexicon->node_count)) {
        return count;
    }
    *may_end = state != 0;
    return add_free(c, count, tokens, states, capacity);
}

/* What a ln(count + 1) is worth. */
static double worth(const ortp_lexicon_constraint *c, double log_count)
{
    return c->count_limit > 0.0 ? log_count - log1p(exp(log_count) / c->count_limit) : log_count;
}

static double constraint_score(void *ctx, uint32_t state)
{
    const ortp_lexicon_constraint *c = ctx;
    double log_count = 0.0;
    return ortp__lexicon_is_word(c->lexicon, state, &log_count) ? c->weight * worth(c, log_count)
                                                               : c->free_score;
}

static double constraint_hope(void *ctx, uint32_t state)
{
    const ortp_lexicon_constraint *c = ctx;
    return state < c->lexicon->node_count
               ? c->look_ahead * worth(c, ORTP__HOPE_UNIT * (double)c->lexicon->hopes[state])
               : c->free_score;
}

ortp_status ortp_lexicon_make_constraint(const ortp_lexicon_constraint *storage,
                                         ortp_constraint *out)
{
    if (storage == NULL) {
        return ORTP_E_INVAL;
    }
    ortp_lexicon_constraint read;
    const ortp_status status = ortp__options_copy(&read, sizeof read, storage);
    if (status != ORTP_OK || storage->struct_size < sizeof read) { /* read in place: all of it is needed */
        return ORTP_E_VERSION;
    }
    if (read.lexicon == NULL) {
        return ORTP_E_INVAL;
    }
    ortp_constraint made = ORTP_CONSTRAINT_INIT;
    made.ctx = (ortp_lexicon_constraint *)storage; /* only read */
    made.next = constraint_next;
    made.final_score = constraint_score;
    made.hope = read.look_ahead != 0.0 || read.free_score != 0.0 ? constraint_hope : NULL;
    return ortp__out_fill(out, &made, sizeof made);
}
