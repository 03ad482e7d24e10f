/* SPDX-License-Identifier: MIT */
/*
 * The runtime: binds an application's ONNX Runtime (ORT) to a budget and a pool.
 *
 * The library links no ORT. The application passes the `const OrtApi *` it got from OrtGetApiBase(); any
 * ORT from 1.18 on works: members of later API versions are used only where the application says so.
 * Several runtimes may live in one process; they share ORT's process-wide env as ORT has it.
 *
 * Telemetry: recent official builds of ORT for Linux (seen in 1.29) start a client with the
 * process's first env: a thread, a log in /tmp, a device id below the home folder, uploads. The
 * library sets no environment variable: the environment is the application's. A runtime that
 * creates the env (options.env NULL) calls DisableTelemetryEvents on it at once: no events are
 * sent, but the client has started. On an env that the application passes neither that nor
 * EnableTelemetryEvents is called. To keep the client from starting at all, set
 * ORT_DISABLE_TELEMETRY=1 in the environment before the first env is created, as by
 * setenv("ORT_DISABLE_TELEMETRY", "1", 0) at the start of main().
 *
 * Order of life: tensors, OrtValues -> tensor pools, sessions -> runtime -> (pool, budget of the application).
 */
#ifndef ORTPOOL_RUNTIME_H
#define ORTPOOL_RUNTIME_H

#include <ortpool/pool.h>
#include <ortpool/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ORT's own types; the same declarations as in onnxruntime_c_api.h, which need not be included. */
typedef struct OrtApi OrtApi;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtStatus OrtStatus;

typedef struct ortp_runtime ortp_runtime;

typedef struct ortp_runtime_options {
    size_t struct_size;
    const OrtApi *api;        /* required; from GetApi(v), v >= 18; valid as long as the runtime */
    OrtEnv *env;              /* borrowed; NULL: the runtime creates a silent one and releases it */
    ortp_budget *budget;      /* borrowed; NULL: the pool's, or one of its own with limit_bytes */
    ortp_pool *pool;          /* borrowed, must charge `budget`; NULL: the runtime creates one of
                            pool_kind */
    size_t limit_bytes;       /* of a budget of its own; 0: ORTP_UNLIMITED */
    ortp_pool_kind pool_kind; /* used with pool NULL */
    ortp_alloc alloc;
    ortp_clock clock;
    ortp_logger log;         /* gets what ORT logs of sessions made here, too, unless fn is NULL */
    const char *ort_version; /* copied, at most 63 bytes; may be NULL. What OrtGetApiBase()->
                                GetVersionString() gives, "1.29.0": OrtApi itself does not say it.
                                With it models that need a newer ORT are refused. */
    uint32_t
        api_version; /* the v of GetApi(v) that `api` came from; 0: 18. Members of later versions
                             are not used. From 24 on ortp_session_run() asks for shapes without an
                             allocation, from 23 on GetStats answers. */
} ortp_runtime_options;
#define ORTP_RUNTIME_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_runtime_options)

/*
 * Errors: INVAL (no api, so also options NULL; a pool of another budget; too long a version),
 * VERSION, NOMEM, BUDGET, SYS, ORT. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_runtime_create(const ortp_runtime_options *options,
                                                    ortp_runtime **out, ortp_error *error);
/*
 * ORTP_E_BUSY, and the runtime stays usable, while sessions, tensor pools or warm-ups of it exist,
 * OrtValues live that ORT made in its sessions' runs, or the application holds blocks of the
 * runtime's own pool. Where the application has charged the runtime's own
 * budget, BUSY comes when that pool is gone: then the runtime only waits for another destroy.
 * Thread-safe: no, nobody else may be using it.
 */
ORTP_API ortp_status ortp_runtime_destroy(ortp_runtime *runtime, ortp_error *error);

/* What the runtime uses; owned by it or by the application as given. Thread-safe: yes. */
ORTP_API const OrtApi *ortp_runtime_api(const ortp_runtime *runtime);
ORTP_API OrtEnv *ortp_runtime_env(const ortp_runtime *runtime);
ORTP_API ortp_budget *ortp_runtime_budget(const ortp_runtime *runtime);
ORTP_API ortp_pool *ortp_runtime_pool(const ortp_runtime *runtime);
/* The runtime's copy of ort_version; NULL where none was given. Thread-safe: yes. */
ORTP_API const char *ortp_runtime_ort_version(const ortp_runtime *runtime);

/*
 * Milliseconds by the runtime's clock, the one that deadlines are measured with: the ortp_clock it
 * was given, else CLOCK_MONOTONIC. A deadline in 50 ms is ortp_runtime_now_ms(runtime) + 50.
 * Thread-safe: yes.
 */
ORTP_API uint64_t ortp_runtime_now_ms(const ortp_runtime *runtime);

/* How much the system wants memory back. Held: blocks of runs of which outputs are not freed yet; those
 * keep their own pages. */
typedef enum ortp_pressure {
    ORTP_PRESSURE_NONE = 0,
    ORTP_PRESSURE_LOW = 1,      /* give back blocks that were idle for ten seconds, and held ones */
    ORTP_PRESSURE_MODERATE = 2, /* give back all idle blocks, and held ones */
    ORTP_PRESSURE_CRITICAL = 3, /* and idle tensors, and cache entries that nobody leases */
} ortp_pressure;

/* The pressure that a level of Android's onTrimMemory() stands for; unknown ones: as the next lower
 * one that is known. Thread-safe: yes. */
ORTP_API ortp_pressure ortp_pressure_from_android(int level);

/*
 * Gives about `bytes` of idle memory back to the system (ORTP_UNLIMITED: all that is idle):
 * blocks, idle or held, then idle tensors, then cache entries that nobody leases, and what the C
 * library's heap holds unused.
 * *freed_bytes (may be NULL): what left the budget. Runs in progress go on. Errors: INVAL (runtime
 * is NULL). Thread-safe: yes.
 */
ORTP_API ortp_status ortp_runtime_trim(ortp_runtime *runtime, size_t bytes, size_t *freed_bytes);
/*
 * The same by pressure; NONE does nothing; LOW says the bytes of the mappings given back. Errors:
 * INVAL (runtime is NULL, an unknown pressure). Thread-safe: yes.
 */
ORTP_API ortp_status ortp_runtime_relieve(ortp_runtime *runtime, ortp_pressure pressure,
                                          size_t *freed_bytes);

/*
 * Sets *stats to the figures of everything that charges the runtime's budget, and of the process:
 * ortp_stats_collect_budget() with ortp_runtime_budget(). Of runtimes that share a budget each gives the
 * figures of all. Errors: INVAL (NULL), VERSION (struct_size too small). Thread-safe: yes.
 */
ORTP_API ortp_status ortp_stats_collect(const ortp_runtime *runtime, ortp_stats *stats);

/*
 * Releases an OrtValue that ORT made: OrtApi's ReleaseValue. NULL is a no-op. Not for the value of an
 * ortp_tensor. Errors: INVAL (runtime is NULL). Thread-safe: yes.
 */
ORTP_API ortp_status ortp_value_release(const ortp_runtime *runtime, OrtValue *value);

/*
 * Turns an OrtStatus of the application's own calls into a status and an error detail, and releases it.
 * NULL (success) gives ORTP_OK. Thread-safe: yes.
 */
ORTP_API ortp_status ortp_runtime_take_status(const ortp_runtime *runtime, OrtStatus *status,
                                              const char *what, ortp_error *error);

#ifdef __cplusplus
}
#endif
#endif
