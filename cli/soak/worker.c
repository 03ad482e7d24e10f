/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <stdio.h>

#include "../interrupt.h"
#include "../random.h"
#include "words.h"

#define TOP 5u
/* Of 20 predictions one must be quick, which some cannot be; half wait for memory, the rest does not. */
#define QUICK_MS 100u
#define WAIT_MS 2000u

static ortp_status predict(soak *s, size_t which, uint64_t timeout_ms, ortp_prediction *out,
                           ortp_error *error)
{
    const ortp_swipe swipe = swipe_of(&s->swipes->rows[which]);
    ortp_predict_options options = ORTP_PREDICT_OPTIONS_INIT;
    options.top = TOP;
    options.timeout_ms = timeout_ms;
    return ortp_predictor_predict(s->predictor, &swipe, &options, out, error);
}

/* Whether these are the words of the swipe; where not, that is a failure. */
static bool right(soak *s, size_t which, const ortp_prediction *found)
{
    char message[256];
    if (words_same(&s->reference[which], found, message, sizeof message)) {
        return true;
    }
    const char *id = s->swipes->rows[which].id;
    failures_add(&s->failures, "swipe %zu (id %.64s), encoder cache %s: %s", which + 1,
                 id != NULL ? id : "-", found->cache_hit ? "hit" : "miss", message);
    return false;
}

bool soak_reference(soak *s)
{
    for (size_t i = 0; i < s->swipes->count; i++) {
        if (interrupt_signal() != 0) {
            return false;
        }
        ortp_error error = ORTP_ERROR_INIT;
        s->reference[i] = (ortp_prediction)ORTP_PREDICTION_INIT;
        const ortp_status status = predict(s, i, 0, &s->reference[i], &error);
        if (status != ORTP_OK) {
            fprintf(stderr, "ortpool soak: swipe %zu, alone and without pressure: %s\n", i + 1,
                    error.message);
            return false;
        }
    }
    return true;
}

static uint64_t draw_deadline(soak_worker *w)
{
    const uint64_t drawn = random_next(&w->random);
    if (drawn % 20 == 0) {
        return 1 + drawn / 20 % QUICK_MS;
    }
    return drawn % 2 == 0 ? WAIT_MS : 0;
}

/* One in four is the last one again, as a user's correction is: a hit, unless the cache was dropped. */
static size_t draw_swipe(soak_worker *w)
{
    const uint64_t drawn = random_next(&w->random);
    return drawn % 4 == 0 ? w->last : (size_t)(drawn / 4 % w->soak->swipes->count);
}

static void work(soak_worker *w)
{
    soak *s = w->soak;
    const size_t which = draw_swipe(w);
    ortp_prediction found = ORTP_PREDICTION_INIT;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status = predict(s, which, draw_deadline(w), &found, &error);
    if (status == ORTP_OK) {
        const uint64_t all = record_words(&s->record, right(s, which, &found), found.cache_hit,
                                          found.microseconds, seconds_now());
        w->last = which;
        w->refused = w->refused == which ? SIZE_MAX : w->refused;
        if (all >= atomic_load(&s->next_checkpoint)) {
            gate_wake(&s->gate);
        }
    } else if (status == ORTP_E_BUDGET || status == ORTP_E_TIMEOUT) {
        record_refused(&s->record, status == ORTP_E_TIMEOUT);
        w->refused = which;
    } else {
        record_failed(&s->record);
        failures_add(&s->failures, "swipe %zu: %s: %s", which + 1, ortp_status_name(status),
                     error.message);
    }
}

void *worker_run(void *ctx)
{
    soak_worker *w = ctx;
    while (gate_pass(&w->soak->gate)) {
        work(w);
    }
    gate_leave(&w->soak->gate);
    return NULL;
}

void workers_recover(soak *s)
{
    const uint64_t patience_ms = (uint64_t)(s->options.patience_seconds * 1000);
    for (size_t i = 0; i < s->started; i++) {
        const size_t which = s->workers[i].refused;
        if (which == SIZE_MAX) {
            continue;
        }
        ortp_prediction found = ORTP_PREDICTION_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        const ortp_status status = predict(s, which, patience_ms, &found, &error);
        if (status == ORTP_OK && right(s, which, &found)) {
            s->recovered++;
        } else if (status != ORTP_OK) {
            failures_add(&s->failures, "swipe %zu, refused under pressure, fails without: %s: %s",
                         which + 1, ortp_status_name(status), error.message);
        }
        s->workers[i].refused = SIZE_MAX;
    }
}
