/* SPDX-License-Identifier: MIT */
/* A name for a sequence of tokens that have no letters: the same for the same sequence, and for it alone but by chance. */
#include <stdio.h>

#include "way.h"

void way_name_tokens(const int32_t *tokens, size_t length, char *word)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint32_t)tokens[i]) * 1099511628211u;
    }
    snprintf(word, WAY_NAME_BYTES, "%zu tokens %08llx", length,
             (unsigned long long)(hash >> 32 ^ (hash & 0xffffffff)));
}
