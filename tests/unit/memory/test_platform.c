/* SPDX-License-Identifier: MIT */
/* Locks and their ranks, waiting, pages, time, process figures. */
#define _DEFAULT_SOURCE 1

#include "fixture.h"
#include "machine.h"

#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct locks {
    ortp__mutex low, high;
} locks;

static void locks_init(locks *l)
{
    assert_true(ortp__mutex_init(&l->low, ORTP_RANK_POOL));
    assert_true(ortp__mutex_init(&l->high, ORTP_RANK_STRIPE));
}

static void locks_destroy(locks *l)
{
    ortp__mutex_destroy(&l->high);
    ortp__mutex_destroy(&l->low);
}

static void right_order_passes(void **state)
{
    (void)state;
    locks l;
    locks_init(&l);
    ortp__lock(&l.low);
    ortp__lock(&l.high);
    ortp__assert_held(&l.low);
    ortp__assert_held(&l.high);
    ortp__unlock(&l.low); /* giving back in any order is fine */
    ortp__assert_held(&l.high);
    ortp__unlock(&l.high);
    ortp__lock(&l.high);
    ortp__unlock(&l.high);
    ortp__lock(&l.low);
    ortp__unlock(&l.low);
    locks_destroy(&l);
}

#ifndef NDEBUG
static void invert(locks *l)
{
    ortp__lock(&l->high);
    ortp__lock(&l->low);
}

static void take_twice(locks *l)
{
    ortp__lock(&l->low);
    ortp__lock(&l->low);
}

static void assert_without(locks *l)
{
    ortp__assert_held(&l->low);
}

static void unlock_without(locks *l)
{
    ortp__unlock(&l->low);
}

static void obey(locks *l)
{
    ortp__lock(&l->low);
    ortp__lock(&l->high);
    ortp__unlock(&l->high);
    ortp__unlock(&l->low);
}

static void take_seventeen(locks *l)
{
    (void)l;
    static ortp__mutex mutexes[17];
    for (size_t i = 0; i < ORTP__COUNT(mutexes); i++) {
        if (!ortp__mutex_init(&mutexes[i], (ortp__rank)(i + 1))) {
            _exit(2);
        }
        ortp__lock(&mutexes[i]);
    }
}

static void give_back_another(locks *l)
{
    ortp__lock(&l->low);
    ortp__unlock(&l->high);
}

static void assert_another(locks *l)
{
    ortp__lock(&l->low);
    ortp__assert_held(&l->high);
}

/* A process that aborts or leaves by _exit() loses what it counted for a coverage report. */
#ifdef FIXTURE_COVERAGE
void __gcov_dump(void);
#define KEEP_COUNTS() __gcov_dump()
#else
#define KEEP_COUNTS() ((void)0)
#endif

static void stop(int signal_number)
{
    KEEP_COUNTS();
    (void)signal(signal_number, SIG_DFL); /* abort() raises it again */
}

static void leave(void)
{
    KEEP_COUNTS();
    _exit(0);
}

/* Whether a child process that does this is stopped by abort(). */
static bool aborts(void (*misuse)(locks *))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        locks l;
        if (freopen("/dev/null", "w", stderr) == NULL ||
            !ortp__mutex_init(&l.low, ORTP_RANK_POOL) ||
            !ortp__mutex_init(&l.high, ORTP_RANK_STRIPE)) {
            _exit(2);
        }
        (void)signal(SIGABRT, stop);
        misuse(&l);
        leave();
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return false;
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
#endif

static void wrong_order_aborts_in_debug_builds(void **state)
{
    (void)state;
#ifdef NDEBUG
    skip();
#else
    assert_false(aborts(obey));
    assert_true(aborts(invert));
    assert_true(aborts(take_twice));
    assert_true(aborts(assert_without));
    assert_true(aborts(unlock_without));
    assert_true(aborts(take_seventeen));
    assert_true(aborts(give_back_another));
    assert_true(aborts(assert_another));
#endif
}

static void wait_until_ends_at_the_deadline(void **state)
{
    (void)state;
    ortp__mutex mutex;
    ortp__cond cond;
    assert_true(ortp__mutex_init(&mutex, ORTP_RANK_RUNTIME));
    assert_true(ortp__cond_init(&cond));
    ortp__lock(&mutex);
    uint64_t deadline = ortp__now_ms() + 30;
    while (ortp__cond_wait_until(&cond, &mutex, deadline)) {
    }
    ortp__unlock(&mutex);
    assert_true(ortp__now_ms() >= deadline);
    ortp__cond_destroy(&cond);
    ortp__mutex_destroy(&mutex);
}

typedef struct signalled {
    ortp__mutex mutex;
    ortp__cond cond;
    bool done;
    bool waited;
} signalled;

static void *wait_for_it(void *ctx)
{
    signalled *s = ctx;
    ortp__lock(&s->mutex);
    bool in_time = true;
    while (!s->done && in_time) {
        in_time = ortp__cond_wait_until(&s->cond, &s->mutex, UINT64_MAX); /* for ever */
    }
    s->waited = in_time;
    ortp__unlock(&s->mutex);
    return NULL;
}

