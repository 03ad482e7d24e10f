/* SPDX-License-Identifier: MIT */
/*
 * The tensor pool over real ONNX Runtime: what it hands out is right, reuse costs no call, idle
 * tensors go when they must, failures leave the ledger balanced.
 */
#include "counting_alloc.h"
#include "counting_api.h"
#include "fake_clock.h"
#include "test_ort.h"

#include <ortpool/session.h>
#include <ortpool/stats.h>
#include <ortpool/tensor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB ((size_t)1024)

/* A runtime with everything injected, and one tensor pool. */
typedef struct fixture {
    counting_alloc alloc;
    fake_clock clock;
    ortp_runtime *runtime;
    ortp_tensor_pool *tensors;
} fixture;

static void open_fixture(fixture *f, size_t limit_bytes, size_t idle_bytes_max)
{
    memset(f, 0, sizeof(*f));
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.api = counting_api_use(test_ort_api());
    options.alloc = counting_alloc_use(&f->alloc);
    options.clock = fake_clock_use(&f->clock);
    options.limit_bytes = limit_bytes;
    options.pool_kind = ORTP_POOL_STRIPED;
    f->runtime = test_runtime_create(&options);
    ortp_tensor_pool_options pool_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool_options.runtime = f->runtime;
    pool_options.idle_bytes_max = idle_bytes_max;
    assert_int_equal(ortp_tensor_pool_create(&pool_options, &f->tensors, NULL), ORTP_OK);
}

static void close_fixture(fixture *f)
{
    ortp_error error = ORTP_ERROR_INIT;
    test_assert_ledger(ortp_runtime_budget(f->runtime), ortp_runtime_pool(f->runtime));
    assert_int_equal(ortp_tensor_pool_destroy(f->tensors, &error), ORTP_OK);
    test_runtime_destroy(f->runtime);
    counting_alloc_assert_empty(&f->alloc);
    assert_int_equal(counting_api_live(), 0);
}

static ortp_tensor *acquire(fixture *f, ortp_type type, const int64_t *shape, size_t rank)
{
    ortp_tensor *tensor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    if (ortp_tensor_acquire(f->tensors, type, shape, rank, &tensor, &error) != ORTP_OK) {
        fail_msg("%s", error.message);
    }
    return tensor;
}

static ortp_tensor *acquire_bytes(fixture *f, size_t bytes)
{
    const int64_t shape[1] = {(int64_t)bytes};
    return acquire(f, ORTP_TYPE_UINT8, shape, 1);
}

static ortp_tensor_pool_info info_of(const fixture *f)
{
    ortp_tensor_pool_info info = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(f->tensors, &info);
    return info;
}

/* What ORT itself says of a value: type, shape, where the data lies. */
static void assert_value(const OrtValue *value, ortp_type type, const int64_t *shape, size_t rank,
                         const void *data)
{
    const OrtApi *api = test_ort_api();
    OrtTensorTypeAndShapeInfo *info = NULL;
    assert_null(api->GetTensorTypeAndShape(value, &info));
    ONNXTensorElementDataType got_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    assert_null(api->GetTensorElementType(info, &got_type));
    assert_int_equal(got_type, type);
    size_t got_rank = 0;
    assert_null(api->GetDimensionsCount(info, &got_rank));
    assert_int_equal(got_rank, rank);
    int64_t got_shape[ORTP_RANK_MAX] = {0};
    assert_null(api->GetDimensions(info, got_shape, got_rank));
    for (size_t i = 0; i < rank; ++i) {
        assert_int_equal(got_shape[i], shape[i]);
    }
    api->ReleaseTensorTypeAndShapeInfo(info);
    void *got_data = NULL;
    assert_null(api->GetTensorMutableData((OrtValue *)value, &got_data));
    assert_ptr_equal(got_data, data);
}

static const ortp_type all_types[] = {
#define LIST(name, value, bytes) ORTP_TYPE_##name,
    ORTP_TYPE_MAP(LIST)
#undef LIST
};

