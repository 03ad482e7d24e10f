/* SPDX-License-Identifier: MIT */
/* The allocator mimalloc, where it is installed: to be compared with. */
#ifndef ORTPOOL_CLI_BENCH_MIMALLOC_H
#define ORTPOOL_CLI_BENCH_MIMALLOC_H

/*
 * Opens the library, which takes nobody's place by that, and keeps it open: it has threads' memory of its own. The name it
 * was found under, for LD_PRELOAD; NULL: not installed.
 */
const char *mimalloc_open(void **handle);

#endif
