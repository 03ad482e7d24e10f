/* SPDX-License-Identifier: MIT */
/*
 * A walk over the parts of an ONNX file (protobuf) that say where weights lie, skipping all others:
 *
 *     ModelProto 7: graph -> GraphProto 5: initializer -> TensorProto 13: external_data
 *                                                             StringStringEntryProto 1: key, 2:
 * value
 *
 * Only "length" is of interest, which the writers of external data set; without it the tensor's
 * shape says it (TensorProto 1: dims, 2: data_type). Initializers of graphs inside nodes (the
 * branches of an If) are not followed: the correction after loading covers them. Fields and wire
 * types as in onnx.proto; a broken file ends the walk with what was found.
 */
#include "graph_bytes.h"

#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,

    MODEL_GRAPH = 7,
    GRAPH_INITIALIZER = 5,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_EXTERNAL = 13,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
};

/* Bytes one after the other, from a file or from memory. */
typedef struct source {
    FILE *file; /* NULL: memory */
    const unsigned char *memory;
    uint64_t at;
    uint64_t end;
} source;

typedef struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value; /* varint: its value; bytes: how many */
} field;

static bool read_byte(source *in, unsigned char *out)
{
    if (in->at >= in->end) {
        return false;
    }
    if (in->file) {
        const int c = fgetc(in->file);
        if (c == EOF) {
            return false;
        }
        *out = (unsigned char)c;
    } else {
        *out = in->memory[in->at];
    }
    ++in->at;
    return true;
}

static bool skip_to(source *in, uint64_t at)
{
    if (at > in->end) {
        return false;
    }
    if (in->file && at - in->at < 256) { /* keeps stdio's buffer */
        for (unsigned char unused = 0; in->at < at;) {
            if (!read_byte(in, &unused)) {
                return false;
            }
        }
        return true;
    }
    if (in->file && fseek(in->file, (long)at, SEEK_SET) != 0) {
        return false;
    }
    in->at = at;
    return true;
}