static void every_type_passes_through_ort(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    for (size_t i = 0; i < sizeof(all_types) / sizeof(all_types[0]); ++i) {
        const ortp_type type = all_types[i];
        const int64_t shape[2] = {3, 5};
        ortp_tensor *x = acquire(&f, type, shape, 2);
        ortp_tensor *y = acquire(&f, type, shape, 2);
        assert_int_equal(ortp_tensor_elements(x), 15);
        assert_int_equal(ortp_tensor_bytes(x), 15 * ortp_type_bytes(type));
        assert_int_equal(ortp_tensor_type(x), type);
        assert_int_equal((uintptr_t)ortp_tensor_data(x) % 64, 0);
        assert_value(ortp_tensor_value(x), type, shape, 2, ortp_tensor_data(x));
        unsigned char *bytes = ortp_tensor_data(x);
        for (size_t b = 0; b < ortp_tensor_bytes(x); ++b) {
            bytes[b] = type == ORTP_TYPE_BOOL ? (unsigned char)(b % 2) : (unsigned char)(b * 7 + 1);
        }
        memset(ortp_tensor_data(y), 0, ortp_tensor_bytes(y));

        char name[64];
        (void)snprintf(name, sizeof(name), "tests/graphs/shapes/identity_%s.onnx",
                       ortp_type_name(type));
        ortp_session_options options = ORTP_SESSION_OPTIONS_INIT;
        options.runtime = f.runtime;
        options.path = test_file(name);
        options.intra_threads = 1;
        ortp_session *session = NULL;
        ortp_error error = ORTP_ERROR_INIT;
        if (ortp_session_create(&options, &session, &error) != ORTP_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(ortp_session_input(session, 0)->type, type);
        const OrtValue *inputs[1] = {ortp_tensor_value(x)};
        OrtValue *outputs[1] = {ortp_tensor_value(y)};
        if (ortp_session_run(session, NULL, NULL, inputs, 1, NULL, outputs, 1, &error) != ORTP_OK) {
            /* ORT has no Identity kernel for some type: then it says so at creation, not here. */
            fail_msg("%s: %s", ortp_type_name(type), error.message);
        }
        assert_memory_equal(ortp_tensor_data(x), ortp_tensor_data(y), ortp_tensor_bytes(x));
        assert_int_equal(ortp_session_runs(session), 1);
        assert_int_equal(ortp_session_destroy(session, NULL), ORTP_OK);
        assert_int_equal(ortp_tensor_release(x), ORTP_OK);
        assert_int_equal(ortp_tensor_release(y), ORTP_OK);
    }
    close_fixture(&f);
}

static void types_have_names_and_sizes(void **state)
{
    (void)state;
#define CHECK(name, value, bytes)                                                                  \
    assert_int_equal(ortp_type_bytes((ortp_type)(value)), bytes);                                  \
    assert_string_not_equal(ortp_type_name((ortp_type)(value)), "?");
    ORTP_TYPE_MAP(CHECK)
#undef CHECK
    assert_string_equal(ortp_type_name(ORTP_TYPE_FLOAT), "float");
    assert_string_equal(ortp_type_name(ORTP_TYPE_BFLOAT16), "bfloat16");
    const int unknown[] = {0, 8, 14, 15, 17, -1, 1000};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); ++i) {
        assert_int_equal(ortp_type_bytes((ortp_type)unknown[i]), 0);
        assert_string_equal(ortp_type_name((ortp_type)unknown[i]), "?");
    }
}

static void unusual_shapes(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);

    ortp_tensor *scalar = acquire(&f, ORTP_TYPE_FLOAT, NULL, 0);
    assert_int_equal(ortp_tensor_elements(scalar), 1);
    assert_int_equal(ortp_tensor_bytes(scalar), 4);
    assert_value(ortp_tensor_value(scalar), ORTP_TYPE_FLOAT, NULL, 0, ortp_tensor_data(scalar));
    size_t rank = 99;
    assert_non_null(ortp_tensor_shape(scalar, &rank));
    assert_int_equal(rank, 0);

    const int64_t empty[3] = {2, 0, INT64_MAX};
    ortp_tensor *nothing = acquire(&f, ORTP_TYPE_DOUBLE, empty, 3);
    assert_int_equal(ortp_tensor_elements(nothing), 0);
    assert_int_equal(ortp_tensor_bytes(nothing), 0);
    assert_non_null(ortp_tensor_data(nothing));

    const int64_t deep[8] = {1, 2, 1, 3, 1, 2, 1, 2};
    ortp_tensor *eight = acquire(&f, ORTP_TYPE_INT16, deep, 8);
    assert_int_equal(ortp_tensor_elements(eight), 24);
    assert_value(ortp_tensor_value(eight), ORTP_TYPE_INT16, deep, 8, ortp_tensor_data(eight));
    const int64_t *shape = ortp_tensor_shape(eight, &rank);
    assert_int_equal(rank, 8);
    assert_memory_equal(shape, deep, sizeof(deep));

    /* Same bytes, another shape or type: another tensor. */
    const int64_t one[1] = {1};
    assert_int_equal(ortp_tensor_release(scalar), ORTP_OK);
    ortp_tensor *vector = acquire(&f, ORTP_TYPE_FLOAT, one, 1);
    assert_ptr_not_equal(vector, scalar);
    ortp_tensor *integer = acquire(&f, ORTP_TYPE_INT32, NULL, 0);
    assert_ptr_not_equal(integer, scalar);
    assert_ptr_equal(acquire(&f, ORTP_TYPE_FLOAT, NULL, 0), scalar);

    ortp_tensor *held[] = {scalar, nothing, eight, vector, integer};
    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); ++i) {
        assert_int_equal(ortp_tensor_release(held[i]), ORTP_OK);
    }
    close_fixture(&f);
}

