/* SPDX-License-Identifier: MIT */
/*
 * The runtime: who owns what, and how many still use it.
 *
 * Why the env that we create gets no logger of ours: ORT's env is one per process and counted. If
 * someone else holds it when this runtime goes, ORT would go on calling the logger that it was
 * created with, and that logger would be gone. So our env is created silent (FATAL only; all errors
 * come back as statuses), and the runtime's log callback is given to each session of its own
 * (session.c), whose logger ends with the session.
 *
 * Telemetry: official Linux builds from about 1.29 on have a client that keeps a device id below
 * the home folder and starts a thread. An env of ours is told at once to send no events; that it
 * starts at all only the environment variable ORT_DISABLE_TELEMETRY prevents, which is the host's
 * to set.
 */
#include "runtime_internal.h"

#include "allocator.h"

#include <string.h>

#define API_VERSION_LEAST 18u

static const char env_name[] = "ortpool";

/* Takes what the host gave, or makes it. On failure destroy frees what is there. */
static ortp_status open_budget(ortp_runtime *runtime, const ortp_runtime_options *options,
                               ortp_error *error)
{
    runtime->budget = options->budget;
    if (!runtime->budget && options->pool) {
        runtime->budget = ortp_pool_budget(options->pool);
    }
    if (options->pool && ortp_pool_budget(options->pool) != runtime->budget) {
        return ortp__fail(error, ORTP_E_INVAL, "runtime: the pool charges another budget");
    }
    if (!runtime->budget) {
        ortp_budget_options budget_options = ORTP_BUDGET_OPTIONS_INIT;
        budget_options.limit_bytes = options->limit_bytes;
        budget_options.alloc = runtime->alloc;
        budget_options.log = runtime->log;
        ortp_status status = ortp_budget_create(&budget_options, &runtime->budget, error);
        if (status != ORTP_OK) {
            return status;
        }
        runtime->owns_budget = true;
    }
    ortp_status status = ortp_budget_charge(runtime->budget, ORTP_ACCOUNT_METADATA,
                                            sizeof(*runtime), ORTP_RECLAIM_CACHE);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "runtime: its %zu bytes do not fit into the budget",
                          sizeof(*runtime));
    }
    runtime->charged = true;
    return ORTP_OK;
}

static ortp_status open_pool(ortp_runtime *runtime, const ortp_runtime_options *options,
                             ortp_error *error)
{
    runtime->pool = options->pool;
    if (runtime->pool) {
        return ORTP_OK;
    }
    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = runtime->budget;
    pool_options.kind = options->pool_kind;
    pool_options.alloc = runtime->alloc;
    pool_options.clock = runtime->clock;
    pool_options.log = runtime->log;
    ortp_status status = ortp_pool_create(&pool_options, &runtime->pool, error);
    runtime->owns_pool = status == ORTP_OK;
    return status;
}

static ortp_status open_ort(ortp_runtime *runtime, const ortp_runtime_options *options,
                            ortp_error *error)
{
    const OrtApi *api = runtime->api;
    runtime->env = options->env;
    if (!runtime->env) {
        ortp_status status = ortp_runtime_take_status(
            runtime, api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, env_name, &runtime->env),
            "runtime: the env cannot be created", error);
        if (status != ORTP_OK) {
            runtime->env = NULL;
            return status;
        }
        runtime->owns_env = true;
        status = ortp_runtime_take_status(runtime, api->DisableTelemetryEvents(runtime->env),
                                          "runtime: telemetry cannot be turned off", error);
        if (status != ORTP_OK) {
            return status;
        }
    }
    ortp_status status = ortp_runtime_take_status(
        runtime, api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &runtime->cpu),
        "runtime: the memory info cannot be created", error);
    if (status != ORTP_OK) {
        runtime->cpu = NULL;
    }
    return status;
}

