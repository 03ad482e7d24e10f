/* SPDX-License-Identifier: MIT */
/*
 * The run of a session for the rooms above, which know what they run. Includes no header of ONNX
 * Runtime.
 */
#ifndef ORTP_SESSION_RUN_H
#define ORTP_SESSION_RUN_H

#include <ortpool/session.h>

/*
 * As ortp_session_run(), but waits for memory until `deadline_ms` (0: not at all), and takes the
 * caller's word that runs of one `key` have inputs of the same shapes: so no call of ORT is made
 * but the run itself.
 */
ORTP_CHECK ortp_status ortp__session_run_keyed(ortp_session *session, uint64_t key,
                                               uint64_t deadline_ms, const OrtValue *const *inputs,
                                               OrtValue **outputs, ortp_error *error);

#endif
