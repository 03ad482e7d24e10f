/* SPDX-License-Identifier: MIT */
/*
 * SQLite's method: a scenario is repeated with its call number n failing, n = 1, 2, ... until it comes
 * through without a failure; once with that call alone, once with it and all later ones.
 * Source: "How SQLite Is Tested", section 3.1, https://sqlite.org/testing.html
 */
#ifndef OOM_SWEEP_H
#define OOM_SWEEP_H

#include "counting_alloc.h"
#include "faults.h"

typedef struct scenario {
    const char *name;
    /* Without faults. What it makes is the scenario's world. */
    void *(*open)(void);
    /*
     * Under faults. ORTP_OK: done, and the result was right. After any other status it has given back
     * all that it made, and left its world as it was: called once more, without faults, it succeeds.
     */
    ortp_status (*attempt)(void *world, ortp_error *error);
    /* Without faults, after each attempt: cmocka asserts what must hold, the ledger above all. */
    void (*check)(void *world);
    void (*close)(void *world);
    bool says; /* attempts that fail leave a message in *error */
} scenario;

/*
 * cmocka: the whole sweep of one scenario; prints what it did. stride: 1 tries every n, k every k-th
 * after the first 60.
 */
void sweep(const scenario *s, uint64_t stride);

extern const scenario scenarios_memory[], scenarios_runtime[], scenarios_predictor[];
extern const scenario scenario_broken; /* forgets a block when it fails: its sweep must fail */
extern const size_t scenarios_memory_count, scenarios_runtime_count, scenarios_predictor_count;

#endif
