/* SPDX-License-Identifier: MIT */
/* See feed.h. */
#include "feed.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIED_MAX 8u

/* One dimension that takes other values in other turns. */
typedef struct varied {
    size_t input, axis;
    int64_t values[FEED_TURNS_MAX];
    size_t count;
} varied;

/* What the command line says, by input. */
typedef struct plan {
    const char **files; /* NULL: random */
    bool *shaped;
    size_t *ranks; /* where shaped */
    int64_t (*shapes)[ORTP_RANK_MAX];
    varied varied[VARIED_MAX];
    size_t varied_count;
    char *message;
    size_t message_bytes;
} plan;

static bool say(plan *p, const char *format, ...) ORTP_PRINTF(2, 3);
static bool say(plan *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->message, p->message_bytes, format, args);
    va_end(args);
    return false;
}

/* ---- random numbers: splitmix64 (Steele, Lea, Flood 2014) ---- */

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* k / 1024 in half precision, k below 1024: exact. */
static uint16_t half_of(unsigned k)
{
    if (k == 0) {
        return 0;
    }
    const unsigned top = 31u - (unsigned)__builtin_clz(k);
    return (uint16_t)((top + 5) << 10 | ((k << (10 - top)) & 1023u));
}

/* Real numbers in [0, 1), whole ones from 0 to 9 (bytes: 0 to 255), truth values. */
static void fill(ortp_type type, void *data, size_t count, uint64_t seed)
{
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++) {
        const uint64_t random = next(&state);
        const float real = (float)(random >> 40) / 16777216.0f;
        uint32_t bits;
        memcpy(&bits, &real, sizeof(bits));
        switch (type) {
        case ORTP_TYPE_FLOAT:
            ((float *)data)[i] = real;
            break;
        case ORTP_TYPE_DOUBLE:
            ((double *)data)[i] = (double)real;
            break;
        case ORTP_TYPE_FLOAT16:
            ((uint16_t *)data)[i] = half_of((unsigned)(random >> 54));
            break;
        case ORTP_TYPE_BFLOAT16:
            ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
            break;
        case ORTP_TYPE_BOOL:
            ((uint8_t *)data)[i] = random & 1;
            break;
        case ORTP_TYPE_UINT8:
            ((uint8_t *)data)[i] = (uint8_t)random;
            break;
        case ORTP_TYPE_INT8:
            ((int8_t *)data)[i] = (int8_t)(random % 10);
            break;
        case ORTP_TYPE_INT16:
        case ORTP_TYPE_UINT16:
            ((uint16_t *)data)[i] = (uint16_t)(random % 10);
            break;
        case ORTP_TYPE_INT32:
        case ORTP_TYPE_UINT32:
            ((uint32_t *)data)[i] = (uint32_t)(random % 10);
            break;
        case ORTP_TYPE_INT64:
        case ORTP_TYPE_UINT64:
            ((uint64_t *)data)[i] = random % 10;
            break;
        }
    }
}

/* ---- the command line's words ---- */

/* The input that "name<separator>rest" names, and the rest; names may hold separators themselves. */
static size_t find_input(const model_ports *ports, const char *text, char separator,
                         const char **rest)
{
    for (size_t i = 0; i < ports->input_count; i++) {
        const size_t length = strlen(ports->inputs[i].name);
        if (strncmp(text, ports->inputs[i].name, length) == 0 && text[length] == separator) {
            *rest = text + length + 1;
            return i;
        }
    }
    return SIZE_MAX;
}

static void names_of(const model_ports *ports, char *text, size_t capacity)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ports->input_count && length < capacity; i++) {
        length += (size_t)snprintf(text + length, capacity - length, "%s%s", i > 0 ? ", " : "",
                                   ports->inputs[i].name);
    }
}

static bool no_such_input(plan *p, const model_ports *ports, const char *option, const char *text,
                          const char *form)
{
    char names[1024];
    names_of(ports, names, sizeof(names));
    return say(p, "%s '%s' names no input; expected %s, NAME one of: %s", option, text, form,
               names);
}

/* A whole number of 0 or more at *text, which moves behind it. */
static bool take_number(const char **text, int64_t *value)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    const long long number = strtoll(*text, &end, 10);
    *text = end;
    *value = number;
    return errno == 0 && number <= INT32_MAX;
}

