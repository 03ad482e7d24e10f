/* SPDX-License-Identifier: MIT */
/* The budget on one thread: sums, limits, denials, reclaimers. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

typedef struct heard {
    int warnings, errors, debugs;
    char last[512];
} heard;

static void hear(void *ctx, ortp_log_level level, const char *message)
{
    heard *h = ctx;
    h->warnings += level == ORTP_LOG_WARNING;
    h->errors += level == ORTP_LOG_ERROR;
    h->debugs += level == ORTP_LOG_DEBUG;
    (void)snprintf(h->last, sizeof h->last, "%s", message);
}

static ortp_budget *make(size_t limit, heard *h)
{
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = limit;
    if (h != NULL) {
        options.log = (ortp_logger){.fn = hear, .ctx = h, .level = ORTP_LOG_DEBUG};
    }
    ortp_budget *budget = NULL;
    assert_int_equal(ortp_budget_create(&options, &budget, NULL), ORTP_OK);
    return budget;
}

static ortp_budget_info info_of(const ortp_budget *budget)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    assert_int_equal(info.charged_bytes, info.account_bytes[ORTP_ACCOUNT_BLOCKS] +
                                             info.account_bytes[ORTP_ACCOUNT_METADATA] +
                                             info.account_bytes[ORTP_ACCOUNT_DECLARED]);
    assert_int_equal(info.mapped_bytes, info.account_bytes[ORTP_ACCOUNT_BLOCKS] +
                                            info.account_bytes[ORTP_ACCOUNT_METADATA]);
    return info;
}

static ortp_status charge(ortp_budget *budget, size_t bytes)
{
    return ortp_budget_charge(budget, ORTP_ACCOUNT_BLOCKS, bytes, ORTP_RECLAIM_CACHE);
}

static void sums_and_peaks_are_exact(void **state)
{
    (void)state;
    ortp_budget *budget = make(0, NULL);
    size_t own = info_of(budget).charged_bytes;
    assert_true(own > 0);
    assert_int_equal(info_of(budget).account_bytes[ORTP_ACCOUNT_METADATA], own);
    assert_int_equal(info_of(budget).limit_bytes, ORTP_UNLIMITED);

    assert_int_equal(charge(budget, 100), ORTP_OK);
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_METADATA, 10, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, 1000, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    ortp_budget_info info = info_of(budget);
    assert_int_equal(info.charged_bytes, own + 1110);
    assert_int_equal(info.mapped_bytes, own + 110);
    assert_int_equal(info.account_bytes[ORTP_ACCOUNT_BLOCKS], 100);
    assert_int_equal(info.account_bytes[ORTP_ACCOUNT_DECLARED], 1000);

    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_DECLARED, 1000), ORTP_OK);
    assert_int_equal(charge(budget, 50), ORTP_OK);
    info = info_of(budget);
    assert_int_equal(info.charged_bytes, own + 160);
    assert_int_equal(info.peak_bytes, own + 1110);
    assert_int_equal(info.mapped_peak_bytes, own + 160);

    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 50), ORTP_OK);
    ortp_budget_reset_peaks(budget);
    info = info_of(budget);
    assert_int_equal(info.charged_bytes, own + 110);
    assert_int_equal(info.peak_bytes, own + 110);
    assert_int_equal(info.mapped_peak_bytes, own + 110);
    assert_int_equal(charge(budget, 50), ORTP_OK);
    assert_int_equal(info_of(budget).peak_bytes, own + 160);
    assert_int_equal(info_of(budget).mapped_peak_bytes, own + 160);

    assert_int_equal(charge(budget, 0), ORTP_OK);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 0), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_E_BUSY);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 150), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_E_BUSY);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_METADATA, 10), ORTP_OK);
    assert_int_equal(info_of(budget).charged_bytes, own);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(NULL, NULL), ORTP_OK);
}

static void limit_is_reached_exactly(void **state)
{
    (void)state;
    heard h = {0};
    ortp_budget *budget = make(10000, &h);
    size_t room = 10000 - info_of(budget).charged_bytes;
    assert_int_equal(charge(budget, room + 1), ORTP_E_BUDGET);
    assert_int_equal(h.warnings, 1);
    assert_non_null(strstr(h.last, "blocks"));
    assert_int_equal(charge(budget, room), ORTP_OK);
    assert_int_equal(info_of(budget).charged_bytes, 10000);
    assert_true(ortp_budget_usage(budget) >= 1.0);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    assert_int_equal(charge(budget, 0), ORTP_OK);
    ortp_budget_info info = info_of(budget);
    assert_int_equal(info.denials, 2);
    assert_int_equal(info.charges, 2); /* its own struct and one more */
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 1), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_OK);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, room), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void limit_below_the_struct_is_refused(void **state)
{
    (void)state;
    ortp_budget *budget = make(0, NULL);
    size_t own = info_of(budget).charged_bytes;
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = own - 1;
    budget = (ortp_budget *)1;
    assert_int_equal(ortp_budget_create(&options, &budget, NULL), ORTP_E_BUDGET);
    assert_null(budget);
    options.limit_bytes = own;
    assert_int_equal(ortp_budget_create(&options, &budget, NULL), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    assert_int_equal(ortp_budget_create(&options, NULL, NULL), ORTP_E_INVAL);
}

static void overflow_is_an_error(void **state)
{
    (void)state;
    ortp_budget *budget = make(ORTP_UNLIMITED, NULL);
    size_t own = info_of(budget).charged_bytes;
    assert_int_equal(charge(budget, SIZE_MAX), ORTP_E_INVAL);
    assert_int_equal(charge(budget, SIZE_MAX - own + 1), ORTP_E_INVAL);
    assert_int_equal(charge(budget, SIZE_MAX - own), ORTP_OK);
    assert_int_equal(info_of(budget).charged_bytes, SIZE_MAX);
    assert_int_equal(charge(budget, 1), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, SIZE_MAX - own), ORTP_OK);
    assert_int_equal(info_of(budget).charged_bytes, own);
    assert_int_equal(info_of(budget).denials, 0);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void over_refund_changes_nothing(void **state)
{
    (void)state;
    heard h = {0};
    ortp_budget *budget = make(0, &h);
    size_t own = info_of(budget).charged_bytes;
    assert_int_equal(charge(budget, 100), ORTP_OK);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 101), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_DECLARED, 1), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_METADATA, 1), ORTP_E_INVAL);
    ortp_budget_info info = info_of(budget);
    assert_int_equal(info.refund_errors, 3);
    assert_int_equal(h.errors, 3);
    assert_int_equal(info.charged_bytes, own + 100);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 100), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void unknown_arguments_are_refused(void **state)
{
    (void)state;
    ortp_budget *budget = make(0, NULL);
    assert_int_equal(ortp_budget_charge(budget, (ortp_account)3, 1, ORTP_RECLAIM_NONE),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_charge(budget, (ortp_account)-1, 1, ORTP_RECLAIM_NONE),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_BLOCKS, 1, (ortp_reclaim)4),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_charge(NULL, ORTP_ACCOUNT_BLOCKS, 1, ORTP_RECLAIM_NONE),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_refund(budget, (ortp_account)3, 0), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_refund(NULL, ORTP_ACCOUNT_BLOCKS, 0), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_set_limit(NULL, 1, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_reclaim(budget, (ortp_reclaim)9, 1), 0);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

/* ---- reclaimers ---- */

typedef struct store {
    ortp_budget *budget;
    size_t idle;
    size_t step;            /* gives at most this many at a time; 0: all */
    size_t *became_idle_in; /* gives to another store instead of the budget */
    int calls;
    size_t wanted; /* by the last call */
    char *order;   /* names of stores in the order of calls */
    char name;
} store;

static size_t give_back(void *ctx, size_t wanted)
{
    store *s = ctx;
    s->calls++;
    s->wanted = wanted;
    if (s->order != NULL) {
        size_t length = strlen(s->order);
        s->order[length] = s->name;
        s->order[length + 1] = 0;
    }
    size_t given = s->idle < wanted ? s->idle : wanted;
    if (s->step > 0 && given > s->step) {
        given = s->step;
    }
    s->idle -= given;
    if (s->became_idle_in != NULL) {
        *s->became_idle_in += given;
    } else {
        (void)ortp_budget_refund(s->budget, ORTP_ACCOUNT_BLOCKS, given);
    }
    return given;
}

static ortp_reclaimer *add(ortp_budget *budget, ortp_reclaim level, store *s)
{
    ortp_reclaimer *reclaimer = NULL;
    assert_int_equal(ortp_budget_add_reclaimer(budget, level, give_back, s, &reclaimer), ORTP_OK);
    return reclaimer;
}

/* A budget of `limit` bytes beyond what it and `count` reclaimers take. */
static ortp_budget *make_exact(size_t limit, size_t count)
{
    ortp_budget *budget = make(0, NULL);
    size_t own = info_of(budget).charged_bytes;
    store s = {.budget = budget};
    ortp_reclaimer *r = add(budget, ORTP_RECLAIM_BLOCKS, &s);
    size_t node = info_of(budget).charged_bytes - own;
    assert_true(node > 0); /* a reclaimer is metadata */
    ortp_budget_remove_reclaimer(budget, r);
    assert_int_equal(info_of(budget).charged_bytes, own);
    assert_int_equal(ortp_budget_set_limit(budget, own + count * node + limit, NULL), ORTP_OK);
    return budget;
}

static void reclaimers_are_asked_by_level_then_age(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 4);
    char order[64] = "";
    store a = {.budget = budget, .order = order, .name = 'a'};
    store b = {.budget = budget, .order = order, .name = 'b'};
    store c = {.budget = budget, .order = order, .name = 'c'};
    store d = {.budget = budget, .order = order, .name = 'd'};
    ortp_reclaimer *rc = add(budget, ORTP_RECLAIM_CACHE, &c);
    ortp_reclaimer *ra = add(budget, ORTP_RECLAIM_BLOCKS, &a);
    ortp_reclaimer *rd = add(budget, ORTP_RECLAIM_TENSORS, &d);
    ortp_reclaimer *rb = add(budget, ORTP_RECLAIM_BLOCKS, &b);

    assert_int_equal(charge(budget, 1000), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    assert_string_equal(order, "abdc");

    /* Each level includes those before it and none after. */
    order[0] = 0;
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_BLOCKS, 1, ORTP_RECLAIM_NONE),
                     ORTP_E_BUDGET);
    assert_string_equal(order, "");
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_BLOCKS, 1, ORTP_RECLAIM_BLOCKS),
                     ORTP_E_BUDGET);
    assert_string_equal(order, "ab");
    order[0] = 0;
    assert_int_equal(ortp_budget_charge(budget, ORTP_ACCOUNT_BLOCKS, 1, ORTP_RECLAIM_TENSORS),
                     ORTP_E_BUDGET);
    assert_string_equal(order, "abd");

    /* The first that gives enough is the last that is asked, and is asked for what is missing. */
    order[0] = 0;
    a.idle = 500;
    assert_int_equal(charge(budget, 40), ORTP_OK);
    assert_string_equal(order, "a");
    assert_int_equal(a.wanted, 40);
    assert_int_equal(a.idle, 460);
    ortp_budget_info info = info_of(budget);
    assert_int_equal(info.charged_bytes, info.limit_bytes);
    assert_int_equal(info.reclaims, 1);
    assert_int_equal(info.reclaimed_bytes, 40);

    /* Never more than the limit: asking is in vain and not done. */
    order[0] = 0;
    assert_int_equal(charge(budget, info.limit_bytes + 1), ORTP_E_BUDGET);
    assert_string_equal(order, "");

    ortp_budget_remove_reclaimer(budget, rb);
    ortp_budget_remove_reclaimer(budget, rc);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_E_BUSY);
    ortp_budget_remove_reclaimer(budget, ra);
    assert_int_equal(charge(budget, 40), ORTP_OK); /* the room of the removed nodes */
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 1040), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL),
                     ORTP_E_BUSY); /* a reclaimer is registered */
    ortp_budget_remove_reclaimer(budget, rd);
    ortp_budget_remove_reclaimer(budget, NULL);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void rounds_go_on_while_they_give(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 1);
    store slow = {.budget = budget, .idle = 100, .step = 10};
    ortp_reclaimer *r = add(budget, ORTP_RECLAIM_BLOCKS, &slow);
    assert_int_equal(charge(budget, 1000), ORTP_OK);
    assert_int_equal(charge(budget, 95), ORTP_OK);
    assert_int_equal(slow.calls, 10);
    assert_int_equal(charge(budget, 20), ORTP_E_BUDGET);
    assert_int_equal(slow.idle, 0);
    ortp_budget_remove_reclaimer(budget, r);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 995), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

