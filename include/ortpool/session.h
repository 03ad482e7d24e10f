/* SPDX-License-Identifier: MIT */
/*
 * A session of ortpool: an OrtSession whose memory comes from the runtime's pool, under its budget.
 *
 *     ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
 *     options.runtime = runtime;
 *     options.path = "model.onnx";
 *     options.ort_options = settings;      the application's own OrtSessionOptions, or NULL
 *     ortp_session_create(&options, &session, &error);
 *     ortp_session_run(session, NULL, names, inputs, 2, NULL, outputs, 1, &error);
 *
 * An application that must call ORT itself gives a `create` callback. The session owns the
 * OrtSession in every case.
 *
 * ORT asks for its allocator once, when a session is created, and knows one per env; so ortpool
 * registers an allocator made for this session, lets the session be created, and takes it out
 * again. Creations exclude each other in the whole process meanwhile.
 *
 * Run arena: a run first acquires one block, as large as this session has needed for these shapes
 * (the first run of a shape finds that out, and its block grows while it runs; the last 256 shapes
 * are remembered; by shapes, so that where sizes depend on values the largest counts, while what a
 * refused run asked for bars the next one of its shapes alone). What ORT allocates on the calling
 * thread lies in it, by best fit; also an output that you passed NULL for, which is best freed
 * before the next run of the runtime begins: the block is then there again, whole. Where a
 * session's outputs are held longer, every page of the block that holds no live output is
 * decommitted, and later outputs of the session get blocks of their own, of at most four times their
 * size. What comes from other
 * threads (parallel execution: nearly everything) goes to the pool. Admission is therefore one
 * decision, before ORT is entered: the run gets its block, waits for it until its deadline, or is
 * refused. A refusal after that (the first run of a shape, other threads, outputs that have their
 * own blocks) is a std::bad_alloc, which ends in a clean status; before that the run is made again
 * at once where idle memory, tensors and cache entries can make room for what it wanted, and with
 * a deadline when memory has come free: a run whose inputs share memory with its outputs must bear
 * that. Where ortpool was built without it (ORTPOOL_THROW=OFF) it is granted and counted as
 * overdraft: such a build's limit is soft.
 *
 * Packed weights have a block of their own as long as the session lives (label: weights). What ORT
 * keeps where no allocator sees it is declared.
 *
 * Memory patterns are off unless asked for: ORT looks a pattern up by an XOR of the input
 * dimensions, in which equal shapes cancel out; after a long input every shorter run keeps paying
 * for the long one.
 *
 * Execution is sequential unless ort_options say otherwise.
 *
 * Outside of ortp_session_run: Run, RunWithBinding or RunAsync of OrtApi on ortp_session_ort() work,
 * and so does an OrtAllocator made for it. Their memory comes from the pool, a block each, under the
 * budget; they get no block of their own, are not admitted, do not wait, are not counted as runs.
 * What is allocated while no ortp_session_run of this session is in progress is counted apart
 * (outside_allocs, outside_bytes), so that a forgotten call shows. Such calls beside an
 * ortp_session_run on the same session cannot be told from threads of that run: they count as its own.
 */
#ifndef ORTPOOL_SESSION_H
#define ORTPOOL_SESSION_H

#include <ortpool/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct OrtAllocator OrtAllocator; /* as in onnxruntime_c_api.h */

typedef struct ortp_session ortp_session;

/* Where ORT's activations, outputs and packed weights come from. */
typedef enum ortp_ort_memory {
    ORTP_ORT_MEMORY_POOL = 0,  /* the runtime's pool, under the budget */
    ORTP_ORT_MEMORY_ARENA = 1, /* ORT's own arena: declared at creation, not bounded */
    ORTP_ORT_MEMORY_NO_ARENA = 2, /* the C library's heap, one allocation each: the same */
} ortp_ort_memory;

