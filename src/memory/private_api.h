/* SPDX-License-Identifier: MIT */
/*
 * What libortpool-predict uses of libortpool beside the public headers.
 *
 * The predict library (src/decode, src/swipe) keeps locks under the same ranks, charges its control memory
 * and says its errors and logs as libortpool does, and runs sessions without ORT calls that it can spare. A
 * function that it needs for that is marked ORTP__PRIVATE_API where it is declared, and src/ortpool.map names
 * it under ORTPOOL_PRIVATE_0_1. Both libraries come from one build, so that no such function has a promise
 * to keep: Debian's packages demand the same version. tests/consume holds the list to what is used; a public
 * function is to be preferred. No source is compiled into both libraries: a lock's ranks, the thread's current run
 * arena and the gate of creations exist once in the process.
 */
#ifndef ORTP_PRIVATE_API_H
#define ORTP_PRIVATE_API_H

#if defined(__GNUC__)
#define ORTP__PRIVATE_API __attribute__((visibility("default")))
#else
#define ORTP__PRIVATE_API
#endif

#endif