/* What a cache evicts becomes idle blocks, which the reclaimers of the first level unmap. */
static void later_levels_feed_earlier_ones(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 3);
    store blocks = {.budget = budget};
    store cache = {.budget = budget, .idle = 300, .became_idle_in = &blocks.idle};
    store spare = {.budget = budget, .idle = 300, .became_idle_in = &blocks.idle};
    ortp_reclaimer *r0 = add(budget, ORTP_RECLAIM_BLOCKS, &blocks);
    ortp_reclaimer *r1 = add(budget, ORTP_RECLAIM_CACHE, &cache);
    ortp_reclaimer *r2 = add(budget, ORTP_RECLAIM_CACHE, &spare);
    assert_int_equal(charge(budget, 1000), ORTP_OK);
    assert_int_equal(charge(budget, 100), ORTP_OK);
    assert_int_equal(cache.idle, 200);
    assert_int_equal(spare.calls, 0); /* no more is evicted than is needed */
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED), 500);
    ortp_budget_remove_reclaimer(budget, r0);
    ortp_budget_remove_reclaimer(budget, r1);
    ortp_budget_remove_reclaimer(budget, r2);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 500), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

/* Reports what it was asked for, and gives nothing back. */
static size_t boast(void *ctx, size_t wanted)
{
    store *s = ctx;
    s->calls++;
    s->wanted = wanted;
    return wanted;
}

