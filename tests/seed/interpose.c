/* SPDX-License-Identifier: MIT */
/*
 * The interposer: see interpose.h. Built over glibc's __libc_malloc and its relatives, so that
 * there is no start-up order to get right and no dlsym, which allocates, on an allocation's way.
 *
 * Every entry takes its own return address: a shared helper would see the entry's. A tail call in
 * ORT (jmp malloc) would show the caller one level up; that books an allocation of ORT's on our
 * side, never the other way round.
 *
 * Counters are relaxed atomics: they are read at quiet points. The tracker's table (open
 * addressing, linear probing, deletion by shifting back) is under a spinlock and off until asked
 * for.
 */
#define _GNU_SOURCE
#include "interpose.h"

#include <stdlib.h>
#include <string.h>

#if !defined(SEED_INTERPOSE)

bool seed_heap_available(void)
{
    return false;
}

bool seed_heap_learn(void)
{
    return true;
}

void seed_heap_read(seed_heap *out)
{
    memset(out, 0, sizeof(*out));
}

void seed_heap_enter_create(void)
{
}

void seed_heap_leave_create(void)
{
}

void seed_heap_track(void)
{
}

void *seed_operator_new(size_t bytes)
{
    return malloc(bytes);
}

void seed_operator_delete(void *ptr)
{
    free(ptr);
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

/* ---- glibc's allocator under its other names ---- */

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *ptr, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *ptr);

/* ---- who calls ---- */

#define RANGES_MAX 16

static struct range {
    uintptr_t begin, end;
} ranges[RANGES_MAX];
static atomic_size_t range_count;
static _Thread_local unsigned create_depth;
static _Thread_local bool ort_thread; /* started by ORT: all that happens on it is ORT's */

static int add_ranges(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    size_t *count = ctx;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash ? slash + 1 : info->dlpi_name;
    if (strncmp(name, "libonnxruntime", 14) != 0 && strncmp(name, "libstdc++", 9) != 0) {
        return 0;
    }
    for (size_t i = 0; i < info->dlpi_phnum && *count < RANGES_MAX; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) != 0) {
            uintptr_t begin = info->dlpi_addr + ph->p_vaddr;
            ranges[(*count)++] = (struct range){begin, begin + ph->p_memsz};
        }
    }
    return 0;
}

bool seed_heap_learn(void)
{
    size_t count = 0;
    dl_iterate_phdr(add_ranges, &count);
    atomic_store_explicit(&range_count, count, memory_order_release);
    return count > 0;
}

static bool is_ort(const void *caller)
{
    if (ort_thread) {
        return true;
    }
    uintptr_t at = (uintptr_t)caller;
    size_t count = atomic_load_explicit(&range_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        if (at >= ranges[i].begin && at < ranges[i].end) {
            return true;
        }
    }
    return false;
}

void seed_heap_enter_create(void)
{
    create_depth++;
}

void seed_heap_leave_create(void)
{
    create_depth--;
}

/* ---- counters ---- */

static struct {
    atomic_uint_fast64_t outside, create_bind, inside;
    atomic_uint_fast64_t outside_bytes, create_bind_bytes, inside_bytes;
    atomic_uint_fast64_t aligned_new, mappings;
    atomic_int_fast64_t live_blocks, live_bytes;
} counters;

#define ADD(name, n) atomic_fetch_add_explicit(&counters.name, (n), memory_order_relaxed)
#define SUB(name, n) atomic_fetch_sub_explicit(&counters.name, (n), memory_order_relaxed)

/* ---- tracker of what came from outside ---- */

#define TRACK_SLOTS ((size_t)1 << 16)

static struct {
    atomic_flag lock;
    atomic_bool on;
    bool overflow;
    int64_t blocks, bytes;
    const void *slots[TRACK_SLOTS];
} tracker = {.lock = ATOMIC_FLAG_INIT};

static void tracker_lock(void)
{
    while (atomic_flag_test_and_set_explicit(&tracker.lock, memory_order_acquire)) {
    }
}

static void tracker_unlock(void)
{
    atomic_flag_clear_explicit(&tracker.lock, memory_order_release);
}

static size_t home_slot(const void *ptr)
{
    uint64_t h = ((uint64_t)(uintptr_t)ptr >> 4) * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 48) & (TRACK_SLOTS - 1);
}

static void track(const void *ptr, size_t bytes)
{
    if (!atomic_load_explicit(&tracker.on, memory_order_relaxed)) {
        return;
    }
    tracker_lock();
    if (tracker.blocks >= (int64_t)(TRACK_SLOTS / 2)) {
        tracker.overflow = true;
    } else {
        size_t i = home_slot(ptr);
        while (tracker.slots[i]) {
            i = (i + 1) & (TRACK_SLOTS - 1);
        }
        tracker.slots[i] = ptr;
        tracker.blocks++;
        tracker.bytes += (int64_t)bytes;
    }
    tracker_unlock();
}

