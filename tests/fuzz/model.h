/* SPDX-License-Identifier: MIT */
/*
 * A reference model of budget, pool and encoder cache, for the interpreter of operations: what a reader of
 * the headers expects, in the plainest way and with nothing shared with the product.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_BLOCKS = 16, MODEL_LEASES = 8, MODEL_ENTRIES = 4, MODEL_LABELS = 16 };

typedef struct model_block {
    bool held;
    size_t bytes;
    unsigned label;
    uint8_t fill;
} model_block;

/* A value under a key; alive while it is in the table or leased. */
typedef struct model_value {
    bool in_table;
    unsigned key;
    uint8_t fill;
    uint64_t put_ms;
    unsigned leases;
    uint64_t used; /* larger is later */
} model_value;

enum { MODEL_VALUES = MODEL_ENTRIES + MODEL_LEASES };

typedef struct model {
    uint64_t now_ms;
    uint64_t uses;
    size_t declared;
    size_t entries_max;
    uint64_t stale_ms;
    model_block blocks[MODEL_BLOCKS];
    model_value values[MODEL_VALUES];
    uint64_t disposed; /* values gone, each once */
} model;

/* The value that a get of `key` gives, leased, or NULL; a stale one goes. */
model_value *model_get(model *m, unsigned key);
/* The value that a put leases: the one of the key that is there, else a new one. */
model_value *model_put(model *m, unsigned key, uint8_t fill);
void model_release(model *m, model_value *value);
size_t model_clear(model *m, bool stale_only);
void model_evict(model *m, model_value *value);
/* Pressure has taken this one. Only what nobody leases goes that way. */
bool model_reclaimed(model *m, unsigned key);
model_value *model_find(model *m, unsigned key);
size_t model_entries(const model *m);
/* Values that hold blocks: in the table or leased. */
size_t model_alive(const model *m);

#endif