/*
 * Creates an OrtSession in `env` with `options`: for ORT's other ways to load a graph
 * (CreateSessionFromArray, CreateSessionWithPrepackedWeightsContainer, ...). Called once, on the
 * thread of ortp_session_create(). `options` are the prepared ones: a clone of ort_options with what
 * ortpool sets; borrowed for the call. Returns ORT's status; both it and *out belong to ortpool
 * afterwards, whatever the status says. Must not throw. It may run and destroy sessions; it must not
 * create another one of ortpool (BUSY), nor wait for a thread that does, nor create more than one
 * OrtSession with `options`. No run of the new session may be in progress when it returns.
 */
typedef OrtStatus *(*ortp_session_create_fn)(void *ctx, OrtEnv *env,
                                             const OrtSessionOptions *options, OrtSession **out);

typedef struct ortp_session_options {
    size_t struct_size;
    ortp_runtime *runtime; /* required; must outlive the session */
    const char *path;      /* the graph's file; or ... */
    const void *model;     /* ... its bytes, borrowed for the call; with `create` neither is required */
    size_t model_bytes;
    const char *name;       /* for messages; NULL: the path */
    uint32_t intra_threads; /* 0: what ort_options say, without them ORT's default (all cores) */
    size_t declared_bytes;  /* the application's word for what ORT holds elsewhere; 0: estimated, see
                               below */
    ortp_ort_memory memory;
    bool memory_patterns;    /* leave ORT's memory patterns as they are, on by default */
    bool disable_prepacking; /* no packed copies of weights: less memory, external weights stay mapped
                                files; slower, docs/ort-memory.md says by how much */
    OrtAllocator *env_allocator; /* only for ORTP_ORT_MEMORY_POOL: the CPU allocator that the application
                                    itself has registered with the env; NULL: none. It is registered
                                    again after the creation. */
    const OrtSessionOptions *ort_options; /* the application's own: cloned, never changed; memory,
                                             memory_patterns, disable_prepacking and intra_threads are
                                             set on the clone, nothing else. NULL: all graph
                                             optimisations, sequential, threads that wait do not spin,
                                             ORT's messages go to the runtime's log. */
    ortp_session_create_fn create; /* NULL: ortpool calls CreateSession with path or model */
    void *create_ctx;
} ortp_session_options;
#define ORTP_SESSION_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_session_options)

/*
 * Declares the weights to the budget first, so that a model that cannot fit is refused before ORT
 * is asked: the graph's bytes and what its initializers say they keep in external data files (those
 * of graphs inside nodes are not followed). Where the application gave no word, corrects that
 * afterwards to the larger of two figures: those bytes less what ORT packed into memory of the pool
 * (0 with disable_prepacking), and the anonymous memory that the process grew by less what ortpool
 * mapped. Other threads' growth counts too, so the second ends at four times the graph's bytes plus
 * 8 MiB, where those are known (a `create` callback without path and model: no bound); a session that
 * then does not fit is destroyed again.
 *
 * ORT up to 1.22 refuses a second CPU allocator in the env, where the application has one that
 * env_allocator does not name (ORTP_E_ORT); later ones replace it for good. While a session is
 * created, no other session with session.use_env_allocators may be created in this env: it would
 * keep this one's allocator.
 *
 * Errors: NOTFOUND (no such file), INVAL (not a graph, says why; options NULL: the runtime is
 * required; the callback gave no OrtSession, or with memory POOL one that does not use the env's
 * allocator since it was created with other options or in another env), BUDGET (for the weights the
 * error states a sufficient limit), BUSY (this thread is creating another session: inside a callback,
 * a log function, a custom op), NOMEM, SYS (the file cannot be read), ORT (with ORT's message). After
 * an error nothing is left, the callback's OrtSession included. Thread-safe: yes (one creation at a
 * time in the process).
 */
ORTP_API ORTP_CHECK ortp_status ortp_session_create(const ortp_session_options *options,
                                                    ortp_session **out, ortp_error *error);
/*
 * Releases the OrtSession, refunds what was declared. NULL is a no-op. OrtValues that ORT made in runs
 * may live on; release them before the runtime is destroyed. Thread-safe: no, no run may be in
 * progress and nobody else may use it.
 */
ORTP_API ortp_status ortp_session_destroy(ortp_session *session, ortp_error *error);

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

/* The underlying session, not to be released; what is declared for it. Thread-safe: yes, both. */
ORTP_API OrtSession *ortp_session_ort(const ortp_session *session);
ORTP_API size_t ortp_session_declared_bytes(const ortp_session *session);

