/* SPDX-License-Identifier: MIT */
/*
 * Versions of ONNX Runtime: the least one that a manifest names, the one that a host has.
 */
#include "decode_internal.h"

#include <ctype.h>

#define PART_MAX 9999u

/* One number of at most four digits; NULL where there is none. */
static const char *read_part(const char *text, unsigned *out)
{
    unsigned number = 0;
    const char *at = text;
    while (isdigit((unsigned char)*at) && number <= PART_MAX) {
        number = number * 10 + (unsigned)(*at++ - '0');
    }
    *out = number;
    return at == text || number > PART_MAX ? NULL : at;
}

bool ortp__version_read(const char *text, bool rest, ortp__version *out)
{
    *out = (ortp__version){{0}};
    const char *at = text;
    for (size_t i = 0; i < ORTP__COUNT(out->parts); i++) {
        at = read_part(at, &out->parts[i]);
        if (at == NULL) {
            return false;
        }
        if (*at != '.') {
            return i > 0 && (rest || *at == '\0');
        }
        at++;
    }
    return rest; /* a dot after the third number */
}

int ortp__version_compare(const ortp__version *a, const ortp__version *b)
{
    for (size_t i = 0; i < ORTP__COUNT(a->parts); i++) {
        if (a->parts[i] != b->parts[i]) {
            return a->parts[i] < b->parts[i] ? -1 : 1;
        }
    }
    return 0;
}
