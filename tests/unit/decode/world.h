/* SPDX-License-Identifier: MIT */
/*
 * One model, one encoder output and a small automaton, for all tests of the search.
 *
 * The automaton is a tree: from each node the tokens a, b, c to three children, three levels deep.
 */
#ifndef TEST_DECODE_WORLD_H
#define TEST_DECODE_WORLD_H

#include "counting_alloc.h"
#include "counting_api.h"
#include "fake_clock.h"
#include "fixture.h"

#define BRANCHES 3u
#define LEVELS 3u
#define NODES 40u /* 1 + 3 + 9 + 27 */
#define INNER 13u /* nodes with children */
#define RESULTS 64u
#define VOCABULARY 30u
#define EOS 3u

typedef struct automaton {
    bool end[NODES];
    double bonus[NODES];
    double hope[NODES];
    size_t copies; /* times each token is offered; 0: once */
    size_t calls;
} automaton;

size_t depth_of(uint32_t node);
ortp_constraint tree(automaton *a);
/* Every node may end, with different bonuses. */
automaton all_may_end(void);

typedef struct world {
    fixture f;
    counting_alloc counter;
    fake_clock clock;
    ortp_tensor *memory;
    size_t length;
    double after[NODES][VOCABULARY]; /* log-probabilities after each node */
} world;

/* cmocka: group set-up and tear-down; the state is the world. */
int set_up(void **state);
int tear_down(void **state);

ortp_decoder *open_decoder(const world *w, size_t width);

/* A stop function: true from call number *ctx + 1 on. */
bool stop_after(void *ctx);

#endif
