/* SPDX-License-Identifier: MIT */
/*
 * Structs that the caller allocates and the library fills: no byte beyond struct_size is written, whatever
 * version the caller was built with. tests/unit/headers/out_structs.py holds the table below against the
 * headers.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BEYOND 64u /* bytes that a caller of a later version has more */

/* What the structs are filled from; all of it lives while a test runs. */
typedef struct subject {
    rig r;
    swipe_rows rows;
    ortp_tensor_pool *tensors;
    ortp_model *model;
    ortp_decoder_buffers *buffers;
    ortp_decoder *decoder;
    ortp_tensor *encoded;
    size_t length;
} subject;

static ortp_model *model_of(const subject *s)
{
    return s->model;
}

static const ortp_manifest *manifest_of(const subject *s)
{
    return ortp_model_manifest(s->model);
}

/* ---- how each struct is filled ---- */

static ortp_status fill_budget_info(subject *s, void *out)
{
    return ortp_budget_get_info(ortp_runtime_budget(s->r.runtime), out);
}

static ortp_status fill_pool_info(subject *s, void *out)
{
    return ortp_pool_get_info(ortp_runtime_pool(s->r.runtime), out);
}

static ortp_status fill_cache_info(subject *s, void *out)
{
    return ortp_cache_get_info(ortp_predictor_cache(s->r.predictor), out);
}

static ortp_status fill_tensor_pool_info(subject *s, void *out)
{
    return ortp_tensor_pool_get_info(s->tensors, out);
}

static ortp_status fill_session_info(subject *s, void *out)
{
    return ortp_session_get_info(ortp_model_encoder(model_of(s)), out);
}

static ortp_status fill_buffers_info(subject *s, void *out)
{
    return ortp_decoder_buffers_get_info(s->buffers, out);
}

static ortp_status fill_search_params(subject *s, void *out)
{
    return ortp_search_params_from(manifest_of(s), out);
}

static ortp_status fill_plan(subject *s, void *out)
{
    return ortp_plan_estimate(manifest_of(s), 0, ORTP_PATH_AUTO, 1, 4, out, NULL);
}

static ortp_status fill_hypothesis(subject *s, void *out)
{
    size_t count = 0;
    const ortp_status status =
        ortp_decoder_search(s->decoder, s->encoded, s->length, NULL, NULL, out, 1, &count, NULL);
    assert_int_equal(count, status == ORTP_OK ? 1 : 0);
    return status;
}

static ortp_status fill_constraint(subject *s, void *out)
{
    static ortp_lexicon_constraint words; /* borrowed by *out */
    words = (ortp_lexicon_constraint){.struct_size = sizeof words,
                                      .lexicon = ortp_predictor_lexicon(s->r.predictor)};
    return ortp_lexicon_make_constraint(&words, out);
}

static ortp_status fill_prediction(subject *s, void *out)
{
    return ortp_predictor_predict(s->r.predictor, &s->rows.rows[0].swipe, NULL, out, NULL);
}

static ortp_status fill_report(subject *s, void *out)
{
    return ortp_predictor_warm(s->r.predictor, NULL, out, NULL);
}

static ortp_status fill_joined_report(subject *s, void *out)
{
    ortp_warmup *warmup = NULL;
    assert_int_equal(ortp_predictor_warm_start(s->r.predictor, NULL, &warmup, NULL), ORTP_OK);
    return ortp_warmup_join(warmup, out, NULL);
}

static ortp_status fill_config(subject *s, void *out)
{
    (void)s;
    return ortp_swipe_config_load(test_file(TINY), out, NULL);
}

static ortp_status fill_shape(subject *s, void *out)
{
    static const float features[2 * ORTP_SWIPE_FEATURES] = {0.5f, 0.5f};
    return ortp_swipe_shape_of(ortp_predictor_config(s->r.predictor), features, 2, out);
}

/* Says nothing where it cannot be written: its status is that of what failed. */
static ortp_status fill_error(subject *s, void *out)
{
    ortp_runtime *none = NULL;
    assert_int_equal(ortp_runtime_create(NULL, &none, out), ORTP_E_INVAL);
    (void)s;
    return ((const ortp_error *)out)->struct_size < sizeof(size_t) ? ORTP_E_VERSION : ORTP_OK;
}

