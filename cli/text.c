/* SPDX-License-Identifier: MIT */
/* UTF-8: decoding, columns, safe writing. Columns come from ranges here, so no locale is needed. */
#include "text.h"

#include <stdbool.h>
#include <string.h>

#define REPLACEMENT 0xFFFDu
#define ELLIPSIS "\xE2\x80\xA6"

uint32_t text_decode(const char *text, size_t length, size_t *used)
{
    const unsigned char *p = (const unsigned char *)text;
    *used = 1;
    if (p[0] < 0x80) {
        return p[0];
    }
    size_t bytes = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || bytes > length) {
        return REPLACEMENT;
    }
    uint32_t point = p[0] & (0x7Fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return REPLACEMENT;
        }
        point = point << 6 | (p[i] & 0x3Fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[bytes] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
        return REPLACEMENT;
    }
    *used = bytes;
    return point;
}

size_t text_points(const char *text)
{
    size_t length = strlen(text), points = 0, used;
    for (size_t i = 0; i < length; i += used, points++) {
        (void)text_decode(text + i, length - i, &used);
    }
    return points;
}

typedef struct range {
    uint32_t first, last;
} range;

static bool in_ranges(uint32_t point, const range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Controls, and the marks that turn the direction of a line: not for a terminal. */
static bool is_control(uint32_t point)
{
    static const range controls[] = {{0, 0x1F},        {0x7F, 0x9F},     {0x200E, 0x200F},
                                     {0x2028, 0x202E}, {0x2066, 0x2069}, {0xFEFF, 0xFEFF}};
    return in_ranges(point, controls, sizeof(controls) / sizeof(controls[0]));
}

/* The ranges that names in practice come from; a terminal may differ on rarer ones. */
static size_t point_columns(uint32_t point)
{
    static const range marks[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},
                                  {0x610, 0x61A},   {0x64B, 0x65F},   {0x1AB0, 0x1AFF},
                                  {0x1DC0, 0x1DFF}, {0x200B, 0x200D}, {0x20D0, 0x20FF},
                                  {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
    static const range wide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
                                 {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                                 {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                                 {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};
    if (in_ranges(point, marks, sizeof(marks) / sizeof(marks[0]))) {
        return 0;
    }
    return in_ranges(point, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}

size_t text_columns(const char *text)
{
    size_t length = strlen(text), columns = 0, used;
    for (size_t i = 0; i < length; i += used) {
        columns += point_columns(text_decode(text + i, length - i, &used));
    }
    return columns;
}

size_t text_put(FILE *file, const char *text, size_t columns_max)
{
    size_t length = strlen(text), columns = 0, used;
    bool cut = text_columns(text) > columns_max;
    for (size_t i = 0; i < length; i += used) {
        uint32_t point = text_decode(text + i, length - i, &used);
        size_t width = point_columns(point);
        if (cut && columns + width + 1 > columns_max) {
            break;
        }
        columns += width;
        if (is_control(point)) {
            fputc('?', file);
        } else if (point == REPLACEMENT) {
            fputs("\xEF\xBF\xBD", file);
        } else {
            fwrite(text + i, 1, used, file);
        }
    }
    if (cut && columns_max > 0) {
        fputs(ELLIPSIS, file);
        columns++;
    }
    return columns;
}

void text_put_json(FILE *file, const char *text)
{
    size_t length = strlen(text), used;
    fputc('"', file);
    for (size_t i = 0; i < length; i += used) {
        uint32_t point = text_decode(text + i, length - i, &used);
        if (point == '"' || point == '\\') {
            fputc('\\', file);
            fputc((int)point, file);
        } else if (point < 0x20 || point == 0x7F) {
            fprintf(file, "\\u%04x", (unsigned)point);
        } else if (point == REPLACEMENT) {
            fputs("\xEF\xBF\xBD", file);
        } else {
            fwrite(text + i, 1, used, file);
        }
    }
    fputc('"', file);
}

void text_pad(FILE *file, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputc(' ', file);
    }
}
