/* SPDX-License-Identifier: MIT */
/*
 * Admission: the one decision before ORT is entered, whether a run gets its block now, waits for it, or is
 * turned away.
 */
#ifndef ORTP_ADMISSION_H
#define ORTP_ADMISSION_H

#include "session_internal.h"
#include "session_run.h"

/*
 * A ticket for `need` bytes of chunks. Errors: BUDGET, NOMEM, SYS; TIMEOUT, CANCELLED where it had
 * the patience to wait. Counts waits and those turned away. Under no lock.
 */
ORTP_CHECK ortp_status ortp__admit(ortp_session *session, size_t need,
                                   const ortp__patience *patience, ortp__ticket **out,
                                   ortp_error *error);
/* A run has ended: those who wait look again. */
void ortp__admission_tell(ortp_runtime *runtime);

#endif
