/* SPDX-License-Identifier: MIT */
/* Statistics: the sums add up, both forms say the same, and neither overruns its room. */
#include "fixture.h"

#include <ortpool/stats.h>

#include <jansson.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 8192
#define TEXT_COLUMNS 36 /* of the table: a longer text would push its figure out of line */
#define ALL_GROUPS                                                                                 \
    (ORTP_STATS_RUNTIME | ORTP_STATS_CACHE | ORTP_STATS_MODEL | ORTP_STATS_PREDICTOR)

static void assert_equations(const ortp_stats *s)
{
    uint64_t in_use = s->in_use_tensors + s->in_use_decode + s->in_use_cache + s->in_use_run +
                      s->in_use_weights + s->in_use_other;
    assert_int_equal(in_use + s->idle + s->metadata, s->mapped);
    assert_int_equal(s->mapped + s->declared, s->charged);
    assert_true(s->charged <= s->charged_peak);
    assert_true(s->mapped <= s->mapped_peak);
}

static ortp_stats collect(const ortp_budget *budget)
{
    ortp_stats s = ORTP_STATS_INIT;
    assert_int_equal(ortp_stats_collect_budget(budget, &s), ORTP_OK);
    return s;
}

static void figures_add_up(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 64 * MIB);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = f.pool;
    options.entries_max = 1;
    options.alloc = counting_alloc_use(&f.alloc);
    ortp_cache *cache;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_OK);
    ortp_stats s = collect(f.budget);
    assert_equations(&s);
    assert_int_equal(s.groups, ORTP_STATS_CACHE);

    ortp_block *blocks[ORTP_LABEL_COUNT];
    for (int l = 0; l < ORTP_LABEL_COUNT; l++) {
        blocks[l] = must_acquire(f.pool, 100000 * (size_t)(l + 1), (ortp_label)l);
    }
    assert_int_equal(ortp_budget_charge(f.budget, ORTP_ACCOUNT_DECLARED, 12345, ORTP_RECLAIM_NONE),
                     ORTP_OK);
    ortp_block *denied;
    assert_int_equal(ortp_pool_acquire(f.pool, 100 * MIB, ORTP_LABEL_RUN, &denied), ORTP_E_BUDGET);
    static const char *const names[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        ortp_cache_key key = {.parts = {names[i]}, .part_bytes = {1}, .part_count = 1};
        ortp_cache_value value = {.block_count = 0};
        ortp_lease *lease;
        assert_int_equal(ortp_cache_get(cache, &key, &lease), ORTP_OK);
        assert_null(lease);
        assert_int_equal(ortp_cache_put(cache, &key, &value, &lease), ORTP_OK);
        ortp_lease_release(lease);
        assert_int_equal(ortp_cache_get(cache, &key, &lease), ORTP_OK);
        assert_non_null(lease);
        ortp_lease_release(lease);
    }
    s = collect(f.budget);
    assert_equations(&s);
    assert_int_equal(s.limit, 64 * MIB);
    assert_int_equal(s.declared, 12345);
    assert_int_equal(s.denials, 1);
    assert_true(s.in_use_tensors >= 100000 && s.in_use_tensors < 120000);
    assert_true(s.in_use_other >= 600000 && s.in_use_other < 700000);
    assert_true(s.in_use_cache >= 300000 + 64);
    assert_int_equal(s.cache_hits, 2);
    assert_int_equal(s.cache_misses, 2);
    assert_int_equal(s.cache_evictions, 1);
    assert_int_equal(s.block_acquires, ORTP_LABEL_COUNT + 2);
    assert_int_equal(s.maps, ORTP_LABEL_COUNT + 1);
    assert_int_equal(s.unmaps, 0);

    for (int l = 0; l < ORTP_LABEL_COUNT; l++) {
        must_release(blocks[l]);
    }
    assert_int_equal(ortp_pool_trim(f.pool, 0, 0, NULL), ORTP_OK);
    s = collect(f.budget);
    assert_equations(&s);
    assert_int_equal(s.unmaps, ORTP_LABEL_COUNT);
    assert_int_equal(s.in_use_tensors, 0);

    /* Collecting sets, it does not add. */
    assert_int_equal(ortp_stats_collect_budget(f.budget, &s), ORTP_OK);
    assert_int_equal(s.declared, 12345);
    assert_int_equal(s.unmaps, ORTP_LABEL_COUNT);
    assert_int_equal(ortp_budget_refund(f.budget, ORTP_ACCOUNT_DECLARED, 12345), ORTP_OK);
    assert_int_equal(ortp_cache_destroy(cache, NULL), ORTP_OK);
    fixture_close(&f);
}

