/* SPDX-License-Identifier: MIT */
#include "beams.h"

#include <math.h>
#include <string.h>

#define ROOT 0u

static size_t node_capacity(size_t width, size_t steps)
{
    return 1 + width * steps;
}

size_t ortp__beams_bytes(size_t width, size_t steps)
{
    return node_capacity(width, steps) * sizeof(ortp__node) + width * sizeof(ortp__beam) +
           width * sizeof(ortp__candidate) + width * steps * sizeof(ortp__finished);
}

void ortp__beams_place(ortp__beams *beams, void *memory, size_t width, size_t steps)
{
    /* All four need 8 bytes of alignment at most and are multiples of it. */
    memset(beams, 0, sizeof *beams);
    beams->node_capacity = node_capacity(width, steps);
    beams->finished_capacity = width * steps;
    beams->nodes = memory;
    beams->live = (ortp__beam *)(beams->nodes + beams->node_capacity);
    beams->candidates = (ortp__candidate *)(beams->live + width);
    beams->finished = (ortp__finished *)(beams->candidates + width);
}

static uint64_t mix(uint64_t hash, int32_t token)
{
    hash = (hash ^ (uint32_t)token) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

void ortp__beams_begin(ortp__beams *beams, size_t width, uint32_t state, bool keep_duplicates)
{
    beams->width = width;
    beams->keep_duplicates = keep_duplicates;
    beams->nodes[ROOT] = (ortp__node){.hash = 1, .parent = ROOT};
    beams->node_count = 1;
    beams->live[0] = (ortp__beam){.sum = 0.0, .rank = 0.0, .node = ROOT, .state = state};
    beams->live_count = 1;
    beams->candidate_count = 0;
    beams->finished_count = 0;
    beams->length = 0;
}

/* Whether two nodes of one length are the same tokens. */
static bool same_tokens(const ortp__beams *beams, uint32_t a, uint32_t b)
{
    while (a != b) {
        const ortp__node *x = &beams->nodes[a];
        const ortp__node *y = &beams->nodes[b];
        if (x->hash != y->hash || x->token != y->token) {
            return false;
        }
        a = x->parent;
        b = y->parent;
    }
    return true;
}

/* The candidate that is the same tokens in the same state; candidate_count where there is none. */
static size_t find_candidate(const ortp__beams *beams, const ortp__candidate *wanted)
{
    size_t i = 0;
    for (; i < beams->candidate_count; i++) {
        const ortp__candidate *other = &beams->candidates[i];
        if (other->hash == wanted->hash && other->token == wanted->token &&
            other->state == wanted->state && same_tokens(beams, other->parent, wanted->parent)) {
            break;
        }
    }
    return i;
}

static void remove_candidate(ortp__beams *beams, size_t index)
{
    beams->candidate_count--;
    memmove(&beams->candidates[index], &beams->candidates[index + 1],
            (beams->candidate_count - index) * sizeof *beams->candidates);
}

bool ortp__beams_full_at(const ortp__beams *beams, double rank)
{
    return beams->candidate_count == beams->width &&
           rank <= beams->candidates[beams->width - 1].rank;
}

void ortp__beams_offer(ortp__beams *beams, size_t index, int32_t token, uint32_t state,
                       double log_prob, double hope)
{
    const ortp__beam *beam = &beams->live[index];
    const double sum = beam->sum + log_prob;
    const double rank = sum + hope;
    if (!(sum > -INFINITY) || !(rank > -INFINITY) || ortp__beams_full_at(beams, rank)) {
        return;
    }
    const ortp__candidate candidate = {
        .sum = sum,
        .rank = rank,
        .hash = mix(beams->nodes[beam->node].hash, token),
        .parent = beam->node,
        .token = token,
        .state = state,
        .row = (uint32_t)index,
    };
    if (!beams->keep_duplicates) {
        const size_t twin = find_candidate(beams, &candidate);
        if (twin < beams->candidate_count) {
            if (rank <= beams->candidates[twin].rank) {
                return;
            }
            remove_candidate(beams, twin);
        }
    }
    if (beams->candidate_count == beams->width) {
        beams->candidate_count--;
    }
    size_t at = beams->candidate_count;
    while (at > 0 && beams->candidates[at - 1].rank < rank) {
        beams->candidates[at] = beams->candidates[at - 1];
        at--;
    }
    beams->candidates[at] = candidate;
    beams->candidate_count++;
}

/* The finished sequence of the same tokens; finished_count where there is none. */
static size_t find_finished(const ortp__beams *beams, const ortp__finished *wanted)
{
    size_t i = 0;
    for (; i < beams->finished_count; i++) {
        const ortp__finished *other = &beams->finished[i];
        if (other->length == wanted->length && same_tokens(beams, other->node, wanted->node)) {
            break;
        }
    }
    return i;
}

void ortp__beams_finish(ortp__beams *beams, size_t index, double log_prob, double score)
{
    const ortp__beam *beam = &beams->live[index];
    if (!(log_prob > -INFINITY) || isnan(score)) {
        return;
    }
    const ortp__finished finished = {
        .score = score,
        .log_prob = log_prob,
        .node = beam->node,
        .length = (uint32_t)beams->length,
        .state = beam->state,
    };
    if (!beams->keep_duplicates) {
        const size_t twin = find_finished(beams, &finished);
        if (twin < beams->finished_count) {
            if (score <= beams->finished[twin].score) {
                return;
            }
            beams->finished_count--;
            memmove(&beams->finished[twin], &beams->finished[twin + 1],
                    (beams->finished_count - twin) * sizeof *beams->finished);
        }
    }
    size_t at = beams->finished_count;
    while (at > 0 && beams->finished[at - 1].score < score) {
        beams->finished[at] = beams->finished[at - 1];
        at--;
    }
    beams->finished[at] = finished;
    beams->finished_count++;
}

void ortp__beams_advance(ortp__beams *beams)
{
    for (size_t i = 0; i < beams->candidate_count; i++) {
        const ortp__candidate *candidate = &beams->candidates[i];
        const uint32_t node = (uint32_t)beams->node_count++;
        beams->nodes[node] = (ortp__node){
            .hash = candidate->hash,
            .parent = candidate->parent,
            .token = candidate->token,
        };
        beams->live[i] = (ortp__beam){
            .sum = candidate->sum,
            .rank = candidate->rank,
            .node = node,
            .state = candidate->state,
            .row = candidate->row,
        };
    }
    beams->live_count = beams->candidate_count;
    beams->candidate_count = 0;
    beams->length++;
}

void ortp__beams_prune(ortp__beams *beams, double least)
{
    /* Live beams are sorted by their ranks. */
    while (beams->live_count > 0 && beams->live[beams->live_count - 1].rank <= least) {
        beams->live_count--;
    }
}

void ortp__beams_tokens(const ortp__beams *beams, uint32_t node, size_t length, int32_t *out)
{
    for (size_t i = length; i > 0; i--) {
        out[i - 1] = beams->nodes[node].token;
        node = beams->nodes[node].parent;
    }
}
