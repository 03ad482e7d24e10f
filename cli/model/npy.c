/* SPDX-License-Identifier: MIT */
/* See npy.h. */
#include "npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6u
#define HEADER_MAX 65536u

static const struct {
    const char *name; /* NumPy's, without the byte order */
    ortp_type type;
} kinds[] = {
    {"f4", ORTP_TYPE_FLOAT},  {"u1", ORTP_TYPE_UINT8},  {"i1", ORTP_TYPE_INT8},
    {"u2", ORTP_TYPE_UINT16}, {"i2", ORTP_TYPE_INT16},  {"i4", ORTP_TYPE_INT32},
    {"i8", ORTP_TYPE_INT64},  {"b1", ORTP_TYPE_BOOL},   {"f2", ORTP_TYPE_FLOAT16},
    {"f8", ORTP_TYPE_DOUBLE}, {"u4", ORTP_TYPE_UINT32}, {"u8", ORTP_TYPE_UINT64},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- the header: a Python dictionary, {'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), } ---- */

/* What follows the key and its colon; NULL where there is none. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(key);
    while (*at == ' ' || *at == ':') {
        at++;
    }
    return at;
}

static bool read_type(const char *header, ortp_type *type, char *found, size_t found_bytes)
{
    const char *at = value_of(header, "'descr'");
    if (at == NULL || *at != '\'') {
        return false;
    }
    const size_t length = strcspn(at + 1, "'");
    snprintf(found, found_bytes, "%.*s", (int)length, at + 1);
    const bool little = found[0] == '<' || found[0] == '|' || found[0] == '=';
    for (size_t i = 0; i < KINDS && little; i++) {
        if (strcmp(found + 1, kinds[i].name) == 0) {
            *type = kinds[i].type;
            return true;
        }
    }
    return false;
}

static bool read_shape(const char *header, npy_array *out)
{
    const char *at = value_of(header, "'shape'");
    if (at == NULL || *at != '(') {
        return false;
    }
    at++;
    for (out->rank = 0; out->rank < ORTP_RANK_MAX; out->rank++) {
        while (*at == ' ' || *at == ',') {
            at++;
        }
        if (*at == ')') {
            return true;
        }
        char *end;
        errno = 0;
        const long long size = strtoll(at, &end, 10);
        if (!isdigit((unsigned char)*at) || errno != 0) {
            return false;
        }
        out->shape[out->rank] = size;
        at = *end == 'L' ? end + 1 : end; /* Python 2's */
    }
    return at[strspn(at, " ,")] == ')';
}

static bool count_bytes(npy_array *out)
{
    size_t bytes = ortp_type_bytes(out->type);
    for (size_t i = 0; i < out->rank; i++) {
        if (__builtin_mul_overflow(bytes, (size_t)out->shape[i], &bytes)) {
            return false;
        }
    }
    out->bytes = bytes;
    return bytes < PTRDIFF_MAX;
}

/* NULL: it was understood. */
static const char *read_header(FILE *file, npy_array *out, char *found, size_t found_bytes)
{
    unsigned char lead[12];
    if (fread(lead, 1, 10, file) != 10 || memcmp(lead, MAGIC, MAGIC_BYTES) != 0) {
        return "not a .npy file";
    }
    size_t bytes = lead[8] | (size_t)lead[9] << 8;
    if (lead[6] < 1 || lead[6] > 3) {
        return "of a version of .npy that is not known (1 to 3 are)";
    }
    if (lead[6] > 1) {
        if (fread(lead + 10, 1, 2, file) != 2) {
            return "cut off";
        }
        bytes |= (size_t)lead[10] << 16 | (size_t)lead[11] << 24;
    }
    if (bytes > HEADER_MAX) {
        return "its header is too long to be one";
    }
    char *header = calloc(1, bytes + 1);
    const char *wrong = NULL;
    if (header == NULL) {
        return "no memory for its header";
    }
    if (fread(header, 1, bytes, file) != bytes) {
        wrong = "cut off";
    } else if (strstr(header, "'fortran_order': True") != NULL) {
        wrong = "in Fortran's order; save numpy.ascontiguousarray(array)";
    } else if (!read_type(header, &out->type, found, found_bytes)) {
        wrong = "of an element type that ONNX has not, or in big-endian order";
    } else if (!read_shape(header, out)) {
        wrong = "its shape cannot be read, or has more than 8 dimensions";
    } else if (!count_bytes(out)) {
        wrong = "larger than memory can be";
    }
    free(header);
    return wrong;
}

/* Whether there is something at `path` that is no file: a pipe would be waited for, a device never ends. */
static bool is_no_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

bool npy_read(const char *path, npy_array *out, char *message, size_t message_bytes)
{
    *out = (npy_array){0};
    if (is_no_file(path)) {
        snprintf(message, message_bytes, "'%s' is not a file", path);
        return false;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        snprintf(message, message_bytes, "'%s' cannot be read: %s", path, strerror(errno));
        return false;
    }
    char found[32] = "";
    const char *wrong = read_header(file, out, found, sizeof(found));
    if (wrong == NULL) {
        out->data = malloc(out->bytes > 0 ? out->bytes : 1);
        if (out->data == NULL) {
            wrong = "no memory for its elements";
        } else if (fread(out->data, 1, out->bytes, file) != out->bytes) {
            wrong = "it ends before its last element";
        } else if (fgetc(file) != EOF) {
            wrong = "it goes on after its last element";
        }
    }
    (void)fclose(file);
    if (wrong != NULL) {
        snprintf(message, message_bytes, "'%s'%s%s%s: %s", path, found[0] ? " (" : "", found,
                 found[0] ? ")" : "", wrong);
        npy_free(out);
        return false;
    }
    return true;
}

void npy_free(npy_array *array)
{
    free(array->data);
    *array = (npy_array){0};
}

bool npy_write(const char *path, ortp_type type, const int64_t *shape, size_t rank,
               const void *data, char *message, size_t message_bytes)
{
    const char *name = "u2"; /* bfloat16 */
    for (size_t i = 0; i < KINDS; i++) {
        name = kinds[i].type == type ? kinds[i].name : name;
    }
    char header[512];
    size_t elements = 1;
    int length =
        snprintf(header, sizeof(header), "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                 name[1] == '1' ? "|" : "<", name);
    for (size_t i = 0; i < rank; i++) {
        elements *= (size_t)shape[i];
        length += snprintf(header + length, sizeof(header) - (size_t)length, "%lld,%s",
                           (long long)shape[i], i + 1 < rank ? " " : "");
    }
    length += snprintf(header + length, sizeof(header) - (size_t)length, "), }");
    /* Lead, header and a newline are a multiple of 64 bytes. */
    const size_t whole = (10 + (size_t)length + 1 + 63) / 64 * 64;
    const size_t bytes = whole - 10;
    unsigned char lead[10] = MAGIC "\x01\x00";
    lead[8] = (unsigned char)(bytes & 255);
    lead[9] = (unsigned char)(bytes >> 8);
    if (is_no_file(path)) {
        snprintf(message, message_bytes, "'%s' cannot be written: it is there and not a file",
                 path);
        return false;
    }
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(lead, 1, 10, file) == 10 &&
                   fprintf(file, "%-*s\n", (int)(bytes - 1), header) == (int)bytes &&
                   fwrite(data, ortp_type_bytes(type), elements, file) == elements;
    const int error = errno;
    if (file != NULL && fclose(file) != 0) {
        written = false;
    }
    if (!written) {
        snprintf(message, message_bytes, "'%s' cannot be written: %s", path, strerror(error));
    }
    return written;
}