static void assert_refused(fixture *f, ortp_type type, const int64_t *shape, size_t rank)
{
    ortp_tensor *tensor = (ortp_tensor *)f;
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_tensor_acquire(f->tensors, type, shape, rank, &tensor, &error),
                     ORTP_E_INVAL);
    assert_null(tensor);
    assert_int_equal(error.status, ORTP_E_INVAL);
    assert_true(strlen(error.message) > 0);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t ones[ORTP_RANK_MAX + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const int64_t negative[2] = {4, -1};
    const int64_t huge[2] = {INT64_MAX / 2, 3};
    const int64_t just_over[1] = {INT64_MAX / 4 + 1};
    const int64_t zero_then_negative[2] = {0, -5};
    assert_refused(&f, (ortp_type)0, ones, 1);
    assert_refused(&f, (ortp_type)8, ones, 1); /* string */
    assert_refused(&f, ORTP_TYPE_FLOAT, ones, ORTP_RANK_MAX + 1);
    assert_refused(&f, ORTP_TYPE_FLOAT, NULL, 1);
    assert_refused(&f, ORTP_TYPE_FLOAT, negative, 2);
    assert_refused(&f, ORTP_TYPE_FLOAT, zero_then_negative, 2);
    assert_refused(&f, ORTP_TYPE_UINT8, huge, 2);
    assert_refused(&f, ORTP_TYPE_FLOAT, just_over, 1);
    const int64_t wraps_to_nothing[3] = {(int64_t)1 << 32, (int64_t)1 << 32, 1};
    assert_refused(&f, ORTP_TYPE_UINT8, wraps_to_nothing, 3);

    ortp_tensor *tensor = NULL;
    assert_int_equal(ortp_tensor_acquire(NULL, ORTP_TYPE_FLOAT, ones, 1, &tensor, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_acquire(f.tensors, ORTP_TYPE_FLOAT, ones, 1, NULL, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_acquire_labelled(f.tensors, ORTP_TYPE_FLOAT, ones, 1,
                                                  ORTP_LABEL_COUNT, &tensor, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_release(NULL), ORTP_OK);
    assert_int_equal(ortp_tensor_relabel(NULL, ORTP_LABEL_CACHE), ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_pool_trim(NULL, 0, 0, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_pool_destroy(NULL, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).acquires, 0);
    close_fixture(&f);
}

static void second_acquire_makes_no_ort_call(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[3] = {1, 64, 6};
    ortp_tensor *first = acquire(&f, ORTP_TYPE_FLOAT, shape, 3);
    OrtValue *value = ortp_tensor_value(first);
    assert_int_equal(ortp_tensor_release(first), ORTP_OK);

    const uint64_t ort_calls = counting_api_total();
    const uint64_t allocations = f.alloc.calls;
    for (size_t i = 0; i < 1000; ++i) {
        ortp_tensor *again = acquire(&f, ORTP_TYPE_FLOAT, shape, 3);
        assert_ptr_equal(again, first);
        assert_ptr_equal(ortp_tensor_value(again), value);
        assert_int_equal(ortp_tensor_release(again), ORTP_OK);
    }
    assert_int_equal(counting_api_total(), ort_calls);
    assert_int_equal(f.alloc.calls, allocations);
    const ortp_tensor_pool_info info = info_of(&f);
    assert_int_equal(info.acquires, 1001);
    assert_int_equal(info.reuses, 1000);
    assert_int_equal(info.creates, 1);
    assert_int_equal(info.drops, 0);

    ortp_stats stats = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect(f.runtime, &stats), ORTP_OK);
    assert_int_equal(stats.tensor_acquires, 1001);
    assert_int_equal(stats.tensor_reuses, 1000);
    assert_int_equal(stats.tensor_creates, 1);
    close_fixture(&f);
}

/* A changing mix of shapes: structs are kept, so the injected allocator is not asked again. */
static void dropped_structs_are_used_again(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    for (size_t i = 1; i <= 8; ++i) {
        assert_int_equal(ortp_tensor_release(acquire_bytes(&f, i)), ORTP_OK);
    }
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, NULL), ORTP_OK);
    const uint64_t allocations = f.alloc.calls;
    for (size_t i = 9; i <= 16; ++i) {
        assert_int_equal(ortp_tensor_release(acquire_bytes(&f, i)), ORTP_OK);
    }
    assert_int_equal(f.alloc.calls, allocations);
    close_fixture(&f);
}

static size_t in_use(const fixture *f, ortp_label label)
{
    ortp_pool_info info = ORTP_POOL_INFO_INIT;
    ortp_pool_get_info(ortp_runtime_pool(f->runtime), &info);
    return info.in_use_bytes[label];
}

static void labels_follow_the_holder(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[1] = {1000};
    ortp_tensor *tensor = NULL;
    assert_int_equal(ortp_tensor_acquire_labelled(f.tensors, ORTP_TYPE_FLOAT, shape, 1,
                                                  ORTP_LABEL_DECODE, &tensor, NULL),
                     ORTP_OK);
    assert_true(in_use(&f, ORTP_LABEL_DECODE) >= 4000);
    assert_int_equal(in_use(&f, ORTP_LABEL_TENSORS), 0);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    assert_true(in_use(&f, ORTP_LABEL_DECODE) >= 4000); /* idle here: still in use in the ledger */

    assert_ptr_equal(acquire(&f, ORTP_TYPE_FLOAT, shape, 1), tensor);
    assert_int_equal(in_use(&f, ORTP_LABEL_DECODE), 0);
    assert_true(in_use(&f, ORTP_LABEL_TENSORS) >= 4000);
    assert_int_equal(ortp_tensor_relabel(tensor, ORTP_LABEL_CACHE), ORTP_OK);
    assert_true(in_use(&f, ORTP_LABEL_CACHE) >= 4000);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    close_fixture(&f);
}

static ortp_stats stats_of(const fixture *f)
{
    ortp_stats s = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect(f->runtime, &s), ORTP_OK);
    assert_int_equal(s.in_use_tensors + s.in_use_decode + s.in_use_cache + s.in_use_run +
                         s.in_use_weights + s.in_use_other + s.idle + s.metadata,
                     s.mapped);
    return s;
}

