/* SPDX-License-Identifier: MIT */
/* One encoder output, several users: threads that miss the same swipe at once, a cache cleared while a
 * search reads from it. */
#include "gate.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static swipe_rows rows;

static int read_rows(void **state)
{
    (void)state;
    rows = swipe_rows_read(test_file(SAMPLES), 20);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    swipe_rows_free(&rows);
    return 0;
}

static void open_warm(rig *r, uint32_t threads)
{
    counting_api_reset();
    const rig_options options = {.api = counting_api_use(test_ort_api()),
                                 .pool_kind = ORTP_POOL_STRIPED,
                                 .predictor = {.threads = threads}};
    rig_open(r, &options);
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_predictor_warm(r->predictor, NULL, NULL, &error), error);
}

static ortp_cache_info cache_of(const rig *r)
{
    ortp_cache_info info = ORTP_CACHE_INFO_INIT;
    ortp_cache_get_info(ortp_predictor_cache(r->predictor), &info);
    return info;
}

/* Both have looked in vain before either has an output: one entry, the other's output goes back. */
static void two_miss_at_once(void **state)
{
    (void)state;
    rig r;
    open_warm(&r, 2);
    const int64_t live = counting_api_live();
    for (size_t round = 0; round < 10; round++) {
        (void)ortp_cache_clear(ortp_predictor_cache(r.predictor));
        const ortp_cache_info before = cache_of(&r);
        guest guests[2];
        for (size_t i = 0; i < 2; i++) {
            guest_enter(&guests[i], r.predictor, &rows.rows[round].swipe, BEFORE_ENCODER);
        }
        guest_open(&guests[0]);
        guest_open(&guests[1]);
        for (size_t i = 0; i < 2; i++) {
            guest_leave(&guests[i]);
            assert_int_equal(guests[i].status, ORTP_OK);
            assert_false(guests[i].out.cache_hit);
        }
        assert_same_words(&guests[0].out, &guests[1].out, 0.0);
        const ortp_cache_info after = cache_of(&r);
        assert_int_equal(after.misses - before.misses, 2);
        assert_int_equal(after.puts - before.puts, 1);
        assert_int_equal(after.reputs - before.reputs, 1);
        assert_int_equal(after.entries, 1);
        assert_int_equal(after.leased, 0);
        const ortp_prediction hit = rig_predict(&r, &rows.rows[round], 5);
        assert_true(hit.cache_hit);
        assert_same_words(&hit, &guests[0].out, 0.0);
        rig_assert_ledger(&r);
    }
    assert_int_equal(counting_api_live(), live); /* every OrtValue was there after warm-up */
    rig_close(&r);
    assert_int_equal(counting_api_live(), 0);
}

/* The table forgets the entry, others take what is free; the search reads what it leased. */
static void cleared_during_a_search(void **state)
{
    (void)state;
    rig r;
    open_warm(&r, 2);
    const int64_t live = counting_api_live();
    const ortp_prediction expected = rig_predict(&r, &rows.rows[0], 5);
    ortp_cache *cache = ortp_predictor_cache(r.predictor);
    for (size_t at = BEFORE_DECODER; at < 5; at++) {
        for (int hit = 0; hit < 2; hit++) {
            (void)ortp_cache_clear(cache);
            if (hit == 1) {
                (void)rig_predict(&r, &rows.rows[0], 5);
            }
            guest g;
            /* a hit does not ask before the encoder's run */
            guest_enter(&g, r.predictor, &rows.rows[0].swipe, hit == 1 ? at - 1 : at);
            assert_int_equal(ortp_cache_clear(cache), 1);
            assert_int_equal(cache_of(&r).evicted_leased, 1);
            for (size_t i = 1; i < rows.count; i++) {
                (void)rig_predict(&r, &rows.rows[i], 5);
            }
            assert_int_equal(cache_of(&r).evicted_leased, 1);
            guest_leave(&g);
            assert_int_equal(g.status, ORTP_OK);
            assert_int_equal(g.out.cache_hit, hit == 1);
            assert_same_words(&g.out, &expected, 0.0);
            assert_int_equal(cache_of(&r).evicted_leased, 0);
            rig_assert_ledger(&r);
        }
    }
    assert_int_equal(counting_api_live(), live);
    rig_close(&r);
    assert_int_equal(counting_api_live(), 0);
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_miss_at_once),
        cmocka_unit_test(cleared_during_a_search),
    };
    return cmocka_run_group_tests(tests, read_rows, free_rows);
}
