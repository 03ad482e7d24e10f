/* SPDX-License-Identifier: MIT */
/*
 * An ortp_alloc that counts, checks the sizes given to free, and can fail: the n-th call from now,
 * or that one and all after it. Thread-safe.
 *
 *     counting_alloc a = {0};
 *     options.alloc = counting_alloc_use(&a);
 *     counting_alloc_fail(&a, 3, false);
 *     ...
 *     counting_alloc_assert_empty(&a);
 */
#ifndef TEST_COUNTING_ALLOC_H
#define TEST_COUNTING_ALLOC_H

#include <ortpool/status.h>

#include <stdatomic.h>

typedef struct counting_alloc {
    _Atomic uint64_t calls;  /* of alloc, failed ones included */
    _Atomic uint64_t failed; /* calls that were made to fail */
    _Atomic size_t live_blocks;
    _Atomic size_t live_bytes;
    _Atomic uint64_t errors;  /* frees with another size than allocated, or of a foreign pointer */
    _Atomic uint64_t fail_at; /* the value of calls that fails; 0: none */
    _Atomic bool persistent;  /* and all after it */
} counting_alloc;

/* `alloc` must outlive what uses it. */
ortp_alloc counting_alloc_use(counting_alloc *alloc);
/* nth: 1 is the next call, 0 turns failing off. */
void counting_alloc_fail(counting_alloc *alloc, uint64_t nth, bool persistent);
/* cmocka: nothing is live and no free was wrong. The test's own thread only. */
void counting_alloc_assert_empty(const counting_alloc *alloc);

#endif
