/* SPDX-License-Identifier: MIT */
/*
 * Real ONNX Runtime in tests: loaded once per process, with runtimes and files for it.
 *
 *     int main(void)
 *     {
 *         if (!test_ort_found()) {
 *             return TEST_SKIPPED;
 *         }
 *         ...
 */
#ifndef TEST_ORT_H
#define TEST_ORT_H

#include <ort_loader.h>

#include <ortpool/runtime.h>

#define TEST_SKIPPED 77 /* ctest shows it as skipped */

/* false: none on this machine; says what was tried on stderr. */
bool test_ort_found(void);
/* The loaded one, found before. */
const ort_library *test_ort_library(void);
const OrtApi *test_ort_api(void);

/* cmocka: a runtime with `options` (NULL: defaults); api NULL is the loaded library's. */
ortp_runtime *test_runtime_create(const ortp_runtime_options *options);
/* cmocka: destroys it; fails when it is busy. */
void test_runtime_destroy(ortp_runtime *runtime);

/*
 * The path of a file of the project, "tests/graphs/tiny/encoder.onnx", in a static array of the
 * caller's call: valid until the fourth call after it. The test's own thread only.
 */
const char *test_file(const char *name);
/* cmocka: the whole file; free() it. */
void *test_read_file(const char *path, size_t *bytes);
/* cmocka: writes a new file of the test's own. */
void test_write_file(const char *path, const void *data, size_t bytes);

/* cmocka: at a quiet point the ledger is balanced; the pool is the only one of its budget. */
void test_assert_ledger(const ortp_budget *budget, const ortp_pool *pool);

#endif
