/* SPDX-License-Identifier: MIT */
/* What the machine that the tests run on can do. */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include <stdbool.h>

/*
 * ORTPOOL_TEST_THIN: how slow it is. 1: long sweeps take a part of their cases. 2, an emulator: sweeps
 * take the small graphs, where they show the same. 0 where it is not set.
 */
unsigned test_thin(void);

/*
 * Whether the system heeds advice about pages, such as to map them now; qemu's user mode (7.2) says
 * yes to any, even to one that does not exist, and does nothing. false: says so on stderr.
 */
bool test_advice_heeded(void);

#endif
