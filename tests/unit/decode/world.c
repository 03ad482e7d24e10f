/* SPDX-License-Identifier: MIT */
/* See world.h. */
#include "world.h"

#include "model_run.h"

#include <math.h>

static size_t tree_next(void *ctx, uint32_t state, int32_t *tokens, uint32_t *states,
                        size_t capacity, bool *may_end)
{
    automaton *a = ctx;
    size_t count = 0;
    a->calls++;
    *may_end = a->end[state];
    const size_t copies = a->copies > 0 ? a->copies : 1;
    for (uint32_t i = 0; i < BRANCHES && state < INNER; i++) {
        for (size_t k = 0; k < copies && count < capacity; k++) {
            tokens[count] = (int32_t)(4 + i);
            states[count++] = state * BRANCHES + 1 + i;
        }
    }
    return count;
}

static double tree_bonus(void *ctx, uint32_t state)
{
    return ((const automaton *)ctx)->bonus[state];
}

static double tree_hope(void *ctx, uint32_t state)
{
    return ((const automaton *)ctx)->hope[state];
}

ortp_constraint tree(automaton *a)
{
    return (ortp_constraint){.struct_size = sizeof(ortp_constraint),
                             .ctx = a,
                             .root = 0,
                             .next = tree_next,
                             .final_score = tree_bonus,
                             .hope = tree_hope};
}

size_t depth_of(uint32_t node)
{
    size_t depth = 0;
    for (; node > 0; node = (node - 1) / BRANCHES) {
        depth++;
    }
    return depth;
}

automaton all_may_end(void)
{
    automaton a = {0};
    for (size_t i = 0; i < NODES; i++) {
        a.end[i] = true;
        a.bonus[i] = (double)(i % 7) * 0.25;
    }
    return a;
}

ortp_decoder *open_decoder(const world *w, size_t width)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_decoder *decoder = NULL;
    assert_ok(ortp_decoder_create(
                  &(const ortp_decoder_options){.struct_size = sizeof(ortp_decoder_options),
                                                .model = w->f.model,
                                                .tensors = w->f.tensors,
                                                .beam_width_max = width},
                  &decoder, &error),
              error);
    return decoder;
}

typedef struct path_to {
    uint32_t nodes[LEVELS + 1];
    size_t length;
} path_to;

static size_t path_next(void *ctx, uint32_t at, int32_t *tokens, uint32_t *states, size_t capacity,
                        bool *may_end)
{
    const path_to *p = ctx;
    (void)capacity;
    *may_end = false;
    if (at == p->length) {
        return 0;
    }
    tokens[0] = (int32_t)(4 + (p->nodes[at + 1] - 1) % BRANCHES);
    states[0] = at + 1;
    return 1;
}

/* The decoder itself says what comes after a node; the log-softmax here is a second one. */
static void learn(world *w, ortp_decoder *decoder, uint32_t node)
{
    path_to p = {.length = depth_of(node)};
    ortp_error error = ORTP_ERROR_INIT;
    for (size_t i = p.length, at = node; i > 0; i--, at = (at - 1) / BRANCHES) {
        p.nodes[i] = (uint32_t)at;
    }
    const ortp_constraint constraint = {.struct_size = sizeof constraint, .ctx = &p, .next = path_next};
    ortp_hypothesis result = ORTP_HYPOTHESIS_INIT;
    size_t count = 0;
    assert_ok(ortp_decoder_search(decoder, w->memory, w->length, NULL, &constraint, &result, 1,
                                  &count, &error),
              error);
    assert_int_equal(ortp_decoder_last_runs(decoder), p.length + 1);
    const float *logits = ortp__decoder_logits(decoder, NULL) + p.length * VOCABULARY;
    double sum = 0.0;
    for (size_t i = 0; i < VOCABULARY; i++) {
        sum += exp((double)logits[i]);
    }
    for (size_t i = 0; i < VOCABULARY; i++) {
        w->after[node][i] = (double)logits[i] - log(sum);
    }
}

int set_up(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&w->counter);
    options.clock = fake_clock_use(&w->clock);
    fixture_open(&w->f, TINY, &options);
    json_t *expected = load_json(TINY "/expected.json");
    w->memory = encode(&w->f, expected);
    w->length = (size_t)json_integer_value(json_object_get(expected, "length"));
    json_decref(expected);
    ortp_decoder *decoder = open_decoder(w, 1);
    for (uint32_t node = 0; node < NODES; node++) {
        learn(w, decoder, node);
    }
    ortp_decoder_destroy(decoder, NULL);
    *state = w;
    return 0;
}

int tear_down(void **state)
{
    world *w = *state;
    counting_api_fail(COUNTING_ANY, 0);
    assert_int_equal(ortp_tensor_release(w->memory), ORTP_OK);
    fixture_close(&w->f);
    assert_int_equal(counting_api_live(), 0);
    counting_alloc_assert_empty(&w->counter);
    free(w);
    return 0;
}

bool stop_after(void *ctx)
{
    size_t *left = ctx;
    if (*left == 0) {
        return true;
    }
    (*left)--;
    return false;
}
