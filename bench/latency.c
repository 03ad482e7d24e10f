/* SPDX-License-Identifier: MIT */
/*
 * The same predictions with ORT's memory from different places: the bundled swipes through the
 * predictor, encoder cache off, beam 8, batched.
 *
 *     bench_latency [-r ROUNDS] [-s SWIPES] [-t THREADS]...
 *
 * Rows, each a process of its own that lives through all rounds:
 *   pool            ortpool's sessions
 *   arena           ORT's arena, memory patterns off as in all rows but the next
 *   arena-patterns  ORT's arena and memory patterns: what ORT does by default
 *   plain           no arena, the C library's heap
 *   plain-mimalloc  the same with mimalloc in its place, where libmimalloc is installed
 *
 * A round lets every row predict the same swipes once per thread, one row after the other, each
 * round beginning with another row; what disturbs the machine then disturbs neighbours alike, and
 * rows are compared round by round. Everything beside ORT's own memory is the same in all rows,
 * the tensors and the decode state from ortpool's pool included. A line of JSON for each row and
 * round; `words` stands for all words and scores.
 */
#include "process.h"
#include "support.h"
#include "swipe_file.h"

#include <ort_loader.h>
#include <ortpool/ortpool.h>
#include <ortpool/predict.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUND_MAX 64u /* swipes */
#define THREADS_MAX 8u
#define MIMALLOC "libmimalloc.so.2.0"

extern char **environ;

typedef struct row_kind {
    const char *name;
    ortp_ort_memory memory;
    bool patterns, mimalloc;
} row_kind;

static const row_kind rows[] = {
    {"pool", ORTP_ORT_MEMORY_POOL, false, false},
    {"arena", ORTP_ORT_MEMORY_ARENA, false, false},
    {"arena-patterns", ORTP_ORT_MEMORY_ARENA, true, false},
    {"plain", ORTP_ORT_MEMORY_NO_ARENA, false, false},
    {"plain-mimalloc", ORTP_ORT_MEMORY_NO_ARENA, false, true},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* A number in 1 .. most; ends the process where text is none. */
static size_t bench_number(const char *text, size_t most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (value < 1 || value > most || *end != '\0') {
        bench_die(text, "not a number in range");
    }
    return value;
}

/* ---- one row: a process ---- */

typedef struct bench {
    const row_kind *kind;
    size_t threads, swipe_count;
    swipe_file swipes;
    ort_library library;
    ortp_runtime *runtime;
    ortp_predictor *predictor;
    pthread_barrier_t start, end; /* of a round: the threads and main() */
    bool over;                    /* seen behind `start` */
} bench;

typedef struct worker {
    pthread_t thread;
    bench *b;
    size_t first;
    double us[ROUND_MAX];
    uint64_t words;
} worker;

static void open_predictor(bench *b)
{
    char message[2048];
    ortp_error error = ORTP_ERROR_INIT;
    if (!ort_library_open(&b->library, message, sizeof(message))) {
        bench_die("ONNX Runtime", message);
    }
    ortp_runtime_options runtime = ORTP_RUNTIME_OPTIONS_INIT;
    runtime.api = b->library.api;
    runtime.ort_version = b->library.version;
    bench_must(ortp_runtime_create(&runtime, &b->runtime, &error), &error);
    ortp_predictor_options options = ORTP_PREDICTOR_OPTIONS_INIT;
    options.runtime = b->runtime;
    options.model_directory = BENCH_MODEL;
    options.beam_width = 8;
    options.path = ORTP_PATH_BATCHED;
    options.threads = (uint32_t)b->threads;
    options.cache_off = true;
    options.ort_memory = b->kind->memory;
    options.memory_patterns = b->kind->patterns;
    bench_must(ortp_predictor_create(&options, &b->predictor, &error), &error);
    bench_must(ortp_predictor_warm(b->predictor, NULL, NULL, &error), &error);
}

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    }
    return h;
}