typedef struct ortp_run_options {
    size_t struct_size;
    const OrtRunOptions *ort; /* borrowed; NULL: the session's, default ones */
    uint64_t timeout_ms;      /* by the runtime's clock: how long the run may wait for memory, before ORT
                                 is entered; 0: it does not wait. Time in ORT is not limited by it. */
} ortp_run_options;
#define ORTP_RUN_OPTIONS_INIT ORTP_STRUCT_INIT(ortp_run_options)

/*
 * In place of OrtApi's Run: one value for each name. The names are the graph's, in any order; outputs
 * that are not named are not computed. Names NULL: the session's own, in its order, and the count must
 * then be the session's (ortp_session_input_count(), ortp_session_output_count()).
 *
 * outputs[i] set: preallocated, with its exact shape. outputs[i] NULL: ORT allocates it, and on success
 * the caller releases it by ortp_value_release(). The value may outlive run and session, but not the
 * runtime; once another run begins, the session ends or memory is asked for, its own pages alone stay
 * mapped for it, or its own block. On failure outputs that were NULL are NULL still.
 *
 * Makes no allocation of its own, nor any of ORT beyond the run's, where the graph's shapes are fixed or
 * the runtime's api_version is 24 or more; else ORT makes two small ones for each input. options NULL:
 * defaults. A wait is not ended by OrtRunOptions' terminate flag, and lasts until the timeout even where
 * the need is above the limit, which may be raised.
 *
 * Errors: INVAL (without names a wrong count, says what was expected; a NULL input, a NULL name, no output), BUDGET
 * (error says what the run needs), TIMEOUT (no memory came free in time), ORT (with its message, an
 * unknown name among them), NOMEM, SYS (no lock), VERSION. Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_session_run(ortp_session *session,
                                                 const ortp_run_options *options,
                                                 const char *const *input_names,
                                                 const OrtValue *const *inputs, size_t input_count,
                                                 const char *const *output_names,
                                                 OrtValue **outputs, size_t output_count,
                                                 ortp_error *error);

/*
 * Has `count` blocks ready, with their pages present, each as large as the most that a run of this
 * session has needed, so that as many runs at the same time map nothing. Nothing to do where no
 * run was made yet or memory is not from the pool. Errors: BUDGET, NOMEM, INVAL (NULL).
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_session_warm_runs(ortp_session *session, size_t count);

/* Runs finished without error since creation. Thread-safe: yes. */
ORTP_API uint64_t ortp_session_runs(const ortp_session *session);

typedef struct ortp_session_info {
    size_t struct_size;
    ortp_ort_memory memory;
    size_t declared_bytes;
    size_t weights_bytes; /* mapped for packed weights */
    size_t run_bytes;  /* the most that a run's block has needed, outputs that lie in it included */
    size_t live_count; /* allocations that ORT holds at this moment, weights included */
    size_t live_bytes; /* what they asked for */
    size_t live_bytes_peak;
    uint64_t allocs;        /* calls of Alloc and Reserve that were served */
    uint64_t overflows;     /* of these: in blocks of their own, not in the run's */
    uint64_t outside_allocs; /* of these: while no ortp_session_run was in progress, see above */
    uint64_t outside_bytes;  /* what those asked for, all together */
    uint64_t refusals;      /* calls of Alloc and Reserve that were refused */
    uint64_t overdrafts;    /* granted above the limit; 0 in builds that throw */
    size_t overdraft_bytes; /* held above the limit at this moment */
    uint64_t runs;
    uint64_t waits;       /* runs that waited for memory */
    uint64_t turned_away; /* runs, or repetitions of one, that ended before ORT was entered */
} ortp_session_info;
#define ORTP_SESSION_INFO_INIT ORTP_STRUCT_INIT(ortp_session_info)

/* Errors: VERSION, INVAL (NULL). Thread-safe: yes; figures of several threads at one moment only at
 * a quiet point. */
ORTP_API ortp_status ortp_session_get_info(const ortp_session *session, ortp_session_info *out);

#ifdef __cplusplus
}
#endif
#endif
