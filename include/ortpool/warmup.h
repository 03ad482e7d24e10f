/* SPDX-License-Identifier: MIT */
/*
 * Warm-up: does now, once, what the first prediction would otherwise pay for: map and populate the
 * pool's blocks, create tensors, run each session for each shape.
 *
 * The engine is a list of steps. The caller, who knows the shapes, builds the list (decoder.h and the
 * swipe predictor do). A step is idempotent: doing it twice leaves what once leaves.
 */
#ifndef ORTPOOL_WARMUP_H
#define ORTPOOL_WARMUP_H

#include <ortpool/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_warmup_step {
    const char *name; /* "encoder 1x64x6" */
    ortp_status (*run)(void *ctx, size_t argument, ortp_error *error);
    void *ctx;
    size_t argument;
} ortp_warmup_step;

/*
 * Called after each step with the number and name of those done, on the warming thread, under no
 * lock. Return false to cancel; after the last step there is nothing to cancel.
 */
typedef bool (*ortp_warmup_progress)(void *ctx, size_t done, size_t total, const char *step);

typedef struct ortp_warmup_options {
    size_t struct_size;
    ortp_warmup_progress progress; /* may be NULL */
    void *progress_ctx;
} ortp_warmup_options;
#define ORTP_WARMUP_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_warmup_options)

typedef struct ortp_warmup_report {
    size_t struct_size;
    size_t steps_done;
    size_t steps_total;
    uint64_t microseconds;
    size_t mapped_bytes;   /* mapped by this warm-up */
    size_t resident_bytes; /* what the process grew by, as the system says */
    bool cancelled;
    ortp_status status;   /* of the first step that failed, else OK or CANCELLED */
    char failed_step[64]; /* its name */
} ortp_warmup_report;
#define ORTP_WARMUP_REPORT_INIT ORTP_STRUCT_INIT(ortp_warmup_report)

/*
 * Runs the steps in order on the calling thread; stops at the first that fails or when progress
 * returns false. What was done stays done. options and report may be NULL. Errors: the failed
 * step's, CANCELLED. Thread-safe: yes; predictions may go on meanwhile.
 */
ORTP_API ORTP_CHECK ortp_status ortp_warmup_run(ortp_runtime *runtime,
                                                const ortp_warmup_step *steps, size_t step_count,
                                                const ortp_warmup_options *options,
                                                ortp_warmup_report *report, ortp_error *error);

/*
 * The same on a thread of its own, while predictions go on. The steps are borrowed until join.
 * options may be NULL. Errors of starting: INVAL, VERSION, NOMEM, BUDGET, SYS. Thread-safe: yes.
 */
typedef struct ortp_warmup ortp_warmup;
ORTP_API ORTP_CHECK ortp_status ortp_warmup_start(ortp_runtime *runtime,
                                                  const ortp_warmup_step *steps, size_t step_count,
                                                  const ortp_warmup_options *options,
                                                  ortp_warmup **out, ortp_error *error);
/* Asks it to stop after the step it is in. NULL is a no-op. Thread-safe: yes, until join frees it. */
ORTP_API void ortp_warmup_cancel(ortp_warmup *warmup);
/*
 * Waits for the end, frees it, and returns what ortp_warmup_run would have. NULL: ORTP_OK.
 * Thread-safe: no, one thread joins, once, and not the warming thread itself.
 */
ORTP_API ortp_status ortp_warmup_join(ortp_warmup *warmup, ortp_warmup_report *report,
                                      ortp_error *error);

#ifdef __cplusplus
}
#endif
#endif
