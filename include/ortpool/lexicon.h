/* SPDX-License-Identifier: MIT */
/*
 * The lexicon: a trie over the words a to z with their frequencies, in one block of the pool, and the
 * search constraint made from it. The constraint allocates nothing.
 */
#ifndef ORTPOOL_LEXICON_H
#define ORTPOOL_LEXICON_H

#include <ortpool/decoder.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_lexicon ortp_lexicon;

#define ORTP_LEXICON_WORD_MAX 62u /* letters */

typedef struct ortp_lexicon_options {
    size_t struct_size;
    ortp_pool *pool;  /* required: the trie is one block (label other); must outlive the lexicon */
    const char *path; /* lines "word<TAB>count", ended by LF or CR LF (the last one may go
                         without); words a to z, counts 0 to 2^63-1; required */
    ortp_alloc alloc;
} ortp_lexicon_options;
#define ORTP_LEXICON_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_lexicon_options)

/*
 * Errors name file and line: NOTFOUND, INVAL (a byte that is not a to z, no tab, a bad count, an empty
 * or too long word, no words at all), NOMEM, BUDGET, SYS. A word given twice keeps the larger count.
 * Memory needed while loading is charged too and given back. INVAL for options NULL (pool and path are
 * required). Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_lexicon_create(const ortp_lexicon_options *options,
                                                    ortp_lexicon **out, ortp_error *error);
/* Always ORTP_OK. Thread-safe: no, nobody else may be using it, nor a constraint made from it. */
ORTP_API ortp_status ortp_lexicon_destroy(ortp_lexicon *lexicon, ortp_error *error);

/* All below: thread-safe, no allocation, no error. */
ORTP_API size_t ortp_lexicon_words(const ortp_lexicon *lexicon);
ORTP_API size_t ortp_lexicon_bytes(const ortp_lexicon *lexicon);
ORTP_API bool ortp_lexicon_contains(const ortp_lexicon *lexicon, const char *word);

/*
 * The constraint: words, others where they have a free_score; first_letter is the token of 'a'; the final score is
 * weight * ln(count + 1), or with a count_limit weight * ln((count + 1) / (1 + (count + 1) / count_limit)),
 * so that frequency separates rare words from common ones but saturates among common ones; the hope of a beam is
 * look_ahead times the largest such logarithm among the words that begin like it, within 0.09 * look_ahead.
 * `lexicon` and `storage` are borrowed as long as the constraint is used.
 */
typedef struct ortp_lexicon_constraint {
    size_t struct_size;
    const ortp_lexicon *lexicon;
    int32_t first_letter;
    double weight;
    double look_ahead;  /* 0: beams are ranked without; see ortp_constraint.hope */
    double count_limit; /* 0: none */
    double free_score;  /* 0: words of the lexicon only; else the final score, in place of weight *
                          ln(count + 1), of any other word, and the hope of a beam that no word begins
                          like: below 0, so that a swipe has to insist */
} ortp_lexicon_constraint;
#define ORTP_LEXICON_CONSTRAINT_INIT ORTP_STRUCT_INIT(ortp_lexicon_constraint)
/*
 * The constraint may be shared by searches on several threads while nobody changes `storage`.
 * Errors: INVAL (NULL, no lexicon), VERSION (either struct_size left 0; a storage of another version).
 */
ORTP_API ortp_status ortp_lexicon_make_constraint(const ortp_lexicon_constraint *storage,
                                                  ortp_constraint *out);

#ifdef __cplusplus
}
#endif
#endif