/* What nobody holds is idle in the statistics, whatever its last label. */
static void idle_tensors_are_idle_in_the_statistics(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[] = {1000};
    ortp_tensor *held[ORTP_LABEL_COUNT];
    for (size_t i = 0; i < ORTP_LABEL_COUNT; ++i) {
        assert_int_equal(ortp_tensor_acquire_labelled(f.tensors, ORTP_TYPE_FLOAT, shape, 1,
                                                      (ortp_label)i, &held[i], NULL),
                         ORTP_OK);
    }
    const ortp_stats before = stats_of(&f);
    assert_true(before.in_use_tensors > 4000);
    assert_true(before.in_use_other > 4000);
    assert_int_equal(before.idle, stats_of(&f).idle);

    assert_int_equal(ortp_tensor_release(held[ORTP_LABEL_DECODE]), ORTP_OK);
    ortp_stats s = stats_of(&f);
    assert_int_equal(s.in_use_decode, 0);
    assert_int_equal(s.in_use_tensors, before.in_use_tensors);
    assert_int_equal(s.idle, before.idle + before.in_use_decode);
    assert_int_equal(info_of(&f).idle_footprint[ORTP_LABEL_DECODE], before.in_use_decode);

    for (size_t i = 0; i < ORTP_LABEL_COUNT; ++i) {
        if (i != ORTP_LABEL_DECODE) {
            assert_int_equal(ortp_tensor_release(held[i]), ORTP_OK);
        }
    }
    s = stats_of(&f);
    assert_int_equal(s.in_use_tensors + s.in_use_decode + s.in_use_cache + s.in_use_run +
                         s.in_use_weights + s.in_use_other,
                     0);
    assert_int_equal(s.idle + s.metadata, s.mapped);

    /* The one released last, of label other, is taken: in use again, with its new label. */
    ortp_tensor *taken = acquire(&f, ORTP_TYPE_FLOAT, shape, 1);
    assert_ptr_equal(taken, held[ORTP_LABEL_OTHER]);
    s = stats_of(&f);
    assert_int_equal(s.in_use_tensors, before.in_use_other);
    assert_int_equal(s.in_use_other, 0);
    assert_int_equal(ortp_tensor_release(taken), ORTP_OK);

    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, NULL), ORTP_OK);
    for (size_t i = 0; i < ORTP_LABEL_COUNT; ++i) {
        assert_int_equal(info_of(&f).idle_footprint[i], 0);
    }
    (void)stats_of(&f);
    close_fixture(&f);
}

static void idle_tensors_go_by_bytes_least_recent_first(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    ortp_tensor *held[4];
    for (size_t i = 0; i < 4; ++i) {
        held[i] = acquire_bytes(&f, 10000 + i);
    }
    const size_t order[4] = {2, 0, 3, 1};
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(ortp_tensor_release(held[order[i]]), ORTP_OK);
    }
    const size_t all = info_of(&f).idle_bytes;
    assert_true(all >= 40000);
    size_t dropped = 0;
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, all - 1, 0, &dropped), ORTP_OK);
    assert_true(dropped >= 10000);
    assert_int_equal(info_of(&f).idle, 3);
    assert_int_equal(info_of(&f).drops, 1);
    assert_int_equal(all - dropped, info_of(&f).idle_bytes);

    /* 2 was released first, so it is the one that is gone. */
    const uint64_t creates = info_of(&f).creates;
    for (size_t i = 0; i < 4; ++i) {
        held[i] = acquire_bytes(&f, 10000 + i);
        assert_int_equal(info_of(&f).creates, creates + (i >= 2 ? 1 : 0));
    }
    for (size_t i = 0; i < 4; ++i) {
        assert_int_equal(ortp_tensor_release(held[i]), ORTP_OK);
    }
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, &dropped), ORTP_OK);
    assert_int_equal(info_of(&f).idle, 0);
    assert_int_equal(info_of(&f).idle_bytes, 0);
    assert_int_equal(in_use(&f, ORTP_LABEL_TENSORS), 0);
    close_fixture(&f);
}

