/* SPDX-License-Identifier: MIT */
/*
 * Memory over changing shapes: the bundled encoder with 16 lengths of input, in rising, falling and
 * random order, with ortpool and with what ORT offers itself.
 *
 *     bench_shapes                  every configuration, each in a process of its own
 *     bench_shapes MEMORY ORDER     one: a line of JSON
 *
 * MEMORY  need                      what ORT asks for: an allocator that passes on and counts
 *         pool                      ortpool's sessions
 *         arena-two, arena-same     ORT's arena, growing by powers of two or as requested
 *         arena-two-shrink, arena-same-shrink    and shrunk after every run
 *         plain                     no arena
 *
 * Figures, in bytes, without weights: all begin when the session is there and has not run.
 *   peak       the most that was taken at one moment. ortpool: pages that its page functions took plus
 *              control structures; the others: what ORT took from the C++ heap with an alignment
 *              (aligned_new.h), for an arena that is its regions. Neither is the library's own
 *              account
 *   kept       what of it is still taken after the last run; trimmed: after trimming. ortpool:
 *              ortp_runtime_trim(); arenas: one run with the option to shrink; all: malloc_trim()
 *   again      the peak of one run of the longest input after that
 *   resident, anonymous    growth of the process (VmRSS, RssAnon) at the end, _trimmed: after trimming
 * Inputs and output are the program's own, there before the session and the same everywhere;
 * `words` stands for the bytes of all outputs, which must be the same in every line.
 */
#include "aligned_new.h"
#include "counting_memory.h"
#include "encoder.h"
#include "page_watch.h"

#include <ort_loader.h>
#include <ortpool/session.h>

#include <malloc.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define SHAPES 16u
#define PASSES 3u
#define POINTS_MIN 10u

extern char **environ;

typedef enum memory_kind {
    NEED,
    POOL,
    ARENA_TWO,
    ARENA_SAME,
    ARENA_TWO_SHRINK,
    ARENA_SAME_SHRINK,
    PLAIN,
    MEMORY_KINDS
} memory_kind;
static const char *const memory_names[MEMORY_KINDS] = {
    "need", "pool", "arena-two", "arena-same", "arena-two-shrink", "arena-same-shrink", "plain"};
typedef enum order_kind { RISING, FALLING, RANDOM, ORDERS } order_kind;
static const char *const order_names[ORDERS] = {"rising", "falling", "random"};

typedef struct subject {
    memory_kind kind;
    const ort_library *library;
    const OrtApi *api;
    OrtEnv *env;
    OrtSession *ort;
    OrtRunOptions *run_options; /* NULL: defaults */
    OrtRunOptions *shrink;
    OrtMemoryInfo *arena_info;
    OrtAllocator *session_memory; /* of an arena: answers GetStats */
    counting_memory counting;
    ortp_runtime *runtime;
    ortp_session *session;
} subject;

typedef struct residency {
    size_t resident, anonymous;
} residency;

static void must(ortp_status status, const ortp_error *error)
{
    if (status != ORTP_OK) {
        (void)fprintf(stderr, "bench: %s: %s\n", ortp_status_name(status), error->message);
        exit(1);
    }
}

static residency residency_get(void)
{
    residency out = {0, 0};
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    while (file && fgets(line, sizeof(line), file)) {
        (void)sscanf(line, "VmRSS: %zu kB", &out.resident);
        (void)sscanf(line, "RssAnon: %zu kB", &out.anonymous);
    }
    if (file) {
        (void)fclose(file);
    }
    out.resident *= 1024;
    out.anonymous *= 1024;
    return out;
}

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- subjects ---- */

static void open_pool(subject *s)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = s->api;
    runtime.env = s->env;
    runtime.alloc = page_watch_alloc();
    must(ortp_runtime_create(&runtime, &s->runtime, &error), &error);
    ortp_session_options session = ORTP_SESSION_OPTIONS_INIT;
    session.runtime = s->runtime;
    session.path = BENCH_MODEL "/encoder.onnx";
    session.intra_threads = 1;
    must(ortp_session_create(&session, &s->session, &error), &error);
}

/* An arena of the env, as an application sets one up; strategy 0: power of two, 1: as requested. */
static void register_arena(subject *s, size_t strategy)
{
    const char *const keys[] = {"arena_extend_strategy"};
    const size_t values[] = {strategy};
    OrtArenaCfg *config = NULL;
    ort_must(s->api, s->api->CreateArenaCfgV2(keys, values, 1, &config));
    ort_must(s->api,
             s->api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &s->arena_info));
    ort_must(s->api, s->api->CreateAndRegisterAllocator(s->env, s->arena_info, config));
    s->api->ReleaseArenaCfg(config);
}

