/* SPDX-License-Identifier: MIT */
/* See test_ort.h. */
#include "test_ort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static ort_library library; /* one per process, as ONNX Runtime itself */

bool test_ort_found(void)
{
    char message[2048];
    if (library.api || ort_library_open(&library, message, sizeof(message))) {
        return true;
    }
    (void)fprintf(stderr, "skipped: %s\n", message);
    return false;
}

const ort_library *test_ort_library(void)
{
    return &library;
}

const OrtApi *test_ort_api(void)
{
    return library.api;
}

ortp_runtime *test_runtime_create(const ortp_runtime_options *given)
{
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    if (given) {
        options = *given;
    }
    if (!options.api) {
        options.api = library.api;
        options.api_version = library.api_version;
    }
    ortp_runtime *runtime = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    if (ortp_runtime_create(&options, &runtime, &error) != ORTP_OK) {
        fail_msg("%s", error.message);
    }
    return runtime;
}

void test_runtime_destroy(ortp_runtime *runtime)
{
    ortp_error error = ORTP_ERROR_INIT;
    if (ortp_runtime_destroy(runtime, &error) != ORTP_OK) {
        fail_msg("%s", error.message);
    }
}

const char *test_file(const char *name)
{
    static char paths[4][1024];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", ORTPOOL_SOURCE_DIR, name);
    return path;
}

void *test_read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail_msg("%s cannot be opened", path);
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    assert_true(size >= 0);
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    void *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    (void)fclose(file);
    *bytes = (size_t)size;
    return data;
}

void test_write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    if (bytes > 0) {
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    }
    assert_int_equal(fclose(file), 0);
}

void test_assert_ledger(const ortp_budget *budget, const ortp_pool *pool)
{
    ortp_budget_info account = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &account);
    size_t blocks = 0;
    if (pool) {
        ortp_pool_info info = ORTP_POOL_INFO_INIT;
        ortp_pool_get_info(pool, &info);
        blocks = info.idle_bytes;
        for (size_t i = 0; i < ORTP_LABEL_COUNT; ++i) {
            blocks += info.in_use_bytes[i];
        }
    }
    assert_int_equal(account.account_bytes[ORTP_ACCOUNT_BLOCKS], blocks);
    assert_int_equal(account.mapped_bytes, account.account_bytes[ORTP_ACCOUNT_BLOCKS] +
                                               account.account_bytes[ORTP_ACCOUNT_METADATA]);
    assert_int_equal(account.charged_bytes,
                     account.mapped_bytes + account.account_bytes[ORTP_ACCOUNT_DECLARED]);
    assert_true(account.charged_bytes <= account.limit_bytes);
    assert_int_equal(account.refund_errors, 0);
}
