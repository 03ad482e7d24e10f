/* SPDX-License-Identifier: MIT */
/*
 * Turns: predictions go on beside each other until one finds no room. Several that hold something
 * each and wait for more could wait for each other for ever; so that one gives up what it has and
 * goes on when all others are done, alone. Who comes meanwhile and may wait, waits; who may not
 * goes on, and is refused where it must be.
 */
#include "predictor_internal.h"

#define SLICE_MS 5u /* how often `stop` and the runtime's clock are asked */

static bool free_locked(const ortp_predictor *p, bool alone)
{
    ortp__assert_held(&p->mutex);
    return alone ? !p->alone && p->beside == 0 : p->to_be_alone == 0;
}

static ortp_status wait_locked(ortp_predictor *p, bool alone, const ortp__patience *patience)
{
    ortp__assert_held(&p->mutex);
    ortp_status status = ORTP_OK;
    while (status == ORTP_OK && patience->deadline_ms > 0 && !free_locked(p, alone)) {
        (void)ortp__cond_wait_until(&p->returned, &p->mutex, ortp__now_ms() + SLICE_MS);
        ortp__unlock(&p->mutex); /* what is the host's is called under no lock */
        if (patience->stop != NULL && patience->stop(patience->stop_ctx)) {
            status = ORTP_E_CANCELLED;
        } else if (ortp_runtime_now_ms(p->runtime) >= patience->deadline_ms) {
            status = ORTP_E_TIMEOUT;
        }
        ortp__lock(&p->mutex);
    }
    return status;
}

ortp_status ortp__turn_take(ortp_predictor *p, bool alone, const ortp__patience *patience,
                            ortp_error *error)
{
    ortp__lock(&p->mutex);
    p->to_be_alone += alone ? 1 : 0;
    const ortp_status status = wait_locked(p, alone, patience);
    if (status == ORTP_OK) {
        p->alone = p->alone || alone;
        p->beside += alone ? 0 : 1;
    } else {
        p->to_be_alone -= alone ? 1 : 0;
        ortp__cond_broadcast(&p->returned);
    }
    ortp__unlock(&p->mutex);
    return status == ORTP_OK ? status
                             : ortp__fail(error, status, "predict: waiting for memory: %s",
                                          ortp_status_text(status));
}

void ortp__turn_give(ortp_predictor *p, bool alone)
{
    ortp__lock(&p->mutex);
    if (alone) {
        p->alone = false;
        p->to_be_alone--;
    } else {
        p->beside--;
    }
    if (p->to_be_alone > 0 || alone) {
        ortp__cond_broadcast(&p->returned);
    }
    ortp__unlock(&p->mutex);
}
