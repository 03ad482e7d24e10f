/* SPDX-License-Identifier: MIT */
/*
 * The session: declared to the budget, created, corrected, run, destroyed.
 *
 * Creation is one at a time per runtime, because the correction measures what the whole process
 * grew by. No lock is held meanwhile: charges may reclaim, and ORT calls the host's logger.
 */
#include "session_internal.h"

#include "graph_bytes.h"

#include <string.h>

/*
 * What the process grew by while a session was created is an estimate that other threads'
 * allocations spoil. Weights, their packed copies and the graph itself measured 1.0 to 1.6 times
 * the file, and a small graph costs a few MiB of first use; above these bounds it was somebody
 * else.
 */
#define GROWTH_FACTOR_MAX 4u
#define GROWTH_BASE_MAX ((uint64_t)8 << 20)

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

/* The settings; the first that fails is the status. */
static OrtStatus *configure(const ortp_runtime *runtime, OrtSessionOptions *options,
                            uint32_t threads, const char *name)
{
    const OrtApi *api = runtime->api;
    OrtStatus *status = api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL);
    if (!status) {
        status = api->SetSessionExecutionMode(options, ORT_SEQUENTIAL);
    }
    if (!status) {
        status = api->DisableMemPattern(options);
    }
    if (!status) {
        status = api->SetIntraOpNumThreads(options, (int)threads);
    }
    if (!status) {
        status = api->SetInterOpNumThreads(options, 1);
    }
    if (!status && threads > 1) { /* threads that wait must not burn a core */
        status = api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0");
    }
    if (!status) {
        status = api->SetSessionLogId(options, name);
    }
    if (!status && runtime->log.fn) {
        status = api->SetUserLoggingFunction(options, forward_log, (void *)runtime);
    }
    if (!status && runtime->log.fn) {
        status = api->SetSessionLogSeverityLevel(options, (int)ort_level(runtime->log.level));
    }
    return status;
}

/* ORT's code for a graph that it does not take says more than "an error of ORT". */
static ortp_status take_creation_status(const ortp_runtime *runtime, OrtStatus *status,
                                        const char *name, ortp_error *error)
{
    if (!status) {
        return ORTP_OK;
    }
    const OrtErrorCode code = runtime->api->GetErrorCode(status);
    ortp_status mapped = ORTP_E_ORT;
    const char *expected = "";
    if (code == ORT_INVALID_PROTOBUF || code == ORT_INVALID_GRAPH || code == ORT_NO_MODEL ||
        code == ORT_INVALID_ARGUMENT) {
        mapped = ORTP_E_INVAL;
        expected = "expected an ONNX graph that can be loaded: ";
    } else if (code == ORT_NO_SUCHFILE) {
        mapped = ORTP_E_NOTFOUND;
    } else {
        return ortp_runtime_take_status(runtime, status, name, error);
    }
    (void)ortp__fail(error, mapped, "%s: %s%s", name, expected,
                     runtime->api->GetErrorMessage(status));
    runtime->api->ReleaseStatus(status);
    return mapped;
}

static ortp_status open_session(ortp_session *session, const ortp_session_options *options,
                                ortp_error *error)
{
    const ortp_runtime *runtime = session->runtime;
    const OrtApi *api = runtime->api;
    OrtSessionOptions *ort_options = NULL;
    ortp_status status = ortp_runtime_take_status(runtime, api->CreateSessionOptions(&ort_options),
                                                  session->name, error);
    if (status != ORTP_OK) {
        return status;
    }
    const uint32_t threads = options->intra_threads > 0 ? options->intra_threads : 1;
    status = ortp_runtime_take_status(
        runtime, configure(runtime, ort_options, threads, session->name), session->name, error);
    if (status == ORTP_OK) {
        OrtStatus *created =
            options->path
                ? api->CreateSession(runtime->env, options->path, ort_options, &session->ort)
                : api->CreateSessionFromArray(runtime->env, options->model, options->model_bytes,
                                              ort_options, &session->ort);
        status = take_creation_status(runtime, created, session->name, error);
    }
    if (status == ORTP_OK) {
        status = ortp_runtime_take_status(runtime, api->CreateRunOptions(&session->run_options),
                                          session->name, error);
    }
    api->ReleaseSessionOptions(ort_options);
    return status;
}