static ortp_status fill_stats(subject *s, void *out)
{
    return ortp_stats_collect(s->r.runtime, out);
}

static ortp_status fill_budget_stats(subject *s, void *out)
{
    return ortp_stats_collect_budget(ortp_runtime_budget(s->r.runtime), out);
}

typedef struct filled {
    const char *name;
    size_t bytes;
    ortp_status (*fill)(subject *s, void *out);
    size_t stride; /* between the sizes that are tried; 1: all */
} filled;

#define FILLED(type, fill, stride)                                                                 \
    {                                                                                              \
#type, sizeof(type), fill, stride                                                          \
    }
static const filled table[] = {
    FILLED(ortp_error, fill_error, 1),
    FILLED(ortp_budget_info, fill_budget_info, 1),
    FILLED(ortp_pool_info, fill_pool_info, 1),
    FILLED(ortp_cache_info, fill_cache_info, 1),
    FILLED(ortp_tensor_pool_info, fill_tensor_pool_info, 1),
    FILLED(ortp_session_info, fill_session_info, 1),
    FILLED(ortp_decoder_buffers_info, fill_buffers_info, 1),
    FILLED(ortp_search_params, fill_search_params, 1),
    FILLED(ortp_plan, fill_plan, 1),
    FILLED(ortp_constraint, fill_constraint, 1),
    FILLED(ortp_hypothesis, fill_hypothesis, 13),
    FILLED(ortp_prediction, fill_prediction, 101),
    FILLED(ortp_warmup_report, fill_report, 29),
    FILLED(ortp_warmup_report, fill_joined_report, 29),
    FILLED(ortp_swipe_config, fill_config, 97),
    FILLED(ortp_swipe_shape, fill_shape, 7),
    FILLED(ortp_stats, fill_stats, 5),
    FILLED(ortp_stats, fill_budget_stats, 17),
};
#define COUNT (sizeof table / sizeof *table)

/* ---- the checks ---- */

static void set_size(unsigned char *room, size_t size)
{
    memcpy(room, &size, sizeof size);
}

static size_t size_of(const unsigned char *room)
{
    size_t size;
    memcpy(&size, room, sizeof size);
    return size;
}

/* Fills room of one pattern, whose struct says `size`; gives the room, to be freed. */
static unsigned char *filled_with(const filled *f, subject *s, size_t size, int pattern)
{
    unsigned char *room = malloc(f->bytes + BEYOND);
    assert_non_null(room);
    memset(room, pattern, f->bytes + BEYOND);
    set_size(room, size);
    const ortp_status status = f->fill(s, room);
    if (status != ORTP_OK) {
        fail_msg("%s with a struct_size of %zu: %s", f->name, size, ortp_status_name(status));
    }
    if (size_of(room) != size) {
        fail_msg("%s: the struct_size of %zu has become %zu", f->name, size, size_of(room));
    }
    return room;
}

/* Two patterns tell what was written from what was there before, whatever the figures are. */
static void try_size(const filled *f, subject *s, size_t size)
{
    unsigned char *a = filled_with(f, s, size, 0xa5);
    unsigned char *b = filled_with(f, s, size, 0x5a);
    const size_t end = size < f->bytes ? size : f->bytes;
    for (size_t i = sizeof size; i < f->bytes + BEYOND; i++) {
        const bool untouched = a[i] == 0xa5 && b[i] == 0x5a;
        if (untouched != (i >= end)) {
            fail_msg("%s with a struct_size of %zu: byte %zu was %s", f->name, size, i,
                     untouched ? "not written" : "written");
        }
    }
    free(a);
    free(b);
}

