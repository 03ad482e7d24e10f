/* SPDX-License-Identifier: MIT */
/*
 * Counts what ONNX Runtime takes from the C++ heap for tensors and arenas: its CPU allocator calls
 * operator new with an alignment, and nothing else in it does. The count takes the place of these
 * operators, so the executable must export its symbols (ENABLE_EXPORTS). Bytes as they were asked
 * for.
 */
#ifndef BENCH_ALIGNED_NEW_H
#define BENCH_ALIGNED_NEW_H

#include <stddef.h>
#include <stdint.h>

size_t aligned_new_live(void);
/* The most that was live since the last reset. */
size_t aligned_new_peak(void);
void aligned_new_reset_peak(void);
uint64_t aligned_new_calls(void);

#endif
