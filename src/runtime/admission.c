/* SPDX-License-Identifier: MIT */
/*
 * Admission: see admission.h.
 *
 * Nobody tells a waiting run of all that may come free: runs of this runtime do, blocks and limits
 * are seen by looking, every few milliseconds; what is seen by neither (an idle tensor, a lease
 * given back) is tried for now and then, and once more when the deadline has come. So a try, which
 * may reclaim and is counted as a denial, is made only where it may succeed.
 *
 * What is refused inside ORT in spite of it (a first run of a shape, another thread's allocation,
 * an output that lies beside the block) is made again for what it wanted, and later by those who
 * have patience.
 */
#include "admission.h"

#define SLICE_MS 5u
#define ALONE_MAX 2u
#define SLICES_MAX 20u /* without a sign: then a try all the same */

/* What says that a charge denied before may do now. */
typedef struct sight {
    uint64_t ended;    /* runs of this runtime */
    uint64_t released; /* blocks of its pool */
    size_t charged, limit;
} sight;

static sight look(ortp_runtime *runtime)
{
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(runtime->budget, &budget);
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(runtime->pool, &pool);
    ortp__lock(&runtime->mutex);
    const sight s = {runtime->ended, pool.releases, budget.charged_bytes, budget.limit_bytes};
    ortp__unlock(&runtime->mutex);
    return s;
}

/* Sleeps until a run ended or a slice passed; whether it is worth another try. */
static bool changed_since(ortp_runtime *runtime, const sight *seen)
{
    const uint64_t until = ortp__now_ms() + SLICE_MS;
    ortp__lock(&runtime->mutex);
    runtime->waiting++;
    bool in_time = true;
    while (runtime->ended == seen->ended && in_time) {
        in_time = ortp__cond_wait_until(&runtime->released, &runtime->mutex, until);
    }
    runtime->waiting--;
    ortp__unlock(&runtime->mutex);
    const sight now = look(runtime);
    return now.ended != seen->ended || now.released != seen->released ||
           now.charged < seen->charged || now.limit > seen->limit;
}

/*
 * OK: worth another try. TIMEOUT, CANCELLED: no patience left. BUDGET: nobody runs beside whom it
 * would wait.
 */
static ortp_status wait_for_memory(ortp_runtime *runtime, const sight *seen,
                                   const ortp__patience *patience)
{
    unsigned alone =
        0; /* slices in which nobody ran: between two of a search's steps nobody does, either */
    for (unsigned slice = 0; slice < SLICES_MAX; slice++) {
        const bool others = atomic_load_explicit(&runtime->running, memory_order_relaxed) > 0;
        alone = others ? 0 : alone + 1;
        if (patience->beside && alone > ALONE_MAX) {
            return ORTP_E_BUDGET;
        }
        if (patience->stop != NULL && patience->stop(patience->stop_ctx)) {
            return ORTP_E_CANCELLED;
        }
        if (ortp_runtime_now_ms(runtime) >= patience->deadline_ms) {
            return ORTP_E_TIMEOUT;
        }
        if (changed_since(runtime, seen)) {
            break;
        }
    }
    return ORTP_OK;
}

ortp_status ortp__wait_for_room(ortp_runtime *runtime, const ortp__patience *patience)
{
    /* Those who wait in vain give back what they got, of which each other one would see a sign. */
    sight seen = look(runtime);
    (void)changed_since(runtime, &seen);
    seen = look(runtime);
    return wait_for_memory(runtime, &seen, patience);
}

void ortp__admission_tell(ortp_runtime *runtime)
{
    ortp__lock(&runtime->mutex);
    runtime->ended++;
    if (runtime->waiting > 0) {
        ortp__cond_broadcast(&runtime->released);
    }
    ortp__unlock(&runtime->mutex);
}

static ortp_status turn_away(ortp_session *session, ortp_status status, size_t need,
                             ortp_error *error)
{
    (void)atomic_fetch_add_explicit(&session->turned_away, 1, memory_order_relaxed);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(session->runtime->budget, &info);
    return ortp__fail(
        error, status, "%s: a run of these shapes needs %zu bytes: %s; %zu of %zu are charged",
        session->name, need, ortp_status_text(status), info.charged_bytes, info.limit_bytes);
}

ortp_status ortp__admit(ortp_session *session, size_t need, const ortp__patience *patience,
                        ortp__ticket **out, ortp_error *error)
{
    ortp_runtime *runtime = session->runtime;
    const bool patient = patience->deadline_ms > 0;
    ortp_status waited = ORTP_OK; /* how the last wait ended */
    ortp__held_settle(runtime);
    bool waits = false; /* the first try, which is nearly always enough, looks at nothing */
    for (;;) {
        sight seen = waits ? look(runtime) : (sight){0};
        const ortp_status status = ortp__ticket_open(runtime->pool, session->allocator, need, false,
                                                     ORTP_RECLAIM_CACHE, out);
        if (status == ORTP_OK) {
            return ORTP_OK;
        }
        if (status != ORTP_E_BUDGET || !patient) {
            return turn_away(session, status, need, error);
        }
        if (waited != ORTP_OK) {
            return turn_away(session, waited, need, error); /* that was the last try */
        }
        if (!waits) {
            waits = true;
            (void)atomic_fetch_add_explicit(&session->waits, 1, memory_order_relaxed);
            continue; /* what came free before the first look */
        }
        seen.released = look(runtime).released; /* without what the try itself put back */
        waited = wait_for_memory(runtime, &seen, patience);
        if (waited == ORTP_E_CANCELLED || waited == ORTP_E_BUDGET) {
            return turn_away(session, waited, need, error);
        }
    }
}
