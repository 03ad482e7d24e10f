/* SPDX-License-Identifier: MIT */
/*
 * The session: declared to the budget, created with memory of the pool, corrected, destroyed.
 *
 * Creation is one at a time in the process, because an env has one allocator and the correction
 * measures what the whole process grew by. No lock is held meanwhile: charges may reclaim, and ORT
 * calls the application's logger.
 */
#include "session_internal.h"

#include "registration.h"

#include <string.h>

static OrtLoggingLevel ort_level(ortp_log_level level)
{
    switch (level) {
    case ORTP_LOG_ERROR:
        return ORT_LOGGING_LEVEL_ERROR;
    case ORTP_LOG_INFO:
        return ORT_LOGGING_LEVEL_INFO;
    case ORTP_LOG_DEBUG:
        return ORT_LOGGING_LEVEL_VERBOSE;
    case ORTP_LOG_WARNING:
        break;
    }
    return ORT_LOGGING_LEVEL_WARNING;
}

/* OrtLoggingFunction. The runtime outlives its sessions, and with them their loggers. */
static void ORT_API_CALL forward_log(void *param, OrtLoggingLevel severity, const char *category,
                                     const char *log_id, const char *location, const char *message)
{
    (void)category;
    (void)location;
    const ortp_runtime *runtime = param;
    ortp_log_level level = ORTP_LOG_ERROR;
    if (severity == ORT_LOGGING_LEVEL_WARNING) {
        level = ORTP_LOG_WARNING;
    } else if (severity == ORT_LOGGING_LEVEL_INFO) {
        level = ORTP_LOG_INFO;
    } else if (severity == ORT_LOGGING_LEVEL_VERBOSE) {
        level = ORTP_LOG_DEBUG;
    }
    ortp__log(&runtime->log, level, "ONNX Runtime, %s: %s", log_id ? log_id : "", message);
}

/* What makes ORT use this memory. The first that fails is the status. */
static OrtStatus *configure_memory(const ortp_session_options *options,
                                   OrtSessionOptions *ort_options)
{
    const OrtApi *api = options->runtime->api;
    OrtStatus *status = NULL;
    if (!options->memory_patterns) {
        status = api->DisableMemPattern(ort_options);
    }
    if (!status && options->disable_prepacking) {
        status = api->AddSessionConfigEntry(ort_options, "session.disable_prepacking", "1");
    }
    if (!status && options->memory == ORTP_ORT_MEMORY_NO_ARENA) {
        status = api->DisableCpuMemArena(ort_options);
    }
    if (!status && options->memory == ORTP_ORT_MEMORY_POOL) {
        status = api->AddSessionConfigEntry(ort_options, "session.use_env_allocators", "1");
    }
    if (!status && options->intra_threads > 0) {
        status = api->SetIntraOpNumThreads(ort_options, (int)options->intra_threads);
    }
    return status;
}

/* The settings of a session whose application has none. */
static OrtStatus *configure_defaults(const ortp_session_options *options,
                                     OrtSessionOptions *ort_options, const char *name)
{
    ortp_runtime *runtime = options->runtime;
    const OrtApi *api = runtime->api;
    OrtStatus *status = api->SetSessionGraphOptimizationLevel(ort_options, ORT_ENABLE_ALL);
    if (!status) {
        status = api->SetSessionExecutionMode(ort_options, ORT_SEQUENTIAL);
    }
    if (!status) {
        status = api->SetInterOpNumThreads(ort_options, 1);
    }
    if (!status && options->intra_threads != 1) { /* threads that wait must not burn a core */
        status = api->AddSessionConfigEntry(ort_options, "session.intra_op.allow_spinning", "0");
    }
    if (!status) {
        status = api->SetSessionLogId(ort_options, name);
    }
    if (!status && runtime->log.fn) {
        status = api->SetUserLoggingFunction(ort_options, forward_log, runtime);
    }
    if (!status && runtime->log.fn) {
        status = api->SetSessionLogSeverityLevel(ort_options, (int)ort_level(runtime->log.level));
    }
    return status;
}