static void predict_all(worker *w)
{
    bench *b = w->b;
    w->words = 0;
    for (size_t i = 0; i < b->swipe_count; i++) {
        const ortp_swipe swipe = swipe_of(&b->swipes.rows[(w->first + i) % b->swipe_count]);
        ortp_prediction out = ORTP_PREDICTION_INIT;
        ortp_error error = ORTP_ERROR_INIT;
        const double start = bench_now_us();
        bench_must(ortp_predictor_predict(b->predictor, &swipe, NULL, &out, &error), &error);
        w->us[i] = bench_now_us() - start;
        uint64_t h = 14695981039346656037u;
        for (size_t k = 0; k < out.candidate_count; k++) {
            h = hash(h, out.candidates[k].word, strlen(out.candidates[k].word));
            h = hash(h, &out.candidates[k].score, sizeof(double));
        }
        w->words += h; /* the sum does not depend on the order */
    }
}

/* A thread lives through all rounds: its start and first stack pages are in none that counts. */
static void *work(void *ctx)
{
    worker *w = ctx;
    for (;;) {
        (void)pthread_barrier_wait(&w->b->start);
        if (w->b->over) {
            return NULL;
        }
        predict_all(w);
        (void)pthread_barrier_wait(&w->b->end);
    }
}

static void round_of(bench *b, worker *workers, unsigned long round)
{
    static double us[THREADS_MAX * ROUND_MAX];
    const long faults = process_minor_faults();
    const double start = bench_now_us();
    (void)pthread_barrier_wait(&b->start);
    (void)pthread_barrier_wait(&b->end);
    const double wall = bench_now_us() - start;
    const long faulted = process_minor_faults() - faults;
    const size_t count = b->threads * b->swipe_count;
    uint64_t words = workers[0].words;
    for (size_t i = 0; i < b->threads; i++) {
        memcpy(us + i * b->swipe_count, workers[i].us, b->swipe_count * sizeof(*us));
        words = workers[i].words == words ? words : 0; /* 0: threads differ */
    }
    qsort(us, count, sizeof(*us), bench_rising);
    (void)printf(
        "{\"bench\":\"latency\",\"ort\":\"%s\",\"memory\":\"%s\",\"threads\":%zu,\"round\":%lu,"
        "\"predictions\":%zu,\"p50_us\":%.1f,\"most_us\":%.1f,\"wall_us\":%.1f,\"faults\":%ld,"
        "\"words\":\"%016llx\"}\n",
        b->library.version, b->kind->name, b->threads, round, count, us[count / 2], us[count - 1],
        wall, faulted, (unsigned long long)words);
    (void)fflush(stdout);
}

/* A round for every byte that comes in; the first is not counted. */
static int serve(const char *name, size_t threads, size_t swipes_wanted)
{
    static bench b;
    b.threads = threads;
    b.swipe_count = swipes_wanted;
    for (size_t i = 0; i < ROWS; i++) {
        b.kind = strcmp(name, rows[i].name) == 0 ? &rows[i] : b.kind;
    }
    if (!b.kind || (b.kind->mimalloc && !dlsym(RTLD_DEFAULT, "mi_version"))) {
        bench_die(name, "no such row, or mimalloc is not in place");
    }
    if (!swipe_file_read(&b.swipes, BENCH_SAMPLES)) {
        return 1; /* said */
    }
    if (b.swipes.count < swipes_wanted) {
        bench_die("samples.jsonl", "has fewer swipes");
    }
    open_predictor(&b);
    static worker workers[THREADS_MAX];
    (void)pthread_barrier_init(&b.start, NULL, (unsigned)threads + 1);
    (void)pthread_barrier_init(&b.end, NULL, (unsigned)threads + 1);
    for (size_t i = 0; i < threads; i++) {
        workers[i].b = &b;
        workers[i].first = i * swipes_wanted / threads;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            bench_die("a thread", strerror(errno));
        }
    }
    char go;
    for (unsigned long round = 0; read(STDIN_FILENO, &go, 1) == 1; round++) {
        round_of(&b, workers, round);
    }
    b.over = true;
    (void)pthread_barrier_wait(&b.start);
    for (size_t i = 0; i < threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    ortp_error error = ORTP_ERROR_INIT;
    bench_must(ortp_predictor_destroy(b.predictor, &error), &error);
    bench_must(ortp_runtime_destroy(b.runtime, &error), &error);
    swipe_file_free(&b.swipes);
    return 0;
}