static bool take_shape(plan *p, const model_ports *ports, const char *text)
{
    const char *rest;
    const size_t input = find_input(ports, text, '=', &rest);
    if (input == SIZE_MAX) {
        return no_such_input(p, ports, "--shape", text, "NAME=1,3,224,224");
    }
    const model_port *port = &ports->inputs[input];
    char described[256];
    port_describe(port, described, sizeof(described));
    size_t rank = 0;
    while (*rest != '\0') {
        if (rank == ORTP_RANK_MAX || !take_number(&rest, &p->shapes[input][rank]) ||
            (*rest != ',' && *rest != '\0') || (*rest == ',' && rest[1] == '\0')) {
            return say(p,
                       "--shape '%s': expected whole numbers below 2147483648 with commas between, "
                       "at most 8 of them, as in %s=1,3,224,224",
                       text, port->name);
        }
        rank++;
        rest += *rest == ',' ? 1 : 0;
    }
    /* A rank that the graph does not tell looks like that of a scalar: ONNX Runtime will check. */
    if (port->rank > 0 && rank != port->rank) {
        return say(p, "--shape '%s' has %zu dimensions, the input has %zu: %s is %s", text, rank,
                   port->rank, port->name, described);
    }
    for (size_t i = 0; i < port->rank; i++) {
        if (port->shape[i] >= 0 && port->shape[i] != p->shapes[input][i]) {
            return say(p, "--shape '%s': dimension %zu is fixed: %s is %s", text, i, port->name,
                       described);
        }
    }
    p->ranks[input] = rank;
    p->shaped[input] = true;
    return true;
}

static bool take_file(plan *p, const model_ports *ports, const char *text)
{
    const char *rest;
    const size_t input = find_input(ports, text, '=', &rest);
    if (input == SIZE_MAX) {
        return no_such_input(p, ports, "--input", text, "NAME=FILE.npy");
    }
    if (*rest == '\0') {
        return say(p, "--input '%s' names no file; expected NAME=FILE.npy", text);
    }
    p->files[input] = rest;
    return true;
}

/*
 * from, from + step, ... up to `to` in a mixed order, the same for the same range; where there are too
 * many, evenly chosen ones.
 */
static void spread(varied *v, int64_t from, int64_t to, int64_t step, uint64_t seed)
{
    const uint64_t all = (uint64_t)((to - from) / step) + 1;
    v->count = all < FEED_TURNS_MAX ? (size_t)all : FEED_TURNS_MAX;
    for (size_t i = 0; i < v->count; i++) {
        const uint64_t at = v->count > 1 ? i * (all - 1) / (v->count - 1) : 0;
        v->values[i] = from + (int64_t)at * step;
    }
    uint64_t state = seed;
    for (size_t i = v->count; i > 1; i--) {
        const size_t other = (size_t)(next(&state) % i);
        const int64_t kept = v->values[i - 1];
        v->values[i - 1] = v->values[other];
        v->values[other] = kept;
    }
}

/* "AXIS=FROM..TO" or "AXIS=FROM..TO/STEP". */
static bool take_range(const char *text, int64_t *axis, int64_t *from, int64_t *to, int64_t *step)
{
    *step = 1;
    if (!take_number(&text, axis) || *text++ != '=' || !take_number(&text, from) ||
        strncmp(text, "..", 2) != 0) {
        return false;
    }
    text += 2;
    if (!take_number(&text, to) || *to < *from) {
        return false;
    }
    if (*text == '/') {
        text++;
        if (!take_number(&text, step) || *step == 0) {
            return false;
        }
    }
    return *text == '\0';
}

static bool take_varied(plan *p, const model_ports *ports, const char *text, uint64_t seed)
{
    const char *rest;
    const size_t input = find_input(ports, text, ':', &rest);
    if (input == SIZE_MAX) {
        return no_such_input(p, ports, "--vary", text, "NAME:AXIS=FROM..TO");
    }
    if (p->varied_count == VARIED_MAX) {
        return say(p, "--vary: at most %u times", VARIED_MAX);
    }
    varied *v = &p->varied[p->varied_count++];
    const model_port *port = &ports->inputs[input];
    int64_t axis, from, to, step;
    if (!take_range(rest, &axis, &from, &to, &step)) {
        return say(p,
                   "--vary '%s': expected NAME:AXIS=FROM..TO, as in %s:0=1..16, or FROM..TO/STEP",
                   text, port->name);
    }
    char described[256];
    port_describe(port, described, sizeof(described));
    if ((uint64_t)axis >= port->rank || port->shape[axis] >= 0) {
        return say(p, "--vary '%s': axis %lld of %s cannot vary: it is %s", text, (long long)axis,
                   port->name, described);
    }
    v->input = input;
    v->axis = (size_t)axis;
    spread(v, from, to, step, seed);
    return true;
}

/* ---- what is known, and what is missing ---- */