/* A clone of the application's options, or defaults, with what ortpool sets. *out may be made on failure, too. */
static OrtStatus *make_options(const ortp_session_options *options, const char *name,
                               OrtSessionOptions **out)
{
    const OrtApi *api = options->runtime->api;
    OrtStatus *status = options->ort_options ? api->CloneSessionOptions(options->ort_options, out)
                                             : api->CreateSessionOptions(out);
    if (!status && !options->ort_options) {
        status = configure_defaults(options, *out, name);
    }
    return status ? status : configure_memory(options, *out);
}

uint64_t ortp__session_denials(const ortp_session *session)
{
    const ortp__allocator *allocator = session->allocator;
    return allocator ? atomic_load_explicit(&allocator->served.refusals, memory_order_relaxed) -
                           atomic_load_explicit(&allocator->served.overdrafts, memory_order_relaxed)
                     : 0;
}

/* The status of the latest refusal, with what was asked for. */
static ortp_status latest_refusal(const ortp_session *session, ortp_error *error)
{
    const ortp__allocator *allocator = session->allocator;
    const int refusal = atomic_load_explicit(&allocator->refusal, memory_order_relaxed);
    const size_t bytes = atomic_load_explicit(&allocator->refused_bytes, memory_order_relaxed);
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(session->runtime->budget, &info);
    return ortp__fail(error, (ortp_status)refusal,
                      "%s: ONNX Runtime asked for %zu more bytes: %s; %zu of %zu are charged",
                      session->name, bytes, ortp_status_text((ortp_status)refusal),
                      info.charged_bytes, info.limit_bytes);
}

ortp_status ortp__session_take_status(const ortp_session *session, OrtStatus *status,
                                      uint64_t denials_before, ortp_error *error)
{
    if (!status) {
        return ORTP_OK;
    }
    const ortp_runtime *runtime = session->runtime;
    const char *message = runtime->api->GetErrorMessage(status);
    if (!strstr(message, "bad_alloc")) {
        return ortp_runtime_take_status(runtime, status, session->name, error);
    }
    const ortp__allocator *allocator = session->allocator;
    runtime->api->ReleaseStatus(status);
    if (!allocator || ortp__session_denials(session) == denials_before) {
        return ortp__fail(error, ORTP_E_NOMEM, "%s: ONNX Runtime: %s", session->name,
                          ortp_status_text(ORTP_E_NOMEM)); /* its own heap */
    }
    return latest_refusal(session, error);
}

/*
 * ORT's code for a graph that it does not take says more than "an error of ORT". A callback has not
 * necessarily loaded one: its status keeps ORT's message alone.
 */
static ortp_status take_creation_status(const ortp_session *session, bool by_callback,
                                        OrtStatus *status, ortp_error *error)
{
    if (!status) {
        return ORTP_OK;
    }
    const OrtApi *api = session->runtime->api;
    const OrtErrorCode code = api->GetErrorCode(status);
    ortp_status mapped = ORTP_E_ORT;
    const char *expected = "";
    if (code == ORT_INVALID_PROTOBUF || code == ORT_INVALID_GRAPH || code == ORT_NO_MODEL ||
        code == ORT_INVALID_ARGUMENT) {
        mapped = ORTP_E_INVAL;
        expected = by_callback ? "" : "expected an ONNX graph that can be loaded: ";
    } else if (code == ORT_NO_SUCHFILE) {
        mapped = ORTP_E_NOTFOUND;
    } else {
        return ortp__session_take_status(session, status, 0, error);
    }
    (void)ortp__fail(error, mapped, "%s: %s%s", session->name, expected,
                     api->GetErrorMessage(status));
    api->ReleaseStatus(status);
    return mapped;
}

static OrtStatus *call_ort(const ortp_session_options *options, const OrtSessionOptions *prepared,
                           OrtSession **out)
{
    const ortp_runtime *runtime = options->runtime;
    const OrtApi *api = runtime->api;
    if (options->create) {
        return options->create(options->create_ctx, runtime->env, prepared, out);
    }
    return options->path ? api->CreateSession(runtime->env, options->path, prepared, out)
                         : api->CreateSessionFromArray(runtime->env, options->model,
                                                       options->model_bytes, prepared, out);
}

/*
 * Whether the session allocates from ours: asked for one allocation, which is answered with a room of this
 * call's own. Where ORT cannot be asked it is taken to.
 */
