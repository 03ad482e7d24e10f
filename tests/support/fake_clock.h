/* SPDX-License-Identifier: MIT */
/*
 * A clock that stands still until the test moves it. Thread-safe.
 */
#ifndef TEST_FAKE_CLOCK_H
#define TEST_FAKE_CLOCK_H

#include <ortpool/status.h>

#include <stdatomic.h>

typedef struct fake_clock {
    _Atomic uint64_t now_ms;
} fake_clock;

/* The clock must outlive what uses it. */
ortp_clock fake_clock_use(fake_clock *clock);
void fake_clock_advance(fake_clock *clock, uint64_t ms);

#endif