static void try_none(const filled *f, subject *s, size_t size)
{
    unsigned char *room = malloc(f->bytes + BEYOND);
    unsigned char *before = malloc(f->bytes + BEYOND);
    assert_non_null(room);
    assert_non_null(before);
    memset(room, 0xa5, f->bytes + BEYOND);
    set_size(room, size);
    memcpy(before, room, f->bytes + BEYOND);
    const ortp_status status = f->fill(s, room);
    if (status != ORTP_E_VERSION || memcmp(room, before, f->bytes + BEYOND) != 0) {
        fail_msg("%s with a struct_size of %zu: %s, %s", f->name, size, ortp_status_name(status),
                 memcmp(room, before, f->bytes + BEYOND) != 0 ? "written" : "not written");
    }
    free(room);
    free(before);
}

static void subject_open(subject *s)
{
    ortp_error error = ORTP_ERROR_INIT;
    rig_open(&s->r, NULL);
    s->rows = swipe_rows_read(test_file(SAMPLES), 1);
    ortp_tensor_pool_options tensors = ORTP_TENSOR_POOL_OPTIONS_INIT;
    tensors.runtime = s->r.runtime;
    assert_ok(ortp_tensor_pool_create(&tensors, &s->tensors, &error), error);
    ortp_model_options model = ORTP_MODEL_OPTIONS_INIT;
    model.runtime = s->r.runtime;
    model.tensors = s->tensors;
    model.directory = test_file(TINY);
    model.intra_threads = 1; /* ORT's own threads look like races to ThreadSanitizer */
    assert_ok(ortp_model_create(&model, &s->model, &error), error);
    ortp_decoder_buffers_options buffers = ORTP_DECODER_BUFFERS_OPTIONS_INIT;
    buffers.model = s->model;
    buffers.tensors = s->tensors;
    buffers.beams = 2;
    buffers.source = 8;
    assert_ok(ortp_decoder_buffers_create(&buffers, &s->buffers, &error), error);
    ortp_decoder_options decoder = ORTP_DECODER_OPTIONS_INIT;
    decoder.model = s->model;
    decoder.tensors = s->tensors;
    assert_ok(ortp_decoder_create(&decoder, &s->decoder, &error), error);
    static const float features[4 * ORTP_SWIPE_FEATURES];
    static const int32_t keys[4];
    s->length = 4;
    const ortp_encoder_input input = {features, keys, s->length};
    assert_ok(ortp_model_encode(s->model, &input, &s->encoded, &error), error);
}

static void subject_close(subject *s)
{
    assert_int_equal(ortp_tensor_release(s->encoded), ORTP_OK);
    assert_int_equal(ortp_decoder_destroy(s->decoder, NULL), ORTP_OK);
    assert_int_equal(ortp_decoder_buffers_destroy(s->buffers, NULL), ORTP_OK);
    assert_int_equal(ortp_model_destroy(s->model, NULL), ORTP_OK);
    assert_int_equal(ortp_tensor_pool_destroy(s->tensors, NULL), ORTP_OK);
    swipe_rows_free(&s->rows);
    rig_close(&s->r);
}

static void every_struct_keeps_to_its_size(void **state)
{
    (void)state;
    subject s = {0};
    subject_open(&s);
    for (size_t i = 0; i < COUNT; i++) {
        const filled *f = &table[i];
        for (size_t size = sizeof size; size < f->bytes; size += f->stride) {
            try_size(f, &s, size);
        }
        try_size(f, &s, f->bytes - 1);
        try_size(f, &s, f->bytes);
        try_size(f, &s, f->bytes + 8);
        try_size(f, &s, f->bytes + BEYOND);
        try_none(f, &s, 0);
        try_none(f, &s, sizeof(size_t) - 1);
    }
    subject_close(&s);
}

/* An error that is cut ends with a 0 within what the caller has. */
static void a_message_is_cut_at_the_end_of_the_struct(void **state)
{
    (void)state;
    ortp_error whole = ORTP_ERROR_INIT;
    ortp_runtime *none = NULL;
    assert_int_equal(ortp_runtime_create(NULL, &none, &whole), ORTP_E_INVAL);
    assert_true(strlen(whole.message) > 8);
    for (size_t room = 1; room < 8; room++) {
        ortp_error less = ORTP_ERROR_INIT;
        less.struct_size = offsetof(ortp_error, message) + room;
        memset(less.message, 'x', sizeof less.message);
        assert_int_equal(ortp_runtime_create(NULL, &none, &less), ORTP_E_INVAL);
        assert_int_equal(less.status, ORTP_E_INVAL);
        assert_memory_equal(less.message, whole.message, room - 1);
        assert_int_equal(less.message[room - 1], '\0');
        assert_int_equal(less.message[room], 'x');
    }
}