static bool uses_our_memory(const ortp_session *session)
{
    const ortp_runtime *runtime = session->runtime;
    const OrtApi *api = runtime->api;
    ortp__allocator *ours = session->allocator;
    OrtAllocator *theirs = NULL;
    if (!ours || ortp_runtime_take_status(
                     runtime, api->CreateAllocator(session->ort, runtime->cpu, &theirs), NULL,
                     NULL) != ORTP_OK) {
        return true;
    }
    _Alignas(64) unsigned char memory[4 * ORTP__CHUNK_HEADER];
    ortp__chunk *room = (ortp__chunk *)(void *)memory;
    ortp__allocator_probe(ours, room, ORTP__CHUNK_HEADER);
    void *data = ortp__entry_try(theirs, ORTP__CHUNK_HEADER);
    ortp__allocator_probe(ours, NULL, 0);
    const bool asked = !data || data == ortp__chunk_data(room);
    if (data) {
        theirs->Free(theirs, data);
    }
    api->ReleaseAllocator(theirs);
    return asked;
}

/* What a callback calls a success need not be one. */
static ortp_status check_created(const ortp_session *session, ortp_error *error)
{
    if (!session->ort) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: %s: the create callback succeeded without an OrtSession",
                          session->name);
    }
    if (!uses_our_memory(session)) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: %s: the create callback made its OrtSession with other options "
                          "than those given, or in another env",
                          session->name);
    }
    return ORTP_OK;
}

static ortp_status open_session(ortp_session *session, const ortp_session_options *options,
                                ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    OrtSessionOptions *prepared = NULL;
    ortp_status status = ortp_runtime_take_status(
        runtime, make_options(options, session->name, &prepared), session->name, error);
    if (status == ORTP_OK) {
        status = take_creation_status(session, options->create != NULL,
                                      call_ort(options, prepared, &session->ort), error);
    }
    if (status == ORTP_OK && options->create) {
        status = check_created(session, error);
    }
    if (prepared) {
        runtime->api->ReleaseSessionOptions(prepared);
    }
    return status;
}

static ortp_status open_memory(ortp_session *session, ortp_error *error)
{
    ortp_runtime *runtime = session->runtime;
    ortp_status status = ortp__allocator_acquire(runtime, &session->allocator);
    if (status == ORTP_OK) {
        status = ortp__ticket_open(runtime->pool, session->allocator, 0, true, ORTP_RECLAIM_CACHE,
                                   &session->weights);
    }
    if (status != ORTP_OK) {
        return ortp__fail(
            error, status,
            "session: %s: no room for the first block of its weights, %zu bytes of which "
            "are declared: %s",
            session->name, session->declared_bytes, ortp_status_text(status));
    }
    status = ortp__register(session->allocator, session->env_allocator, error);
    if (status != ORTP_OK) {
        return status;
    }
    session->registered = true;
    ortp__ticket_begin(session->weights);
    return ORTP_OK;
}

/* Through the gate; declares, registers. */
static ortp_status begin(ortp_session *session, const ortp_session_options *options,
                         ortp_error *error)
{
    ortp_status status = ortp__declared_estimate(session, options, error);
    if (status != ORTP_OK) {
        return status;
    }
    if (!ortp__creation_begin()) {
        return ortp__fail(error, ORTP_E_BUSY,
                          "session: %s: this thread is creating another session: not inside a "
                          "create callback, a log function or a custom op",
                          session->name);
    }
    session->creating = true;
    status = ortp__declared_charge(session, error);
    if (status == ORTP_OK && session->memory == ORTP_ORT_MEMORY_POOL) {
        status = open_memory(session, error);
    }
    return status;
}

/* What ORT asks for from here on is not weights any more. */
static void close_registration(ortp_session *session)
{
    if (session->registered) {
        ortp__ticket_end(session->weights);
        ortp__unregister(session->allocator, session->env_allocator);
        atomic_store_explicit(&session->allocator->creating, false, memory_order_relaxed);
        session->registered = false;
    }
}

static void leave_gate(ortp_session *session)
{
    if (session->creating) {
        session->creating = false;
        ortp__creation_end();
    }
}

static void list_session(ortp_session *session)
{
    ortp_runtime *runtime = session->runtime;
    ortp__lock(&runtime->mutex);
    runtime->sessions++;
    session->next_session = runtime->first_session;
    if (session->next_session) {
        session->next_session->previous_session = session;
    }
    runtime->first_session = session;
    ortp__unlock(&runtime->mutex);
}

