/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of weights a graph brings: hand-made protobuf with external data, and every way to
 * break it.
 */
#include "graph_bytes.h"
#include "test_ort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct message {
    unsigned char data[2048];
    size_t bytes;
} message;

static void put_varint(message *m, uint64_t value)
{
    while (value >= 0x80) {
        m->data[m->bytes++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    m->data[m->bytes++] = (unsigned char)value;
}

static void put_number(message *m, unsigned field, uint64_t value)
{
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void put_bytes(message *m, unsigned field, const void *data, size_t bytes)
{
    put_varint(m, (field << 3) | 2);
    put_varint(m, bytes);
    memcpy(m->data + m->bytes, data, bytes);
    m->bytes += bytes;
}

static void put_message(message *m, unsigned field, const message *inner)
{
    put_bytes(m, field, inner->data, inner->bytes);
}

static void put_entry(message *tensor, const char *key, const char *value)
{
    message entry = {.bytes = 0};
    put_bytes(&entry, 1, key, strlen(key));
    put_bytes(&entry, 2, value, strlen(value));
    put_message(tensor, 13, &entry);
}

/* float[dims...] of the type, raw data or external. */
static message tensor_of(uint64_t type, const uint64_t *dims, size_t rank)
{
    message tensor = {.bytes = 0};
    for (size_t i = 0; i < rank; ++i) {
        put_number(&tensor, 1, dims[i]);
    }
    put_number(&tensor, 2, type);
    put_bytes(&tensor, 8, "weight", 6);
    return tensor;
}

static message model_of(const message *graph)
{
    message model = {.bytes = 0};
    put_number(&model, 1, 8);
    put_bytes(&model, 2, "test", 4);
    put_message(&model, 7, graph);
    const unsigned char opset[] = {0x10, 17};
    put_bytes(&model, 8, opset, sizeof(opset));
    return model;
}

static message external_model(uint64_t *external)
{
    message graph = {.bytes = 0};
    put_bytes(&graph, 2, "graph", 5);
    put_bytes(&graph, 1, "\x0a\x01x", 3); /* a node: skipped */

    message with_length = tensor_of(1, (const uint64_t[]){1000, 256}, 2);
    put_entry(&with_length, "location", "weights.bin");
    put_entry(&with_length, "offset", "4096");
    put_entry(&with_length, "length", "1024000");
    put_number(&with_length, 14, 1);
    put_message(&graph, 5, &with_length);

    message by_shape = tensor_of(10, (const uint64_t[]){30, 20}, 2); /* float16 */
    put_entry(&by_shape, "location", "weights.bin");
    put_message(&graph, 5, &by_shape);

    message packed = {.bytes = 0};
    const unsigned char dims[] = {7, 0x80, 0x01}; /* 7, 128 */
    put_bytes(&packed, 1, dims, sizeof(dims));
    put_number(&packed, 2, 7); /* int64 */
    put_entry(&packed, "location", "weights.bin");
    put_message(&graph, 5, &packed);

    message inside = tensor_of(1, (const uint64_t[]){3}, 1);
    put_bytes(&inside, 9, "aaaabbbbcccc", 12);
    put_message(&graph, 5, &inside);

    *external = 1024000 + 30 * 20 * 2 + 7 * 128 * 8;
    return model_of(&graph);
}

static void external_data_is_counted(void **state)
{
    (void)state;
    static const char path[] = "unit_runtime_graph_bytes.onnx";
    uint64_t external = 0;
    const message model = external_model(&external);
    assert_int_equal(ortp__graph_memory_bytes(model.data, model.bytes), model.bytes + external);
    test_write_file(path, model.data, model.bytes);
    uint64_t bytes = 0;
    assert_int_equal(ortp__graph_file_bytes(path, &bytes, NULL), ORTP_OK);
    assert_int_equal(bytes, model.bytes + external);
    (void)remove(path);
}

static void real_graphs_are_their_own_size(void **state)
{
    (void)state;
    static const char *const names[] = {"models/swipe-en-usual/encoder.onnx",
                                        "models/swipe-en-usual/decoder.onnx",
                                        "tests/graphs/tiny/encoder.onnx"};
    for (size_t i = 0; i < 3; ++i) {
        size_t file_bytes = 0;
        void *file = test_read_file(test_file(names[i]), &file_bytes);
        uint64_t bytes = 0;
        assert_int_equal(ortp__graph_file_bytes(test_file(names[i]), &bytes, NULL), ORTP_OK);
        assert_int_equal(bytes, file_bytes);
        assert_int_equal(ortp__graph_memory_bytes(file, file_bytes), file_bytes);
        free(file);
    }
}

/* Cut anywhere, flipped anywhere: an answer, at least the size itself, and no access out of bounds.
 */
static void broken_graphs_are_survived(void **state)
{
    (void)state;
    uint64_t external = 0;
    const message model = external_model(&external);
    for (size_t cut = 0; cut < model.bytes; ++cut) {
        unsigned char *copy = malloc(cut > 0 ? cut : 1); /* its own size, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, model.data, cut);
        const uint64_t bytes = ortp__graph_memory_bytes(copy, cut);
        assert_true(bytes >= cut && bytes <= cut + external);
        free(copy);
    }
    for (size_t bit = 0; bit < 8 * model.bytes; ++bit) {
        unsigned char *copy = malloc(model.bytes);
        assert_non_null(copy);
        memcpy(copy, model.data, model.bytes);
        copy[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_true(ortp__graph_memory_bytes(copy, model.bytes) >= model.bytes);
        free(copy);
    }
}

static void huge_claims_saturate(void **state)
{
    (void)state;
    message graph = {.bytes = 0};
    for (size_t i = 0; i < 3; ++i) {
        message tensor = tensor_of(1, (const uint64_t[]){UINT64_MAX / 2, UINT64_MAX / 2}, 2);
        put_entry(&tensor, "location", "x");
        put_entry(&tensor, i == 0 ? "length" : "offset", "99999999999999999999999999");
        put_message(&graph, 5, &tensor);
    }
    const message model = model_of(&graph);
    const uint64_t bytes = ortp__graph_memory_bytes(model.data, model.bytes);
    assert_true(bytes > (uint64_t)1 << 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(external_data_is_counted),
        cmocka_unit_test(real_graphs_are_their_own_size),
        cmocka_unit_test(broken_graphs_are_survived),
        cmocka_unit_test(huge_claims_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
