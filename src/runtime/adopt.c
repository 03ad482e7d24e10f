/* SPDX-License-Identifier: MIT */
/*
 * A session that the application creates itself, between two calls of ortpool.
 */
#include "session_internal.h"

#include "registration.h"

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
    status = ortp__session_begin(session, &options, error);
    /* Last: a preparation that was refused leaves the options as they were. */
    if (status == ORTP_OK) {
        status = ortp_runtime_take_status(
            options.runtime, ortp__session_configure(&options, ort_options), session->name, error);
    }
    if (status != ORTP_OK) {
        ortp__session_free(session);
        return status;
    }
    *out = session;
    return ORTP_OK;
}

/*
 * Whether the session allocates from ours: asked for one allocation, which is answered with a room of this
 * call's own. Where ORT cannot be asked it is taken to.
 */
static bool uses_our_memory(const ortp_session *session, OrtSession *ort)
{
    const ortp_runtime *runtime = session->runtime;
    const OrtApi *api = runtime->api;
    ortp__allocator *ours = session->allocator;
    OrtAllocator *theirs = NULL;
    if (!ours || ortp_runtime_take_status(runtime, api->CreateAllocator(ort, runtime->cpu, &theirs),
                                          NULL, NULL) != ORTP_OK) {
        return true;
    }
    _Alignas(64) unsigned char room[4 * ORTP__CHUNK_HEADER];
    ours->probe = (ortp__chunk *)(void *)room;
    void *data = ortp__entry_try(theirs, ORTP__CHUNK_HEADER);
    const bool asked = !data || data == ortp__chunk_data(ours->probe);
    if (data) {
        theirs->Free(theirs, data);
    }
    ours->probe = NULL;
    api->ReleaseAllocator(theirs);
    return asked;
}

/* The application's CreateSession failed; what ORT told it says little where we had refused. */
static ortp_status nothing_to_adopt(const ortp_session *session, ortp_error *error)
{
    if (ortp__session_denials(session) == 0) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %s: there is no OrtSession to adopt",
                          session->name);
    }
    return ortp__session_refusal(session, error);
}

ortp_status ortp_session_adopt(ortp_session *session, OrtSession *ort, ortp_error *error)
{
    if (!session) {
        return ortp__fail(error, ORTP_E_INVAL, "session: NULL cannot adopt");
    }
    if (!session->creating) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %s: not prepared, or adopted already",
                          session->name);
    }
    if (!ortp__creation_is_mine()) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %s: prepared on another thread",
                          session->name);
    }
    if (!ort) {
        return nothing_to_adopt(session, error);
    }
    if (!uses_our_memory(session, ort)) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: %s: the OrtSession was not created with the prepared options, "
                          "between the two calls",
                          session->name);
    }
    session->ort = ort;
    const ortp_status status = ortp__session_finish(session, error);
    session->ready = status == ORTP_OK;
    return status;
}
