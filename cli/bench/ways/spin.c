/* SPDX-License-Identifier: MIT */
/* The machine's noise floor: a loop of equal length, without memory and without a system call. */
#include "support.h"
#include "way.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_TURNS 200000u
#define PROBES 50

typedef struct spin {
    way base; /* first: what is handed out */
    uint64_t turns;
} spin;

static uint64_t turn(uint64_t turns)
{
    volatile uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; i < turns; i++) {
        uint64_t x = state;
        x ^= x << 13;
        x ^= x >> 7;
        state = x ^ (x << 17);
    }
    return state;
}

static void predict(way *w, const way_input *input, ortp_prediction *out)
{
    (void)input;
    out->microseconds = turn(((const spin *)w)->turns);
    out->candidate_count = 0;
}

static way_taken taken(const way *w)
{
    (void)w;
    return (way_taken){0};
}

static void shut(way *w)
{
    free(w);
}

way *spin_open(double us)
{
    spin *s = calloc(1, sizeof(*s));
    if (!s) {
        bench_die("the loop", "no memory left");
    }
    s->base = (way){.predict = predict, .taken = taken, .close = shut};
    double best = 0;
    for (int i = 0; i < PROBES; i++) {
        const double start = bench_now_us();
        (void)turn(PROBE_TURNS);
        const double took = bench_now_us() - start;
        best = i == 0 || took < best ? took : best;
    }
    s->turns = (uint64_t)(us / best * PROBE_TURNS) + 1;
    return &s->base;
}
