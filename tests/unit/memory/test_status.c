/* SPDX-License-Identifier: MIT */
/* Status codes, error details, logging, options of other versions, the injectable allocator. */
#include "fixture.h"

#include "internal.h"

#include <stdio.h>
#include <string.h>

static void status_names_and_values_are_pinned(void **state)
{
    (void)state;
    static const struct {
        ortp_status status;
        int value;
        const char *name;
    } expected[] = {
        {ORTP_OK, 0, "ORTP_OK"},
        {ORTP_E_NOMEM, -1, "ORTP_E_NOMEM"},
        {ORTP_E_BUDGET, -2, "ORTP_E_BUDGET"},
        {ORTP_E_INVAL, -3, "ORTP_E_INVAL"},
        {ORTP_E_BUSY, -4, "ORTP_E_BUSY"},
        {ORTP_E_AGAIN, -5, "ORTP_E_AGAIN"},
        {ORTP_E_TIMEOUT, -6, "ORTP_E_TIMEOUT"},
        {ORTP_E_CLOSED, -7, "ORTP_E_CLOSED"},
        {ORTP_E_VERSION, -8, "ORTP_E_VERSION"},
        {ORTP_E_ORT, -9, "ORTP_E_ORT"},
        {ORTP_E_SYS, -10, "ORTP_E_SYS"},
        {ORTP_E_CANCELLED, -11, "ORTP_E_CANCELLED"},
        {ORTP_E_NOTFOUND, -12, "ORTP_E_NOTFOUND"},
    };
    size_t listed = 0;
#define COUNT_STATUS(name, value, text) listed++;
    ORTP_STATUS_MAP(COUNT_STATUS)
#undef COUNT_STATUS
    assert_int_equal(listed, ORTP__COUNT(expected));
    for (size_t i = 0; i < listed; i++) {
        assert_int_equal(expected[i].status, expected[i].value);
        assert_string_equal(ortp_status_name(expected[i].status), expected[i].name);
        const char *text = ortp_status_text(expected[i].status);
        assert_true(strlen(text) > 1);
        assert_null(strchr(text, '\n'));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(text, ortp_status_text(expected[k].status));
        }
    }
    assert_string_equal(ortp_status_name((ortp_status)77), "ORTP_E_?");
    assert_string_equal(ortp_status_text((ortp_status)77), "unknown status");
}

static void version_is_that_of_the_header(void **state)
{
    (void)state;
    char made[32];
    (void)snprintf(made, sizeof made, "%d.%d.%d", ORTPOOL_VERSION_MAJOR, ORTPOOL_VERSION_MINOR,
                   ORTPOOL_VERSION_PATCH);
    assert_string_equal(ortp_version(), made);
    assert_string_equal(ORTPOOL_VERSION, made);
}

static void labels_have_names(void **state)
{
    (void)state;
    assert_string_equal(ortp_label_name(ORTP_LABEL_TENSORS), "tensors");
    assert_string_equal(ortp_label_name(ORTP_LABEL_DECODE), "decode");
    assert_string_equal(ortp_label_name(ORTP_LABEL_CACHE), "cache");
    assert_string_equal(ortp_label_name(ORTP_LABEL_RUN), "run");
    assert_string_equal(ortp_label_name(ORTP_LABEL_WEIGHTS), "weights");
    assert_string_equal(ortp_label_name(ORTP_LABEL_OTHER), "other");
    assert_string_equal(ortp_label_name(ORTP_LABEL_COUNT), "?");
    assert_string_equal(ortp_label_name((ortp_label)99), "?");
}

