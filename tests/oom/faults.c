/* SPDX-License-Identifier: MIT */
/* See faults.h. */
#include "faults.h"

#include "counting_alloc.h"
#include "counting_api.h"
#include "internal.h"

#include <jansson.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define SITES_MAX 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool armed, persistent_mode, hit;
static uint64_t calls, fail_at;
static fault_kind first;
static uint64_t made[FAULT_KINDS];
static const void *sites[SITES_MAX];
static size_t site_count;
static bool api_failed[COUNTING_CALL_COUNT];
static uint64_t stray;

static const char *const kind_names[FAULT_KINDS] = {
    "allocation", "pages", "lock", "thread", "charge", "jansson", "file", "ONNX Runtime"};

static const char *const call_names[COUNTING_CALL_COUNT] = {
#define NAME(name, parameters, arguments) [COUNTING_##name] = #name,
    COUNTING_API_MAP(NAME)
#undef NAME
        [COUNTING_AllocatorFree] = "AllocatorFree",
    [COUNTING_UnregisterAllocator] = "UnregisterAllocator",
};

const char *fault_name(fault_kind kind)
{
    return kind_names[kind];
}

static void remember_locked(const void *site)
{
    for (size_t i = 0; i < site_count; i++) {
        if (sites[i] == site) {
            return;
        }
    }
    if (site_count == SITES_MAX) {
        (void)fputs("faults: more sites than SITES_MAX\n", stderr);
        abort();
    }
    sites[site_count++] = site;
}

/* Counts a call; true: it fails. `site` NULL: not one of ours. */
static bool fails(fault_kind kind, const void *site, int call)
{
    (void)pthread_mutex_lock(&lock);
    bool now = false;
    if (armed) {
        calls++;
        now = calls == fail_at || (persistent_mode && calls > fail_at);
    }
    if (now) {
        if (!hit) {
            first = kind;
        }
        hit = true;
        made[kind]++;
        if (site != NULL) {
            remember_locked(site);
        }
        if (call >= 0) {
            api_failed[call] = true;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return now;
}

static bool api_fails(counting_call call)
{
    return fails(FAULT_API, NULL, (int)call);
}

const OrtApi *faults_api(const OrtApi *real)
{
    const OrtApi *table = counting_api_use(real);
    counting_api_hook(api_fails);
    return table;
}

/* ---- nothing goes past the injected allocator ---- */

/* The test's own allocator is at work on this thread. */
static _Thread_local bool inside;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_realloc(void *ptr, size_t bytes);
void *__wrap_realloc(void *ptr, size_t bytes);

static void note_stray(void)
{
    (void)pthread_mutex_lock(&lock);
    stray += armed && !inside;
    (void)pthread_mutex_unlock(&lock);
}

void *__wrap_malloc(size_t bytes)
{
    note_stray();
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    note_stray();
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *ptr, size_t bytes)
{
    note_stray();
    return __real_realloc(ptr, bytes);
}

/* Whether it is the injected one; anything else is counted. */
static bool injected(const ortp_alloc *alloc)
{
    static counting_alloc any;
    if (alloc->alloc == counting_alloc_use(&any).alloc) {
        return true;
    }
    note_stray();
    return false;
}

/* ---- switching ---- */

static void *json_alloc(size_t bytes)
{
    if (fails(FAULT_JANSSON, NULL, -1)) {
        errno = ENOMEM; /* as malloc does */
        return NULL;
    }
    return __real_malloc(bytes);
}

void faults_arm(uint64_t nth, bool persistent)
{
    json_set_alloc_funcs(json_alloc, free);
    (void)pthread_mutex_lock(&lock);
    armed = true;
    hit = false;
    calls = 0;
    fail_at = nth;
    persistent_mode = persistent;
    (void)pthread_mutex_unlock(&lock);
}

bool faults_disarm(void)
{
    (void)pthread_mutex_lock(&lock);
    armed = false;
    bool was_hit = hit;
    (void)pthread_mutex_unlock(&lock);
    return was_hit;
}

fault_kind faults_first(void)
{
    return first;
}

uint64_t faults_made(fault_kind kind)
{
    return made[kind];
}

uint64_t faults_stray_mallocs(void)
{
    return stray;
}

extern const char __executable_start[]; /* the linker's */

void faults_write(FILE *file)
{
    for (size_t i = 0; i < site_count; i++) {
        (void)fprintf(file, "site 0x%zx\n",
                      (size_t)((const char *)sites[i] - (const char *)__executable_start));
    }
    for (size_t i = 0; i < COUNTING_CALL_COUNT; i++) {
        if (api_failed[i]) {
            (void)fprintf(file, "api %s\n", call_names[i]);
        }
    }
}

/* ---- wrappers ---- */

#define SITE __builtin_return_address(0)

static void *no_memory(void *ctx, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    return NULL;
}

static void free_nothing(void *ctx, void *ptr, size_t bytes)
{
    (void)ctx;
    (void)ptr;
    (void)bytes;
}

void *__real_ortp__raw_alloc(const ortp_alloc *alloc, size_t bytes);
void *__wrap_ortp__raw_alloc(const ortp_alloc *alloc, size_t bytes);
void *__wrap_ortp__raw_alloc(const ortp_alloc *alloc, size_t bytes)
{
    if (fails(FAULT_ALLOC, SITE, -1)) {
        return NULL;
    }
    inside = injected(alloc);
    void *ptr = __real_ortp__raw_alloc(alloc, bytes);
    inside = false;
    return ptr;
}

/* Fails where the allocator is asked, after the charge: the refund is the function's own. */
ortp_status __real_ortp__meta_alloc(ortp_budget *budget, const ortp_alloc *alloc, size_t bytes,
                                    ortp_reclaim reclaim, void **out);
ortp_status __wrap_ortp__meta_alloc(ortp_budget *budget, const ortp_alloc *alloc, size_t bytes,
                                    ortp_reclaim reclaim, void **out);
ortp_status __wrap_ortp__meta_alloc(ortp_budget *budget, const ortp_alloc *alloc, size_t bytes,
                                    ortp_reclaim reclaim, void **out)
{
    const ortp_alloc failing = {.alloc = no_memory, .free = free_nothing};
    if (fails(FAULT_ALLOC, SITE, -1)) {
        return __real_ortp__meta_alloc(budget, &failing, bytes, reclaim, out);
    }
    /* Reclaimers that run meanwhile may ask in turn: only the kind of allocator is looked at. */
    inside = injected(alloc);
    ortp_status status = __real_ortp__meta_alloc(budget, alloc, bytes, reclaim, out);
    inside = false;
    return status;
}

ortp_status __real_ortp_budget_charge(ortp_budget *budget, ortp_account account, size_t bytes,
                                      ortp_reclaim reclaim);
ortp_status __wrap_ortp_budget_charge(ortp_budget *budget, ortp_account account, size_t bytes,
                                      ortp_reclaim reclaim);
ortp_status __wrap_ortp_budget_charge(ortp_budget *budget, ortp_account account, size_t bytes,
                                      ortp_reclaim reclaim)
{
    return fails(FAULT_CHARGE, SITE, -1)
               ? ORTP_E_BUDGET
               : __real_ortp_budget_charge(budget, account, bytes, reclaim);
}

void *__real_ortp__pages_map(size_t bytes);
void *__wrap_ortp__pages_map(size_t bytes);
void *__wrap_ortp__pages_map(size_t bytes)
{
    return fails(FAULT_PAGES, SITE, -1) ? NULL : __real_ortp__pages_map(bytes);
}

void *__real_ortp__pages_reserve(size_t bytes);
void *__wrap_ortp__pages_reserve(size_t bytes);
void *__wrap_ortp__pages_reserve(size_t bytes)
{
    return fails(FAULT_PAGES, SITE, -1) ? NULL : __real_ortp__pages_reserve(bytes);
}

bool __real_ortp__pages_commit(void *pages, size_t bytes);
bool __wrap_ortp__pages_commit(void *pages, size_t bytes);
bool __wrap_ortp__pages_commit(void *pages, size_t bytes)
{
    return !fails(FAULT_PAGES, SITE, -1) && __real_ortp__pages_commit(pages, bytes);
}

bool __real_ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank);
bool __wrap_ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank);
bool __wrap_ortp__mutex_init(ortp__mutex *mutex, ortp__rank rank)
{
    return !fails(FAULT_LOCK, SITE, -1) && __real_ortp__mutex_init(mutex, rank);
}