/* The first element's struct_size is the distance of the elements. */
static void an_array_has_the_stride_of_its_first(void **state)
{
    (void)state;
    subject s = {0};
    subject_open(&s);
    enum { RESULTS = 4 };
    ortp_hypothesis right[RESULTS] = {ORTP_HYPOTHESIS_INIT};
    size_t count = 0;
    ortp_error error = ORTP_ERROR_INIT;
    assert_ok(ortp_decoder_search(s.decoder, s.encoded, s.length, NULL, NULL, right, RESULTS,
                                  &count, &error),
              error);
    assert_true(count > 1);
    const size_t strides[] = {offsetof(ortp_hypothesis, score), sizeof *right - sizeof(double),
                              sizeof *right, sizeof *right + BEYOND};
    for (size_t k = 0; k < sizeof strides / sizeof *strides; k++) {
        const size_t stride = strides[k];
        const size_t known = stride < sizeof *right ? stride : sizeof *right;
        unsigned char *room = malloc(RESULTS * stride + BEYOND);
        assert_non_null(room);
        memset(room, 0xa5, RESULTS * stride + BEYOND);
        set_size(room, stride);
        size_t found = 0;
        assert_ok(ortp_decoder_search(s.decoder, s.encoded, s.length, NULL, NULL, (void *)room,
                                      RESULTS, &found, &error),
                  error);
        assert_int_equal(found, count);
        for (size_t i = 0; i < RESULTS; i++) {
            const unsigned char *at = room + i * stride;
            const size_t written = i < found ? known : i == 0 ? sizeof stride : 0;
            if (i < found) {
                assert_int_equal(size_of(at), stride);
                assert_memory_equal(at + sizeof stride, (unsigned char *)&right[i] + sizeof stride,
                                    known - sizeof stride);
            }
            for (size_t b = written; b < stride; b++) {
                assert_int_equal(at[b], 0xa5);
            }
        }
        for (size_t b = 0; b < BEYOND; b++) {
            assert_int_equal(room[RESULTS * stride + b], 0xa5);
        }
        free(room);
    }
    subject_close(&s);
}

static void null_is_invalid(void **state)
{
    (void)state;
    subject s = {0};
    subject_open(&s);
    ortp_status (*const fills[])(subject *, void *) = {
        fill_budget_info,  fill_pool_info,    fill_cache_info, fill_tensor_pool_info,
        fill_session_info, fill_buffers_info, fill_plan,       fill_search_params,
        fill_prediction,   fill_config,       fill_shape,
    };
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        assert_int_equal(fills[i](&s, NULL), ORTP_E_INVAL);
    }
    ortp_session_info session = ORTP_SESSION_INFO_INIT;
    ortp_tensor_pool_info tensors = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_budget_info budget = ORTP_BUDGET_INFO_INIT;
    ortp_pool_info pool = ORTP_POOL_INFO_INIT;
    ortp_cache_info cache = ORTP_CACHE_INFO_INIT;
    ortp_decoder_buffers_info buffers = ORTP_DECODER_BUFFERS_INFO_INIT;
    ortp_search_params params = ORTP_SEARCH_PARAMS_INIT;
    assert_int_equal(ortp_session_get_info(NULL, &session), ORTP_E_INVAL);
    assert_int_equal(ortp_tensor_pool_get_info(NULL, &tensors), ORTP_E_INVAL);
    assert_int_equal(ortp_budget_get_info(NULL, &budget), ORTP_E_INVAL);
    assert_int_equal(ortp_pool_get_info(NULL, &pool), ORTP_E_INVAL);
    assert_int_equal(ortp_cache_get_info(NULL, &cache), ORTP_E_INVAL);
    assert_int_equal(ortp_decoder_buffers_get_info(NULL, &buffers), ORTP_E_INVAL);
    assert_int_equal(ortp_search_params_from(NULL, &params), ORTP_E_INVAL);
    subject_close(&s);
}

