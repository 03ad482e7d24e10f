/* SPDX-License-Identifier: MIT */
/*
 * The warm-up engine: steps in order, on the caller's thread or on one of its own.
 */
#include "runtime_internal.h"

#include <ortpool/warmup.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Written by the thread until it ends and read after the join; `cancel` is set by anyone. */
struct ortp_warmup {
    ortp_runtime *runtime;
    const ortp_warmup_step *steps;
    size_t step_count;
    ortp_warmup_options options;
    _Atomic bool cancel;
    ortp__thread thread;
    ortp_warmup_report report;
    ortp_error error;
};

typedef struct footprint {
    uint64_t mapped;
    uint64_t resident;
} footprint;

static footprint measure(const ortp_runtime *runtime)
{
    footprint now = {0, 0};
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(runtime->budget, &info);
    now.mapped = info.mapped_bytes;
    ortp__process_memory memory;
    if (ortp__process_memory_get(&memory)) {
        now.resident = memory.resident;
    }
    return now;
}

static size_t growth(uint64_t before, uint64_t after)
{
    return after > before ? (size_t)(after - before) : 0;
}

static ortp_status cancelled(ortp_warmup_report *report, ortp_error *error)
{
    report->cancelled = true;
    return ortp__fail(error, ORTP_E_CANCELLED, "warm-up: cancelled after %zu of %zu steps",
                      report->steps_done, report->steps_total);
}

static ortp_status run_step(const ortp_warmup_step *step, ortp_warmup_report *report,
                            ortp_error *error)
{
    const char *name = step->name ? step->name : "";
    ortp_error detail = ORTP_ERROR_INIT;
    ortp_status status = step->run ? step->run(step->ctx, step->argument, &detail) : ORTP_E_INVAL;
    if (status == ORTP_OK) {
        ++report->steps_done;
        return ORTP_OK;
    }
    (void)snprintf(report->failed_step, sizeof(report->failed_step), "%s", name);
    const int32_t ort_code = detail.ort_code;
    (void)ortp__fail(error, status, "warm-up: %s: %s", name,
                     detail.message[0] ? detail.message : ortp_status_text(status));
    ortp__error_set_ort_code(error, ort_code);
    return status;
}

static ortp_status run_steps(const ortp_warmup_step *steps, size_t step_count,
                             const ortp_warmup_options *options, _Atomic bool *cancel,
                             ortp_warmup_report *report, ortp_error *error)
{
    for (size_t i = 0; i < step_count; ++i) {
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed)) {
            return cancelled(report, error);
        }
        ortp_status status = run_step(&steps[i], report, error);
        if (status != ORTP_OK) {
            return status;
        }
        const bool go_on =
            !options->progress || options->progress(options->progress_ctx, i + 1, step_count,
                                                    steps[i].name ? steps[i].name : "");
        if (!go_on && i + 1 < step_count) {
            return cancelled(report, error);
        }
    }
    return ORTP_OK;
}

static ortp_status run_measured(ortp_runtime *runtime, const ortp_warmup_step *steps,
                                size_t step_count, const ortp_warmup_options *options,
                                _Atomic bool *cancel, ortp_warmup_report *report, ortp_error *error)
{
    report->steps_total = step_count;
    const footprint before = measure(runtime);
    const uint64_t started_us = ortp__now_us();
    report->status = run_steps(steps, step_count, options, cancel, report, error);
    report->microseconds = ortp__now_us() - started_us;
    const footprint after = measure(runtime);
    report->mapped_bytes = growth(before.mapped, after.mapped);
    report->resident_bytes = growth(before.resident, after.resident);
    return report->status;
}

static ortp_status check_arguments(const ortp_runtime *runtime, const ortp_warmup_step *steps,
                                   size_t step_count, const ortp_warmup_options *given,
                                   ortp_warmup_options *options, ortp_error *error)
{
    if (!runtime || (!steps && step_count > 0)) {
        return ortp__fail(error, ORTP_E_INVAL, "warm-up: %s is NULL",
                          runtime ? "steps" : "runtime");
    }
    ortp_status status = ortp__options_copy(options, sizeof(*options), given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "warm-up: " ORTP__OTHER_VERSION);
    }
    return ORTP_OK;
}

