/* SPDX-License-Identifier: MIT */
/* What is held at a quiet point when all that is idle has been given back. */
#ifndef ORTPOOL_CLI_SOAK_CHECKPOINT_H
#define ORTPOOL_CLI_SOAK_CHECKPOINT_H

#include <ortpool/predictor.h>

#include "failures.h"

typedef struct checkpoint {
    double seconds;       /* since the start */
    uint64_t predictions; /* that gave words */
    uint64_t mapped;      /* by ortpool */
    uint64_t heap;        /* in use in the C library's heap; 0: not known here */
    uint64_t anonymous;   /* of the process: RssAnon */
} checkpoint;

/* Checks the ledger, trims all, checks again; fills the last three. Nobody predicts meanwhile. */
void checkpoint_take(checkpoint *c, ortp_runtime *runtime, ortp_predictor *predictor,
                     failures *out);

#endif