/* ---- what refuses says why ---- */

static void a_refused_destroy_says_what_is_in_use(void **state)
{
    (void)state;
    subject s = {0};
    subject_open(&s);
    ortp_error error = ORTP_ERROR_INIT;
    assert_int_equal(ortp_model_destroy(s.model, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "2 decoders or buffers"));
    assert_int_equal(ortp_budget_destroy(ortp_runtime_budget(s.r.runtime), &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "reclaimers are registered"));

    const int byte = 1;
    const ortp_cache_key key = {.parts = {&byte}, .part_bytes = {sizeof byte}, .part_count = 1};
    const ortp_cache_value value = {.attachment = NULL};
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = ortp_runtime_pool(s.r.runtime);
    ortp_cache *cache = NULL;
    assert_ok(ortp_cache_create(&options, &cache, &error), error);
    ortp_lease *lease = NULL;
    assert_int_equal(ortp_cache_put(cache, &key, &value, &lease), ORTP_OK);
    assert_int_equal(ortp_cache_destroy(cache, &error), ORTP_E_BUSY);
    assert_string_equal(error.message, "cache: 1 entries are leased");
    ortp_lease_release(lease);
    assert_int_equal(ortp_cache_destroy(cache, &error), ORTP_OK);

    /* A predictor that refuses stays closed; what the application has of it is given back, then it goes. */
    ortp_predictor_options predictor = ORTP_PREDICTOR_OPTIONS_INIT;
    predictor.runtime = s.r.runtime;
    predictor.model_directory = test_file(TINY);
    ortp_predictor *other = NULL;
    assert_ok(ortp_predictor_create(&predictor, &other, &error), error);
    const float features[ORTP_SWIPE_FEATURES] = {0};
    const int32_t keys[1] = {0};
    const ortp_encoder_input input = {features, keys, 1};
    ortp_tensor *encoded = NULL;
    assert_ok(ortp_model_encode(ortp_predictor_model(other), &input, &encoded, &error), error);
    assert_int_equal(ortp_predictor_destroy(other, &error), ORTP_E_BUSY);
    assert_non_null(strstr(error.message, "1 tensors are out"));
    assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
    assert_int_equal(ortp_predictor_destroy(other, &error), ORTP_OK);
    subject_close(&s);
}

static void a_failed_create_says_why(void **state)
{
    (void)state;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_budget *budget = NULL;
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = 1;
    assert_int_equal(ortp_budget_create(&options, &budget, &error), ORTP_E_BUDGET);
    assert_non_null(strstr(error.message, "a limit of 1 bytes"));
    options = (ortp_budget_options){0};
    assert_int_equal(ortp_budget_create(&options, &budget, &error), ORTP_E_VERSION);
    assert_non_null(strstr(error.message, "struct_size"));
    ortp_cache *cache = NULL;
    assert_int_equal(ortp_cache_create(NULL, &cache, &error), ORTP_E_INVAL);
    assert_string_equal(error.message, "cache: options.pool is required");
    ortp_manifest *manifest = NULL;
    assert_int_equal(ortp_manifest_create(NULL, &manifest, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "directory is required"));
    ortp_decoder *decoder = NULL;
    assert_int_equal(ortp_decoder_create(NULL, &decoder, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "model and tensors are required"));
    ortp_decoder_buffers *buffers = NULL;
    assert_int_equal(ortp_decoder_buffers_create(NULL, &buffers, &error), ORTP_E_INVAL);
    assert_non_null(strstr(error.message, "model and tensors are required"));
}

int main(void)
{
    if (!test_ort_found()) {
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_struct_keeps_to_its_size),
        cmocka_unit_test(a_message_is_cut_at_the_end_of_the_struct),
        cmocka_unit_test(an_array_has_the_stride_of_its_first),
        cmocka_unit_test(null_is_invalid),
        cmocka_unit_test(a_refused_destroy_says_what_is_in_use),
        cmocka_unit_test(a_failed_create_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
