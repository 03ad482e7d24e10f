/* SPDX-License-Identifier: MIT */
/*
 * After warm-up the pages are present of everything that as many predictions at once will use as it
 * prepared for, not only of what warm-up's own runs touch. Ends of slabs that nobody was given are not,
 * which are much the same for one thread and for several, nor what a block is larger than was asked for.
 */
#include "machine.h"
#include "page_watch.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SLACK (64u << 10)

typedef struct pages {
    size_t mapped, missing; /* bytes: after warm-up, and of these not present */
} pages;

static pages after_warm_up(size_t threads, bool cache_off)
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
    assert_int_equal(ortp_predictor_destroy(predictor, NULL), ORTP_OK);
    test_runtime_destroy(runtime);
    print_message("%zu threads, cache %s: of %zu bytes %zu are not present\n", threads,
                  cache_off ? "off" : "on", mapped, mapped - present);
    return (pages){mapped, mapped - present};
}

/* Of what more threads map besides, a sixteenth is the rounding of large blocks at most. */
static void assert_no_more(const pages *one, pages several)
{
    const size_t more = several.mapped > one->mapped ? several.mapped - one->mapped : 0;
    assert_in_range(several.missing, 0, one->missing + SLACK + more / 16);
}

static void as_for_one(void **state)
{
    (void)state;
    const pages one = after_warm_up(1, true);
    assert_true(one.missing < 2u << 20);
    assert_no_more(&one, after_warm_up(3, true));
    assert_no_more(&one, after_warm_up(2, false));
}

int main(void)
{
    if (!test_ort_found() || !test_advice_heeded()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_for_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