bool __real_ortp__cond_init(ortp__cond *cond);
bool __wrap_ortp__cond_init(ortp__cond *cond);
bool __wrap_ortp__cond_init(ortp__cond *cond)
{
    return !fails(FAULT_LOCK, SITE, -1) && __real_ortp__cond_init(cond);
}

bool __real_ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *));
bool __wrap_ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *));
bool __wrap_ortp__thread_key_create(ortp__thread_key *key, void (*ends)(void *))
{
    return !fails(FAULT_LOCK, SITE, -1) && __real_ortp__thread_key_create(key, ends);
}

bool __real_ortp__thread_key_set(const ortp__thread_key *key, void *value);
bool __wrap_ortp__thread_key_set(const ortp__thread_key *key, void *value);
bool __wrap_ortp__thread_key_set(const ortp__thread_key *key, void *value)
{
    return !fails(FAULT_LOCK, SITE, -1) && __real_ortp__thread_key_set(key, value);
}

bool __real_ortp__barrier_ready(void);
bool __wrap_ortp__barrier_ready(void);
bool __wrap_ortp__barrier_ready(void)
{
    return !fails(FAULT_LOCK, SITE, -1) && __real_ortp__barrier_ready();
}

bool __real_ortp__thread_start(ortp__thread *thread, void (*fn)(void *ctx), void *ctx);
bool __wrap_ortp__thread_start(ortp__thread *thread, void (*fn)(void *ctx), void *ctx);
bool __wrap_ortp__thread_start(ortp__thread *thread, void (*fn)(void *ctx), void *ctx)
{
    return !fails(FAULT_THREAD, SITE, -1) && __real_ortp__thread_start(thread, fn, ctx);
}

FILE *__real_ortp__file_open(const char *path);
FILE *__wrap_ortp__file_open(const char *path);
FILE *__wrap_ortp__file_open(const char *path)
{
    if (fails(FAULT_FILE, SITE, -1)) {
        errno = ENOMEM;
        return NULL;
    }
    return __real_ortp__file_open(path);
}
