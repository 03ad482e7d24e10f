/* SPDX-License-Identifier: MIT */
/*
 * The run of a session for the rooms above, which know what they run. Includes no header of ONNX
 * Runtime.
 */
#ifndef ORTP_SESSION_RUN_H
#define ORTP_SESSION_RUN_H

#include "private_api.h"

#include <ortpool/session.h>

/* How long a run waits for memory. */
typedef struct ortp__patience {
    uint64_t deadline_ms;    /* by ortp_runtime_now_ms(); 0: not at all */
    bool (*stop)(void *ctx); /* polled while it waits, may be NULL; true ends with CANCELLED */
    void *stop_ctx;
    bool
        beside; /* waits only while other runs are in ORT, whose end may make room; else BUDGET: the caller
                    gives up what it holds, so that of several that wait for each other one gets on */
} ortp__patience;

/* The outputs that are wanted, by names of the session's; preallocated, with their exact shapes. */
typedef struct ortp__outputs {
    const char *const *names;
    OrtValue **values;
    size_t count;
} ortp__outputs;

/*
 * As ortp_session_run(), with all inputs in the session's order and patience (TIMEOUT, CANCELLED), and takes the
 * caller's word that runs of one `key` want the same outputs and have inputs of the same shapes: so no
 * call of ORT is made but the run itself.
 */
ORTP__PRIVATE_API ORTP_CHECK ortp_status ortp__session_run_keyed(
    ortp_session *session, uint64_t key, const ortp__patience *patience,
    const OrtValue *const *inputs, const ortp__outputs *outputs, ortp_error *error);

/*
 * For a run that ORT was refused memory in, or a prediction: waits until it may be worth another
 * try. OK; TIMEOUT, CANCELLED. Hold nothing meanwhile.
 */
ORTP__PRIVATE_API ORTP_CHECK ortp_status ortp__wait_for_room(ortp_runtime *runtime,
                                                             const ortp__patience *patience);

#endif