ortp_status ortp_runtime_create(const ortp_runtime_options *given, ortp_runtime **out,
                                ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "runtime: out is NULL");
    }
    *out = NULL;
    ortp_runtime_options options;
    ortp_status status = ortp__options_copy(&options, sizeof(options), given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "runtime: " ORTP__OTHER_VERSION);
    }
    if (!options.api) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "runtime: api is NULL (GetApi returns NULL for a version above its own)");
    }
    const size_t version_length = options.ort_version ? strlen(options.ort_version) : 0;
    if (version_length >= ORTP__ORT_VERSION_BYTES) {
        return ortp__fail(error, ORTP_E_INVAL, "runtime: ort_version has %zu bytes, at most %u go",
                          version_length, ORTP__ORT_VERSION_BYTES - 1);
    }
    ortp_alloc alloc;
    status = ortp__alloc_resolve(&options.alloc, &alloc);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "runtime: alloc needs both of its functions or none");
    }
    ortp_runtime *runtime = ortp__raw_alloc(&alloc, sizeof(*runtime));
    if (!runtime) {
        return ortp__fail(error, ORTP_E_NOMEM, "runtime: no memory for its struct");
    }
    runtime->api = options.api;
    runtime->api_version = options.api_version > 0 ? options.api_version : API_VERSION_LEAST;
    if (version_length > 0) {
        memcpy(runtime->ort_version, options.ort_version, version_length); /* zeroed: ends with 0 */
    }
    runtime->alloc = alloc;
    runtime->clock = options.clock;
    runtime->log = options.log;
    if (!ortp__mutex_init(&runtime->mutex, ORTP_RANK_RUNTIME)) {
        status = ortp__fail(error, ORTP_E_SYS, "runtime: the system refused a lock");
        goto fail_struct;
    }
    if (!ortp__cond_init(&runtime->released)) {
        status = ortp__fail(error, ORTP_E_SYS, "runtime: the system refused a lock");
        goto fail_mutex;
    }
    status = open_budget(runtime, &options, error);
    if (status == ORTP_OK) {
        status = open_pool(runtime, &options, error);
    }
    if (status == ORTP_OK) {
        status = ortp__held_open(runtime);
        if (status != ORTP_OK) {
            (void)ortp__fail(error, status, "runtime: no reclaimer: %s", ortp_status_text(status));
        }
    }
    if (status == ORTP_OK) {
        status = open_ort(runtime, &options, error);
    }
    if (status != ORTP_OK) {
        (void)ortp_runtime_destroy(runtime, NULL); /* nobody has it yet: cannot be busy */
        return status;
    }
    ortp__reporter_join(runtime->budget, &runtime->reporter, ortp__runtime_report, runtime);
    *out = runtime;
    return ORTP_OK;

fail_mutex:
    ortp__mutex_destroy(&runtime->mutex);
fail_struct:
    ortp__raw_free(&alloc, runtime, sizeof(*runtime));
    return status;
}

/* Frees the pool and the budget where they are the runtime's. BUSY: something of the host uses
 * them. */
static ortp_status close_memory(ortp_runtime *runtime, ortp_error *error)
{
    if (runtime->owns_pool) {
        ortp_status status = ortp_pool_destroy(runtime->pool, error);
        if (status != ORTP_OK) {
            return status;
        }
        runtime->owns_pool = false;
        runtime->pool = NULL;
    }
    ortp__reporter_leave(runtime->budget, &runtime->reporter);
    ortp__held_close(runtime);
    ortp__allocators_free(runtime);
    if (runtime->charged) {
        (void)ortp_budget_refund(runtime->budget, ORTP_ACCOUNT_METADATA, sizeof(*runtime));
        runtime->charged = false;
    }
    if (runtime->owns_budget) {
        ortp_status status = ortp_budget_destroy(runtime->budget, NULL);
        if (status != ORTP_OK) {
            ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
            ortp_budget_get_info(runtime->budget, &info);
            runtime->charged = ortp_budget_charge(runtime->budget, ORTP_ACCOUNT_METADATA,
                                                  sizeof(*runtime), ORTP_RECLAIM_NONE) == ORTP_OK;
            return ortp__fail(error, status,
                              "runtime: its budget is in use by the host (%zu bytes are charged)",
                              info.charged_bytes);
        }
    }
    return ORTP_OK;
}

