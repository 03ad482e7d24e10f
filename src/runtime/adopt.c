/* SPDX-License-Identifier: MIT */
/*
 * A session that the application creates itself, between two calls of ortpool.
 */
#include "session_internal.h"

ortp_status ortp_session_options_prepare(const ortp_session_options *given,
                                         OrtSessionOptions *ort_options, ortp_session **out,
                                         ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "session: out is NULL");
    }
    *out = NULL;
    ortp_session_options options;
    ortp_status status = ortp__options_copy(&options, sizeof(options), given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: options of another version");
    }
    if (!ort_options) {
        return ortp__fail(error, ORTP_E_INVAL, "session: the OrtSessionOptions are NULL");
    }
    ortp_session *session;
    status = ortp__session_new(&options, false, &session, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = ortp_runtime_take_status(
        options.runtime, ortp__session_configure(&options, ort_options), session->name, error);
    if (status == ORTP_OK) {
        status = ortp__session_begin(session, &options, error);
    }
    if (status != ORTP_OK) {
        ortp__session_free(session);
        return status;
    }
    *out = session;
    return ORTP_OK;
}

ortp_status ortp_session_adopt(ortp_session *session, OrtSession *ort, ortp_error *error)
{
    if (!session || !ort) {
        return ortp__fail(error, ORTP_E_INVAL, "session: nothing to adopt");
    }
    if (!session->creating) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %s: not prepared, or adopted already",
                          session->name);
    }
    session->ort = ort;
    const ortp_status status = ortp__session_finish(session, error);
    session->ready = status == ORTP_OK;
    return status;
}