/* Charges `more` declared bytes to the session; the error says what limit would do. */
static ortp_status declare(ortp_session *session, size_t more, ortp_error *error)
{
    ortp_budget *budget = session->runtime->budget;
    ortp_status status =
        ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, more, ORTP_RECLAIM_CACHE);
    if (status == ORTP_OK) {
        session->declared_bytes += more;
        return ORTP_OK;
    }
    ortp_budget_info info;
    ortp_budget_get_info(budget, &info);
    const size_t would_do =
        info.charged_bytes > SIZE_MAX - more ? SIZE_MAX : info.charged_bytes + more;
    return ortp__fail(
        error, status,
        "session: %s needs %zu bytes for its weights; %zu of %zu are charged, a limit "
        "of %zu would do",
        session->name, session->declared_bytes + more, info.charged_bytes, info.limit_bytes,
        would_do);
}

/* What is to be declared before ORT is asked. */
static ortp_status estimate(const ortp_session_options *options, size_t *bytes, ortp_error *error)
{
    uint64_t graph_bytes = 0;
    if (options->path) {
        ortp_status status = ortp__graph_file_bytes(options->path, &graph_bytes, error);
        if (status != ORTP_OK) {
            return status;
        }
    } else {
        graph_bytes = ortp__graph_memory_bytes(options->model, options->model_bytes);
    }
    if (options->declared_bytes > 0) {
        graph_bytes = options->declared_bytes;
    }
    *bytes = graph_bytes > SIZE_MAX ? SIZE_MAX : (size_t)graph_bytes;
    return ORTP_OK;
}

/* What the process holds, and the part of it that is on the budget already. */
typedef struct footprint {
    uint64_t anonymous;
    size_t mapped;
} footprint;

static bool footprint_get(const ortp_runtime *runtime, footprint *out)
{
    ortp__process_memory process;
    if (!ortp__process_memory_get(&process)) {
        return false;
    }
    ortp_budget_info info;
    ortp_budget_get_info(runtime->budget, &info);
    out->anonymous = process.anonymous;
    out->mapped = info.mapped_bytes;
    return true;
}

/*
 * By how much the process grew beyond `before`, within what this session can have caused. Pages
 * that ortpool maps on other threads meanwhile are charged as such.
 */
static size_t growth_since(const ortp_runtime *runtime, const footprint *before, size_t file_bytes)
{
    footprint now;
    if (!footprint_get(runtime, &now) || now.anonymous <= before->anonymous) {
        return 0;
    }
    const size_t mapped = now.mapped > before->mapped ? now.mapped - before->mapped : 0;
    if (now.anonymous - before->anonymous <= mapped) {
        return 0;
    }
    const uint64_t growth = now.anonymous - before->anonymous - mapped;
    const uint64_t files = file_bytes;
    const uint64_t bound = files > (UINT64_MAX - GROWTH_BASE_MAX) / GROWTH_FACTOR_MAX
                               ? UINT64_MAX
                               : files * GROWTH_FACTOR_MAX + GROWTH_BASE_MAX;
    const uint64_t clipped = growth < bound ? growth : bound;
    return clipped > SIZE_MAX ? SIZE_MAX : (size_t)clipped;
}

static ortp_status create_measured(ortp_session *session, const ortp_session_options *options,
                                   ortp_error *error)
{
    size_t bytes = 0;
    ortp_status status = estimate(options, &bytes, error);
    if (status == ORTP_OK) {
        status = declare(session, bytes, error);
    }
    if (status != ORTP_OK) {
        return status;
    }
    footprint before = {0, 0};
    const bool measured = footprint_get(session->runtime, &before) && options->declared_bytes == 0;
    status = open_session(session, options, error);
    if (status == ORTP_OK && measured) {
        const size_t growth = growth_since(session->runtime, &before, bytes);
        if (growth > bytes) {
            status = declare(session, growth - bytes, error);
        }
    }
    return status;
}