static bool varies(const plan *p, size_t input, size_t axis)
{
    for (size_t i = 0; i < p->varied_count; i++) {
        if (p->varied[i].input == input && p->varied[i].axis == axis) {
            return true;
        }
    }
    return false;
}

/* An example for --shape: what is fixed, and 1 for what is free. */
static void example_of(const model_port *port, char *text, size_t capacity)
{
    size_t length = (size_t)snprintf(text, capacity, "--shape %s=", port->name);
    for (size_t i = 0; i < port->rank && length < capacity; i++) {
        length += (size_t)snprintf(text + length, capacity - length, "%s%lld", i > 0 ? "," : "",
                                   port->shape[i] < 0 ? 1LL : (long long)port->shape[i]);
    }
}

/* All that lacks, a line for each input. */
static bool complete(plan *p, const model_ports *ports)
{
    size_t length = 0;
    for (size_t i = 0; i < ports->input_count; i++) {
        const model_port *port = &ports->inputs[i];
        if (port->type == 0) {
            return say(
                p, "input '%s' is a %s; only tensors of numbers and truth values can be made up",
                port->name, port->what);
        }
        bool known = p->files[i] != NULL || p->shaped[i];
        bool free_ones = false;
        for (size_t d = 0; d < port->rank; d++) {
            free_ones = free_ones || (port->shape[d] < 0 && !varies(p, i, d));
        }
        if (!known && free_ones && length < p->message_bytes) {
            char described[256], example[512];
            port_describe(port, described, sizeof(described));
            example_of(port, example, sizeof(example));
            length += (size_t)snprintf(
                p->message + length, p->message_bytes - length,
                "%sinput '%s' is %s: give what is free, as in %s, or --input %s=FILE.npy",
                length > 0 ? "\n    " : "", port->name, described, example, port->name);
        }
    }
    return length == 0;
}

/* ---- turns ---- */

/* What one input of one turn is made of. */
typedef struct part {
    void *data; /* owned by the turn once it is there */
    int64_t *shape;
    size_t rank, bytes;
} part;

static bool read_part(plan *p, const model_port *port, const char *path, part *out)
{
    npy_array array;
    if (!npy_read(path, &array, p->message, p->message_bytes)) {
        return false;
    }
    out->data = array.data;
    out->rank = array.rank;
    out->bytes = array.bytes;
    memcpy(out->shape, array.shape, array.rank * sizeof(*array.shape));
    bool fits = array.type == port->type && (port->rank == 0 || array.rank == port->rank);
    for (size_t d = 0; d < port->rank && fits; d++) {
        fits = port->shape[d] < 0 || port->shape[d] == array.shape[d];
    }
    if (!fits) {
        model_port found = {
            .what = ortp_type_name(array.type), .type = array.type, .rank = array.rank};
        memcpy(found.shape, array.shape, sizeof(found.shape));
        char told[256], described[256];
        port_describe(&found, told, sizeof(told));
        port_describe(port, described, sizeof(described));
        return say(p, "'%s' holds %s, the input '%s' is %s", path, told, port->name, described);
    }
    return true;
}

static bool make_part(plan *p, const model_port *port, size_t input, size_t turn, uint64_t seed,
                      part *out)
{
    out->rank = p->shaped[input] ? p->ranks[input] : port->rank;
    out->bytes = ortp_type_bytes(port->type);
    for (size_t d = 0; d < out->rank; d++) {
        out->shape[d] = p->shaped[input] ? p->shapes[input][d] : port->shape[d];
        for (size_t k = 0; k < p->varied_count; k++) {
            const varied *v = &p->varied[k];
            if (v->input == input && v->axis == d) {
                out->shape[d] = v->values[turn % v->count];
            }
        }
        if (__builtin_mul_overflow(out->bytes, (size_t)out->shape[d], &out->bytes) ||
            out->bytes > PTRDIFF_MAX / 2) {
            return say(p, "input '%s' would be larger than memory can be", port->name);
        }
    }
    out->data = malloc(out->bytes + 64);
    if (out->data == NULL) {
        return say(p, "no memory for input '%s', %zu bytes", port->name, out->bytes);
    }
    fill(port->type, out->data, out->bytes / ortp_type_bytes(port->type),
         seed * 1000003u + input * 257u + turn);
    return true;
}

