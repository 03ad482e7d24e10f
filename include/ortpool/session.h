/* SPDX-License-Identifier: MIT */
/*
 * A session of ortpool: loads a graph, declares its weights to the budget, says what goes in and
 * out, runs. A convenience: the tensor pool works with any OrtSession.
 *
 * Settings: ORT's arena as it is, memory patterns off (their key confuses shapes: after a long
 * input every shorter run keeps paying for the long one), sequential execution, the threads asked
 * for.
 */
#ifndef ORTPOOL_SESSION_H
#define ORTPOOL_SESSION_H

#include <ortpool/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ortp_session ortp_session;

typedef struct ortp_session_options {
    size_t struct_size;
    ortp_runtime *runtime; /* required; must outlive the session */
    const char *path;      /* the graph's file; or ... */
    const void *model;     /* ... its bytes, borrowed for the call */
    size_t model_bytes;
    const char *name;       /* for messages; NULL: the path */
    uint32_t intra_threads; /* 0: 1 */
    size_t declared_bytes;  /* the host's word for its weights; 0: estimated, see below */
} ortp_session_options;
#define ORTP_SESSION_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_session_options)

/*
 * Declares the weights to the budget first, so that a model that cannot fit is refused before ORT
 * is asked: the graph's bytes and what its initializers say they keep in external data files (those
 * of graphs inside nodes are not followed). Afterwards corrects that to the anonymous memory that
 * the process grew by, where that is more and the host gave no word. Other threads' growth counts
 * too, so the correction ends at four times the first figure plus 8 MiB; a session that then does
 * not fit is destroyed again. Errors: NOTFOUND (no such file), INVAL (not a graph, says why),
 * BUDGET (error says what limit would do), NOMEM, SYS (the file cannot be read), ORT. INVAL for options NULL (the runtime is
 * required). Thread-safe: yes (one at a time per runtime).
 */
ORTP_API ORTP_CHECK ortp_status ortp_session_create(const ortp_session_options *options,
                                                    ortp_session **out, ortp_error *error);
/* Refunds what was declared. Thread-safe: no, no run may be in progress and nobody else may use it. */
ORTP_API ortp_status ortp_session_destroy(ortp_session *session);

typedef struct ortp_port {
    const char *name; /* owned by the session */
    ortp_type type;   /* 0 where it is no tensor of a fixed-size type */
    size_t rank; /* above ORTP_RANK_MAX: shape is not given; 0 also where the graph says no rank */
    int64_t shape[ORTP_RANK_MAX]; /* -1: free */
} ortp_port;

/* Thread-safe: yes, all. */
ORTP_API size_t ortp_session_input_count(const ortp_session *session);
ORTP_API size_t ortp_session_output_count(const ortp_session *session);
ORTP_API const ortp_port *ortp_session_input(const ortp_session *session, size_t index);
ORTP_API const ortp_port *ortp_session_output(const ortp_session *session, size_t index);
/* SIZE_MAX: no port of that name. Thread-safe: yes, both. */
ORTP_API size_t ortp_session_find_input(const ortp_session *session, const char *name);
ORTP_API size_t ortp_session_find_output(const ortp_session *session, const char *name);

/* The underlying session, owned by this one; what is declared for it. Thread-safe: yes, both. */
ORTP_API OrtSession *ortp_session_ort(const ortp_session *session);
ORTP_API size_t ortp_session_declared_bytes(const ortp_session *session);

/*
 * Runs with one value per input and per output, in the session's order; all outputs preallocated
 * with their exact shapes. Adds nothing to ORT's own allocations of a run. Errors: ORT (with its
 * message), INVAL (a NULL value). Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_session_run(ortp_session *session,
                                                 const OrtValue *const *inputs, OrtValue **outputs,
                                                 ortp_error *error);
/* Runs finished without error since creation. Thread-safe: yes. */
ORTP_API uint64_t ortp_session_runs(const ortp_session *session);

#ifdef __cplusplus
}
#endif
#endif
