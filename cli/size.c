/* SPDX-License-Identifier: MIT */
/* Sizes and counts: strict, since a limit that is misread is worse than one that is refused. */
#include "size.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Reads digits; returns what follows them, or NULL where there are none or they overflow. */
static const char *read_digits(const char *text, size_t *value)
{
    size_t sum = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        size_t digit = (size_t)(*p - '0');
        if (sum > (SIZE_MAX - digit) / 10) {
            return NULL;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return p == text ? NULL : p;
}

static int unit_shift(char unit)
{
    switch (unit) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    case 't':
    case 'T':
        return 40;
    default:
        return -1;
    }
}

bool size_parse(const char *text, size_t *bytes)
{
    size_t value;
    const char *rest = read_digits(text, &value);
    if (rest == NULL || value == 0) {
        return false;
    }
    if (*rest != '\0') {
        int shift = unit_shift(*rest);
        const bool ended = rest[1] == '\0' || strcmp(rest + 1, "iB") == 0;
        if (shift < 0 || !ended || value > (SIZE_MAX >> shift)) {
            return false;
        }
        value <<= shift;
    }
    *bytes = value;
    return true;
}

bool count_parse(const char *text, size_t low, size_t high, size_t *value)
{
    size_t read;
    const char *rest = read_digits(text, &read);
    if (rest == NULL || *rest != '\0' || read < low || read > high) {
        return false;
    }
    *value = read;
    return true;
}

void size_format(size_t bytes, char *text, size_t capacity)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        snprintf(text, capacity, "%zu B", bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    /* 1023.95 would be shown as 1024.0. */
    while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(text, capacity, "%.1f %s", value, units[unit]);
}
