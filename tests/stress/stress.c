/* SPDX-License-Identifier: MIT */
/* See stress.h. */
#define _GNU_SOURCE 1 /* clock_gettime, sched_yield */

#include "stress.h"

#include "platform.h"

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_bool failed;
static const char *program_name = "stress";

static double now(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool take(const char *name, const char *text, stress *out)
{
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0' || number < 0) {
        return false;
    }
    if (strcmp(name, "--seed") == 0) {
        out->seed = strtoull(text, NULL, 10);
    } else if (strcmp(name, "--seconds") == 0) {
        out->seconds = number;
    } else if (strcmp(name, "--rounds") == 0) {
        out->rounds = (uint64_t)number;
    } else if (strcmp(name, "--threads") == 0 && number >= 1 && number <= WORKERS_MAX) {
        out->workers = (size_t)number;
    } else if (strcmp(name, "--ops") == 0 && number >= 1) {
        out->operations = (size_t)number;
    } else if (strcmp(name, "--yield") == 0 && number <= 1000) {
        out->yields = (unsigned)number;
    } else {
        return false;
    }
    return true;
}

bool stress_options(int argc, char **argv, size_t operations, stress *out)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_REALTIME, &time);
    *out = (stress){.seed = (uint64_t)time.tv_sec * 1000u + (uint64_t)time.tv_nsec / 1000000u,
                    .rounds = 1,
                    .workers = 8,
                    .operations = operations,
                    .yields = 20};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc || !take(argv[i], argv[i + 1], out)) {
            (void)fprintf(stderr,
                          "usage: %s [--seed N] [--seconds S | --rounds N] [--threads 1..%u] "
                          "[--ops N] [--yield 0..1000]\n",
                          argv[0], WORKERS_MAX);
            return false;
        }
    }
    return true;
}

uint64_t stress_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

size_t stress_below(uint64_t *state, size_t bound)
{
    return (size_t)(stress_random(state) % bound);
}

bool stress_failed(void)
{
    return atomic_load(&failed);
}

void stress_fail(const worker *w, const char *format, ...)
{
    if (atomic_exchange(&failed, true)) {
        return;
    }
    (void)fprintf(stderr, "FAILED: seed %llu, round %llu, worker %zu, operation %llu: ",
                  (unsigned long long)w->options->seed, (unsigned long long)w->round, w->index,
                  (unsigned long long)w->operation);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(
        stderr, "\nrepeat: %s --seed %llu --rounds %llu --threads %zu --ops %zu --yield %u\n",
        program_name, (unsigned long long)w->options->seed, (unsigned long long)(w->round + 1),
        w->options->workers, w->options->operations, w->options->yields);
}

/* ---- hooks around the locks ---- */

static _Thread_local unsigned held;
static _Thread_local uint64_t yield_random;
static _Thread_local unsigned yields;

static void maybe_yield(void)
{
    if (yields == 0) {
        return;
    }
    const uint64_t drawn = stress_random(&yield_random);
    if (drawn % 1000u < yields) {
        if (drawn >> 60 == 0) { /* now and then for longer than another thread needs */
            const struct timespec nap = {.tv_nsec = 50000};
            (void)nanosleep(&nap, NULL);
        } else {
            (void)sched_yield();
        }
    }
}

void __real_ortp__lock(ortp__mutex *mutex);
void __wrap_ortp__lock(ortp__mutex *mutex);
void __real_ortp__unlock(ortp__mutex *mutex);
void __wrap_ortp__unlock(ortp__mutex *mutex);
void __real_ortp__cond_wait(ortp__cond *cond, ortp__mutex *mutex);
void __wrap_ortp__cond_wait(ortp__cond *cond, ortp__mutex *mutex);

void __wrap_ortp__lock(ortp__mutex *mutex)
{
    maybe_yield();
    __real_ortp__lock(mutex);
    held++;
}

void __wrap_ortp__unlock(ortp__mutex *mutex)
{
    maybe_yield(); /* holding it: the others meet a lock that is taken */
    held--;
    __real_ortp__unlock(mutex);
    maybe_yield();
}

void __wrap_ortp__cond_wait(ortp__cond *cond, ortp__mutex *mutex)
{
    held--;
    __real_ortp__cond_wait(cond, mutex);
    held++;
}

bool __real_ortp__cond_wait_until(ortp__cond *cond, ortp__mutex *mutex, uint64_t deadline_ms);
bool __wrap_ortp__cond_wait_until(ortp__cond *cond, ortp__mutex *mutex, uint64_t deadline_ms);
bool __wrap_ortp__cond_wait_until(ortp__cond *cond, ortp__mutex *mutex, uint64_t deadline_ms)
{
    held--;
    const bool in_time = __real_ortp__cond_wait_until(cond, mutex, deadline_ms);
    held++;
    return in_time;
}

unsigned stress_locks_held(void)
{
    return held;
}

/* ---- rounds ---- */

typedef struct task {
    worker w;
    const stress_program *program;
    pthread_t thread;
} task;

static uint64_t seed_of(const stress *options, uint64_t round, size_t index)
{
    uint64_t state = options->seed;
    uint64_t mixed = stress_random(&state) ^ (round * UINT64_C(0xD1B54A32D192ED03));
    return stress_random(&mixed) + index * UINT64_C(0xA24BAED4963EE407);
}

static void *work(void *ctx)
{
    task *t = ctx;
    yield_random = t->w.random ^ 1u;
    yields = t->w.options->yields;
    for (size_t i = 0; i < t->w.options->operations && !stress_failed(); i++) {
        t->w.operation = i;
        t->program->step(&t->w);
        CHECK(&t->w, held == 0);
    }
    yields = 0; /* what ends with the thread is quick */
    return NULL;
}

static bool round_of(const stress_program *program, const stress *options, uint64_t round,
                     void *world, void **own)
{
    task tasks[WORKERS_MAX];
    size_t started = 0;
    for (; started < options->workers; started++) {
        task *t = &tasks[started];
        *t = (task){.program = program,
                    .w = {.options = options,
                          .world = world,
                          .round = round,
                          .index = started,
                          .random = seed_of(options, round, started),
                          .own = own[started]}};
        if (pthread_create(&t->thread, NULL, work, t) != 0) {
            stress_fail(&t->w, "no thread");
            break;
        }
    }
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(tasks[i].thread, NULL);
    }
    if (!stress_failed()) {
        tasks[0].w.operation = options->operations;
        program->quiet(&tasks[0].w);
    }
    return !stress_failed();
}

int stress_run(const stress_program *program, const stress *options, void *world, void **own)
{
    program_name = program->name;
    (void)printf("%s: seed %llu, %zu threads, %zu operations each a round\n", program->name,
                 (unsigned long long)options->seed, options->workers, options->operations);
    (void)fflush(stdout);
    const double start = now();
    uint64_t round = 0;
    bool more = true;
    while (more && round_of(program, options, round, world, own)) {
        round++;
        more = options->seconds > 0 ? now() - start < options->seconds : round < options->rounds;
    }
    (void)printf("%s: %llu rounds, %.1f s, %s\n", program->name, (unsigned long long)round,
                 now() - start, stress_failed() ? "FAILED" : "all well");
    return stress_failed() ? 1 : 0;
}