static void empty_reports_do_not_keep_a_charge_waiting(void **state)
{
    (void)state;
    const ortp_reclaim levels[] = {ORTP_RECLAIM_BLOCKS, ORTP_RECLAIM_TENSORS, ORTP_RECLAIM_CACHE};
    for (size_t i = 0; i < 3; i++) {
        ortp_budget *budget = make_exact(1000, 1);
        store liar = {.budget = budget};
        ortp_reclaimer *r;
        assert_int_equal(ortp_budget_add_reclaimer(budget, levels[i], boast, &liar, &r), ORTP_OK);
        assert_int_equal(charge(budget, 1000), ORTP_OK);
        assert_int_equal(charge(budget, 7), ORTP_E_BUDGET);
        assert_true(liar.calls >= 1 && liar.calls < 50);
        if (levels[i] > ORTP_RECLAIM_BLOCKS) {
            assert_true(liar.wanted == SIZE_MAX); /* was asked for all it has */
        } else {
            assert_int_equal(liar.wanted, 7);
        }
        assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, 10), 0);
        size_t excess;
        assert_int_equal(ortp_budget_set_limit(budget, 0, &excess), ORTP_E_BUSY);
        ortp_budget_remove_reclaimer(budget, r);
        assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 1000), ORTP_OK);
        assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    }
}