static void free_session(ortp_session *session)
{
    ortp_runtime *runtime = session->runtime;
    const OrtApi *api = runtime->api;
    ortp__session_free_ports(session);
    if (session->run_options) {
        api->ReleaseRunOptions(session->run_options);
    }
    if (session->ort) {
        api->ReleaseSession(session->ort);
    }
    (void)ortp_budget_refund(runtime->budget, ORTP_ACCOUNT_DECLARED, session->declared_bytes);
    ortp__free_text(runtime, session->name);
    ortp__meta_free(runtime->budget, &runtime->alloc, session, sizeof(*session));
}

static ortp_status check_options(const ortp_session_options *options, ortp_error *error)
{
    if (!options->runtime) {
        return ortp__fail(error, ORTP_E_INVAL, "session: runtime is NULL");
    }
    if (!options->path == !options->model) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: give a path or the graph's bytes, one of them");
    }
    if (options->model && options->model_bytes == 0) {
        return ortp__fail(error, ORTP_E_INVAL, "session: the graph's bytes are none");
    }
    if (options->intra_threads > INT32_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %u threads", options->intra_threads);
    }
    if (!options->runtime->pool) {
        return ortp__fail(error, ORTP_E_CLOSED, "session: the runtime is being destroyed");
    }
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
        return ortp__fail(error, status, "session: options of another version");
    }
    status = check_options(&options, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_runtime *runtime = options.runtime;
    void *memory = NULL;
    status = ortp__meta_alloc(runtime->budget, &runtime->alloc, sizeof(ortp_session),
                              ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: no room for its struct: %s",
                          ortp_status_text(status));
    }
    ortp_session *session = memory;
    session->runtime = runtime;
    const char *name = options.name ? options.name : options.path;
    status = ortp__copy_text(runtime, name ? name : "graph", &session->name);
    if (status != ORTP_OK) {
        status = ortp__fail(error, status, "session: no room for its name: %s",
                            ortp_status_text(status));
        goto fail;
    }
    ortp__runtime_begin_creation(runtime);
    status = create_measured(session, &options, error);
    ortp__runtime_end_creation(runtime);
    if (status == ORTP_OK) {
        status = ortp__session_load_ports(session, error);
    }
    if (status != ORTP_OK) {
        goto fail;
    }
    ortp__runtime_retain(runtime, ORTP__USER_SESSION);
    *out = session;
    return ORTP_OK;

fail:
    free_session(session);
    return status;
}

ortp_status ortp_session_destroy(ortp_session *session)
{
    if (session) {
        ortp_runtime *runtime = session->runtime;
        free_session(session);
        ortp__runtime_release(runtime, ORTP__USER_SESSION);
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

static ortp_status check_values(const ortp_session *session, const OrtValue *const *inputs,
                                OrtValue *const *outputs, ortp_error *error)
{
    if ((!inputs && session->inputs.count > 0) || (!outputs && session->outputs.count > 0)) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %s: inputs or outputs are NULL",
                          session->name);
    }
    for (size_t i = 0; i < session->inputs.count; ++i) {
        if (!inputs[i]) {
            return ortp__fail(error, ORTP_E_INVAL, "session: %s: no value for input %s",
                              session->name, session->inputs.names[i]);
        }
    }
    for (size_t i = 0; i < session->outputs.count; ++i) {
        if (!outputs[i]) {
            return ortp__fail(error, ORTP_E_INVAL, "session: %s: no value for output %s",
                              session->name, session->outputs.names[i]);
        }
    }
    return ORTP_OK;
}

ortp_status ortp_session_run(ortp_session *session, const OrtValue *const *inputs,
                             OrtValue **outputs, ortp_error *error)
{
    if (!session) {
        return ortp__fail(error, ORTP_E_INVAL, "session: NULL cannot run");
    }
    ortp_status status = check_values(session, inputs, outputs, error);
    if (status != ORTP_OK) {
        return status;
    }
    const ortp_runtime *runtime = session->runtime;
    status = ortp_runtime_take_status(
        runtime,
        runtime->api->Run(session->ort, session->run_options, session->inputs.names, inputs,
                          session->inputs.count, session->outputs.names, session->outputs.count,
                          outputs),
        session->name, error);
    if (status == ORTP_OK) {
        atomic_fetch_add_explicit(&session->runs, 1, memory_order_relaxed);
    }
    return status;
}

uint64_t ortp_session_runs(const ortp_session *session)
{
    return atomic_load_explicit(&session->runs, memory_order_relaxed);
}
