/* SPDX-License-Identifier: MIT */
/*
 * The warm-up plan: which steps there are and in what order. Made once, when the predictor is, so that
 * any number of warm-ups may run it at the same time; warm_steps.c does the work.
 *
 *     decode states for all threads
 *     for each bucket, largest first:  tensors, one encoder run, one decoder run per beam count
 *     blocks in which as many runs at once work
 *     blocks for the cache's keys
 *     for each bucket, largest first:  a rehearsed prediction
 */
#include "predictor_internal.h"

#include <stdio.h>

typedef ortp_status (*step_fn)(ortp_predictor *, size_t, size_t, ortp_error *);

static ortp_status run_entry(void *ctx, size_t argument, ortp_error *error)
{
    ortp_predictor *p = ctx;
    const ortp__warm_entry *entry = &p->entries[argument];
    ortp_status status = ortp__predictor_enter(p, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = entry->run(p, entry->bucket, entry->beams, error);
    ortp__predictor_leave(p, ORTP__UNCOUNTED);
    return status;
}

/* The next entry; its name is left to the caller. */
static ortp__warm_entry *add(ortp_predictor *p, step_fn run, size_t bucket, size_t beams)
{
    ortp__warm_entry *entry = &p->entries[p->step_count];
    *entry = (ortp__warm_entry){.run = run, .bucket = bucket, .beams = beams};
    p->steps[p->step_count] = (ortp_warmup_step){
        .name = entry->name, .run = run_entry, .ctx = p, .argument = p->step_count};
    p->step_count++;
    return entry;
}

#define NAME(entry, ...) ((void)snprintf((entry)->name, sizeof(entry)->name, __VA_ARGS__))

size_t ortp__rows_most(const ortp_predictor *p)
{
    return p->params.path == ORTP_PATH_SEQUENTIAL ? 1 : p->params.beam_width;
}

bool ortp__weighs_ctc(const ortp_predictor *p)
{
    return p->params.strategy == ORTP_STRATEGY_BEAM && p->params.ctc_weight > 0.0;
}

/* Decoder runs of different shapes for one bucket. */
static size_t decoder_shapes(const ortp_predictor *p)
{
    return p->params.path == ORTP_PATH_INCREMENTAL ? 1 : ortp__rows_most(p);
}

static void add_bucket(ortp_predictor *p, size_t bucket, size_t beams_most)
{
    const ortp_manifest *m = ortp_model_manifest(p->model);
    const size_t source = m->buckets[bucket];
    NAME(add(p, ortp__warm_tensors, bucket, 0), "tensors 1x%zux%zu", source, m->features);
    NAME(add(p, ortp__warm_encoder, bucket, 0), "encoder 1x%zux%zu", source, m->features);
    const size_t shapes = decoder_shapes(p);
    const size_t tokens = p->params.path == ORTP_PATH_INCREMENTAL ? 1 : m->max_tokens;
    for (size_t i = 0; i < shapes; i++) {
        const size_t beams = beams_most - i;
        NAME(add(p, ortp__warm_decoder, bucket, beams), "decoder %zux%zu over %zu", beams, tokens,
             source);
    }
}

static size_t plan_steps(const ortp_predictor *p)
{
    const size_t buckets = ortp_model_manifest(p->model)->bucket_count;
    return 1 + buckets * (2 + decoder_shapes(p)) + 1 + (p->cache_entries > 0 ? 1 : 0) + buckets;
}

static size_t plan_bytes(const ortp_predictor *p)
{
    return plan_steps(p) * (sizeof *p->steps + sizeof *p->entries);
}

ortp_status ortp__warm_plan(ortp_predictor *p, ortp_error *error)
{
    const ortp_manifest *m = ortp_model_manifest(p->model);
    void *memory = NULL;
    const ortp_status status = ortp__room_take(p->runtime, plan_bytes(p), &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "predictor: %zu bytes for the warm-up plan: %s",
                          plan_bytes(p), ortp_status_text(status));
    }
    p->entries = memory;
    p->steps = (ortp_warmup_step *)(void *)(p->entries + plan_steps(p));
    NAME(add(p, ortp__warm_states, 0, 0), "decode states %zu", p->threads);
    for (size_t i = m->bucket_count; i > 0; i--) {
        add_bucket(p, i - 1, ortp__rows_most(p));
    }
    NAME(add(p, ortp__warm_runs, 0, 0), "blocks of %zu runs", p->threads);
    if (p->cache_entries > 0) {
        NAME(add(p, ortp__warm_keys, 0, 0), "cache keys");
    }
    for (size_t i = m->bucket_count; i > 0; i--) {
        NAME(add(p, ortp__warm_rehearsal, i - 1, 0), "rehearsal of %zu points", m->buckets[i - 1]);
    }
    return ORTP_OK;
}

void ortp__warm_plan_free(ortp_predictor *p)
{
    if (p->entries != NULL) {
        /* The model is gone by now; the plan has every step that it has room for. */
        ortp__room_give(p->runtime, p->entries,
                        p->step_count * (sizeof *p->steps + sizeof *p->entries));
    }
}

ortp_status ortp_predictor_warm(ortp_predictor *p, const ortp_warmup_options *options,
                                ortp_warmup_report *report, ortp_error *error)
{
    if (p == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_predictor_warm: predictor is required");
    }
    return ortp_warmup_run(p->runtime, p->steps, p->step_count, options, report, error);
}

ortp_status ortp_predictor_warm_start(ortp_predictor *p, const ortp_warmup_options *options,
                                      ortp_warmup **out, ortp_error *error)
{
    if (p == NULL || out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_predictor_warm_start: predictor and out are required");
    }
    return ortp_warmup_start(p->runtime, p->steps, p->step_count, options, out, error);
}