/* Liars ahead of honest ones: these are asked all the same, and their blocks unmapped. */
static void empty_reports_do_not_hide_what_others_give(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 4);
    store liars[2] = {{.budget = budget}, {.budget = budget}};
    store blocks = {.budget = budget};
    store cache = {.budget = budget, .idle = 300, .became_idle_in = &blocks.idle};
    ortp_reclaimer *r[4];
    assert_int_equal(
        ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_BLOCKS, boast, &liars[0], &r[0]), ORTP_OK);
    assert_int_equal(
        ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_TENSORS, boast, &liars[1], &r[1]), ORTP_OK);
    r[2] = add(budget, ORTP_RECLAIM_BLOCKS, &blocks);
    r[3] = add(budget, ORTP_RECLAIM_CACHE, &cache);
    assert_int_equal(charge(budget, 1000), ORTP_OK);
    assert_int_equal(charge(budget, 300), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    for (size_t i = 0; i < 4; i++) {
        ortp_budget_remove_reclaimer(budget, r[i]);
    }
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 1000), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

/* Only the last piece of what it gives sets anything free, as with the last block of a slab. */
static size_t give_in_pieces(void *ctx, size_t wanted)
{
    store *s = ctx;
    s->calls++;
    size_t given = s->idle < wanted ? s->idle : wanted;
    s->idle -= given;
    if (given > 0 && s->idle == 0) {
        *s->became_idle_in += 300;
    }
    return given;
}

