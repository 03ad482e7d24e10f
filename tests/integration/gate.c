/* SPDX-License-Identifier: MIT */
/* See gate.h. */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <threads.h>

#include <cmocka.h>

static bool hold(void *ctx)
{
    guest *g = ctx;
    if (++g->asked == g->hold_at) {
        atomic_store(&g->inside, true);
        while (!atomic_load(&g->open)) {
            thrd_yield();
        }
    }
    return false;
}

static void *predict(void *ctx)
{
    guest *g = ctx;
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.top = 5;
    options.stop = hold;
    options.stop_ctx = g;
    g->out = (ortp_prediction)ORTP_PREDICTION_INIT;
    g->status = ortp_predictor_predict(g->predictor, g->swipe, &options, &g->out, NULL);
    atomic_store(&g->inside, true); /* one that fails early is not waited for */
    return NULL;
}

void guest_enter(guest *g, ortp_predictor *predictor, const ortp_swipe *swipe, size_t hold_at)
{
    memset(g, 0, sizeof *g);
    g->predictor = predictor;
    g->swipe = swipe;
    g->hold_at = hold_at;
    assert_int_equal(pthread_create(&g->thread, NULL, predict, g), 0);
    while (!atomic_load(&g->inside)) {
        thrd_yield();
    }
}

void guest_open(guest *g)
{
    atomic_store(&g->open, true);
}

void guest_leave(guest *g)
{
    guest_open(g);
    assert_int_equal(pthread_join(g->thread, NULL), 0);
}
