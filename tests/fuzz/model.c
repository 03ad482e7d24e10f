/* SPDX-License-Identifier: MIT */
/* See model.h. */
#include "model.h"

void model_evict(model *m, model_value *value)
{
    value->in_table = false;
    if (value->leases == 0) {
        m->disposed++;
    }
}

model_value *model_find(model *m, unsigned key)
{
    for (size_t i = 0; i < MODEL_VALUES; i++) {
        if (m->values[i].in_table && m->values[i].key == key) {
            return &m->values[i];
        }
    }
    return NULL;
}

static bool stale(const model *m, const model_value *value)
{
    return m->now_ms - value->put_ms > m->stale_ms;
}

model_value *model_get(model *m, unsigned key)
{
    model_value *value = model_find(m, key);
    if (value != NULL && stale(m, value)) {
        model_evict(m, value);
        value = NULL;
    }
    if (value != NULL) {
        value->leases++;
        value->used = ++m->uses;
    }
    return value;
}

model_value *model_put(model *m, unsigned key, uint8_t fill)
{
    model_value *value = model_get(m, key);
    if (value != NULL) {
        m->disposed++; /* the given one */
        return value;
    }
    while (model_entries(m) >= m->entries_max) {
        model_value *last = NULL;
        for (size_t i = 0; i < MODEL_VALUES; i++) {
            if (m->values[i].in_table && (last == NULL || m->values[i].used < last->used)) {
                last = &m->values[i];
            }
        }
        model_evict(m, last);
    }
    for (size_t i = 0; i < MODEL_VALUES; i++) {
        value = &m->values[i];
        if (!value->in_table && value->leases == 0) {
            *value = (model_value){.in_table = true,
                                   .key = key,
                                   .fill = fill,
                                   .put_ms = m->now_ms,
                                   .leases = 1,
                                   .used = ++m->uses};
            return value;
        }
    }
    return NULL; /* more leases than MODEL_LEASES: the interpreter does not ask */
}

void model_release(model *m, model_value *value)
{
    value->leases--;
    if (value->leases == 0 && !value->in_table) {
        m->disposed++;
    }
}

size_t model_clear(model *m, bool stale_only)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_VALUES; i++) {
        if (m->values[i].in_table && (!stale_only || stale(m, &m->values[i]))) {
            model_evict(m, &m->values[i]);
            count++;
        }
    }
    return count;
}

bool model_reclaimed(model *m, unsigned key)
{
    model_value *value = model_find(m, key);
    if (value == NULL || value->leases > 0) {
        return false;
    }
    model_evict(m, value);
    return true;
}

size_t model_entries(const model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_VALUES; i++) {
        count += m->values[i].in_table;
    }
    return count;
}

size_t model_alive(const model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_VALUES; i++) {
        count += m->values[i].in_table || m->values[i].leases > 0;
    }
    return count;
}