static void unlist_session(ortp_session *session)
{
    ortp_runtime *runtime = session->runtime;
    ortp__lock(&runtime->mutex);
    if (session->previous_session) {
        session->previous_session->next_session = session->next_session;
    } else {
        runtime->first_session = session->next_session;
    }
    if (session->next_session) {
        session->next_session->previous_session = session->previous_session;
    }
    runtime->retired.runs += atomic_load_explicit(&session->runs, memory_order_relaxed);
    runtime->retired.waits += atomic_load_explicit(&session->waits, memory_order_relaxed);
    runtime->retired.turned_away +=
        atomic_load_explicit(&session->turned_away, memory_order_relaxed);
    runtime->sessions--;
    ortp__unlock(&runtime->mutex);
}

/* The session exists: unregisters, corrects what is declared, leaves the gate, loads the ports. */
static ortp_status finish(ortp_session *session, ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    close_registration(session);
    if (session->allocator) {
        session->packed_bytes =
            atomic_load_explicit(&session->allocator->live_bytes, memory_order_relaxed);
    }
    if (session->weights && ortp__ticket_used(session->weights) == 0) {
        ortp__ticket_close(session->weights, NULL);
        session->weights = NULL;
    } else if (session->weights) {
        ortp__ticket_settle(session->weights);
    }
    ortp_status status = ortp__declared_correct(session, error);
    leave_gate(session);
    if (status == ORTP_OK) {
        status = ortp_runtime_take_status(
            runtime, runtime->api->CreateRunOptions(&session->run_options), session->name, error);
    }
    if (status == ORTP_OK) {
        status = ortp__session_load_ports(session, error);
    }
    return status;
}

/* Takes what is there, the gate included, after any failure and at the end. */
static void free_session(ortp_session *session)
{
    ortp_runtime *runtime = session->runtime;
    const OrtApi *api = runtime->api;
    close_registration(session);
    ortp__session_free_ports(session);
    if (session->run_options) {
        api->ReleaseRunOptions(session->run_options);
    }
    if (session->ort) {
        if (session->allocator) { /* what ORT asks for to end is nobody's forgotten call */
            ortp__allocator_enter(session->allocator);
        }
        api->ReleaseSession(session->ort);
        if (session->allocator) {
            ortp__allocator_leave(session->allocator);
        }
    }
    if (session->weights) {
        ortp__ticket_close(session->weights, NULL);
    }
    if (session->allocator) {
        (void)ortp__held_give(runtime); /* perhaps no run begins any more */
        ortp__allocator_release(session->allocator);
    }
    leave_gate(session);
    if (session->needs_made) {
        ortp__needs_destroy(&session->needs);
    }
    (void)ortp_budget_refund(runtime->budget, ORTP_ACCOUNT_DECLARED, session->declared_bytes);
    if (session->listed) {
        unlist_session(session);
    }
    ortp__free_text(runtime, session->name);
    ortp__meta_free(runtime->budget, &runtime->alloc, session, sizeof(*session));
    ortp__heap_trim(); /* what ORT freed is declared no more, so it must not stay in the heap */
}

static ortp_status check_options(const ortp_session_options *options, ortp_error *error)
{
    if (!options->runtime) {
        return ortp__fail(error, ORTP_E_INVAL, "session: runtime is NULL");
    }
    if (options->path && options->model) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: give a path or the graph's bytes, one of them");
    }
    if (!options->create && !options->path && !options->model) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: give a path or the graph's bytes, one of them, or a create "
                          "callback");
    }
    if (options->model && options->model_bytes == 0) {
        return ortp__fail(error, ORTP_E_INVAL, "session: the graph's bytes are none");
    }
    if (options->intra_threads > INT32_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %u threads", options->intra_threads);
    }
    if ((unsigned)options->memory > ORTP_ORT_MEMORY_NO_ARENA) {
        return ortp__fail(error, ORTP_E_INVAL, "session: unknown memory %d", (int)options->memory);
    }
    if (!options->runtime->pool) {
        return ortp__fail(error, ORTP_E_CLOSED, "session: the runtime is being destroyed");
    }
    return ORTP_OK;
}