static void error_detail_is_written_and_cut(void **state)
{
    (void)state;
    assert_int_equal(ortp__fail(NULL, ORTP_E_SYS, "nobody reads this %d", 1), ORTP_E_SYS);

    ortp_error error = {sizeof error, ORTP_OK, 7, "before"};
    assert_int_equal(ortp__fail(&error, ORTP_E_INVAL, "%s: %d", "what", 3), ORTP_E_INVAL);
    assert_int_equal(error.status, ORTP_E_INVAL);
    assert_int_equal(error.ort_code, 0);
    assert_string_equal(error.message, "what: 3");

    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    (void)ortp__fail(&error, ORTP_E_INVAL, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
}

typedef struct heard {
    int count;
    ortp_log_level level;
    char message[1024];
} heard;

/* The code of ONNX Runtime goes where the caller's struct has room for it. */
static void a_code_of_ort_needs_its_room(void **state)
{
    (void)state;
    ortp__error_set_ort_code(NULL, 7);
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_error detail = {.struct_size = sizeof detail, .ort_code = 7};
    ortp__error_copy(NULL, &detail);
    error.struct_size = 0; /* not initialised: nothing is written */
    ortp__error_copy(&error, &detail);
    assert_int_equal(error.ort_code, 0);
    error.struct_size = offsetof(ortp_error, ort_code) + sizeof error.ort_code - 1;
    ortp__error_set_ort_code(&error, 7);
    assert_int_equal(error.ort_code, 0);
    error.struct_size++;
    ortp__error_set_ort_code(&error, 7);
    assert_int_equal(error.ort_code, 7);
}

static void hear(void *ctx, ortp_log_level level, const char *message)
{
    heard *h = ctx;
    h->count++;
    h->level = level;
    (void)snprintf(h->message, sizeof h->message, "%s", message);
}

static void log_respects_level_and_stays_one_line(void **state)
{
    (void)state;
    heard h = {0};
    ortp_logger logger = {.fn = hear, .ctx = &h, .level = (ortp_log_level)0};
    ortp__log(&logger, ORTP_LOG_INFO, "not at the default level");
    assert_int_equal(h.count, 0);
    ortp__log(&logger, ORTP_LOG_WARNING, "a\nb\r%d", 5);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.level, ORTP_LOG_WARNING);
    assert_string_equal(h.message, "a b 5");

    logger.level = ORTP_LOG_DEBUG;
    ortp__log(&logger, ORTP_LOG_DEBUG, "now");
    assert_int_equal(h.count, 2);
    logger.level = ORTP_LOG_ERROR;
    ortp__log(&logger, ORTP_LOG_WARNING, "no longer");
    assert_int_equal(h.count, 2);

    char text[2000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ortp__log(&logger, ORTP_LOG_ERROR, "%s", text);
    assert_in_range(strlen(h.message), 100, sizeof h.message - 1);

    ortp_logger none = {0};
    ortp__log(&none, ORTP_LOG_ERROR, "into the void");
    ortp__log(NULL, ORTP_LOG_ERROR, "into the void");
}

typedef struct small_options {
    size_t struct_size;
    int a;
    int b;
} small_options;

typedef struct large_options {
    small_options known;
    int unknown[4];
} large_options;

static void options_of_other_versions(void **state)
{
    (void)state;
    small_options out;

    assert_int_equal(ortp__options_copy(&out, sizeof out, NULL), ORTP_OK);
    assert_int_equal(out.struct_size, sizeof out);
    assert_int_equal(out.a, 0);

    /* An older caller: what it does not know is zero, whatever lies behind its struct. */
    small_options older = {.struct_size = offsetof(small_options, b), .a = 1, .b = 99};
    assert_int_equal(ortp__options_copy(&out, sizeof out, &older), ORTP_OK);
    assert_int_equal(out.a, 1);
    assert_int_equal(out.b, 0);
    assert_int_equal(out.struct_size, sizeof out);

    /* A newer caller, who uses nothing new, then something new. */
    large_options newer = {.known = {.struct_size = sizeof newer, .a = 2, .b = 3}};
    assert_int_equal(ortp__options_copy(&out, sizeof out, &newer), ORTP_OK);
    assert_int_equal(out.a, 2);
    assert_int_equal(out.b, 3);
    newer.unknown[3] = 1;
    assert_int_equal(ortp__options_copy(&out, sizeof out, &newer), ORTP_E_VERSION);

    small_options broken = {.struct_size = 0, .a = 1};
    assert_int_equal(ortp__options_copy(&out, sizeof out, &broken), ORTP_E_VERSION);
    broken.struct_size = sizeof(size_t) - 1;
    assert_int_equal(ortp__options_copy(&out, sizeof out, &broken), ORTP_E_VERSION);
}

static void options_of_other_versions_in_creators(void **state)
{
    (void)state;
    struct {
        ortp_budget_options known;
        size_t unknown;
    } newer = {.known = {.struct_size = sizeof newer}, .unknown = 1};
    ortp_budget *budget = (ortp_budget *)1;
    assert_int_equal(ortp_budget_create(&newer.known, &budget, NULL), ORTP_E_VERSION);
    assert_null(budget);
    newer.unknown = 0;
    assert_int_equal(ortp_budget_create(&newer.known, &budget, NULL), ORTP_OK);

    ortp_pool_options pool_options = ORTP_POOL_OPTIONS_INIT;
    pool_options.budget = budget;
    pool_options.poison = true;
    pool_options.struct_size = offsetof(ortp_pool_options, kind); /* knows the budget only */
    ortp_pool *pool = NULL;
    assert_int_equal(ortp_pool_create(&pool_options, &pool, NULL), ORTP_OK);

    ortp_cache_options cache_options = ORTP_CACHE_OPTIONS_INIT;
    cache_options.pool = pool;
    cache_options.struct_size = 1;
    ortp_cache *cache = (ortp_cache *)1;
    assert_int_equal(ortp_cache_create(&cache_options, &cache, NULL), ORTP_E_VERSION);
    assert_null(cache);
    assert_int_equal(ortp_pool_destroy(pool, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void allocator_is_whole_or_absent(void **state)
{
    (void)state;
    counting_alloc counter = {0};
    ortp_alloc given = counting_alloc_use(&counter);
    ortp_alloc out;
    assert_int_equal(ortp__alloc_resolve(&given, &out), ORTP_OK);
    unsigned char *bytes = ortp__raw_alloc(&out, 100);
    assert_non_null(bytes);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(bytes[i], 0); /* the counting allocator fills with junk */
    }
    ortp__raw_free(&out, bytes, 100);
    ortp__raw_free(&out, NULL, 100);
    counting_alloc_assert_empty(&counter);

    ortp_alloc half = given;
    half.free = NULL;
    assert_int_equal(ortp__alloc_resolve(&half, &out), ORTP_E_INVAL);
    half = given;
    half.alloc = NULL;
    assert_int_equal(ortp__alloc_resolve(&half, &out), ORTP_E_INVAL);
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.alloc = half;
    ortp_budget *budget;
    assert_int_equal(ortp_budget_create(&options, &budget, NULL), ORTP_E_INVAL);
}

static void metadata_is_charged_at_its_size(void **state)
{
    (void)state;
    counting_alloc counter = {0};
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.alloc = counting_alloc_use(&counter);
    ortp_budget *budget;
    assert_int_equal(ortp_budget_create(&options, &budget, NULL), ORTP_OK);
    size_t before = charged_bytes(budget);
    assert_int_equal(before, counter.live_bytes);
    void *memory;
    assert_int_equal(ortp__meta_alloc(budget, &options.alloc, 123, ORTP_RECLAIM_NONE, &memory),
                     ORTP_OK);
    assert_int_equal(charged_bytes(budget), before + 123);
    ortp__meta_free(budget, &options.alloc, memory, 123);
    ortp__meta_free(budget, &options.alloc, NULL, 123);
    assert_int_equal(charged_bytes(budget), before);

    counting_alloc_fail(&counter, 1, false);
    assert_int_equal(ortp__meta_alloc(budget, &options.alloc, 123, ORTP_RECLAIM_NONE, &memory),
                     ORTP_E_NOMEM);
    assert_null(memory);
    assert_int_equal(charged_bytes(budget), before);
    assert_int_equal(ortp__meta_alloc(budget, &options.alloc, SIZE_MAX, ORTP_RECLAIM_NONE, &memory),
                     ORTP_E_BUDGET);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    counting_alloc_assert_empty(&counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_names_and_values_are_pinned),
        cmocka_unit_test(version_is_that_of_the_header),
        cmocka_unit_test(labels_have_names),
        cmocka_unit_test(error_detail_is_written_and_cut),
        cmocka_unit_test(a_code_of_ort_needs_its_room),
        cmocka_unit_test(log_respects_level_and_stays_one_line),
        cmocka_unit_test(options_of_other_versions),
        cmocka_unit_test(options_of_other_versions_in_creators),
        cmocka_unit_test(allocator_is_whole_or_absent),
        cmocka_unit_test(metadata_is_charged_at_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
