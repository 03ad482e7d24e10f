/* SPDX-License-Identifier: MIT */
/*
 * The test graphs with inputs in memory of the test's own, and what the host's own session answers to
 * them: the measure for sessions whose memory is ortpool's.
 *
 *     graph_feed feed;
 *     graph_answer expected;
 *     graph_feed_make(&feed, GRAPH_ENCODER, 32);
 *     graph_answer_by_host(&expected, runtime, &feed, 1);
 *     ... graph_run(session, NULL, &feed, &output, &error) ...
 *     assert_true(graph_answer_equals(&expected, output));
 */
#ifndef TEST_GRAPHS_H
#define TEST_GRAPHS_H

#include "test_ort.h"

#include <ortpool/session.h>

#include <onnxruntime_c_api.h>

/*
 * 0 under ThreadSanitizer: ORT's own threads synchronise by means that it does not see, so what they hand
 * to each other looks like a race. There only the callers' threads are several.
 */
#if defined(__SANITIZE_THREAD__)
#define TEST_ORT_THREADS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_ORT_THREADS 0
#endif
#endif
#ifndef TEST_ORT_THREADS
#define TEST_ORT_THREADS 1
#endif

typedef enum graph_kind {
    GRAPH_ADD,      /* size: elements */
    GRAPH_IDENTITY, /* size: elements; 0 is legal */
    GRAPH_TWO,      /* the same; x + y and (x + y) * y, of which the second is what is answered */
    GRAPH_SIZED,    /* size: floats that it makes inside, its input's one element */
    GRAPH_TINY_ENCODER, /* size: points */
    GRAPH_TINY_DECODER, /* size: rows */
    GRAPH_ENCODER,      /* of models/swipe-en-usual; size: points, 150 at most */
    GRAPH_DECODER,      /* of models/swipe-en-usual; size: rows */
    GRAPH_KINDS
} graph_kind;

#define GRAPH_INPUTS_MAX 3

typedef struct graph_feed {
    graph_kind kind;
    size_t input_count;
    const char *input_names[GRAPH_INPUTS_MAX];
    OrtValue *inputs[GRAPH_INPUTS_MAX];
    void *data[GRAPH_INPUTS_MAX];
    const char *output_name;
    int64_t output_shape[3];
    size_t output_rank;
} graph_feed;

/* The graph's file, as test_file(). */
const char *graph_file(graph_kind kind);

/* cmocka, both. The inputs depend on kind and size alone. */
void graph_feed_make(graph_feed *feed, graph_kind kind, int64_t size);
void graph_feed_free(graph_feed *feed);

typedef struct graph_answer {
    void *data;
    size_t bytes;
} graph_answer;

/* cmocka: a session of the host's in the runtime's env, with ONNX Runtime's own memory. */
OrtSession *graph_host_session(const ortp_runtime *runtime, graph_kind kind, int threads);
/* cmocka: what that session, or a passing one, answers. */
void graph_answer_by(graph_answer *answer, OrtSession *ort, const graph_feed *feed);
void graph_answer_by_host(graph_answer *answer, const ortp_runtime *runtime, const graph_feed *feed,
                          int threads);
void graph_answer_free(graph_answer *answer);
/* Any thread: bit for bit. */
bool graph_answer_equals(const graph_answer *answer, const OrtValue *value);
/* cmocka: the largest difference of two float values' elements. */
double graph_answer_difference(const graph_answer *answer, const OrtValue *value);

/* cmocka: `more` (may be NULL) with runtime and path filled in. */
ortp_session *graph_session(ortp_runtime *runtime, graph_kind kind,
                            const ortp_session_options *more);
/* Any thread: ortp_session_run() with the output that ORT makes. */
ortp_status graph_run(ortp_session *session, const ortp_run_options *options,
                      const graph_feed *feed, OrtValue **output, ortp_error *error);
/* A value of the output's shape over memory of the test's own, to be run into. */
typedef struct graph_place {
    OrtValue *value;
    void *data;
} graph_place;

/* cmocka, both. */
void graph_place_make(graph_place *place, const graph_feed *feed);
void graph_place_free(graph_place *place);
/* Any thread. */
ortp_status graph_run_into(ortp_session *session, const ortp_run_options *options,
                           const graph_feed *feed, const graph_place *place, ortp_error *error);

/* cmocka: runs, compares, releases. */
void graph_check(ortp_session *session, const graph_feed *feed, const graph_answer *expected);

/* A session with OrtSessionOptions of the application's own. */
typedef struct own_session {
    ortp_session *session;
    OrtSession *ort; /* the session's */
} own_session;

typedef struct own_options {
    ortp_session_options session; /* runtime and path are filled in */
    int threads;                  /* 0: 1 */
    bool parallel;                /* ORT_PARALLEL with two inter-op threads */
} own_options;

/* cmocka. On failure both are NULL. */
ortp_status own_session_open(own_session *own, ortp_runtime *runtime, graph_kind kind,
                             const own_options *options, ortp_error *error);
/* cmocka. */
void own_session_close(own_session *own);

/* What a model is asked, and what it answers when ONNX Runtime runs it by itself. */
typedef struct graph_world {
    graph_feed feed;
    graph_answer expected;
} graph_world;

/* cmocka, all. */
void graph_world_open(graph_world *w, graph_kind kind, int64_t size);
void graph_world_close(graph_world *w);
/* Runs and compares; the caller's to release. */
OrtValue *graph_world_output(ortp_session *session, const graph_world *w);
/* By a thread of its own, which has ended. */
void test_release_elsewhere(OrtValue *value);

/* What is in use of a runtime's pool and declared to its budget. */
typedef struct test_use {
    size_t in_use_bytes[ORTP_LABEL_COUNT];
    size_t in_use_blocks;
    size_t declared_bytes;
} test_use;

test_use test_use_of(const ortp_runtime *runtime);
/* cmocka: what is in use is as it was, and the ledger balances. */
void test_assert_use(const ortp_runtime *runtime, const test_use *before);
size_t test_charged(const ortp_runtime *runtime);
ortp_pool_info test_pool_info(const ortp_runtime *runtime);
ortp_session_info test_session_info(const ortp_session *session);

#define assert_ok(call, error)                                                                     \
    do {                                                                                           \
        const ortp_status status_ = (call);                                                        \
        if (status_ != ORTP_OK) {                                                                  \
            fail_msg("%s: %s: %s", #call, ortp_status_name(status_), (error).message);             \
        }                                                                                          \
    } while (0)

#endif
