/* SPDX-License-Identifier: MIT */
/* What the system refuses or does not know: each call of platform.c that can fail is wrapped. */
#define _DEFAULT_SOURCE 1

#include "fixture.h"

#include "platform.h"

#include <ortpool/stats.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static bool refuse_sysconf, refuse_madvise, refuse_open, refuse_condattr, refuse_clock;
static bool refuse_cond, refuse_mutex, refuse_thread, refuse_syscall;
static int barrier_command;         /* the last one asked for */
static unsigned clock_stands_still; /* for so many calls */
static const char *status_text;     /* instead of /proc/self/status; NULL: the real one */
static size_t status_at;

long __real_sysconf(int name);
long __wrap_sysconf(int name);
int __real_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_read(int file, void *bytes, size_t count);
ssize_t __wrap_read(int file, void *bytes, size_t count);
int __real_pthread_condattr_init(pthread_condattr_t *attributes);
int __wrap_pthread_condattr_init(pthread_condattr_t *attributes);
int __real_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock);
int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg);

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

long __wrap_syscall(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    const int command = va_arg(arguments, int);
    va_end(arguments);
    assert_int_equal(number, SYS_membarrier);
    barrier_command = command;
    if (refuse_syscall) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, command, 0, 0);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    static struct timespec latest;
    if (clock_stands_still > 0) {
        clock_stands_still--;
        *now = latest;
        return 0;
    }
    const int result = __real_clock_gettime(clock, now);
    latest = *now;
    return result;
}

long __wrap_sysconf(int name)
{
    return refuse_sysconf ? -1 : __real_sysconf(name);
}

int __wrap_madvise(void *at, size_t bytes, int advice)
{
    if (refuse_madvise) {
        errno = EINVAL; /* as kernels before 5.14 say to MADV_POPULATE_WRITE */
        return -1;
    }
    return __real_madvise(at, bytes, advice);
}

int __wrap_open(const char *path, int flags, ...)
{
    if (refuse_open) {
        errno = EMFILE;
        return -1;
    }
    return __real_open(path, flags);
}

ssize_t __wrap_read(int file, void *bytes, size_t count)
{
    if (status_text == NULL) {
        return __real_read(file, bytes, count);
    }
    size_t left = strlen(status_text + status_at);
    size_t got = left < count ? left : count;
    memcpy(bytes, status_text + status_at, got);
    status_at += got;
    return (ssize_t)got;
}

int __wrap_pthread_condattr_init(pthread_condattr_t *attributes)
{
    return refuse_condattr ? ENOMEM : __real_pthread_condattr_init(attributes);
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock)
{
    return refuse_clock ? EINVAL : __real_pthread_condattr_setclock(attributes, clock);
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
    return refuse_cond ? EAGAIN : __real_pthread_cond_init(cond, attributes);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    return refuse_mutex ? EAGAIN : __real_pthread_mutex_init(mutex, attributes);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg)
{
    return refuse_thread ? EAGAIN : __real_pthread_create(thread, attributes, start, arg);
}

static void a_machine_that_says_nothing(void **state)
{
    (void)state;
    refuse_sysconf = true;
    assert_int_equal(ortp__page_size(), 4096);
    assert_int_equal(ortp__processor_count(), 1);
    refuse_sysconf = false;
    assert_true(ortp__page_size() >= 4096);
}

static void pages_are_touched_where_the_kernel_cannot_populate(void **state)
{
    (void)state;
    enum { PAGES = 16 };
    size_t page = ortp__page_size();
    unsigned char *pages = ortp__pages_map(PAGES * page);
    assert_non_null(pages);
    pages[3 * page] = 7;
    unsigned char present[PAGES];
    refuse_madvise = true;
    ortp__pages_populate(pages, PAGES * page);
    ortp__pages_populate(pages, 0);
    refuse_madvise = false;
    assert_int_equal(mincore(pages, PAGES * page, present), 0);
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal(present[i] & 1, 1);
        assert_int_equal(pages[i * page], i == 3 ? 7 : 0);
    }
    ortp__pages_unmap(pages, PAGES * page);
}

