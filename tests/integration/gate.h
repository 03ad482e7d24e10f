/* SPDX-License-Identifier: MIT */
/*
 * A prediction on a thread of its own that is held where it asks whether to stop: it then has its decode
 * state, and from the second time on the encoder's output too.
 *
 *     guest g;
 *     guest_enter(&g, predictor, &swipe, BEFORE_ENCODER);
 *     ...                      // what others do meanwhile
 *     guest_leave(&g);         // g.status, g.out
 */
#ifndef TEST_GATE_H
#define TEST_GATE_H

#include <ortpool/predict.h>

#include <pthread.h>
#include <stdatomic.h>

#define BEFORE_ENCODER 1u
#define BEFORE_DECODER 2u

typedef struct guest {
    pthread_t thread;
    ortp_predictor *predictor;
    const ortp_swipe *swipe;
    size_t hold_at, asked;
    atomic_bool inside, open;
    ortp_status status;
    ortp_prediction out;
} guest;

/* cmocka: returns once it is held. */
void guest_enter(guest *g, ortp_predictor *predictor, const ortp_swipe *swipe, size_t hold_at);
/* Lets it go on; several may be let go before they are joined. */
void guest_open(guest *g);
/* cmocka: lets it go on and waits for its end. */
void guest_leave(guest *g);

#endif