static bool open_value(feed *f, plan *p, size_t turn, size_t input, const OrtMemoryInfo *cpu,
                       uint64_t seed)
{
    const model_port *port = &f->ports->inputs[input];
    feed_turn *t = &f->turns[turn];
    part made = {.shape = t->shapes[input]};
    const bool there = p->files[input] != NULL ? read_part(p, port, p->files[input], &made)
                                               : make_part(p, port, input, turn, seed, &made);
    t->buffers[input] = made.data;
    if (!there) {
        return false;
    }
    t->bytes += made.bytes;
    OrtStatus *status = f->api->CreateTensorWithDataAsOrtValue(
        cpu, made.data, made.bytes, made.shape, made.rank, (ONNXTensorElementDataType)port->type,
        &t->values[input]);
    if (status != NULL) {
        (void)say(p, "input '%s': %s", port->name, f->api->GetErrorMessage(status));
        f->api->ReleaseStatus(status);
        return false;
    }
    return true;
}

static bool open_turns(feed *f, plan *p, uint64_t seed)
{
    OrtMemoryInfo *cpu = NULL;
    OrtStatus *status = f->api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu);
    if (status != NULL) {
        (void)say(p, "%s", f->api->GetErrorMessage(status));
        f->api->ReleaseStatus(status);
        return false;
    }
    bool opened = true;
    const size_t inputs = f->ports->input_count;
    for (size_t turn = 0; turn < f->turn_count && opened; turn++) {
        feed_turn *t = &f->turns[turn];
        t->values = calloc(inputs + 1, sizeof(*t->values));
        t->buffers = calloc(inputs + 1, sizeof(*t->buffers));
        t->shapes = calloc(inputs + 1, sizeof(*t->shapes));
        opened = (t->values != NULL && t->buffers != NULL && t->shapes != NULL) ||
                 say(p, "no memory for the inputs");
        for (size_t i = 0; i < inputs && opened; i++) {
            opened = open_value(f, p, turn, i, cpu, seed);
        }
    }
    f->api->ReleaseMemoryInfo(cpu);
    return opened;
}

static bool read_wishes(plan *p, const model_ports *ports, const feed_wishes *wishes)
{
    bool read = true;
    for (size_t i = 0; i < wishes->shape_count && read; i++) {
        read = take_shape(p, ports, wishes->shapes[i]);
    }
    for (size_t i = 0; i < wishes->file_count && read; i++) {
        read = take_file(p, ports, wishes->files[i]);
    }
    for (size_t i = 0; i < wishes->varied_count && read; i++) {
        read = take_varied(p, ports, wishes->varied[i], wishes->seed);
    }
    for (size_t i = 0; i < p->varied_count && read; i++) {
        read = p->files[p->varied[i].input] == NULL ||
               say(p, "input '%s' is from a file: it cannot vary",
                   ports->inputs[p->varied[i].input].name);
    }
    return read && complete(p, ports);
}

bool feed_open(feed *out, const OrtApi *api, const model_ports *ports, const feed_wishes *wishes,
               char *message, size_t message_bytes)
{
    *out = (feed){.api = api, .ports = ports, .turn_count = 1};
    plan p = {.message = message, .message_bytes = message_bytes};
    const size_t count = ports->input_count + 1;
    p.files = calloc(count, sizeof(*p.files));
    p.shaped = calloc(count, sizeof(*p.shaped));
    p.ranks = calloc(count, sizeof(*p.ranks));
    p.shapes = calloc(count, sizeof(*p.shapes));
    out->names = calloc(count, sizeof(*out->names));
    bool opened = (p.files != NULL && p.shaped != NULL && p.ranks != NULL && p.shapes != NULL &&
                   out->names != NULL) ||
                  say(&p, "no memory for the inputs");
    opened = opened && read_wishes(&p, ports, wishes);
    for (size_t i = 0; i < p.varied_count; i++) {
        out->turn_count = p.varied[i].count > out->turn_count ? p.varied[i].count : out->turn_count;
    }
    for (size_t i = 0; i < ports->input_count && opened; i++) {
        out->names[i] = ports->inputs[i].name;
    }
    out->turns = calloc(out->turn_count, sizeof(*out->turns));
    opened = opened && (out->turns != NULL || say(&p, "no memory for the inputs"));
    opened = opened && open_turns(out, &p, wishes->seed);
    free(p.files);
    free(p.shaped);
    free(p.ranks);
    free(p.shapes);
    return opened;
}

void feed_close(feed *f)
{
    for (size_t turn = 0; turn < f->turn_count && f->turns != NULL; turn++) {
        feed_turn *t = &f->turns[turn];
        for (size_t i = 0; i < f->ports->input_count; i++) {
            if (t->values != NULL && t->values[i] != NULL) {
                f->api->ReleaseValue(t->values[i]);
            }
            if (t->buffers != NULL) {
                free(t->buffers[i]);
            }
        }
        free(t->values);
        free(t->buffers);
        free(t->shapes);
    }
    free(f->turns);
    free(f->names);
    *f = (feed){0};
}
