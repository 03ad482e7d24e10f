/* SPDX-License-Identifier: MIT */
/*
 * The session: session.c creates and runs it, session_ports.c asks ORT what goes in and out.
 */
#ifndef ORTP_SESSION_INTERNAL_H
#define ORTP_SESSION_INTERNAL_H

#include "runtime_internal.h"

#include <ortpool/session.h>

#include <stdatomic.h>

/* Inputs or outputs, and the names by themselves as Run wants them. */
typedef struct ortp__ports {
    ortp_port *ports;
    const char **names;
    size_t count;
} ortp__ports;

/* Nothing changes between creation and destruction but `runs`. */
struct ortp_session {
    ortp_runtime *runtime;
    OrtSession *ort;
    OrtRunOptions *run_options; /* one for all runs: ORT would make one for each */
    char *name;
    size_t declared_bytes; /* on the budget */
    ortp__ports inputs;
    ortp__ports outputs;
    _Atomic uint64_t runs;
};

/* Fills session->inputs and outputs. Errors: ORT, NOMEM, BUDGET; free_ports takes what is there. */
ortp_status ortp__session_load_ports(ortp_session *session, ortp_error *error);
void ortp__session_free_ports(ortp_session *session);

/* A copy on control memory. Errors: NOMEM, BUDGET. */
ortp_status ortp__copy_text(const ortp_runtime *runtime, const char *text, char **out);
void ortp__free_text(const ortp_runtime *runtime, const char *text);

#endif
