/* SPDX-License-Identifier: MIT */
/*
 * Walking the trie of a lexicon node by node. An application gets the same from the constraint
 * (ortp_lexicon_make_constraint(): next, final_score, hope).
 *
 * All: thread-safe, no allocation, no error. Node 0 is the root (the empty prefix).
 */
#ifndef ORTP_LEXICON_WALK_H
#define ORTP_LEXICON_WALK_H

#include <ortpool/lexicon.h>

size_t ortp__lexicon_nodes(const ortp_lexicon *lexicon);
/* The node of `prefix` (letters a to z, `length` of them); false where no word begins so. */
bool ortp__lexicon_walk(const ortp_lexicon *lexicon, uint32_t from, const char *prefix,
                        size_t length, uint32_t *node);
/* Letters ('a' to 'z', rising) that may follow and their nodes; both arrays hold 26. */
size_t ortp__lexicon_children(const ortp_lexicon *lexicon, uint32_t node, char *letters,
                              uint32_t *nodes);
/* Whether a word ends at `node`; *log_count (may be NULL): ln(count + 1), within 2e-4. */
bool ortp__lexicon_is_word(const ortp_lexicon *lexicon, uint32_t node, double *log_count);

#endif