/* ---- the rounds ---- */

typedef struct child {
    const row_kind *kind;
    pid_t pid;
    int to;
    FILE *from;
} child;

static child start_child(const row_kind *kind, size_t threads, size_t swipes)
{
    int in[2], out[2];
    /* Not inherited by the next child: the end of a pipe has to be seen as one. */
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
        bench_die("pipe", strerror(errno));
    }
    char number[24], count[24];
    (void)snprintf(number, sizeof(number), "%zu", threads);
    (void)snprintf(count, sizeof(count), "%zu", swipes);
    char *const arguments[] = {
        (char *)"bench_latency", (char *)"--row", (char *)kind->name, number, count, NULL};
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (kind->mimalloc) {
        (void)setenv("LD_PRELOAD", MIMALLOC, 1);
    }
    child c = {.kind = kind, .to = in[1]};
    if (posix_spawn(&c.pid, "/proc/self/exe", &actions, NULL, arguments, environ) != 0) {
        bench_die("a process", strerror(errno));
    }
    (void)unsetenv("LD_PRELOAD");
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(in[0]);
    (void)close(out[1]);
    c.from = fdopen(out[0], "r");
    return c;
}

static void let_go(const child *c, bool shown)
{
    char line[1024];
    if (write(c->to, "g", 1) != 1 || !fgets(line, sizeof(line), c->from)) {
        bench_die(c->kind->name, "its process ended");
    }
    if (shown) {
        (void)fputs(line, stdout);
        (void)fflush(stdout);
    }
}

static void compare_rows(size_t threads, size_t rounds, size_t swipes, bool mimalloc)
{
    child children[ROWS];
    size_t count = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].mimalloc || mimalloc) {
            children[count++] = start_child(&rows[i], threads, swipes);
        }
    }
    for (size_t i = 0; i < count; i++) {
        let_go(&children[i], false);
    }
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            let_go(&children[(round + i) % count], true);
        }
    }
    for (size_t i = 0; i < count; i++) {
        int status = 1;
        (void)close(children[i].to);
        (void)waitpid(children[i].pid, &status, 0);
        (void)fclose(children[i].from);
        if (status != 0) {
            bench_die(children[i].kind->name, "failed in the end");
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--row") == 0) {
        return serve(argv[2], bench_number(argv[3], THREADS_MAX), bench_number(argv[4], ROUND_MAX));
    }
    size_t rounds = 12, swipes = 16, threads[THREADS_MAX] = {1, 2}, thread_counts = 0;
    int option;
    while ((option = getopt(argc, argv, "r:s:t:")) != -1) {
        switch (option) {
        case 'r':
            rounds = bench_number(optarg, 10000);
            break;
        case 's':
            swipes = bench_number(optarg, 50);
            break;
        case 't':
            threads[thread_counts++ % THREADS_MAX] = bench_number(optarg, THREADS_MAX);
            break;
        default:
            (void)fprintf(stderr, "bench_latency [-r ROUNDS] [-s SWIPES] [-t THREADS]...\n");
            return 2;
        }
    }
    thread_counts = thread_counts > 0 ? thread_counts : 2;
    const bool mimalloc = dlopen(MIMALLOC, RTLD_LAZY | RTLD_LOCAL) != NULL;
    if (!mimalloc) {
        (void)fprintf(stderr, "bench: %s is not installed: that row is left out\n", MIMALLOC);
    }
    for (size_t i = 0; i < thread_counts; i++) {
        compare_rows(threads[i], rounds, swipes, mimalloc);
    }
    return 0;
}
