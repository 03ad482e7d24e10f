/* SPDX-License-Identifier: MIT */
/* The interposer's self-test: a counter that counts nothing must not pass for a good result. */
#ifndef SEED_INTERPOSE_CHECK_H
#define SEED_INTERPOSE_CHECK_H

#include <stdbool.h>

#include <onnxruntime_c_api.h>

/*
 * Makes known allocations and compares the counts, exactly: ours by every function of the family,
 * ORT's in a Create* call through the watched table, ORT's outside one. Prints what differs. Needs
 * seed_heap_learn(); no other thread may allocate.
 */
bool seed_heap_check(const OrtApi *api, const OrtApi *watched);

#endif
