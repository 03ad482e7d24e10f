/* SPDX-License-Identifier: MIT */
/*
 * A predictor with its runtime, over an allocator that counts, for the end-to-end tests.
 */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "counting_alloc.h"
#include "counting_api.h"
#include "fake_clock.h"
#include "swipe_rows.h"
#include "test_ort.h"

#include <ortpool/ortpool.h>
#include <ortpool/predict.h>

#define TINY "tests/graphs/tiny"
#define STEP_MODEL "tests/graphs/step"       /* with a decoder_step */
#define CTC_MODEL "tests/graphs/ctc"         /* and with a CTC head */
#define WEIGHED_MODEL "tests/graphs/weighed" /* and with every setting of a search */
#define SWIPE_EN "models/swipe-en-fp32"
#define SAMPLES "models/swipe-en/samples.jsonl"

#define assert_ok(call, error)                                                                     \
    do {                                                                                           \
        const ortp_status status_ = (call);                                                        \
        if (status_ != ORTP_OK) {                                                                  \
            fail_msg("%s: %s: %s", #call, ortp_status_name(status_), (error).message);             \
        }                                                                                          \
    } while (0)

typedef struct rig_options {
    const char *model;                /* of the project; NULL: TINY */
    ortp_predictor_options predictor; /* runtime and directory are filled in */
    ortp_pool_kind pool_kind;
    size_t limit_bytes;
    const OrtApi *api; /* NULL: the real one */
    fake_clock *clock; /* NULL: the system's */
} rig_options;

typedef struct rig {
    counting_alloc alloc;
    ortp_runtime *runtime;
    ortp_predictor *predictor;
} rig;

/* cmocka: opens or fails. options NULL: all defaults. */
void rig_open(rig *r, const rig_options *options);
/* The same, giving what failed: then nothing is open and nothing is left. */
ortp_status rig_try(rig *r, const rig_options *options, ortp_error *error);
/* cmocka: the ledger balances, all is destroyed, nothing is left allocated. */
void rig_close(rig *r);
void rig_assert_ledger(const rig *r);

/* cmocka: predicts or fails. */
ortp_prediction rig_predict(const rig *r, const swipe_row *row, size_t top);

/* The same words in the same order, scores within `tolerance`. */
void assert_same_words(const ortp_prediction *a, const ortp_prediction *b, double tolerance);
/*
 * Whether two predictions agree where they have to: position by position the same word, or words
 * whose scores are closer than `gap`.
 */
bool same_but_ties(const ortp_prediction *a, const ortp_prediction *b, double gap);

ortp_budget_info rig_budget(const rig *r);
ortp_pool_info rig_pool(const rig *r);
ortp_stats rig_stats(const rig *r);

#endif
