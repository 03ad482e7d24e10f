/* SPDX-License-Identifier: MIT */
/*
 * What runs needed: see needs.h.
 */
#include "needs.h"

bool ortp__needs_init(ortp__needs *needs)
{
    return ortp__mutex_init(&needs->mutex, ORTP_RANK_NEEDS); /* the rest is zero */
}

void ortp__needs_destroy(ortp__needs *needs)
{
    ortp__mutex_destroy(&needs->mutex);
}

/* The entry of the key, else the one used longest ago; *known says which. */
static ortp__need *find_locked(ortp__needs *needs, uint64_t key, bool *known)
{
    ortp__assert_held(&needs->mutex);
    ortp__need *oldest = &needs->entries[0];
    for (size_t i = 0; i < ORTP__NEEDS_MAX; i++) {
        ortp__need *entry = &needs->entries[i];
        if (entry->used_at > 0 && entry->key == key) {
            *known = true;
            return entry;
        }
        if (entry->used_at < oldest->used_at) {
            oldest = entry;
        }
    }
    *known = false;
    return oldest;
}

ortp__need ortp__needs_get(ortp__needs *needs, uint64_t key)
{
    ortp__need found = {.key = key};
    bool known;
    ortp__lock(&needs->mutex);
    ortp__need *entry = find_locked(needs, key, &known);
    if (known) {
        entry->used_at = ++needs->time;
        found = *entry;
    } else {
        found.escapes = needs->latest;
    }
    ortp__unlock(&needs->mutex);
    return found;
}

/* The key's entry, made where there is none. */
static ortp__need *entry_locked(ortp__needs *needs, uint64_t key)
{
    bool known;
    ortp__need *entry = find_locked(needs, key, &known);
    if (!known) {
        needs->most_gone = entry->bytes > needs->most_gone ? entry->bytes : needs->most_gone;
        *entry = (ortp__need){.key = key};
    }
    entry->used_at = ++needs->time;
    return entry;
}

void ortp__needs_learn(ortp__needs *needs, const ortp__need *learned)
{
    ortp__lock(&needs->mutex);
    ortp__need *entry = entry_locked(needs, learned->key);
    const bool moved_out = entry->escapes.count == 0 && learned->escapes.count > 0;
    if (learned->bytes > entry->bytes || moved_out) {
        entry->bytes = learned->bytes;
    }
    entry->wanted = 0;
    entry->escapes = learned->escapes;
    if (learned->escapes.count > 0) {
        needs->latest = learned->escapes;
    }
    ortp__unlock(&needs->mutex);
}

void ortp__needs_wish(ortp__needs *needs, uint64_t key, size_t bytes)
{
    ortp__lock(&needs->mutex);
    entry_locked(needs, key)->wanted = bytes < ORTP__WISH_MAX ? bytes : 0;
    ortp__unlock(&needs->mutex);
}

size_t ortp__needs_most(ortp__needs *needs)
{
    ortp__lock(&needs->mutex);
    size_t most = needs->most_gone;
    for (size_t i = 0; i < ORTP__NEEDS_MAX; i++) {
        most = needs->entries[i].bytes > most ? needs->entries[i].bytes : most;
    }
    ortp__unlock(&needs->mutex);
    return most;
}
