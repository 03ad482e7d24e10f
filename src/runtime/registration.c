/* SPDX-License-Identifier: MIT */
/*
 * Registration: see registration.h.
 */
#include "registration.h"

static ortp__mutex gate = ORTP__MUTEX_STATIC(ORTP_RANK_CREATION); /* guards `creator` */
static ortp__cond opened = ORTP__COND_STATIC;
static const void *creator;     /* NULL: nobody */
static _Thread_local char self; /* its address tells living threads apart */

bool ortp__creation_begin(void)
{
    ortp__lock(&gate);
    const bool again = creator == &self;
    while (creator != NULL && !again) {
        ortp__cond_wait(&opened, &gate);
    }
    creator = &self;
    ortp__unlock(&gate);
    return !again;
}

void ortp__creation_end(void)
{
    ortp__lock(&gate);
    creator = NULL;
    ortp__cond_broadcast(&opened);
    ortp__unlock(&gate);
}

/* Whether a call went well; its status is released. */
static bool ok(const ortp_runtime *runtime, OrtStatus *status)
{
    return ortp_runtime_take_status(runtime, status, NULL, NULL) == ORTP_OK;
}

ortp_status ortp__register(ortp__allocator *allocator, OrtAllocator *hosts, ortp_error *error)
{
    const ortp_runtime *runtime = allocator->runtime;
    const OrtApi *api = runtime->api;
    if (hosts != NULL && !ok(runtime, api->UnregisterAllocator(runtime->env, runtime->cpu))) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: env_allocator is not registered with the env as its CPU "
                          "allocator");
    }
    const ortp_status status =
        ortp_runtime_take_status(runtime, api->RegisterAllocator(runtime->env, &allocator->ort),
                                 "session: the env takes no allocator (has the host registered "
                                 "one? name it in env_allocator)",
                                 error);
    if (status != ORTP_OK && hosts != NULL) {
        (void)ok(runtime, api->RegisterAllocator(runtime->env, hosts));
    }
    return status;
}

void ortp__unregister(ortp__allocator *allocator, OrtAllocator *hosts)
{
    const ortp_runtime *runtime = allocator->runtime;
    const OrtApi *api = runtime->api;
    /* Twice, since what fails once for lack of memory may not do so again, and has no other remedy. */
    if (!ok(runtime, api->UnregisterAllocator(runtime->env, runtime->cpu)) &&
        !ok(runtime, api->UnregisterAllocator(runtime->env, runtime->cpu))) {
        ortp__log(&runtime->log, ORTP_LOG_ERROR,
                  "runtime: ONNX Runtime does not let go of an allocator; destroy its env first");
    }
    if (hosts != NULL && !ok(runtime, api->RegisterAllocator(runtime->env, hosts))) {
        ortp__log(&runtime->log, ORTP_LOG_ERROR,
                  "runtime: the host's allocator could not be registered again");
    }
}