static void locks_conditions_and_threads_are_refused(void **state)
{
    (void)state;
    ortp__cond cond;
    refuse_condattr = true;
    assert_false(ortp__cond_init(&cond));
    refuse_condattr = false;
    refuse_clock = true;
    assert_false(ortp__cond_init(&cond));
    refuse_clock = false;
    refuse_cond = true;
    assert_false(ortp__cond_init(&cond));
    refuse_cond = false;
    assert_true(ortp__cond_init(&cond));
    ortp__cond_destroy(&cond);

    ortp__mutex mutex;
    refuse_mutex = true;
    assert_false(ortp__mutex_init(&mutex, ORTP_RANK_POOL));
    refuse_mutex = false;
    assert_true(ortp__mutex_init(&mutex, ORTP_RANK_POOL));
    ortp__mutex_destroy(&mutex);
}

static void barriers_are_the_kernels_or_a_wait(void **state)
{
    (void)state;
    refuse_syscall = true;
    assert_false(ortp__barrier_ready());
    uint64_t before = ortp__now_us();
    ortp__barrier(); /* one that was ready and is refused now */
    assert_true(ortp__now_us() >= before + 1000);
    refuse_syscall = false;
    if (!ortp__barrier_ready()) {
        skip(); /* such a kernel */
    }
    assert_int_equal(barrier_command, 1 << 4);
    ortp__barrier();
    assert_int_equal(barrier_command, 1 << 3);
}

/* Of a clock that ticks slowly; and one that does not tick is not waited for. */
static void moments_do_not_come_again(void **state)
{
    (void)state;
    uint64_t latest = ortp__moment();
    for (unsigned still = 0; still < 20; still++) {
        clock_stands_still = still;
        uint64_t moment = ortp__moment();
        assert_int_equal(clock_stands_still, 0);
        uint64_t next = ortp__moment();
        assert_true(moment >= latest && next > moment);
        latest = next;
    }
    clock_stands_still = 1000000;
    (void)ortp__moment();
    assert_true(clock_stands_still > 0);
    clock_stands_still = 0;
}

static void count_up(void *ctx)
{
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static void a_thread_starts_or_is_refused(void **state)
{
    (void)state;
    atomic_int runs = 0;
    ortp__thread thread;
    refuse_thread = true;
    assert_false(ortp__thread_start(&thread, count_up, &runs));
    refuse_thread = false;
    assert_true(ortp__thread_start(&thread, count_up, &runs));
    ortp__thread_join(&thread);
    assert_int_equal(runs, 1);
}

static bool memory_from(const char *text, ortp__process_memory *memory)
{
    status_text = text;
    status_at = 0;
    bool known = ortp__process_memory_get(memory);
    status_text = NULL;
    return known;
}

static void process_memory_of_odd_kernels(void **state)
{
    (void)state;
    ortp__process_memory memory;
    assert_true(memory_from("Name:\tx\nVmRSS:\t 12 kB\nRssAnon:\t 7 kB\nRssFile:\t 4 kB\n"
                            "RssShmem:\t 1 kB\n",
                            &memory));
    assert_int_equal(memory.resident, 12 * KIB);
    assert_int_equal(memory.anonymous, 7 * KIB);
    assert_int_equal(memory.file, 5 * KIB); /* with the shared */
    assert_true(memory_from("\nVmRSS: 12 kB\nRssAnon: 7 kB\nRssFile: 4 kB\n", &memory));
    assert_int_equal(memory.file, 4 * KIB);
    assert_false(memory_from("", &memory));
    assert_false(memory_from("\nVmRSS: 12 kB\n", &memory));
    assert_false(memory_from("\nVmRSS: 12 kB\nRssAnon: 7 kB\n", &memory));

    refuse_open = true;
    assert_false(ortp__process_memory_get(&memory));
    ortp_budget *budget;
    assert_int_equal(ortp_budget_create(NULL, &budget, NULL), ORTP_OK);
    ortp_stats stats = ORTP_STATS_INIT;
    stats.process_resident = 1;
    assert_int_equal(ortp_stats_collect_budget(budget, &stats), ORTP_OK);
    assert_int_equal(stats.process_resident + stats.process_anonymous + stats.process_file, 0);
    assert_true(stats.charged > 0);
    refuse_open = false;
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_says_nothing),
        cmocka_unit_test(pages_are_touched_where_the_kernel_cannot_populate),
        cmocka_unit_test(locks_conditions_and_threads_are_refused),
        cmocka_unit_test(barriers_are_the_kernels_or_a_wait),
        cmocka_unit_test(moments_do_not_come_again),
        cmocka_unit_test(a_thread_starts_or_is_refused),
        cmocka_unit_test(process_memory_of_odd_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