static void process_figures(void **state)
{
    (void)state;
    ortp_budget *budget;
    assert_int_equal(ortp_budget_create(NULL, &budget, NULL), ORTP_OK);
    const ortp_stats s = collect(budget);
    assert_int_equal(ortp_budget_destroy(budget, NULL), ORTP_OK);
    if (s.process_resident == 0) {
        skip(); /* the system does not say */
    }
    assert_true(s.process_anonymous > 0);
    assert_true(s.process_resident >= s.process_anonymous);
    assert_true(s.process_resident <= s.process_anonymous + s.process_file + MIB);
}

/* A struct with a different value in each field. */
static ortp_stats numbered(void)
{
    ortp_stats s = ORTP_STATS_INIT;
    s.groups = ALL_GROUPS;
    uint64_t n = 0;
#define NUMBER(group, name, text) s.name = ++n * 1000003u;
    ORTP_STATS_MAP(NUMBER, NUMBER)
#undef NUMBER
    return s;
}

static void json_has_all_fields(void **state)
{
    (void)state;
    ortp_stats s = numbered();
    char text[ROOM];
    size_t length = 0;
    assert_int_equal(ortp_stats_write(&s, ORTP_STATS_JSON, text, sizeof text, &length), ORTP_OK);
    assert_int_equal(length, strlen(text));
    assert_null(strchr(text, '\n'));
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(root);
    size_t fields = 0;
#define CHECK(group, name, description)                                                            \
    assert_true(json_is_integer(json_object_get(root, #name)));                                    \
    assert_int_equal(json_integer_value(json_object_get(root, #name)), s.name);                    \
    fields++;
    ORTP_STATS_MAP(CHECK, CHECK)
#undef CHECK
    assert_int_equal(json_object_size(root), fields);
    json_decref(root);

    s.limit = ORTP_UNLIMITED;
    assert_int_equal(ortp_stats_write(&s, ORTP_STATS_JSON, text, sizeof text, NULL), ORTP_OK);
    root = json_loads(text, 0, &error);
    assert_non_null(root);
    assert_true(json_is_null(json_object_get(root, "limit")));
    json_decref(root);
}

/* The table's line of a field, from its text on; NULL when there is none. */
static const char *line_of(const char *table, const char *text)
{
    char start[128];
    (void)snprintf(start, sizeof start, "\n%s  ", text); /* padded by at least two */
    const char *at = strstr(table, start);
    return at != NULL ? at + 1 + strlen(text) : NULL;
}

static void table_has_all_lines(void **state)
{
    (void)state;
    ortp_stats s = numbered();
    char text[ROOM];
    text[0] = '\n';
    size_t length = 0;
    assert_int_equal(ortp_stats_write(&s, ORTP_STATS_TABLE, text + 1, sizeof text - 1, &length),
                     ORTP_OK);
    assert_int_equal(length, strlen(text + 1));
    char *end;
#define CHECK_BYTES(group, name, description)                                                      \
    assert_true(strlen(description) <= TEXT_COLUMNS);                                              \
    assert_non_null(line_of(text, description));                                                   \
    assert_int_equal(strtoull(line_of(text, description), &end, 10), s.name / 1024);               \
    assert_int_equal(*end, '.');                                                                   \
    assert_int_equal(strtoull(end + 1, &end, 10), s.name % 1024 * 10 / 1024);                      \
    assert_int_equal(strncmp(end, " KiB\n", 5), 0);
#define CHECK_COUNT(group, name, description)                                                      \
    assert_true(strlen(description) <= TEXT_COLUMNS);                                              \
    assert_non_null(line_of(text, description));                                                   \
    assert_int_equal(strtoull(line_of(text, description), &end, 10), s.name);                      \
    assert_int_equal(*end, '\n');
    ORTP_STATS_MAP(CHECK_BYTES, CHECK_COUNT)
#undef CHECK_BYTES
#undef CHECK_COUNT
    s.limit = ORTP_UNLIMITED;
    assert_int_equal(ortp_stats_write(&s, ORTP_STATS_TABLE, text + 1, sizeof text - 1, NULL),
                     ORTP_OK);
    const char *limit = line_of(text, "budget limit");
    assert_non_null(limit);
    assert_int_equal(strncmp(limit + strspn(limit, " "), "none\n", 5), 0);
}

static void short_room_is_not_overrun(void **state)
{
    (void)state;
    ortp_stats s = numbered();
    static const ortp_stats_format formats[] = {ORTP_STATS_TABLE, ORTP_STATS_JSON};
    for (size_t i = 0; i < 2; i++) {
        char whole[ROOM], text[ROOM];
        size_t length, told;
        assert_int_equal(ortp_stats_write(&s, formats[i], whole, sizeof whole, &length), ORTP_OK);
        assert_int_equal(ortp_stats_write(&s, formats[i], NULL, 0, &told), ORTP_OK);
        assert_int_equal(told, length);
        for (size_t capacity = 1; capacity <= length + 1; capacity++) {
            memset(text, '#', sizeof text);
            assert_int_equal(ortp_stats_write(&s, formats[i], text, capacity, &told), ORTP_OK);
            assert_int_equal(told, length);
            assert_int_equal(strlen(text), capacity - 1);
            assert_memory_equal(text, whole, capacity - 1);
            assert_int_equal(text[capacity], '#');
        }
    }
    assert_int_equal(ortp_stats_write(&s, (ortp_stats_format)2, NULL, 0, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_stats_write(&s, ORTP_STATS_JSON, NULL, 5, NULL), ORTP_E_INVAL);
    assert_int_equal(ortp_stats_write(NULL, ORTP_STATS_JSON, NULL, 0, NULL), ORTP_E_INVAL);
}

/* Rows stand where an object of their group reports, in both forms. */
static void rows_of_absent_objects_are_left_out(void **state)
{
    (void)state;
    for (uint64_t groups = 0; groups <= ALL_GROUPS; groups++) {
        ortp_stats s = numbered();
        s.groups = groups;
        char json[ROOM], table[ROOM];
        table[0] = '\n';
        assert_int_equal(ortp_stats_write(&s, ORTP_STATS_JSON, json, sizeof json, NULL), ORTP_OK);
        assert_int_equal(ortp_stats_write(&s, ORTP_STATS_TABLE, table + 1, sizeof table - 1, NULL),
                         ORTP_OK);
        json_error_t error;
        json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &error);
        assert_non_null(root);
#define CHECK(group, name, description)                                                            \
    {                                                                                              \
        const bool shown = ORTP_STATS_##group == ORTP_STATS_MEMORY ||                              \
                           (groups & (uint64_t)ORTP_STATS_##group) != 0;                           \
        assert_int_equal(json_object_get(root, #name) != NULL, shown);                             \
        assert_int_equal(line_of(table, description) != NULL, shown);                              \
    }
        ORTP_STATS_MAP(CHECK, CHECK)
#undef CHECK
        json_decref(root);
    }
}

/* Whoever is gone is not asked any more, wherever it stood among the others. */
static void what_is_destroyed_leaves(void **state)
{
    const ortp_pool_kind kind = KIND_OF(state);
    fixture f;
    fixture_open(&f, kind, 0);
    ortp_pool_options options = ORTP_POOL_OPTIONS_INIT;
    options.budget = f.budget;
    options.kind = kind;
    options.alloc = counting_alloc_use(&f.alloc);
    static const uint64_t acquires[3] = {1, 2, 4}; /* the sum says of which pools it is */
    static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};
    for (size_t order = 0; order < sizeof orders / sizeof *orders; order++) {
        ortp_pool *pools[3];
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(ortp_pool_create(&options, &pools[i], NULL), ORTP_OK);
            for (uint64_t n = 0; n < acquires[i]; n++) {
                must_release(must_acquire(pools[i], 100000, ORTP_LABEL_RUN));
            }
        }
        uint64_t left = 7;
        ortp_stats s = collect(f.budget);
        assert_equations(&s);
        assert_int_equal(s.block_acquires, left);
        assert_true(s.idle >= 300000);
        for (size_t i = 0; i < 3; i++) {
            const size_t gone = orders[order][i];
            assert_int_equal(ortp_pool_destroy(pools[gone], NULL), ORTP_OK);
            left -= acquires[gone];
            s = collect(f.budget);
            assert_equations(&s);
            assert_int_equal(s.block_acquires, left);
        }
    }
    fixture_close(&f);
}

/* A destroy that is refused leaves the object with its figures. */
static void what_is_busy_goes_on_reporting(void **state)
{
    fixture f;
    fixture_open(&f, KIND_OF(state), 0);
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = f.pool;
    options.alloc = counting_alloc_use(&f.alloc);
    ortp_cache *cache;
    assert_int_equal(ortp_cache_create(&options, &cache, NULL), ORTP_OK);
    const ortp_cache_key key = {.parts = {"a"}, .part_bytes = {1}, .part_count = 1};
    const ortp_cache_value value = {.block_count = 0};
    ortp_lease *lease;
    assert_int_equal(ortp_cache_put(cache, &key, &value, &lease), ORTP_OK);
    assert_int_equal(ortp_cache_destroy(cache, NULL), ORTP_E_BUSY);
    assert_int_equal(ortp_pool_destroy(f.pool, NULL), ORTP_E_BUSY);
    const ortp_stats s = collect(f.budget);
    assert_equations(&s);
    assert_int_equal(s.groups, ORTP_STATS_CACHE);
    assert_true(s.in_use_cache > 0);
    ortp_lease_release(lease);
    assert_int_equal(ortp_cache_destroy(cache, NULL), ORTP_OK);
    assert_int_equal(collect(f.budget).groups, 0);
    fixture_close(&f);
}

/* Every version that there may have been: it gets its part of the figures, and not a byte more. */
static void structs_of_older_callers_are_left_alone_behind_their_end(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    must_release(must_acquire(f.pool, 100000, ORTP_LABEL_OTHER));
    const ortp_stats whole = collect(f.budget);
    for (size_t bytes = sizeof(size_t); bytes <= sizeof(ortp_stats); bytes += sizeof(uint64_t)) {
        ortp_stats s;
        memset(&s, 0xA5, sizeof s);
        s.struct_size = bytes;
        assert_int_equal(ortp_stats_collect_budget(f.budget, &s), ORTP_OK);
        assert_int_equal(s.struct_size, bytes);
        const size_t process = offsetof(ortp_stats, process_anonymous);
        for (size_t i = sizeof(size_t); i < sizeof s; i++) {
            const unsigned char at = ((const unsigned char *)&s)[i];
            if (i >= bytes) {
                assert_int_equal(at, 0xA5);
            } else if (i < process || i >= offsetof(ortp_stats, charges)) {
                assert_int_equal(at, ((const unsigned char *)&whole)[i]);
            }
        }
    }
    ortp_stats s = {.struct_size = offsetof(ortp_stats, mapped)};
    assert_int_equal(ortp_stats_collect_budget(f.budget, &s), ORTP_OK);
    char text[ROOM];
    assert_int_equal(ortp_stats_write(&s, ORTP_STATS_JSON, text, sizeof text, NULL), ORTP_OK);
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    assert_non_null(root);
    assert_int_equal(json_object_size(root), 3); /* limit, charged, charged_peak */
    json_decref(root);
    fixture_close(&f);
}

static void a_newer_caller_gets_what_there_is(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    struct {
        ortp_stats known;
        uint64_t unknown[4];
    } newer;
    memset(&newer, 0xA5, sizeof newer);
    newer.known.struct_size = sizeof newer;
    assert_int_equal(ortp_stats_collect_budget(f.budget, &newer.known), ORTP_OK);
    assert_int_equal(newer.known.struct_size, sizeof newer);
    assert_int_equal(newer.known.charged, collect(f.budget).charged);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(newer.unknown[i], 0xA5A5A5A5A5A5A5A5u);
    }
    fixture_close(&f);
}

static void misuse_is_refused(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, ORTP_POOL_STRIPED, 0);
    ortp_stats s;
    memset(&s, 0xA5, sizeof s);
    for (size_t bytes = 0; bytes < sizeof(size_t); bytes++) {
        s.struct_size = bytes;
        assert_int_equal(ortp_stats_collect_budget(f.budget, &s), ORTP_E_VERSION);
        assert_int_equal(s.struct_size, bytes);
        assert_int_equal(s.charged, 0xA5A5A5A5A5A5A5A5u);
    }
    s.struct_size = sizeof s;
    assert_int_equal(ortp_stats_collect_budget(NULL, &s), ORTP_E_INVAL);
    assert_int_equal(ortp_stats_collect_budget(f.budget, NULL), ORTP_E_INVAL);
    assert_int_equal(s.charged, 0xA5A5A5A5A5A5A5A5u);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_KINDS(figures_add_up),
        cmocka_unit_test(process_figures),
        cmocka_unit_test(json_has_all_fields),
        cmocka_unit_test(table_has_all_lines),
        cmocka_unit_test(short_room_is_not_overrun),
        cmocka_unit_test(rows_of_absent_objects_are_left_out),
        BOTH_KINDS(what_is_destroyed_leaves),
        BOTH_KINDS(what_is_busy_goes_on_reporting),
        cmocka_unit_test(structs_of_older_callers_are_left_alone_behind_their_end),
        cmocka_unit_test(a_newer_caller_gets_what_there_is),
        cmocka_unit_test(misuse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