/* Options checked, struct and name. */
static ortp_status new_session(const ortp_session_options *options, ortp_session **out,
                               ortp_error *error)
{
    *out = NULL;
    ortp_status status = check_options(options, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_runtime *runtime = options->runtime;
    void *memory = NULL;
    status = ortp__meta_alloc(runtime->budget, &runtime->alloc, sizeof(ortp_session),
                              ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: no room for its struct: %s",
                          ortp_status_text(status));
    }
    ortp_session *session = memory;
    session->runtime = runtime;
    session->memory = options->memory;
    session->disable_prepacking = options->disable_prepacking;
    session->env_allocator = options->env_allocator;
    const char *name = options->name ? options->name : options->path;
    status = ortp__copy_text(runtime, name ? name : "graph", &session->name);
    if (status != ORTP_OK) {
        status = ortp__fail(error, status, "session: no room for its name: %s",
                            ortp_status_text(status));
        ortp__meta_free(runtime->budget, &runtime->alloc, session, sizeof(*session));
        return status;
    }
    session->needs_made = ortp__needs_init(&session->needs);
    if (!session->needs_made) {
        status = ortp__fail(error, ORTP_E_SYS, "session: the system refused a lock");
        free_session(session);
        return status;
    }
    list_session(session);
    session->listed = true;
    *out = session;
    return ORTP_OK;
}

ortp_status ortp_session_create(const ortp_session_options *given, ortp_session **out,
                                ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "session: out is NULL");
    }
    *out = NULL;
    ortp_session_options options;
    ortp_status status = ortp__options_copy(&options, sizeof(options), given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: " ORTP__OTHER_VERSION);
    }
    ortp_session *session;
    status = new_session(&options, &session, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = begin(session, &options, error);
    if (status == ORTP_OK) {
        status = open_session(session, &options, error);
    }
    if (status == ORTP_OK) {
        status = finish(session, error);
    }
    if (status != ORTP_OK) {
        free_session(session);
        return status;
    }
    *out = session;
    return ORTP_OK;
}

ortp_status ortp_session_destroy(ortp_session *session, ortp_error *error)
{
    (void)error; /* nothing of it fails */
    if (session) {
        free_session(session);
    }
    return ORTP_OK;
}

OrtSession *ortp_session_ort(const ortp_session *session)
{
    return session->ort;
}

size_t ortp_session_declared_bytes(const ortp_session *session)
{
    return session->declared_bytes;
}

static size_t load(const _Atomic size_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

ortp_status ortp_session_get_info(const ortp_session *session, ortp_session_info *out)
{
    if (!session) {
        return ORTP_E_INVAL;
    }
    ortp_session_info info = ORTP_SESSION_INFO_INIT;
    info.memory = session->memory;
    info.declared_bytes = session->declared_bytes;
    info.runs = atomic_load_explicit(&session->runs, memory_order_relaxed);
    info.waits = atomic_load_explicit(&session->waits, memory_order_relaxed);
    info.turned_away = atomic_load_explicit(&session->turned_away, memory_order_relaxed);
    info.run_bytes = ortp__needs_most(&((ortp_session *)session)->needs); /* its lock is taken */
    const size_t block = session->weights ? ortp__ticket_footprint(session->weights) : 0;
    info.weights_bytes = block > session->packed_bytes ? block : session->packed_bytes;
    const ortp__allocator *allocator = session->allocator;
    if (allocator) {
        const ortp__served *served = &allocator->served;
        info.live_count = load(&allocator->live_count);
        info.live_bytes = load(&allocator->live_bytes);
        info.live_bytes_peak = load(&served->live_bytes_peak);
        info.allocs = atomic_load_explicit(&served->allocs, memory_order_relaxed);
        info.overflows = atomic_load_explicit(&served->overflows, memory_order_relaxed);
        info.outside_allocs = atomic_load_explicit(&served->outside_allocs, memory_order_relaxed);
        info.outside_bytes = atomic_load_explicit(&served->outside_bytes, memory_order_relaxed);
        info.refusals = atomic_load_explicit(&served->refusals, memory_order_relaxed);
        info.overdrafts = atomic_load_explicit(&served->overdrafts, memory_order_relaxed);
        info.overdraft_bytes = load(&allocator->overdraft_bytes);
    }
    return ortp__out_fill(out, &info, sizeof(info));
}