static void idle_tensors_go_by_age(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    ortp_tensor *old = acquire_bytes(&f, 100);
    ortp_tensor *young = acquire_bytes(&f, 200);
    assert_int_equal(ortp_tensor_release(old), ORTP_OK);
    fake_clock_advance(&f.clock, 500);
    assert_int_equal(ortp_tensor_release(young), ORTP_OK);
    fake_clock_advance(&f.clock, 500);
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 1001, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).idle, 2); /* none is as old */
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, SIZE_MAX, 0, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).idle, 2); /* old, and yet within what is to be kept */
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 1000, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).idle, 1);
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, UINT64_MAX, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).idle, 1);
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 500, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).idle, 0);
    close_fixture(&f);
}

static void idle_bytes_are_capped_at_release(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 64 * KIB);
    ortp_tensor *held[8];
    for (size_t i = 0; i < 8; ++i) {
        held[i] = acquire_bytes(&f, 20 * KIB + i);
    }
    for (size_t i = 0; i < 8; ++i) {
        assert_int_equal(ortp_tensor_release(held[i]), ORTP_OK);
        assert_true(info_of(&f).idle_bytes <= 64 * KIB);
    }
    assert_true(info_of(&f).idle >= 1);
    /* Larger than the cap by itself: never kept. */
    assert_int_equal(ortp_tensor_release(acquire_bytes(&f, 100 * KIB)), ORTP_OK);
    assert_int_equal(info_of(&f).idle_bytes, 0);
    assert_int_equal(info_of(&f).drops, 9);
    close_fixture(&f);
}

static void a_tight_budget_takes_idle_tensors_back(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 1024 * KIB, 0);
    for (size_t i = 0; i < 6; ++i) {
        assert_int_equal(ortp_tensor_release(acquire_bytes(&f, 100 * KIB + i)), ORTP_OK);
    }
    assert_int_equal(info_of(&f).idle, 6);
    ortp_tensor *large = acquire_bytes(&f, 700 * KIB);
    assert_true(info_of(&f).idle < 6);
    assert_true(info_of(&f).drops > 0);
    test_assert_ledger(ortp_runtime_budget(f.runtime), ortp_runtime_pool(f.runtime));

    ortp_tensor *none = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    const int64_t too_much[1] = {(int64_t)(400 * KIB)};
    assert_int_equal(ortp_tensor_acquire(f.tensors, ORTP_TYPE_UINT8, too_much, 1, &none, &error),
                     ORTP_E_BUDGET);
    assert_null(none);
    assert_non_null(strstr(error.message, "uint8[409600]"));
    assert_int_equal(info_of(&f).out, 1);
    assert_int_equal(ortp_tensor_release(large), ORTP_OK);
    /* Now that it is idle, the same request takes its place. */
    assert_int_equal(ortp_tensor_acquire(f.tensors, ORTP_TYPE_UINT8, too_much, 1, &none, NULL),
                     ORTP_OK);
    assert_int_equal(ortp_tensor_release(none), ORTP_OK);
    close_fixture(&f);
}

static void destroy_says_what_is_out(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[3] = {1, 20, 256};
    ortp_tensor *tensor = acquire(&f, ORTP_TYPE_FLOAT, shape, 3);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_tensor_pool_destroy(f.tensors, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "float[1,20,256]"));
    assert_int_equal(ortp_runtime_destroy(f.runtime, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "1 tensor pools"));
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    assert_ptr_equal(acquire(&f, ORTP_TYPE_FLOAT, shape, 3), tensor); /* usable as before */
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    close_fixture(&f);
}

static void releasing_twice_is_seen(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    ortp_tensor *tensor = acquire_bytes(&f, 10);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, NULL), ORTP_OK);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_E_INVAL);
    assert_int_equal(info_of(&f).idle, 0);
    assert_int_equal(info_of(&f).out, 0);
    close_fixture(&f);
}