static void open_ort(subject *s)
{
    OrtSessionOptions *options = encoder_options(s->api);
    switch (s->kind) {
    case NEED:
        ort_must(s->api,
                 counting_memory_register(&s->counting, s->api, s->library->api_version, s->env));
        break;
    case ARENA_TWO:
    case ARENA_TWO_SHRINK:
        register_arena(s, 0);
        break;
    case ARENA_SAME:
    case ARENA_SAME_SHRINK:
        register_arena(s, 1);
        break;
    default:
        ort_must(s->api, s->api->DisableCpuMemArena(options));
        break;
    }
    if (s->kind != PLAIN) {
        ort_must(s->api, s->api->AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
    }
    ort_must(s->api, s->api->CreateSession(s->env, BENCH_MODEL "/encoder.onnx", options, &s->ort));
    s->api->ReleaseSessionOptions(options);
    if (s->arena_info) {
        ort_must(s->api, s->api->CreateAllocator(s->ort, s->arena_info, &s->session_memory));
        ort_must(s->api, s->api->CreateRunOptions(&s->shrink));
        ort_must(s->api, s->api->AddRunConfigEntry(
                             s->shrink, "memory.enable_memory_arena_shrinkage", "cpu:0"));
        s->run_options =
            s->kind == ARENA_TWO_SHRINK || s->kind == ARENA_SAME_SHRINK ? s->shrink : NULL;
    }
}

static void subject_open(subject *s, memory_kind kind, const ort_library *library, OrtEnv *env)
{
    *s = (subject){.kind = kind, .library = library, .api = library->api, .env = env};
    if (kind == POOL) {
        open_pool(s);
    } else {
        open_ort(s);
    }
}

static void subject_close(subject *s)
{
    if (s->kind == POOL) {
        ortp_error error = ORTP_ERROR_INIT;
        must(ortp_session_destroy(s->session, NULL), &error);
        must(ortp_runtime_destroy(s->runtime, &error), &error);
        return;
    }
    if (s->arena_info) {
        s->api->ReleaseAllocator(s->session_memory);
        s->api->ReleaseRunOptions(s->shrink);
    }
    s->api->ReleaseSession(s->ort);
    if (s->arena_info) {
        ort_must(s->api, s->api->UnregisterAllocator(s->env, s->arena_info));
        s->api->ReleaseMemoryInfo(s->arena_info);
    } else if (s->kind == NEED) {
        counting_memory_unregister(&s->counting, s->api, s->env);
    }
}

static void subject_run(subject *s, encoder_values *values, const OrtRunOptions *options)
{
    const OrtValue *const *inputs = (const OrtValue *const *)values->inputs;
    if (s->kind == POOL) {
        ortp_error error = ORTP_ERROR_INIT;
        must(ortp_session_run(s->session, NULL, encoder_inputs, inputs, 3, encoder_outputs,
                              &values->output, 1, &error),
             &error);
        return;
    }
    ort_must(s->api, s->api->Run(s->ort, options, encoder_inputs, inputs, 3, encoder_outputs, 1,
                                 &values->output));
}

static void subject_trim(subject *s, encoder_values *smallest)
{
    if (s->kind == POOL) {
        ortp_error error = ORTP_ERROR_INIT;
        must(ortp_runtime_trim(s->runtime, ORTP_UNLIMITED, NULL), &error);
    } else if (s->shrink) {
        subject_run(s, smallest, s->shrink);
    }
    (void)malloc_trim(0);
}

static size_t taken_now(const subject *s)
{
    if (s->kind == POOL) {
        const page_watch_counts pages = page_watch_get();
        return pages.mapped_bytes + pages.control_bytes;
    }
    return s->kind == NEED ? s->counting.live_bytes : aligned_new_live();
}

static size_t taken_peak(const subject *s)
{
    if (s->kind == POOL) {
        return page_watch_get().both_peak;
    }
    return s->kind == NEED ? s->counting.peak_bytes : aligned_new_peak();
}

static void peak_reset(subject *s)
{
    if (s->kind == POOL) {
        page_watch_start();
    } else if (s->kind == NEED) {
        counting_memory_reset(&s->counting);
    } else {
        aligned_new_reset_peak();
    }
}

/* What the arena itself says, 0 where there is none: beside our count. */
static size_t arena_total(const subject *s)
{
    size_t total = 0;
    if (s->session_memory && s->library->api_version >= 23) {
        OrtKeyValuePairs *pairs = NULL;
        ort_must(s->api, s->api->AllocatorGetStats(s->session_memory, &pairs));
        const char *text = s->api->GetKeyValue(pairs, "TotalAllocated");
        total = text ? strtoull(text, NULL, 10) : 0;
        s->api->ReleaseKeyValuePairs(pairs);
    }
    return total;
}

/* ---- one configuration ---- */

static void make_order(size_t order[SHAPES], order_kind kind, uint64_t *random)
{
    for (size_t i = 0; i < SHAPES; i++) {
        order[i] = kind == FALLING ? SHAPES - 1 - i : i;
    }
    for (size_t i = SHAPES - 1; kind == RANDOM && i > 0; i--) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        const size_t other = (size_t)(*random >> 33) % (i + 1);
        const size_t swap = order[i];
        order[i] = order[other];
        order[other] = swap;
    }
}

