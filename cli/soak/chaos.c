/* SPDX-License-Identifier: MIT */
#include "chaos.h"

#include "../random.h"

#define KIB ((size_t)1 << 10)
#define NEAR_BYTES (512 * KIB) /* near what is charged: up to so much above it */
#define LOW_STEPS 3u           /* a limit stays low for so many steps at most */
#define PAUSE_LEAST_MS 4u
#define PAUSE_SPREAD_MS 60u

/* Out of 16. */
static const chaos_action calm[16] = {CHAOS_NEAR,    CHAOS_NEAR,    CHAOS_NEAR, CHAOS_BELOW,
                                      CHAOS_BELOW,   CHAOS_TRIM,    CHAOS_TRIM, CHAOS_RELIEVE,
                                      CHAOS_RELIEVE, CHAOS_RELIEVE, CHAOS_DROP, CHAOS_DROP,
                                      CHAOS_CLEAR,   CHAOS_CLEAR,   CHAOS_WARM, CHAOS_WARM};
static const chaos_action low[4] = {CHAOS_TRIM, CHAOS_RELIEVE, CHAOS_CLEAR, CHAOS_WARM};

chaos_step chaos_next(chaos_plan *plan)
{
    chaos_step step;
    const uint64_t drawn = random_next(&plan->random);
    if (plan->until_raised == 0) {
        step.action = calm[drawn % 16];
        if (step.action == CHAOS_NEAR || step.action == CHAOS_BELOW) {
            plan->until_raised = 1 + (unsigned)(drawn / 16 % LOW_STEPS);
        }
    } else {
        step.action = --plan->until_raised == 0 ? CHAOS_RAISE : low[drawn % 4];
    }
    step.share = random_unit(&plan->random);
    step.pause_ms = PAUSE_LEAST_MS + (unsigned)(random_next(&plan->random) % PAUSE_SPREAD_MS);
    return step;
}

static size_t part(size_t bytes, double share)
{
    return (size_t)((double)bytes * share);
}

static void lower_limit(chaos *c, const chaos_step *step)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(c->watch.budget, &info);
    size_t limit = info.charged_bytes + part(NEAR_BYTES, step->share);
    if (step->action == CHAOS_BELOW) {
        /* From half of it on: what nothing can give back, weights and words, may be more. */
        limit = part(info.charged_bytes, 0.5 + step->share / 2);
    }
    (void)limit_watch_set(&c->watch, limit < c->limit ? limit : c->limit, c->failures);
}

static void raise_limit(chaos *c)
{
    (void)limit_watch_set(&c->watch, c->limit, c->failures);
}

static bool go_on(void *ctx, size_t done, size_t total, const char *step)
{
    (void)done;
    (void)total;
    (void)step;
    return !gate_wanted(ctx);
}

static void warm(chaos *c)
{
    ortp_warmup_options options = ORTP_WARMUP_OPTIONS_INIT;
    options.progress = go_on;
    options.progress_ctx = c->gate;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = ortp_predictor_warm(c->predictor, &options, NULL, &error);
    if (status == ORTP_E_BUDGET) {
        c->warmups_refused++;
    } else if (status == ORTP_E_CANCELLED) {
        c->warmups_cut++;
    } else if (status != ORTP_OK) {
        failures_add(c->failures, "warm-up: %s: %s", ortp_status_name(status), error.message);
    }
}

static void check(chaos *c, ortp_status status, const char *what)
{
    if (status != ORTP_OK) {
        failures_add(c->failures, "%s: %s", what, ortp_status_name(status));
    }
}

static size_t mapped_now(const chaos *c)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(c->watch.budget, &info);
    return info.mapped_bytes;
}

static void act(chaos *c, const chaos_step *step)
{
    switch (step->action) {
    case CHAOS_NEAR:
    case CHAOS_BELOW:
        lower_limit(c, step);
        break;
    case CHAOS_RAISE:
        raise_limit(c);
        break;
    case CHAOS_TRIM:
        check(c, ortp_runtime_trim(c->runtime, part(mapped_now(c), step->share), NULL), "trim");
        break;
    case CHAOS_RELIEVE:
        check(c,
              ortp_runtime_relieve(
                  c->runtime, (ortp_pressure)(1 + part(ORTP_PRESSURE_CRITICAL, step->share)), NULL),
              "trim by pressure");
        break;
    case CHAOS_DROP:
        check(c,
              ortp_predictor_trim(c->predictor, part(mapped_now(c), step->share / 4), true, NULL),
              "trim with the cache");
        break;
    case CHAOS_CLEAR:
        (void)ortp_cache_clear(ortp_predictor_cache(c->predictor));
        break;
    default:
        warm(c);
        break;
    }
    c->counts[step->action]++;
}

void *chaos_run(void *ctx)
{
    chaos *c = ctx;
    bool on = gate_pass(c->gate);
    while (on) {
        const chaos_step step = chaos_next(&c->plan);
        act(c, &step);
        gate_sleep(c->gate, step.pause_ms);
        if (gate_wanted(c->gate)) {
            raise_limit(
                c); /* the others may wait for memory, and come to the gate when they have it */
            on = gate_pass(c->gate);
        }
    }
    gate_leave(c->gate);
    return NULL;
}