static void views_are_kept(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[3] = {8, 20, 4};
    ortp_tensor *tensor = acquire(&f, ORTP_TYPE_FLOAT, shape, 3);
    OrtValue *values[40];
    for (int64_t i = 0; i < 40; ++i) {
        const int64_t view[2] = {i + 1, 16};
        assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 2, &values[i], NULL),
                         ORTP_OK);
        assert_value(values[i], ORTP_TYPE_FLOAT, view, 2, ortp_tensor_data(tensor));
    }
    assert_int_equal(info_of(&f).creates, 41);

    const uint64_t ort_calls = counting_api_total();
    const uint64_t allocations = f.alloc.calls;
    for (int round = 0; round < 3; ++round) { /* also after a release: kept with the tensor */
        for (int64_t i = 0; i < 40; ++i) {
            const int64_t view[2] = {i + 1, 16};
            OrtValue *again = NULL;
            assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 2, &again, NULL),
                             ORTP_OK);
            assert_ptr_equal(again, values[i]);
        }
        assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
        assert_ptr_equal(acquire(&f, ORTP_TYPE_FLOAT, shape, 3), tensor);
    }
    OrtValue *whole = NULL; /* its own kind is the tensor itself */
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, shape, 3, &whole, NULL), ORTP_OK);
    assert_ptr_equal(whole, ortp_tensor_value(tensor));
    assert_int_equal(counting_api_total(), ort_calls);
    assert_int_equal(f.alloc.calls, allocations);

    const int64_t other[1] = {640};
    OrtValue *integers = NULL; /* another type over the same bytes */
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_INT32, other, 1, &integers, NULL), ORTP_OK);
    assert_value(integers, ORTP_TYPE_INT32, other, 1, ortp_tensor_data(tensor));

    /* Equal but for the type, equal but for the rank: views of their own. */
    const int64_t first[2] = {1, 16};
    OrtValue *distinct = NULL;
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_INT32, first, 2, &distinct, NULL), ORTP_OK);
    assert_ptr_not_equal(distinct, values[0]);
    assert_value(distinct, ORTP_TYPE_INT32, first, 2, ortp_tensor_data(tensor));
    const int64_t emptied[2] = {640, 0};
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_INT32, emptied, 2, &distinct, NULL),
                     ORTP_OK);
    assert_ptr_not_equal(distinct, integers);

    const int64_t larger[1] = {641};
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_INT32, larger, 1, &integers, &error),
                     ORTP_E_INVAL);
    assert_null(integers);
    assert_non_null(strstr(error.message, "2564"));
    /* Its block has room, the tensor has not. */
    const int64_t three[1] = {3};
    const int64_t four[1] = {4};
    ortp_tensor *odd = acquire(&f, ORTP_TYPE_UINT8, three, 1);
    assert_int_equal(ortp_tensor_view(odd, ORTP_TYPE_UINT8, four, 1, &distinct, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_release(odd), ORTP_OK);
    assert_int_equal(ortp_tensor_view(NULL, ORTP_TYPE_INT32, other, 1, &integers, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_INT32, other, 1, NULL, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_view(tensor, (ortp_type)8, other, 1, &integers, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);

    /* Dropped with the tensor; the struct starts without views. */
    assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, NULL), ORTP_OK);
    tensor = acquire(&f, ORTP_TYPE_FLOAT, shape, 3);
    const uint64_t before = info_of(&f).creates;
    const int64_t view[2] = {1, 16};
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 2, &whole, NULL), ORTP_OK);
    assert_int_equal(info_of(&f).creates, before + 1);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    close_fixture(&f);
}

static size_t metadata_of(const fixture *f)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(ortp_runtime_budget(f->runtime), &info);
    return info.account_bytes[ORTP_ACCOUNT_METADATA];
}

/* Structs change places when tensors are dropped: none keeps room for the views of all it ever was. */
static void views_go_with_their_tensor(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    enum { TENSORS = 8, VIEWS = 40 };
    size_t first = 0;
    for (int round = 0; round < TENSORS; ++round) {
        ortp_tensor *tensors[TENSORS];
        for (int i = 0; i < TENSORS; ++i) {
            tensors[i] = acquire_bytes(&f, 640 + (size_t)i);
        }
        for (int64_t i = 0; i < VIEWS; ++i) {
            OrtValue *value = NULL;
            assert_int_equal(ortp_tensor_view(tensors[round], ORTP_TYPE_UINT8, &i, 1, &value, NULL),
                             ORTP_OK);
        }
        for (int i = 0; i < TENSORS; ++i) {
            assert_int_equal(ortp_tensor_release(tensors[i]), ORTP_OK);
        }
        assert_int_equal(ortp_tensor_pool_trim(f.tensors, 0, 0, NULL), ORTP_OK);
        assert_int_equal(ortp_pool_trim(ortp_runtime_pool(f.runtime), 0, 0, NULL), ORTP_OK);
        first = round == 0 ? metadata_of(&f) : first;
        assert_int_equal(metadata_of(&f), first);
    }
    close_fixture(&f);
}

