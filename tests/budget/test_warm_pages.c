/* SPDX-License-Identifier: MIT */
/*
 * After warm-up the pages are present of everything that as many predictions at once will use as it
 * prepared for, not only of what warm-up's own runs touch. Ends of slabs that nobody was given are not;
 * they are much the same for one thread and for several.
 */
#include "machine.h"
#include "page_watch.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SLACK (64u << 10)

/* The bytes that are mapped after warm-up and not present. */
static size_t missing(size_t threads, bool cache_off)
{
    page_watch_start();
    ortp_runtime_options options = ORTP_RUNTIME_OPTIONS_INIT;
    options.alloc = page_watch_alloc();
    ortp_runtime *runtime = test_runtime_create(&options);
    ortp_predictor_options predictor_options = ORTP_PREDICTOR_OPTIONS_INIT;
    predictor_options.runtime = runtime;
    predictor_options.model_directory = test_file(SWIPE_EN);
    predictor_options.threads = (uint32_t)threads;
    predictor_options.cache_off = cache_off;
    ortp_predictor *predictor = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_create(&predictor_options, &predictor, &error), error);
    assert_ok(ortp_predictor_warm(predictor, NULL, NULL, &error), error);
    const size_t mapped = page_watch_get().mapped_bytes, present = page_watch_resident();
    assert_int_equal(ortp_predictor_destroy(predictor), ORTP_OK);
    test_runtime_destroy(runtime);
    print_message("%zu threads, cache %s: of %zu bytes %zu are not present\n", threads,
                  cache_off ? "off" : "on", mapped, mapped - present);
    return mapped - present;
}

static void as_for_one(void **state)
{
    (void)state;
    const size_t one = missing(1, true);
    assert_true(one < 2u << 20);
    assert_true(missing(3, true) <= one + SLACK);
    assert_true(missing(2, false) <= one + SLACK);
}

int main(void)
{
    if (!test_ort_found() || !test_advice_heeded()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_for_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