static bool read_varint(source *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = 0;
        if (!read_byte(in, &byte)) {
            return false;
        }
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* The next field that starts before `end`; leaves the source behind it, before the content of
 * bytes. */
static bool next_field(source *in, uint64_t end, field *out)
{
    uint64_t tag = 0;
    if (in->at >= end || !read_varint(in, &tag)) {
        return false;
    }
    out->number = tag >> 3;
    out->wire = (unsigned)(tag & 7);
    out->value = 0;
    switch (out->wire) {
    case WIRE_VARINT:
        return read_varint(in, &out->value) && in->at <= end;
    case WIRE_FIXED64:
        return in->at + 8 <= end && skip_to(in, in->at + 8);
    case WIRE_FIXED32:
        return in->at + 4 <= end && skip_to(in, in->at + 4);
    case WIRE_BYTES:
        return read_varint(in, &out->value) && in->at <= end && out->value <= end - in->at;
    default:
        return false;
    }
}

static bool is_bytes(const field *f, uint64_t number)
{
    return f->wire == WIRE_BYTES && f->number == number;
}

/* One entry: the number behind "length"; other keys leave *length as it is. */
static bool read_entry(source *in, uint64_t end, uint64_t *length)
{
    static const char wanted[] = "length";
    char key[sizeof(wanted)] = "";
    uint64_t value = 0;
    bool digits = false;
    for (field f; in->at < end;) {
        if (!next_field(in, end, &f)) {
            return false;
        }
        const uint64_t after = in->at + (f.wire == WIRE_BYTES ? f.value : 0);
        for (size_t i = 0; in->at < after && is_bytes(&f, ENTRY_KEY) && i < sizeof(key) - 1; ++i) {
            unsigned char c = 0;
            if (!read_byte(in, &c)) {
                return false;
            }
            key[i] = f.value == sizeof(key) - 1 ? (char)c : 0;
        }
        while (in->at < after && is_bytes(&f, ENTRY_VALUE)) {
            unsigned char c = 0;
            if (!read_byte(in, &c)) {
                return false;
            }
            digits = c >= '0' && c <= '9' && value <= UINT64_MAX / 16;
            if (!digits) {
                break;
            }
            value = value * 10 + (uint64_t)(c - '0');
        }
        if (!skip_to(in, after)) {
            return false;
        }
    }
    if (digits && strcmp(key, wanted) == 0) {
        *length = value;
    }
    return true;
}

/* Bits of one element by TensorProto.DataType; 64 for one this list does not know. */
static uint64_t type_bits(uint64_t type)
{
    static const unsigned char bits[] = {64, 32, 8,  8,  16, 16, 32,  64, 64,
                                         8,  16, 64, 32, 64, 64, 128, 16};
    return type < sizeof(bits) ? bits[type] : 64;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    return b > 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Adds what the initializer between here and `end` keeps in external files. */
static bool read_initializer(source *in, uint64_t end, uint64_t *external)
{
    uint64_t elements = 1;
    uint64_t type = 0;
    uint64_t length = UINT64_MAX;
    bool is_external = false;
    for (field f; in->at < end;) {
        if (!next_field(in, end, &f)) {
            return false;
        }
        const uint64_t after = in->at + (f.wire == WIRE_BYTES ? f.value : 0);
        if (f.wire == WIRE_VARINT && f.number == TENSOR_DIMS) {
            elements = multiply(elements, f.value);
        } else if (f.wire == WIRE_VARINT && f.number == TENSOR_TYPE) {
            type = f.value;
        } else if (is_bytes(&f, TENSOR_DIMS)) { /* packed */
            for (uint64_t dimension = 0; in->at < after;) {
                if (!read_varint(in, &dimension)) {
                    return false;
                }
                elements = multiply(elements, dimension);
            }
        } else if (is_bytes(&f, TENSOR_EXTERNAL)) {
            is_external = true;
            if (!read_entry(in, after, &length)) {
                return false;
            }
        }
        if (in->at > after || !skip_to(in, after)) {
            return false;
        }
    }
    if (is_external) {
        const uint64_t by_shape = multiply(elements, type_bits(type)) / 8;
        *external = add(*external, length != UINT64_MAX ? length : by_shape);
    }
    return true;
}

static bool read_graph(source *in, uint64_t end, uint64_t *external)
{
    for (field f; in->at < end;) {
        if (!next_field(in, end, &f)) {
            return false;
        }
        const uint64_t after = in->at + (f.wire == WIRE_BYTES ? f.value : 0);
        if (is_bytes(&f, GRAPH_INITIALIZER) && !read_initializer(in, after, external)) {
            return false;
        }
        if (!skip_to(in, after)) {
            return false;
        }
    }
    return true;
}

static uint64_t external_bytes(source *in)
{
    uint64_t external = 0;
    for (field f; in->at < in->end;) {
        if (!next_field(in, in->end, &f)) {
            break;
        }
        const uint64_t after = in->at + (f.wire == WIRE_BYTES ? f.value : 0);
        if (is_bytes(&f, MODEL_GRAPH) && !read_graph(in, after, &external)) {
            break;
        }
        if (!skip_to(in, after)) {
            break;
        }
    }
    return external;
}

uint64_t ortp__graph_memory_bytes(const void *model, size_t model_bytes)
{
    source in = {.file = NULL, .memory = model, .at = 0, .end = model_bytes};
    return add(model_bytes, external_bytes(&in));
}

static ortp_status fail_open(const char *path, int number, ortp_error *error)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ortp__fail(error, ORTP_E_NOTFOUND, "session: no such file: %s", path);
    case EACCES:
        return ortp__fail(error, ORTP_E_INVAL, "session: no permission to read %s", path);
    default: {
        char reason[ORTP__ERRNO_BYTES];
        return ortp__fail(error, ortp__open_status(number), "session: %s cannot be opened: %s",
                          path, ortp__errno_text(number, reason));
    }
    }
}

ortp_status ortp__graph_file_bytes(const char *path, uint64_t *bytes, ortp_error *error)
{
    *bytes = 0;
    errno = 0;
    FILE *file = ortp__file_open(path);
    if (!file) {
        return fail_open(path, errno, error);
    }
    ortp_status status = ORTP_OK;
    if (fgetc(file) == EOF) {
        status = ferror(file)
                     ? ortp__fail(error, ORTP_E_INVAL, "session: %s cannot be read%s", path,
                                  errno == EISDIR ? ": it is a directory" : "")
                     : ortp__fail(error, ORTP_E_INVAL, "session: %s is empty: no graph", path);
        goto done;
    }
    if (fseek(file, 0, SEEK_END) != 0) {
        status = ortp__fail(error, ORTP_E_INVAL, "session: %s cannot be read", path);
        goto done;
    }
    const long size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        status = ortp__fail(error, ORTP_E_INVAL, "session: the size of %s is not known", path);
        goto done;
    }
    source in = {.file = file, .memory = NULL, .at = 0, .end = (uint64_t)size};
    *bytes = add((uint64_t)size, external_bytes(&in));
done:
    (void)fclose(file);
    return status;
}
