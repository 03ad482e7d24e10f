/* SPDX-License-Identifier: MIT */
/*
 * The session: session.c creates it, declared.c says what it holds beside the pool, run.c runs it,
 * session_ports.c asks ORT what goes in and out.
 */
#ifndef ORTP_SESSION_INTERNAL_H
#define ORTP_SESSION_INTERNAL_H

#include "allocator.h"
#include "needs.h"
#include "runtime_internal.h"

#include <ortpool/session.h>

#include <stdatomic.h>

/* Inputs or outputs, and the names by themselves as Run wants them. */
typedef struct ortp__ports {
    ortp_port *ports;
    const char **names;
    size_t count;
} ortp__ports;

/* What the process holds, and the part of it that is on the budget already. */
typedef struct ortp__footprint {
    bool known;
    uint64_t anonymous;
    size_t mapped;
} ortp__footprint;

/* Nothing changes between creation and destruction but the counters and what needs knows. */
struct ortp_session {
    ortp_runtime *runtime;
    OrtSession *ort;
    OrtRunOptions *run_options; /* one for all runs: ORT would make one for each */
    char *name;
    ortp_ort_memory memory;
    size_t declared_bytes; /* on the budget */
    ortp__ports inputs;
    ortp__ports outputs;
    bool disable_prepacking;
    bool listed;       /* in the runtime's list */
    bool fixed_shapes; /* no input has a free dimension: all runs need the same */

    /* Memory from the pool only; else NULL. */
    ortp__allocator *allocator;
    ortp__ticket *weights; /* NULL where ORT packed none into it */
    size_t packed_bytes;   /* what ORT held of ours when it was created, wherever it lies */
    ortp__needs needs;
    bool needs_made;

    /* During creation, on the creating thread. */
    bool creating;   /* the gate is held */
    bool registered; /* the env has our allocator */
    OrtAllocator *env_allocator;
    size_t estimate;
    bool measured; /* the host gave no word for what is declared */
    ortp__footprint before;

    _Atomic uint64_t runs;
    _Atomic uint64_t waits;
    _Atomic uint64_t turned_away;

    ortp_session *previous_session, *next_session; /* of the runtime, under its mutex */
};

/*
 * What is declared, in this order: from the graph's bytes or the host's word; charged before ORT is
 * asked; then, by what the process grew by, the steady residue. Errors: as ortp_session_create.
 */
ORTP_CHECK ortp_status ortp__declared_estimate(ortp_session *session,
                                               const ortp_session_options *options,
                                               ortp_error *error);
ORTP_CHECK ortp_status ortp__declared_charge(ortp_session *session, ortp_error *error);
ORTP_CHECK ortp_status ortp__declared_correct(ortp_session *session, ortp_error *error);

/* ORT's status of a call in which the allocator may have refused; denials before it. */
ORTP_CHECK ortp_status ortp__session_take_status(const ortp_session *session, OrtStatus *status,
                                                 uint64_t denials_before, ortp_error *error);
/* Refusals that ORT saw; those granted above the limit are none. */
uint64_t ortp__session_denials(const ortp_session *session);

/* Fills session->inputs and outputs. Errors: ORT, NOMEM, BUDGET; free_ports takes what is there. */
ORTP_CHECK ortp_status ortp__session_load_ports(ortp_session *session, ortp_error *error);
void ortp__session_free_ports(ortp_session *session);

/* A copy on control memory. Errors: NOMEM, BUDGET. */
ORTP_CHECK ortp_status ortp__copy_text(const ortp_runtime *runtime, const char *text, char **out);
void ortp__free_text(const ortp_runtime *runtime, const char *text);

#endif
