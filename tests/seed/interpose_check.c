/* SPDX-License-Identifier: MIT */
/* The interposer's self-test: see interpose_check.h. */
#define _GNU_SOURCE
#include "interpose_check.h"

#include "interpose.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Compilers may drop a malloc whose result is not used; a volatile pointer is always used. */
static void *volatile kept;

static bool expect(const char *what, int64_t found, int64_t expected)
{
    if (found != expected) {
        printf("  interposer: %s is %" PRId64 ", expected %" PRId64 "\n", what, found, expected);
        return false;
    }
    return true;
}

static bool check_c(void)
{
    seed_heap before;
    seed_heap_read(&before);
    for (int i = 0; i < 10; i++) {
        kept = malloc(100);
        free(kept);
    }
    for (int i = 0; i < 5; i++) {
        kept = calloc(3, 20);
        free(kept);
    }
    kept = malloc(10);
    kept = realloc(kept, 5000);
    free(kept);
    kept = aligned_alloc(256, 512);
    free(kept);
    kept = memalign(64, 100);
    free(kept);
    void *aligned = NULL;
    bool ok = expect("posix_memalign", posix_memalign(&aligned, 128, 100), 0);
    kept = aligned;
    ok &= expect("alignment", (int64_t)((uintptr_t)kept % 128), 0);
    free(kept);
    seed_heap d = seed_heap_since(&before);
    ok &= expect("allocations of C from outside", (int64_t)d.outside, 10 + 5 + 2 + 3);
    ok &= expect("their bytes", (int64_t)d.outside_bytes, 1000 + 300 + 5010 + 512 + 100 + 100);
    ok &= expect("live blocks after freeing", d.live_blocks, 0);
    ok &= expect("live bytes after freeing", d.live_bytes, 0);
    ok &= expect("allocations of C inside ORT", (int64_t)(d.inside + d.create_bind), 0);
    return ok;
}

static bool check_cpp_and_tracker(void)
{
    seed_heap before;
    seed_heap_read(&before);
    kept = seed_operator_new(1000);
    seed_heap d = seed_heap_since(&before);
    bool ok = expect("operator new from outside", (int64_t)d.outside, 1);
    ok &= expect("live blocks while held", d.live_blocks, 1);
    ok &= expect("at least the bytes live", d.live_bytes >= 1000, 1);
    seed_operator_delete(kept);
    ok &= expect("live blocks after delete", seed_heap_since(&before).live_blocks, 0);

    enum { MANY = 1000 };
    static void *ptrs[MANY];
    seed_heap_track();
    seed_heap_read(&before);
    for (size_t i = 0; i < MANY; i++) {
        ptrs[i] = malloc(i + 1);
    }
    ok &= expect("tracked blocks", seed_heap_since(&before).kept_blocks, MANY);
    for (size_t i = 0; i < MANY; i++) {
        free(ptrs[(i * 7) % MANY]);
    }
    ok &= expect("tracked blocks after freeing", seed_heap_since(&before).kept_blocks, 0);
    ok &= expect("tracked bytes after freeing", seed_heap_since(&before).kept_bytes, 0);

    seed_heap_read(&before);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ok &= expect("mappings", (int64_t)seed_heap_since(&before).mappings, 1);
    if (page != MAP_FAILED) {
        munmap(page, 4096);
    }
    return ok;
}

static bool check_ort(const OrtApi *api, const OrtApi *watched)
{
    static float data[4];
    const int64_t shape[] = {4};
    OrtMemoryInfo *info = NULL;
    OrtValue *value = NULL;
    seed_heap before;
    bool ok = true;

    /* Unwatched: ORT's own allocation, with no Create* known to be under way. */
    seed_heap_read(&before);
    OrtStatus *status = api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &info);
    seed_heap d = seed_heap_since(&before);
    ok &= expect("creating a memory info succeeds", status == NULL, 1);
    ok &= expect("allocations inside ORT seen", d.inside > 0, 1);
    ok &= expect("of them from outside", (int64_t)(d.outside + d.create_bind), 0);
    if (status) {
        api->ReleaseStatus(status);
        return false;
    }

    /* The first tensor leaves what ORT makes once per process; the second is like all others. */
    for (int i = 0; i < 2; i++) {
        seed_heap_read(&before);
        status = watched->CreateTensorWithDataAsOrtValue(
            info, data, sizeof(data), shape, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value);
        d = seed_heap_since(&before);
        ok &= expect("creating a tensor succeeds", status == NULL, 1);
        if (status) {
            api->ReleaseStatus(status);
            break;
        }
        watched->ReleaseValue(value);
    }
    ok &= expect("allocations in a Create call seen", d.create_bind > 0, 1);
    ok &= expect("of them not booked there", (int64_t)(d.outside + d.inside), 0);
    ok &= expect("live blocks after release", seed_heap_since(&before).live_blocks, 0);
    api->ReleaseMemoryInfo(info);
    return ok;
}

bool seed_heap_check(const OrtApi *api, const OrtApi *watched)
{
    bool ok = check_c();
    ok &= check_cpp_and_tracker();
    ok &= check_ort(api, watched);
    printf("interposer: %s\n", ok ? "self-test ok, counts exact" : "self-test FAILED");
    return ok;
}
