/* SPDX-License-Identifier: MIT */
/*
 * Builds the trie of a sorted word list, level by level, in two passes: count, then fill.
 *
 * The words below a node are one range of the sorted list. A level is the list of its nodes' ranges;
 * splitting each by the next letter gives the next level, whose nodes are numbered as they come, so
 * that siblings are neighbours. At most one range per word and level: both levels fit into scratch.
 */
#include "lexicon_internal.h"

#include <assert.h>

typedef struct range {
    uint32_t lo, hi; /* words [lo, hi) */
} range;

static_assert(2 * sizeof(range) <= sizeof(ortp__word), "both levels must fit into scratch");

static size_t length_of(const ortp__word *word)
{
    return word->packed & ORTP__WORD_LENGTH;
}

static char letter_of(const ortp__wordlist *list, uint32_t word, size_t depth)
{
    return list->text[list->words[word].offset + depth];
}

/* Letters that two words have in common at their beginning. */
static size_t common_prefix(const ortp__wordlist *list, const ortp__word *a, const ortp__word *b)
{
    const size_t most = length_of(a) < length_of(b) ? length_of(a) : length_of(b);
    const char *pa = list->text + a->offset;
    const char *pb = list->text + b->offset;
    size_t n = 0;
    while (n < most && pa[n] == pb[n]) {
        n++;
    }
    return n;
}

size_t ortp__trie_count(const ortp__wordlist *list)
{
    size_t nodes = 1;
    for (size_t i = 0; i < list->word_count; i++) {
        const ortp__word *word = &list->words[i];
        nodes += length_of(word) - (i > 0 ? common_prefix(list, word - 1, word) : 0);
    }
    return nodes;
}

/* Takes the words that end at this node off the front of its range; the largest count stays. */
static bool end_words(const ortp__wordlist *list, size_t depth, range *words, ortp__node *node)
{
    uint32_t log_count = 0;
    const uint32_t first = words->lo;
    while (words->lo < words->hi && length_of(&list->words[words->lo]) == depth) {
        const uint32_t given = list->words[words->lo].packed >> ORTP__WORD_LOG_SHIFT;
        log_count = given > log_count ? given : log_count;
        words->lo++;
    }
    if (words->lo == first) {
        return false;
    }
    node->packed |= ORTP__NODE_WORD | log_count << ORTP__NODE_LOG_SHIFT;
    return true;
}

/* Appends the children of one node and their ranges. Returns how many. */
static uint32_t split(const ortp__wordlist *list, size_t depth, range words, ortp__node *children,
                      range *ranges)
{
    uint32_t count = 0;
    while (words.lo < words.hi) {
        const char letter = letter_of(list, words.lo, depth);
        range *child = &ranges[count];
        child->lo = words.lo;
        while (words.lo < words.hi && letter_of(list, words.lo, depth) == letter) {
            words.lo++;
        }
        child->hi = words.lo;
        children[count] = (ortp__node){.child = 0, .packed = (uint32_t)(letter - 'a')};
        count++;
    }
    if (count > 0) {
        children[count - 1].packed |= ORTP__NODE_LAST;
    }
    return count;
}

size_t ortp__trie_build(ortp__wordlist *list, ortp__node *nodes)
{
    range *level = (range *)(void *)list->scratch;
    range *below = level + list->word_count;
    size_t words = 0;
    uint32_t level_count = 1;
    uint32_t first = 0; /* node of level[0] */
    uint32_t next = 1;  /* node to be made next */
    nodes[0] = (ortp__node){.child = 0, .packed = ORTP__NODE_LAST};
    level[0] = (range){0, (uint32_t)list->word_count};
    for (size_t depth = 0; level_count > 0; depth++) {
        uint32_t below_count = 0;
        for (uint32_t i = 0; i < level_count; i++) {
            ortp__node *node = &nodes[first + i];
            words += end_words(list, depth, &level[i], node) ? 1 : 0;
            const uint32_t made = split(list, depth, level[i], &nodes[next], &below[below_count]);
            node->child = made > 0 ? next : 0;
            next += made;
            below_count += made;
        }
        first += level_count;
        level_count = below_count;
        range *spare = level;
        level = below;
        below = spare;
    }
    return words;
}

void ortp__trie_hopes(const ortp__node *nodes, size_t count, uint8_t *hopes)
{
    for (size_t i = count; i > 0; i--) { /* children come after their parent */
        const ortp__node *node = &nodes[i - 1];
        const double own = (double)(node->packed >> ORTP__NODE_LOG_SHIFT) / ORTP__LOG_UNIT;
        uint8_t most = (uint8_t)(own / ORTP__HOPE_UNIT + 0.5);
        uint32_t child = node->child;
        for (bool last = child == 0; !last; child++) {
            most = hopes[child] > most ? hopes[child] : most;
            last = (nodes[child].packed & ORTP__NODE_LAST) != 0;
        }
        hopes[i - 1] = most;
    }
}