/* Several values in one tensor: each where it was asked for, kept like other views. */
static void views_lie_where_they_are_asked_for(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[3] = {4, 5, 16};
    const int64_t part[3] = {1, 5, 16};
    const size_t bytes = 5 * 16 * sizeof(float);
    ortp_tensor *tensor = acquire(&f, ORTP_TYPE_FLOAT, shape, 3);
    unsigned char *const data = ortp_tensor_data(tensor);
    OrtValue *values[4];
    for (size_t i = 0; i < 8; ++i) {
        OrtValue *value = NULL;
        assert_int_equal(
            ortp_tensor_view_at(tensor, i % 4 * bytes, ORTP_TYPE_FLOAT, part, 3, &value, NULL),
            ORTP_OK);
        assert_value(value, ORTP_TYPE_FLOAT, part, 3, data + i % 4 * bytes);
        assert_true(i < 4 || value == values[i % 4]);
        values[i % 4] = value;
    }
    assert_int_equal(info_of(&f).creates, 5);
    OrtValue *first = NULL; /* the same one as without an offset */
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, part, 3, &first, NULL), ORTP_OK);
    assert_ptr_equal(first, values[0]);
    const int64_t end[1] = {0}; /* of no bytes at the end: inside */
    assert_int_equal(ortp_tensor_view_at(tensor, 4 * bytes, ORTP_TYPE_FLOAT, end, 1, &first, NULL),
                     ORTP_OK);

    const size_t bad[] = {3 * bytes + 4, 4 * bytes, 4 * bytes + 4, SIZE_MAX - 3, 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        ortp_error error = ORTP_ERROR_INIT;
        OrtValue *none = NULL;
        assert_int_equal(
            ortp_tensor_view_at(tensor, bad[i], ORTP_TYPE_FLOAT, part, 3, &none, &error),
            ORTP_E_INVAL);
        assert_null(none);
        assert_non_null(strstr(error.message, "a view of 320 bytes from byte"));
    }
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    close_fixture(&f);
}

/* Bring your own env and session: only the values are ours. */
static void works_with_a_session_of_the_host(void **state)
{
    (void)state;
    const OrtApi *api = test_ort_api();
    OrtEnv *env = NULL;
    OrtSessionOptions *options = NULL;
    OrtSession *session = NULL;
    assert_null(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "host", &env));
    assert_null(api->CreateSessionOptions(&options));
    assert_null(api->SetIntraOpNumThreads(options, 1));
    assert_null(
        api->CreateSession(env, test_file("tests/graphs/shapes/add.onnx"), options, &session));

    ortp_runtime_options runtime_options = ORTP_RUNTIME_OPTIONS_INIT;
    runtime_options.env = env;
    ortp_runtime *runtime = test_runtime_create(&runtime_options);
    assert_ptr_equal(ortp_runtime_env(runtime), env);
    ortp_tensor_pool_options pool_options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    pool_options.runtime = runtime;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(&pool_options, &tensors, NULL), ORTP_OK);

    const char *const input_names[2] = {"x", "y"};
    const char *const output_names[1] = {"z"};
    for (int64_t n = 1; n <= 3; ++n) {
        const int64_t shape[1] = {n};
        ortp_tensor *t[3];
        for (size_t i = 0; i < 3; ++i) {
            assert_int_equal(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, shape, 1, &t[i], NULL),
                             ORTP_OK);
            for (int64_t k = 0; k < n; ++k) {
                ((float *)ortp_tensor_data(t[i]))[k] = (float)((int64_t)i * 10 + k + 1);
            }
        }
        const OrtValue *inputs[2] = {ortp_tensor_value(t[0]), ortp_tensor_value(t[1])};
        OrtValue *outputs[1] = {ortp_tensor_value(t[2])};
        ortp_error error = ORTP_ERROR_INIT;
        if (ortp_runtime_take_status(
                runtime, api->Run(session, NULL, input_names, inputs, 2, output_names, 1, outputs),
                "add", &error) != ORTP_OK) {
            fail_msg("%s", error.message);
        }
        for (int64_t k = 0; k < n; ++k) {
            const float sum = ((float *)ortp_tensor_data(t[2]))[k];
            assert_true(sum == (float)(10 + 2 * (k + 1)));
        }
        for (size_t i = 0; i < 3; ++i) {
            assert_int_equal(ortp_tensor_release(t[i]), ORTP_OK);
        }
    }
    assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    api->ReleaseSession(session);
    api->ReleaseSessionOptions(options);
    api->ReleaseEnv(env);
}

static void a_failing_ort_call_leaves_nothing(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0, 0);
    const int64_t shape[1] = {5000};
    ortp_tensor *tensor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    counting_api_fail(COUNTING_CreateTensorWithDataAsOrtValue, 1);
    assert_int_equal(ortp_tensor_acquire(f.tensors, ORTP_TYPE_FLOAT, shape, 1, &tensor, &error),
                     ORTP_E_ORT);
    assert_null(tensor);
    assert_int_equal(error.ort_code, ORT_FAIL);
    assert_non_null(strstr(error.message, "made to fail"));
    assert_int_equal(in_use(&f, ORTP_LABEL_TENSORS), 0);
    assert_int_equal(info_of(&f).out, 0);
    test_assert_ledger(ortp_runtime_budget(f.runtime), ortp_runtime_pool(f.runtime));

    assert_int_equal(ortp_tensor_acquire(f.tensors, ORTP_TYPE_FLOAT, shape, 1, &tensor, &error),
                     ORTP_OK);
    const int64_t view[1] = {7};
    OrtValue *value = NULL;
    counting_api_fail(COUNTING_CreateTensorWithDataAsOrtValue, 1);
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 1, &value, &error),
                     ORTP_E_ORT);
    assert_null(value);
    assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 1, &value, &error), ORTP_OK);
    assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
    close_fixture(&f);
}