static void untrack(const void *ptr, size_t bytes)
{
    if (!atomic_load_explicit(&tracker.on, memory_order_relaxed)) {
        return;
    }
    tracker_lock();
    size_t i = home_slot(ptr);
    while (tracker.slots[i] && tracker.slots[i] != ptr) {
        i = (i + 1) & (TRACK_SLOTS - 1);
    }
    if (tracker.slots[i] == ptr) {
        tracker.blocks--;
        tracker.bytes -= (int64_t)bytes;
        /* Shift back those that probed past the hole, so that searches find them again. */
        for (size_t j = (i + 1) & (TRACK_SLOTS - 1); tracker.slots[j];
             j = (j + 1) & (TRACK_SLOTS - 1)) {
            size_t home = home_slot(tracker.slots[j]);
            if (((j - home) & (TRACK_SLOTS - 1)) >= ((j - i) & (TRACK_SLOTS - 1))) {
                tracker.slots[i] = tracker.slots[j];
                i = j;
            }
        }
        tracker.slots[i] = NULL;
    }
    tracker_unlock();
}

void seed_heap_track(void)
{
    tracker_lock();
    memset(tracker.slots, 0, sizeof(tracker.slots));
    tracker.blocks = 0;
    tracker.bytes = 0;
    tracker.overflow = false;
    tracker_unlock();
    atomic_store(&tracker.on, true);
}

/* ---- what every entry does ---- */

static void *count_alloc(void *ptr, size_t asked, const void *caller)
{
    if (!ptr) {
        return NULL;
    }
    size_t usable = malloc_usable_size(ptr);
    ADD(live_blocks, 1);
    ADD(live_bytes, (int64_t)usable);
    if (!is_ort(caller)) {
        ADD(outside, 1);
        ADD(outside_bytes, asked);
        track(ptr, usable);
    } else if (create_depth > 0) {
        ADD(create_bind, 1);
        ADD(create_bind_bytes, asked);
    } else {
        ADD(inside, 1);
        ADD(inside_bytes, asked);
    }
    return ptr;
}

static void count_free(void *ptr)
{
    if (ptr) {
        size_t usable = malloc_usable_size(ptr);
        SUB(live_blocks, 1);
        SUB(live_bytes, (int64_t)usable);
        untrack(ptr, usable);
        __libc_free(ptr);
    }
}

bool seed_heap_available(void)
{
    return true;
}

void seed_heap_read(seed_heap *out)
{
#define READ(name) out->name = atomic_load_explicit(&counters.name, memory_order_relaxed)
    READ(outside);
    READ(create_bind);
    READ(inside);
    READ(outside_bytes);
    READ(create_bind_bytes);
    READ(inside_bytes);
    READ(aligned_new);
    READ(mappings);
    READ(live_blocks);
    READ(live_bytes);
#undef READ
    tracker_lock();
    out->kept_blocks = tracker.blocks;
    out->kept_bytes = tracker.bytes;
    out->kept_overflow = tracker.overflow;
    tracker_unlock();
}

/* ---- C ---- */

EXPORT void *malloc(size_t bytes)
{
    return count_alloc(__libc_malloc(bytes), bytes, CALLER);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    return count_alloc(__libc_calloc(count, bytes), count * bytes, CALLER);
}

EXPORT void *realloc(void *ptr, size_t bytes)
{
    size_t before = ptr ? malloc_usable_size(ptr) : 0;
    if (ptr) {
        untrack(ptr, before);
    }
    void *to = __libc_realloc(ptr, bytes);
    if (to || (ptr && bytes == 0)) { /* realloc(ptr, 0) frees in glibc */
        if (ptr) {
            SUB(live_blocks, 1);
            SUB(live_bytes, (int64_t)before);
        }
        return count_alloc(to, bytes, CALLER);
    }
    return NULL; /* the old block stays; the tracker forgets it, but then memory is out anyway */
}

EXPORT void free(void *ptr)
{
    count_free(ptr);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
    return count_alloc(__libc_memalign(alignment, bytes), bytes, CALLER);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    return count_alloc(__libc_memalign(alignment, bytes), bytes, CALLER);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    void *ptr = count_alloc(__libc_memalign(alignment, bytes), bytes, CALLER);
    if (!ptr) {
        return ENOMEM;
    }
    *out = ptr;
    return 0;
}

static void *count_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset,
                        const void *caller)
{
    if ((flags & MAP_ANONYMOUS) != 0 && !is_ort(caller)) {
        ADD(mappings, 1);
    }
    long result = syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
    return (void *)result; /* syscall() has turned an error into -1, which is MAP_FAILED */
}

EXPORT void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return count_mmap(at, bytes, protection, flags, fd, offset, CALLER);
}

EXPORT void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
    return count_mmap(at, bytes, protection, flags, fd, (off_t)offset, CALLER);
}

/* ---- threads ---- */

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

typedef struct thread_start {
    void *(*start)(void *);
    void *arg;
} thread_start;

static void *ort_thread_main(void *arg)
{
    thread_start s = *(thread_start *)arg;
    __libc_free(arg);
    ort_thread = true;
    return s.start(s.arg);
}

EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                          void *(*start)(void *), void *restrict arg)
{
    create_fn *create;
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&create, &symbol, sizeof(create)); /* C has no cast from object to function pointer */
    if (!is_ort(CALLER)) {
        return create(thread, attributes, start, arg);
    }
    thread_start *s = __libc_malloc(sizeof(*s));
    if (!s) {
        return EAGAIN;
    }
    *s = (thread_start){start, arg};
    int failed = create(thread, attributes, ort_thread_main, s);
    if (failed) {
        __libc_free(s);
    }
    return failed;
}

/* ---- C++: operator new and delete by their mangled names (size_t is m, unsigned long) ---- */

/* C cannot throw bad_alloc; a test whose machine has no memory left has no result. */
static void *or_abort(void *ptr)
{
    if (!ptr) {
        abort();
    }
    return ptr;
}

static size_t at_least_1(size_t bytes)
{
    return bytes ? bytes : 1;
}

#define NEW(name)                                                                                  \
    EXPORT void *name(size_t bytes);                                                               \
    EXPORT void *name(size_t bytes)                                                                \
    {                                                                                              \
        return or_abort(count_alloc(__libc_malloc(at_least_1(bytes)), bytes, CALLER));             \
    }
#define NEW_NOTHROW(name)                                                                          \
    EXPORT void *name(size_t bytes, const void *nothrow);                                          \
    EXPORT void *name(size_t bytes, const void *nothrow)                                           \
    {                                                                                              \
        (void)nothrow;                                                                             \
        return count_alloc(__libc_malloc(at_least_1(bytes)), bytes, CALLER);                       \
    }
#define NEW_ALIGNED(name)                                                                          \
    EXPORT void *name(size_t bytes, size_t alignment);                                             \
    EXPORT void *name(size_t bytes, size_t alignment)                                              \
    {                                                                                              \
        ADD(aligned_new, 1);                                                                       \
        return or_abort(                                                                           \
            count_alloc(__libc_memalign(alignment, at_least_1(bytes)), bytes, CALLER));            \
    }
#define NEW_ALIGNED_NOTHROW(name)                                                                  \
    EXPORT void *name(size_t bytes, size_t alignment, const void *nothrow);                        \
    EXPORT void *name(size_t bytes, size_t alignment, const void *nothrow)                         \
    {                                                                                              \
        (void)nothrow;                                                                             \
        ADD(aligned_new, 1);                                                                       \
        return count_alloc(__libc_memalign(alignment, at_least_1(bytes)), bytes, CALLER);          \
    }

NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

#define DELETE(name)                                                                               \
    EXPORT void name(void *ptr);                                                                   \
    EXPORT void name(void *ptr)                                                                    \
    {                                                                                              \
        count_free(ptr);                                                                           \
    }
#define DELETE_2(name, type)                                                                       \
    EXPORT void name(void *ptr, type b);                                                           \
    EXPORT void name(void *ptr, type b)                                                            \
    {                                                                                              \
        (void)b;                                                                                   \
        count_free(ptr);                                                                           \
    }
#define DELETE_3(name, type_b, type_c)                                                             \
    EXPORT void name(void *ptr, type_b b, type_c c);                                               \
    EXPORT void name(void *ptr, type_b b, type_c c)                                                \
    {                                                                                              \
        (void)b;                                                                                   \
        (void)c;                                                                                   \
        count_free(ptr);                                                                           \
    }

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE_2(_ZdlPvm, size_t)
DELETE_2(_ZdaPvm, size_t)
DELETE_2(_ZdlPvRKSt9nothrow_t, const void *)
DELETE_2(_ZdaPvRKSt9nothrow_t, const void *)
DELETE_2(_ZdlPvSt11align_val_t, size_t)
DELETE_2(_ZdaPvSt11align_val_t, size_t)
DELETE_3(_ZdlPvmSt11align_val_t, size_t, size_t)
DELETE_3(_ZdaPvmSt11align_val_t, size_t, size_t)
DELETE_3(_ZdlPvSt11align_val_tRKSt9nothrow_t, size_t, const void *)
DELETE_3(_ZdaPvSt11align_val_tRKSt9nothrow_t, size_t, const void *)

void *seed_operator_new(size_t bytes)
{
    return _Znwm(bytes);
}

void seed_operator_delete(void *ptr)
{
    _ZdlPv(ptr);
}

#endif

seed_heap seed_heap_since(const seed_heap *earlier)
{
    seed_heap now;
    seed_heap_read(&now);
#define SINCE(name) now.name -= earlier->name
    SINCE(outside);
    SINCE(create_bind);
    SINCE(inside);
    SINCE(outside_bytes);
    SINCE(create_bind_bytes);
    SINCE(inside_bytes);
    SINCE(aligned_new);
    SINCE(mappings);
    SINCE(live_blocks);
    SINCE(live_bytes);
    SINCE(kept_blocks);
    SINCE(kept_bytes);
#undef SINCE
    return now;
}