static void print_growth(const char *name, residency now, residency before)
{
    (void)printf(",\"resident%s\":%lld,\"anonymous%s\":%lld", name,
                 (long long)now.resident - (long long)before.resident, name,
                 (long long)now.anonymous - (long long)before.anonymous);
}

static int measure(memory_kind kind, order_kind order_of_shapes)
{
    ort_library library;
    char message[2048];
    if (!ort_library_open(&library, message, sizeof(message))) {
        (void)fprintf(stderr, "%s\n", message);
        return 1;
    }
    encoder_values values[SHAPES];
    for (size_t i = 0; i < SHAPES; i++) {
        const size_t span = ENCODER_POINTS_MAX - POINTS_MIN;
        encoder_values_make(&values[i], library.api, POINTS_MIN + i * span / (SHAPES - 1));
    }
    OrtEnv *env = encoder_env(library.api);
    subject s;
    subject_open(&s, kind, &library, env);
    const size_t weights = taken_now(&s), arena_weights = arena_total(&s);
    peak_reset(&s);
    (void)malloc_trim(0); /* what creation left in the heap is no growth of the runs */
    const residency before = residency_get();
    double milliseconds = 0;
    uint64_t random = 1;
    for (size_t pass = 0; pass < PASSES; pass++) {
        size_t order[SHAPES];
        make_order(order, order_of_shapes, &random);
        for (size_t i = 0; i < SHAPES; i++) {
            const double start = now_ms();
            subject_run(&s, &values[order[i]], s.run_options);
            milliseconds += now_ms() - start;
        }
    }
    const residency after = residency_get();
    const size_t peak = taken_peak(&s), kept = taken_now(&s);
    subject_trim(&s, &values[0]);
    const residency trimmed = residency_get();
    const size_t left = taken_now(&s), arena = arena_total(&s);
    peak_reset(&s);
    subject_run(&s, &values[SHAPES - 1], s.run_options);
    const size_t again = taken_peak(&s);
    uint64_t words = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        words = words * 31 + encoder_values_hash(&values[i]);
    }
    (void)printf("{\"bench\":\"shapes\",\"ort\":\"%s\",\"memory\":\"%s\",\"order\":\"%s\",",
                 library.version, memory_names[kind], order_names[order_of_shapes]);
    (void)printf("\"weights\":%zu,\"peak\":%zu,\"kept\":%zu,\"trimmed\":%zu,\"again\":%zu", weights,
                 peak - weights, kept - weights, left > weights ? left - weights : 0,
                 again > weights ? again - weights : 0);
    (void)printf(",\"arena_says\":%zu", arena - arena_weights);
    print_growth("", after, before);
    print_growth("_trimmed", trimmed, before);
    (void)printf(",\"ms_per_run\":%.3f,\"words\":\"%016llx\"}\n", milliseconds / (PASSES * SHAPES),
                 (unsigned long long)words);
    subject_close(&s);
    for (size_t i = 0; i < SHAPES; i++) {
        encoder_values_free(&values[i], library.api);
    }
    library.api->ReleaseEnv(env);
    return 0;
}

/* ---- all ---- */

static int measure_apart(const char *memory, const char *order)
{
    char *const arguments[] = {(char *)"bench_shapes", (char *)memory, (char *)order, NULL};
    pid_t child;
    int status = 1;
    (void)fflush(stdout);
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) != 0 ||
        waitpid(child, &status, 0) != child || status != 0) {
        (void)fprintf(stderr, "bench: %s %s failed\n", memory, order);
        return 1;
    }
    return 0;
}

static size_t find(const char *name, const char *const *names, size_t count)
{
    size_t i = 0;
    while (i < count && strcmp(name, names[i]) != 0) {
        i++;
    }
    return i;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        const size_t kind = find(argv[1], memory_names, MEMORY_KINDS);
        const size_t order = find(argv[2], order_names, ORDERS);
        if (kind < MEMORY_KINDS && order < ORDERS) {
            return measure((memory_kind)kind, (order_kind)order);
        }
    }
    if (argc != 1) {
        (void)fprintf(stderr, "bench_shapes [MEMORY ORDER]; the names are in its source\n");
        return 2;
    }
    int failed = 0;
    for (size_t order = 0; order < ORDERS && !failed; order++) {
        for (size_t kind = 0; kind < MEMORY_KINDS && !failed; kind++) {
            failed = measure_apart(memory_names[kind], order_names[order]);
        }
    }
    return failed;
}