static void broadcast_wakes(void **state)
{
    (void)state;
    signalled s = {.done = false};
    assert_true(ortp__mutex_init(&s.mutex, ORTP_RANK_RUNTIME));
    assert_true(ortp__cond_init(&s.cond));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &s), 0);
    sleep_ms(5);
    ortp__lock(&s.mutex);
    s.done = true;
    ortp__cond_broadcast(&s.cond);
    ortp__unlock(&s.mutex);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(s.waited);
    ortp__cond_destroy(&s.cond);
    ortp__mutex_destroy(&s.mutex);
}

static void pages_are_zero_and_keep_their_contents(void **state)
{
    (void)state;
    size_t page = ortp__page_size();
    assert_true(page >= 4096 && (page & (page - 1)) == 0);
    size_t bytes = 600 * page; /* above 2 MiB with 4 KiB pages */
    unsigned char *pages = ortp__pages_map(bytes);
    assert_non_null(pages);
    assert_int_equal((uintptr_t)pages % page, 0);
    ortp__pages_advise_huge(pages, bytes);
    for (size_t i = 0; i < bytes; i += 509) {
        assert_int_equal(pages[i], 0);
        pages[i] = (unsigned char)(i % 251);
    }
    ortp__pages_populate(pages, bytes);
    ortp__pages_populate(pages, 0);
    for (size_t i = 0; i < bytes; i += 509) {
        assert_int_equal(pages[i], i % 251);
    }
    ortp__pages_unmap(pages, bytes);
    assert_null(ortp__pages_map(SIZE_MAX / 2 / page * page)); /* more than an address space holds */
}

static void process_memory_follows_pages(void **state)
{
    (void)state;
    ortp__process_memory before, after;
    if (!ortp__process_memory_get(&before) || !test_advice_heeded()) {
        skip();
    }
    assert_true(before.resident >= before.anonymous);
    assert_true(before.anonymous > 0);
    size_t bytes = 64 * MIB;
    void *pages = ortp__pages_map(bytes);
    assert_non_null(pages);
    ortp__pages_populate(pages, bytes);
    assert_true(ortp__process_memory_get(&after));
    assert_true(after.anonymous >= before.anonymous + bytes / 2);
    assert_true(after.resident >= before.resident + bytes / 2);
    ortp__pages_unmap(pages, bytes);
}

static void machine_and_time(void **state)
{
    (void)state;
    assert_true(ortp__processor_count() >= 1);
    assert_int_equal(ortp__thread_hash(), ortp__thread_hash());
    uint64_t ms = ortp__now_ms();
    uint64_t us = ortp__now_us();
    sleep_ms(2);
    assert_true(ortp__now_us() >= us + 2000);
    assert_true(ortp__now_ms() > ms);
}

static void errors_have_a_text(void **state)
{
    (void)state;
    char text[ORTP__ERRNO_BYTES];
    assert_ptr_equal(ortp__errno_text(ENOENT, text), text);
    assert_string_equal(text, strerror(ENOENT));
    assert_non_null(strstr(ortp__errno_text(-4711, text), "-4711")); /* no such number */
}

/* What is no file is not waited for. */
static void files_are_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/ortpool-platform-XXXXXX", path[64], text[ORTP__ERRNO_BYTES];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/it", folder);
    assert_null(ortp__file_open(path));
    assert_int_equal(errno, ENOENT);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputc('7', file), '7');
    assert_int_equal(fclose(file), 0);
    file = ortp__file_open(path);
    assert_non_null(file);
    assert_int_equal(fgetc(file), '7');
    assert_int_equal(fclose(file), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(ortp__file_open(path));
    assert_int_equal(errno, ESPIPE);
    assert_non_null(strstr(ortp__errno_text(ESPIPE, text), "not a file"));
    assert_int_equal(unlink(path), 0);
    file = ortp__file_open(folder); /* whose first read says so */
    assert_non_null(file);
    assert_int_equal(fgetc(file), EOF);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void deadlines_do_not_wrap(void **state)
{
    (void)state;
    assert_int_equal(ortp__deadline_after(1000, 0), 1000);
    assert_int_equal(ortp__deadline_after(1000, 5), 1005);
    assert_true(ortp__deadline_after(1000, UINT64_MAX - 1000) == UINT64_MAX);
    assert_true(ortp__deadline_after(1000, UINT64_MAX - 999) == UINT64_MAX);
    assert_true(ortp__deadline_after(1000, UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_order_passes),
        cmocka_unit_test(wrong_order_aborts_in_debug_builds),
        cmocka_unit_test(wait_until_ends_at_the_deadline),
        cmocka_unit_test(broadcast_wakes),
        cmocka_unit_test(pages_are_zero_and_keep_their_contents),
        cmocka_unit_test(process_memory_follows_pages),
        cmocka_unit_test(machine_and_time),
        cmocka_unit_test(errors_have_a_text),
        cmocka_unit_test(files_are_files),
        cmocka_unit_test(deadlines_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
