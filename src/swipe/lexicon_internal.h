/* SPDX-License-Identifier: MIT */
/*
 * The trie's form, shared by who builds it and who walks it.
 *
 *     nodes   [0 root] [children of 0 ...] [children of 1 ...] ...      level by level
 *
 * The children of a node are contiguous, in the order of the alphabet; `child` is the first of them
 * (0: none, since the root is nobody's child) and the last one is marked. 8 bytes a node.
 */
#ifndef ORTP_LEXICON_INTERNAL_H
#define ORTP_LEXICON_INTERNAL_H

#include "internal.h"

#include <ortpool/lexicon.h>

#define ORTP__LETTERS 26u

typedef struct ortp__node {
    uint32_t child;
    uint32_t packed; /* letter 5 bits | last sibling 1 | word 1 | ln(count + 1) 25, fixed point */
} ortp__node;

#define ORTP__NODE_LETTER 0x1fu
#define ORTP__NODE_LAST 0x20u
#define ORTP__NODE_WORD 0x40u
#define ORTP__NODE_LOG_SHIFT 7u
/* ln(2^63) = 43.7 in units of 2^-19 needs 25 bits; the error is below 1e-6. */
#define ORTP__LOG_UNIT 524288.0

/*
 * Beside the nodes, a byte each: the largest ln(count + 1) of the words that begin with the node's
 * prefix, in units of ORTP__HOPE_UNIT, rounded. For ranking beams that is exact enough.
 */
#define ORTP__HOPE_UNIT 0.175 /* ln(2^63) is 250 of them */

/*
 * A word while loading: its first letters packed for quick comparing, where it stands in the text.
 * The key holds 12 letters of 5 bits (a = 1), left-aligned, so that a prefix sorts first.
 */
typedef struct ortp__word {
    uint64_t key;
    uint32_t offset;
    uint32_t packed; /* length 6 bits | ln(count + 1) 25 */
} ortp__word;

#define ORTP__WORD_KEY_LETTERS 12u
#define ORTP__WORD_LENGTH 0x3fu
#define ORTP__WORD_LOG_SHIFT 6u

/* The file in memory and its words, while loading; all charged. */
typedef struct ortp__wordlist {
    ortp_budget *budget;
    const ortp_alloc *alloc;
    const char *path;
    char *text;
    size_t text_bytes; /* of the file */
    size_t text_capacity;
    ortp__word *words;   /* in rising order */
    ortp__word *scratch; /* as many: for sorting, later for building */
    size_t word_count;   /* repeated ones included */
    size_t words_bytes;  /* of each of the two arrays */
} ortp__wordlist;

/* Reads and checks the file, sorts its words. On failure nothing is left to free. */
ortp_status ortp__wordlist_read(ortp__wordlist *list, ortp_error *error);
void ortp__wordlist_free(ortp__wordlist *list);

/* Nodes that the trie of a sorted list has, root included. */
size_t ortp__trie_count(const ortp__wordlist *list);
/* Fills `nodes`, that many; uses scratch up. Returns the different words. */
size_t ortp__trie_build(ortp__wordlist *list, ortp__node *nodes);
/* Fills `hopes`, `count` of them, from a built trie's nodes. */
void ortp__trie_hopes(const ortp__node *nodes, size_t count, uint8_t *hopes);

#endif