static void later_levels_are_asked_for_more_when_nothing_comes_of_it(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 2);
    store blocks = {.budget = budget};
    store cache = {.budget = budget, .idle = 1000000, .became_idle_in = &blocks.idle};
    ortp_reclaimer *r0 = add(budget, ORTP_RECLAIM_BLOCKS, &blocks);
    ortp_reclaimer *r1 = NULL;
    assert_int_equal(
        ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_CACHE, give_in_pieces, &cache, &r1),
        ORTP_OK);
    assert_int_equal(charge(budget, 1000), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_OK);
    assert_true(cache.calls < 15);
    ortp_budget_remove_reclaimer(budget, r0);
    ortp_budget_remove_reclaimer(budget, r1);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 1000), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void reclaim_on_demand(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 2);
    store blocks = {.budget = budget, .idle = 100};
    store cache = {.budget = budget, .idle = 100};
    ortp_reclaimer *r0 = add(budget, ORTP_RECLAIM_BLOCKS, &blocks);
    ortp_reclaimer *r1 = add(budget, ORTP_RECLAIM_CACHE, &cache);
    assert_int_equal(charge(budget, 500), ORTP_OK);
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_BLOCKS, 30), 30);
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_BLOCKS, 1000), 70);
    assert_int_equal(cache.calls, 0);
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, 0), 0);
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_NONE, 10), 0);
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED), 100);
    assert_int_equal(ortp_budget_reclaim(budget, ORTP_RECLAIM_CACHE, ORTP_UNLIMITED), 0);
    ortp_budget_remove_reclaimer(budget, r0);
    ortp_budget_remove_reclaimer(budget, r1);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 300), ORTP_OK);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void reclaimer_arguments(void **state)
{
    (void)state;
    ortp_budget *budget = make(0, NULL);
    store s = {.budget = budget};
    ortp_reclaimer *r = (ortp_reclaimer *)1;
    assert_int_equal(ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_NONE, give_back, &s, &r),
                     ORTP_E_INVAL);
    assert_null(r);
    assert_int_equal(ortp_budget_add_reclaimer(budget, (ortp_reclaim)4, give_back, &s, &r),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_BLOCKS, NULL, &s, &r),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_BLOCKS, give_back, &s, NULL),
                     ORTP_E_INVAL);
    assert_int_equal(ortp_budget_set_limit(budget, charged_bytes(budget), NULL), ORTP_OK);
    assert_int_equal(ortp_budget_add_reclaimer(budget, ORTP_RECLAIM_BLOCKS, give_back, &s, &r),
                     ORTP_E_BUDGET);
    assert_null(r);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void lowered_limit_stands_and_says_its_excess(void **state)
{
    (void)state;
    heard h = {0};
    ortp_budget *budget = make(0, &h);
    size_t own = info_of(budget).charged_bytes;
    assert_int_equal(charge(budget, 1000), ORTP_OK);
    size_t excess = 1;
    assert_int_equal(ortp_budget_set_limit(budget, own + 1000, &excess), ORTP_OK);
    assert_int_equal(excess, 0);
    assert_int_equal(ortp_budget_set_limit(budget, own + 400, &excess), ORTP_E_BUSY);
    assert_int_equal(excess, 600);
    assert_int_equal(h.warnings, 1);
    assert_int_equal(info_of(budget).limit_bytes, own + 400);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    assert_true(ortp_budget_usage(budget) >= 1.0);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 599), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 2), ORTP_OK);
    assert_int_equal(charge(budget, 1), ORTP_OK);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 400), ORTP_OK);

    /* 0 is a limit of no bytes. */
    assert_int_equal(ortp_budget_set_limit(budget, 0, NULL), ORTP_E_BUSY);
    assert_true(ortp_budget_usage(budget) >= 1.0);
    assert_int_equal(charge(budget, 1), ORTP_E_BUDGET);
    assert_int_equal(ortp_budget_set_limit(budget, ORTP_UNLIMITED, NULL), ORTP_OK);
    assert_true(ortp_budget_usage(budget) <= 0.0);
    assert_int_equal(ortp_budget_set_limit(budget, own * 4, NULL), ORTP_OK);
    assert_true(ortp_budget_usage(budget) > 0.249 && ortp_budget_usage(budget) < 0.251);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