/* Every allocation in turn, once and for good; what failed can be done again. */
static void a_failing_allocation_leaves_nothing(void **state)
{
    (void)state;
    for (int persistent = 0; persistent < 2; ++persistent) {
        uint64_t failures = 0;
        bool succeeded = false;
        for (uint64_t n = 1; !succeeded && n < 100; ++n) {
            fixture f;
            open_fixture(&f, 0, 0);
            const int64_t shape[2] = {10, 10};
            const int64_t view[1] = {50};
            ortp_tensor *tensor = NULL;
            OrtValue *value = NULL;
            counting_alloc_fail(&f.alloc, n, persistent != 0);
            ortp_status status =
                ortp_tensor_acquire(f.tensors, ORTP_TYPE_FLOAT, shape, 2, &tensor, NULL);
            if (status == ORTP_OK) {
                status = ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 1, &value, NULL);
            }
            succeeded = f.alloc.failed == 0;
            failures += f.alloc.failed;
            if (!succeeded && status != ORTP_OK) { /* a pool may do without */
                assert_int_equal(status, ORTP_E_NOMEM);
                assert_true(tensor == NULL || value == NULL);
            }
            counting_alloc_fail(&f.alloc, 0, false);
            if (!tensor) {
                tensor = acquire(&f, ORTP_TYPE_FLOAT, shape, 2);
            }
            assert_int_equal(ortp_tensor_view(tensor, ORTP_TYPE_FLOAT, view, 1, &value, NULL),
                             ORTP_OK);
            assert_int_equal(ortp_tensor_release(tensor), ORTP_OK);
            close_fixture(&f);
        }
        assert_true(succeeded);
        assert_true(failures >= 2); /* the struct and the views at least */
    }
}

static void creating_a_pool_fails_cleanly(void **state)
{
    (void)state;
    ortp_tensor_pool *tensors = NULL;
    assert_int_equal(ortp_tensor_pool_create(NULL, &tensors, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_pool_create(NULL, NULL, NULL), ORTP_E_INVAL);
    bool succeeded = false;
    uint64_t failures = 0;
    for (uint64_t n = 1; !succeeded && n < 20; ++n) {
        fixture f;
        open_fixture(&f, 0, 0);
        ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
        options.runtime = f.runtime;
        counting_alloc_fail(&f.alloc, n, false);
        ortp_error error = ORTP_ERROR_INIT;
        ortp_status status = ortp_tensor_pool_create(&options, &tensors, &error);
        succeeded = f.alloc.failed == 0;
        failures += f.alloc.failed;
        assert_int_equal(status, succeeded ? ORTP_OK : ORTP_E_NOMEM);
        assert_int_equal(tensors == NULL, !succeeded);
        assert_int_equal(ortp_tensor_pool_destroy(tensors, NULL), ORTP_OK);
        close_fixture(&f);
    }
    assert_true(succeeded);
    assert_true(failures >= 1);

    fixture f;
    open_fixture(&f, 0, 0);
    ortp_tensor_pool_options newer = ORTP_TENSOR_POOL_OPTIONS_INIT;
    newer.runtime = f.runtime;
    newer.struct_size = 1;
    assert_int_equal(ortp_tensor_pool_create(&newer, &tensors, NULL), ORTP_E_VERSION);
    close_fixture(&f);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names_and_sizes),
        cmocka_unit_test(every_type_passes_through_ort),
        cmocka_unit_test(unusual_shapes),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(second_acquire_makes_no_ort_call),
        cmocka_unit_test(dropped_structs_are_used_again),
        cmocka_unit_test(labels_follow_the_holder),
        cmocka_unit_test(idle_tensors_are_idle_in_the_statistics),
        cmocka_unit_test(idle_tensors_go_by_bytes_least_recent_first),
        cmocka_unit_test(idle_tensors_go_by_age),
        cmocka_unit_test(idle_bytes_are_capped_at_release),
        cmocka_unit_test(a_tight_budget_takes_idle_tensors_back),
        cmocka_unit_test(destroy_says_what_is_out),
        cmocka_unit_test(releasing_twice_is_seen),
        cmocka_unit_test(views_are_kept),
        cmocka_unit_test(views_go_with_their_tensor),
        cmocka_unit_test(views_lie_where_they_are_asked_for),
        cmocka_unit_test(works_with_a_session_of_the_host),
        cmocka_unit_test(a_failing_ort_call_leaves_nothing),
        cmocka_unit_test(a_failing_allocation_leaves_nothing),
        cmocka_unit_test(creating_a_pool_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
