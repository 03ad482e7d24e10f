/* SPDX-License-Identifier: MIT */
/*
 * A lexicon. What is accepted holds each of its words with its count, found by walking; what is refused
 * names a line; nothing is left charged. The first byte: the limit of the budget, or an allocation to fail.
 */
#include "fuzz.h"

#include "counting_alloc.h"
#include "lexicon_walk.h"

#include <ortpool/lexicon.h>

#include <math.h>
#include <string.h>

/* Each line of an accepted file, read once more in the simplest way. */
static void check_words(const ortp_lexicon *lexicon, const char *text, size_t size)
{
    size_t lines = 0;
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && text[end] != '\n') {
            end++;
        }
        size_t letters = 0;
        while (at + letters < end && text[at + letters] >= 'a' && text[at + letters] <= 'z') {
            letters++;
        }
        if (letters > 0) { /* blank lines, if any are let in, have no word */
            MUST(letters <= ORTP_LEXICON_WORD_MAX && text[at + letters] == '\t');
            uint32_t node;
            double log_count = -1;
            MUST(ortp__lexicon_walk(lexicon, 0, text + at, letters, &node));
            MUST(ortp__lexicon_is_word(lexicon, node, &log_count));
            double count = 0; /* digits to the end of the line, which may be that of the input */
            for (size_t i = at + letters + 1; i < end && text[i] >= '0' && text[i] <= '9'; i++) {
                count = count * 10 + (text[i] - '0');
            }
            /* Of a word given twice the larger count stays. */
            MUST(log_count >= log(count + 1.0) - 3e-4);
            lines++;
        }
        at = end + 1;
    }
    MUST(ortp_lexicon_words(lexicon) >= 1 && ortp_lexicon_words(lexicon) <= lines);
}

/* Every node is reached from the root once: as many as the lexicon says. */
static void check_nodes(const ortp_lexicon *lexicon)
{
    const size_t nodes = ortp__lexicon_nodes(lexicon);
    size_t children = 0, words = 0;
    for (uint32_t node = 0; node < nodes; node++) {
        char letters[26];
        uint32_t next[26];
        const size_t count = ortp__lexicon_children(lexicon, node, letters, next);
        MUST(count <= 26);
        for (size_t i = 0; i < count; i++) {
            MUST(next[i] > node && next[i] < nodes && (i == 0 || letters[i] > letters[i - 1]));
        }
        children += count;
        words += ortp__lexicon_is_word(lexicon, node, NULL);
    }
    MUST(children + 1 == nodes && words == ortp_lexicon_words(lexicon));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    fuzz_write("lexicon.tsv", data + 1, size - 1);
    counting_alloc counting = {0};
    ortp_budget_options budget_options = ORTP_BUDGET_OPTIONS_INIT;
    budget_options.limit_bytes = data[0] >= 0xf0 ? 8192u + 4096u * (data[0] & 15u) : 0;
    ortp_budget *budget = NULL;
    ortp_pool *pool = NULL;
    MUST(ortp_budget_create(&budget_options, &budget, NULL) == ORTP_OK);
    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = budget;
    pool_options.kind = ORTP_POOL_STRIPED;
    pool_options.stripes = 1;
    const ortp_status made = ortp_pool_create(&pool_options, &pool, NULL);
    if (made == ORTP_OK) {
        ortp_lexicon_options options = ORTP_LEXICON_OPTIONS_INIT;
        options.pool = pool;
        options.path = fuzz_path("lexicon.tsv");
        options.alloc = counting_alloc_use(&counting);
        counting_alloc_fail(&counting, data[0] < 8 ? data[0] : 0, false);
        ortp_lexicon *lexicon = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = ortp_lexicon_create(&options, &lexicon, &error);
        if (status == ORTP_OK) {
            check_words(lexicon, (const char *)data + 1, size - 1);
            check_nodes(lexicon);
        } else {
            MUST(lexicon == NULL && strstr(error.message, "lexicon.tsv") != NULL);
            MUST(status == ORTP_E_INVAL || status == ORTP_E_NOMEM || status == ORTP_E_BUDGET);
        }
        ortp_lexicon_destroy(lexicon, NULL);
        MUST(counting.live_blocks == 0 && counting.errors == 0);
        MUST(ortp_pool_destroy(pool, NULL) == ORTP_OK);
    } else {
        MUST(made == ORTP_E_BUDGET);
    }
    MUST(ortp_budget_destroy(budget, NULL) == ORTP_OK);
    return 0;
}