static void lowered_limit_asks_all_reclaimers(void **state)
{
    (void)state;
    ortp_budget *budget = make_exact(1000, 2);
    store blocks = {.budget = budget, .idle = 100};
    store cache = {.budget = budget, .idle = 200};
    ortp_reclaimer *r0 = add(budget, ORTP_RECLAIM_BLOCKS, &blocks);
    ortp_reclaimer *r1 = add(budget, ORTP_RECLAIM_CACHE, &cache);
    assert_int_equal(charge(budget, 1000), ORTP_OK);
    size_t limit = info_of(budget).limit_bytes;
    size_t excess = 1;
    assert_int_equal(ortp_budget_set_limit(budget, limit - 250, &excess), ORTP_OK);
    assert_int_equal(excess, 0);
    assert_int_equal(cache.idle, 50);
    assert_int_equal(ortp_budget_set_limit(budget, limit - 400, &excess), ORTP_E_BUSY);
    assert_int_equal(excess, 100);
    assert_int_equal(cache.idle, 0);
    assert_int_equal(ortp_budget_refund(budget, ORTP_ACCOUNT_BLOCKS, 700), ORTP_OK);
    ortp_budget_remove_reclaimer(budget, r0);
    ortp_budget_remove_reclaimer(budget, r1);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_peaks_are_exact),
        cmocka_unit_test(limit_is_reached_exactly),
        cmocka_unit_test(limit_below_the_struct_is_refused),
        cmocka_unit_test(overflow_is_an_error),
        cmocka_unit_test(over_refund_changes_nothing),
        cmocka_unit_test(unknown_arguments_are_refused),
        cmocka_unit_test(reclaimers_are_asked_by_level_then_age),
        cmocka_unit_test(rounds_go_on_while_they_give),
        cmocka_unit_test(later_levels_feed_earlier_ones),
        cmocka_unit_test(empty_reports_do_not_keep_a_charge_waiting),
        cmocka_unit_test(empty_reports_do_not_hide_what_others_give),
        cmocka_unit_test(later_levels_are_asked_for_more_when_nothing_comes_of_it),
        cmocka_unit_test(reclaim_on_demand),
        cmocka_unit_test(reclaimer_arguments),
        cmocka_unit_test(lowered_limit_stands_and_says_its_excess),
        cmocka_unit_test(lowered_limit_asks_all_reclaimers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