ortp_status ortp_runtime_destroy(ortp_runtime *runtime, ortp_error *error)
{
    if (!runtime) {
        return ORTP_OK;
    }
    ortp__lock(&runtime->mutex);
    const size_t sessions = runtime->sessions;
    const size_t tensor_pools = runtime->tensor_pools;
    const size_t warmups = runtime->warmups;
    ortp__unlock(&runtime->mutex);
    if (sessions + tensor_pools + warmups > 0) {
        return ortp__fail(error, ORTP_E_BUSY,
                          "runtime: %zu sessions, %zu tensor pools and %zu warm-ups use it",
                          sessions, tensor_pools, warmups);
    }
    const size_t live = ortp__allocators_live(runtime);
    if (live > 0) {
        return ortp__fail(
            error, ORTP_E_BUSY,
            "runtime: %zu allocations live that ONNX Runtime made here: OrtValues of runs that are "
            "not released",
            live);
    }
    ortp_status status = close_memory(runtime, error);
    if (status != ORTP_OK) {
        return status;
    }
    if (runtime->cpu) {
        runtime->api->ReleaseMemoryInfo(runtime->cpu);
    }
    if (runtime->owns_env) {
        runtime->api->ReleaseEnv(runtime->env);
    }
    ortp__cond_destroy(&runtime->released);
    ortp__mutex_destroy(&runtime->mutex);
    const ortp_alloc alloc = runtime->alloc;
    ortp__raw_free(&alloc, runtime, sizeof(*runtime));
    return ORTP_OK;
}

ortp_status ortp_stats_collect(const ortp_runtime *runtime, ortp_stats *stats)
{
    return ortp_stats_collect_budget(runtime ? runtime->budget : NULL, stats);
}

const OrtApi *ortp_runtime_api(const ortp_runtime *runtime)
{
    return runtime->api;
}

OrtEnv *ortp_runtime_env(const ortp_runtime *runtime)
{
    return runtime->env;
}

ortp_budget *ortp_runtime_budget(const ortp_runtime *runtime)
{
    return runtime->budget;
}

ortp_pool *ortp_runtime_pool(const ortp_runtime *runtime)
{
    return runtime->pool;
}

const char *ortp_runtime_ort_version(const ortp_runtime *runtime)
{
    return runtime->ort_version[0] ? runtime->ort_version : NULL;
}

uint64_t ortp_runtime_now_ms(const ortp_runtime *runtime)
{
    return ortp__clock_ms(&runtime->clock);
}

const ortp_alloc *ortp__runtime_alloc(const ortp_runtime *runtime)
{
    return &runtime->alloc;
}

const ortp_clock *ortp__runtime_clock(const ortp_runtime *runtime)
{
    return &runtime->clock;
}

const ortp_logger *ortp__runtime_log(const ortp_runtime *runtime)
{
    return &runtime->log;
}

uint32_t ortp__runtime_api_version(const ortp_runtime *runtime)
{
    return runtime->api_version;
}

ortp_status ortp_value_release(const ortp_runtime *runtime, OrtValue *value)
{
    if (!runtime) {
        return ORTP_E_INVAL;
    }
    if (value) {
        runtime->api->ReleaseValue(value);
    }
    return ORTP_OK;
}

ortp_status ortp_runtime_take_status(const ortp_runtime *runtime, OrtStatus *status,
                                     const char *what, ortp_error *error)
{
    if (!status) {
        return ORTP_OK;
    }
    const OrtApi *api = runtime->api;
    const char *message = api->GetErrorMessage(status);
    (void)ortp__fail(error, ORTP_E_ORT, "%s%s%s", what ? what : "", what ? ": " : "",
                     message ? message : "");
    ortp__error_set_ort_code(error, (int32_t)api->GetErrorCode(status));
    api->ReleaseStatus(status);
    return ORTP_E_ORT;
}

static size_t *count_of_locked(ortp_runtime *runtime, ortp__user user)
{
    ortp__assert_held(&runtime->mutex);
    switch (user) {
    case ORTP__USER_TENSOR_POOL:
        return &runtime->tensor_pools;
    case ORTP__USER_WARMUP:
        break;
    }
    return &runtime->warmups;
}

void ortp__runtime_retain(ortp_runtime *runtime, ortp__user user)
{
    ortp__lock(&runtime->mutex);
    ++*count_of_locked(runtime, user);
    ortp__unlock(&runtime->mutex);
}

void ortp__runtime_release(ortp_runtime *runtime, ortp__user user)
{
    ortp__lock(&runtime->mutex);
    --*count_of_locked(runtime, user);
    ortp__unlock(&runtime->mutex);
}
