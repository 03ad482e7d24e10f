/* SPDX-License-Identifier: MIT */
/* Contents that tell whose a buffer is: written when it is taken, checked in full when it goes. */
#ifndef STRESS_PATTERN_H
#define STRESS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pattern_word(uint64_t stamp, size_t at)
{
    return (stamp ^ at) * UINT64_C(0x9E3779B97F4A7C15);
}

static inline void pattern_fill(void *data, size_t bytes, uint64_t stamp)
{
    unsigned char *to = data;
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        const uint64_t word = pattern_word(stamp, i);
        const size_t left = bytes - i;
        memcpy(to + i, &word, left < sizeof word ? left : sizeof word);
    }
}

/* The offset of the first wrong byte's word, or SIZE_MAX. */
static inline size_t pattern_wrong(const void *data, size_t bytes, uint64_t stamp)
{
    const unsigned char *from = data;
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        const uint64_t word = pattern_word(stamp, i);
        const size_t left = bytes - i;
        if (memcmp(from + i, &word, left < sizeof word ? left : sizeof word) != 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

#endif
