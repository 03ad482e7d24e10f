/* SPDX-License-Identifier: MIT */
/*
 * See sweep.h.
 *
 *   --sites FILE   at the end, for check_sites.py: where calls have failed
 *   --stride K     after the first 60 calls every K-th alone (slow builds)
 *   ORTPOOL_TEST_THIN=1 in the environment: after the first 8 calls every 97th alone
 *   --memory       the memory room's scenarios alone, which leaves most sites without a failure
 *   --broken       a scenario that forgets a block when it fails: this must end in a failure
 */
#include "sweep.h"

#include "machine.h"
#include "test_ort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS_MAX 5000u
#define DENSE 60u
#define DENSE_THIN 8u
#define STRIDE_THIN 97u

static uint64_t stride = 1;
static uint64_t dense = DENSE;

/* The status that a failure of this kind ends in, when it is the only one. */
static bool expected(fault_kind kind, ortp_status status)
{
    switch (kind) {
    case FAULT_ALLOC:
    case FAULT_PAGES:
    case FAULT_JANSSON:
        return status == ORTP_E_NOMEM;
    case FAULT_CHARGE:
        return status == ORTP_E_BUDGET;
    case FAULT_API:
        return status == ORTP_E_ORT;
    default:
        return status == ORTP_E_NOMEM || status == ORTP_E_SYS;
    }
}

static void expect_failure(const scenario *s, uint64_t n, ortp_status status,
                           const ortp_error *error, bool persistent)
{
    const fault_kind kind = faults_first();
    /* With more failures after it, the first may be overcome and a later one decide. */
    bool fits = expected(kind, status);
    for (int other = 0; persistent && other < FAULT_KINDS; other++) {
        fits = fits || expected((fault_kind)other, status);
    }
    if (!fits) {
        fail_msg("%s, call %llu (%s): %s: %s", s->name, (unsigned long long)n, fault_name(kind),
                 ortp_status_name(status), error->message);
    }
    if (s->says && error->message[0] == '\0') {
        fail_msg("%s, call %llu (%s): no message", s->name, (unsigned long long)n,
                 fault_name(kind));
    }
}

/* One attempt with a failure and, where it came to one, the next without. False: none was hit. */
static bool round_of(const scenario *s, uint64_t n, bool persistent, uint64_t *overcome)
{
    void *world = s->open();
    ortp_error error = ORTP_ERROR_INIT;
    faults_arm(n, persistent);
    ortp_status status = s->attempt(world, &error);
    const bool hit = faults_disarm();
    s->check(world);
    if (status != ORTP_OK) {
        if (!hit) {
            fail_msg("%s, no failure: %s: %s", s->name, ortp_status_name(status), error.message);
        }
        expect_failure(s, n, status, &error, persistent);
    } else if (hit) {
        ++*overcome;
    }
    error = (ortp_error)ORTP_ERROR_INIT;
    status = s->attempt(world, &error);
    if (status != ORTP_OK) {
        fail_msg("%s, call %llu: the next attempt: %s: %s", s->name, (unsigned long long)n,
                 ortp_status_name(status), error.message);
    }
    s->check(world);
    s->close(world);
    return hit;
}

void sweep(const scenario *s, uint64_t step)
{
    uint64_t rounds[2] = {0}, overcome[2] = {0};
    for (int persistent = 0; persistent < 2; persistent++) {
        for (uint64_t n = 1; round_of(s, n, persistent != 0, &overcome[persistent]);
             n += n < dense ? 1 : step) {
            rounds[persistent]++;
            assert_true(n < ROUNDS_MAX);
        }
        assert_true(rounds[persistent] > 0);
    }
    assert_int_equal(faults_stray_mallocs(), 0);
    print_message("%-44s %4llu failures once (%llu overcome), %4llu lasting (%llu overcome)\n",
                  s->name, (unsigned long long)rounds[0], (unsigned long long)overcome[0],
                  (unsigned long long)rounds[1], (unsigned long long)overcome[1]);
}

static void run(void **state)
{
    sweep(*state, stride);
}

static size_t add(struct CMUnitTest *tests, size_t at, const scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tests[at++] = (struct CMUnitTest){.name = scenarios[i].name,
                                          .test_func = run,
                                          .initial_state = (void *)(uintptr_t)&scenarios[i]};
    }
    return at;
}

/* Of each kind of failure some were made: a wrapper that nothing goes through proves nothing. */
static void every_kind_was_made(void **state)
{
    (void)state;
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        print_message("%-44s %4llu failures\n", fault_name((fault_kind)kind),
                      (unsigned long long)faults_made((fault_kind)kind));
        assert_true(faults_made((fault_kind)kind) > 0);
    }
}

static int write_sites(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return 2;
    }
    faults_write(file);
    return fclose(file) == 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    const char *sites = NULL;
    bool memory_only = false, broken = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sites") == 0 && i + 1 < argc) {
            sites = argv[++i];
        } else if (strcmp(argv[i], "--stride") == 0 && i + 1 < argc) {
            stride = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--memory") == 0) {
            memory_only = true;
        } else if (strcmp(argv[i], "--broken") == 0) {
            broken = true;
        } else {
            stride = 0;
        }
    }
    if (test_thin() && stride > 0) {
        stride = STRIDE_THIN;
        dense = DENSE_THIN;
    }
    if (stride == 0) {
        (void)fputs("usage: oom_sweep [--sites FILE] [--stride K] [--memory] [--broken]\n", stderr);
        return 2;
    }
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    struct CMUnitTest tests[64] = {{0}};
    size_t count = 0;
    if (broken) {
        count = add(tests, count, &scenario_broken, 1);
    } else {
        count = add(tests, count, scenarios_memory, scenarios_memory_count);
    }
    if (!broken && !memory_only) {
        count = add(tests, count, scenarios_runtime, scenarios_runtime_count);
        count = add(tests, count, scenarios_predictor, scenarios_predictor_count);
        tests[count++] = (struct CMUnitTest)cmocka_unit_test(every_kind_was_made);
    }
    const int failed = _cmocka_run_group_tests("oom_sweep", tests, count, NULL, NULL);
    const int written = sites != NULL ? write_sites(sites) : 0;
    return failed != 0 ? 1 : written;
}
