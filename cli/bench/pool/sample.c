/* SPDX-License-Identifier: MIT */
/* See sample.h. */
#include "sample.h"

#include <math.h>
#include <sched.h>
#include <sys/resource.h>

#include "interrupt.h"
#include "loops.h"
#include "progress.h"

#define TRIES 4
#define SKEW_MAX 50e-6 /* seconds between two that begin at once */

/* One thread's part in it. */
typedef struct part {
    const heap_calls *calls;
    size_t bytes, count;
    ring *between;
    double start, end;
    int cpu;          /* where it began */
    long interrupts;  /* by the system, up to then */
    bool undisturbed; /* there were none, and it ended on the same processor */
    bool well;
} part;

/* How often the system took the processor from this thread. */
static long interrupts_now(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static void begin(part *p)
{
    p->interrupts = interrupts_now();
    p->cpu = sched_getcpu();
    p->start = seconds_now();
}

static void end(part *p)
{
    p->end = seconds_now();
    p->undisturbed = sched_getcpu() == p->cpu && interrupts_now() == p->interrupts;
}

static void do_pair(void *ctx)
{
    part *p = ctx;
    begin(p);
    p->well = loop_pair(p->calls, p->bytes, p->count);
    end(p);
}

static void do_live(void *ctx)
{
    part *p = ctx;
    begin(p);
    p->well = loop_live(p->calls, p->bytes, p->count);
    end(p);
}

static void do_produce(void *ctx)
{
    part *p = ctx;
    begin(p);
    p->well = loop_produce(p->calls, p->bytes, p->count, p->between);
    end(p);
}

static void do_consume(void *ctx)
{
    part *p = ctx;
    begin(p);
    p->well = loop_consume(p->calls, p->count, p->between);
    end(p);
}

static bool take_one(sampler *s, void (*work)(void *ctx), heap *h, part *own, double *seconds)
{
    for (int i = 1;; i++) {
        work(own);
        h->taken += own->count;
        *seconds = own->end - own->start;
        if (!own->well || own->undisturbed || i == TRIES || interrupt_signal() != 0) {
            return own->well;
        }
        s->disturbed++;
    }
}

/* How long either of them ran says nothing here: who is made to wait by the other is what is measured. */
static bool at_once(const part *a, const part *b)
{
    return a->undisturbed && b->undisturbed && a->cpu != b->cpu &&
           fabs(a->start - b->start) < SKEW_MAX;
}

static bool take_both(sampler *s, bench_case which, heap *h, part *own, double *seconds)
{
    *seconds = NAN;
    for (int i = 0; i < TRIES && interrupt_signal() == 0; i++) {
        ring between = {.popped_seen = 0};
        own->between = &between;
        part other = *own;
        if (which == CASE_TWO_THREADS) {
            crew_both(&s->crew, do_pair, &other, do_pair, own);
            h->taken += 2 * own->count;
        } else {
            crew_both(&s->crew, do_consume, &other, do_produce, own);
            h->taken += own->count;
        }
        if (!own->well || !other.well) {
            return false;
        }
        if (at_once(own, &other)) {
            *seconds = which == CASE_TWO_THREADS
                           ? fmax(own->end - own->start, other.end - other.start)
                           : other.end - own->start;
            return true;
        }
        s->disturbed++;
    }
    return true;
}

bool sample_take(sampler *s, bench_case which, heap *h, size_t bytes, size_t count, double *seconds)
{
    part own = {.calls = &h->calls, .bytes = bytes, .count = count};
    switch (which) {
    case CASE_TWO_THREADS:
    case CASE_HAND_OVER:
        return take_both(s, which, h, &own, seconds);
    case CASE_LIVE:
        return take_one(s, do_live, h, &own, seconds);
    default:
        return take_one(s, do_pair, h, &own, seconds);
    }
}
