/* SPDX-License-Identifier: MIT */
/* See fake_clock.h. */
#include "fake_clock.h"

static uint64_t now(void *ctx)
{
    fake_clock *clock = ctx;
    return atomic_load(&clock->now_ms);
}

ortp_clock fake_clock_use(fake_clock *clock)
{
    return (ortp_clock){.now_ms = now, .ctx = clock};
}

void fake_clock_advance(fake_clock *clock, uint64_t ms)
{
    atomic_fetch_add(&clock->now_ms, ms);
}
