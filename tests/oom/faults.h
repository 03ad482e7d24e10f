/* SPDX-License-Identifier: MIT */
/*
 * Faults put in from outside: everything that ortpool asks the system, jansson or ONNX Runtime for goes
 * through a wrapper here (linked with --wrap, see CMakeLists.txt), and one counter over all of them
 * decides which call fails. The product has no hook for it.
 *
 *     faults_arm(3, false);   // the third call from now fails
 *     ...
 *     if (faults_disarm()) ... // it came to that
 *
 * One sweep at a time per process; the calls may come from any thread.
 */
#ifndef OOM_FAULTS_H
#define OOM_FAULTS_H

#include <ortpool/status.h>

#include <onnxruntime_c_api.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum fault_kind {
    FAULT_ALLOC,   /* control structures: the injected allocator returns NULL */
    FAULT_PAGES,   /* mmap */
    FAULT_LOCK,    /* mutexes, conditions, thread keys, barriers */
    FAULT_THREAD,  /* a thread cannot be started */
    FAULT_CHARGE,  /* the budget denies */
    FAULT_JANSSON, /* the JSON library's malloc */
    FAULT_FILE,    /* fopen, for want of memory */
    FAULT_API,     /* a call of ONNX Runtime */
    FAULT_KINDS,
} fault_kind;

const char *fault_name(fault_kind kind);

/* The table that counts and fails; to be used as the runtime's api. */
const OrtApi *faults_api(const OrtApi *real);

/* The nth call from now fails, and with `persistent` all after it. */
void faults_arm(uint64_t nth, bool persistent);
/* Ends it. Whether a call failed. */
bool faults_disarm(void);
/* The kind of the first call that failed since arming. */
fault_kind faults_first(void);

/* Since the start of the process. */
uint64_t faults_made(fault_kind kind);
/* Calls of the C library's malloc family by ortpool's code while armed: there must be none. */
uint64_t faults_stray_mallocs(void);

/*
 * Writes what failed at least once, for check_sites.py: "base ADDRESS", "site ADDRESS" (return addresses
 * of wrapped calls), "api NAME".
 */
void faults_write(FILE *file);

#endif