ortp_status ortp_warmup_run(ortp_runtime *runtime, const ortp_warmup_step *steps, size_t step_count,
                            const ortp_warmup_options *given, ortp_warmup_report *report,
                            ortp_error *error)
{
    ortp_warmup_options options;
    ortp_status status = check_arguments(runtime, steps, step_count, given, &options, error);
    if (status != ORTP_OK) {
        return status;
    }
    if (report && (status = ortp__out_check(report)) != ORTP_OK) {
        return ortp__fail(error, status, "warm-up: a report without struct_size");
    }
    ortp_warmup_report own = ORTP_WARMUP_REPORT_INIT;
    status = run_measured(runtime, steps, step_count, &options, NULL, &own, error);
    if (report) {
        (void)ortp__out_fill(report, &own, sizeof(own));
    }
    return status;
}

static void thread_main(void *ctx)
{
    ortp_warmup *warmup = ctx;
    (void)run_measured(warmup->runtime, warmup->steps, warmup->step_count, &warmup->options,
                       &warmup->cancel, &warmup->report, &warmup->error);
}

ortp_status ortp_warmup_start(ortp_runtime *runtime, const ortp_warmup_step *steps,
                              size_t step_count, const ortp_warmup_options *given,
                              ortp_warmup **out, ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "warm-up: out is NULL");
    }
    *out = NULL;
    ortp_warmup_options options;
    ortp_status status = check_arguments(runtime, steps, step_count, given, &options, error);
    if (status != ORTP_OK) {
        return status;
    }
    void *memory = NULL;
    status = ortp__meta_alloc(runtime->budget, &runtime->alloc, sizeof(ortp_warmup),
                              ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "warm-up: no room for its struct: %s",
                          ortp_status_text(status));
    }
    ortp_warmup *warmup = memory;
    warmup->runtime = runtime;
    warmup->steps = steps;
    warmup->step_count = step_count;
    warmup->options = options;
    warmup->report = (ortp_warmup_report)ORTP_WARMUP_REPORT_INIT;
    warmup->error = (ortp_error)ORTP_ERROR_INIT;
    ortp__runtime_retain(runtime, ORTP__USER_WARMUP);
    if (!ortp__thread_start(&warmup->thread, thread_main, warmup)) {
        ortp__runtime_release(runtime, ORTP__USER_WARMUP);
        ortp__meta_free(runtime->budget, &runtime->alloc, warmup, sizeof(*warmup));
        return ortp__fail(error, ORTP_E_SYS, "warm-up: the system refuses a thread");
    }
    *out = warmup;
    return ORTP_OK;
}

void ortp_warmup_cancel(ortp_warmup *warmup)
{
    if (warmup) {
        atomic_store_explicit(&warmup->cancel, true, memory_order_relaxed);
    }
}

ortp_status ortp_warmup_join(ortp_warmup *warmup, ortp_warmup_report *report, ortp_error *error)
{
    if (!warmup) {
        return ORTP_OK;
    }
    ortp__thread_join(&warmup->thread);
    ortp_status status = warmup->report.status;
    if (status != ORTP_OK) {
        ortp__error_copy(error, &warmup->error);
    }
    if (report && ortp__out_fill(report, &warmup->report, sizeof(warmup->report)) != ORTP_OK &&
        status == ORTP_OK) {
        status = ortp__fail(error, ORTP_E_VERSION, "warm-up: a report without struct_size");
    }
    ortp_runtime *runtime = warmup->runtime;
    ortp__meta_free(runtime->budget, &runtime->alloc, warmup, sizeof(*warmup));
    ortp__runtime_release(runtime, ORTP__USER_WARMUP);
    return status;
}
