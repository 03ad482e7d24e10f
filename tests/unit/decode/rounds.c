/* SPDX-License-Identifier: MIT */
/* See rounds.h. */
#include "rounds.h"

bool step_runs(void)
{
    return test_ort_library()->api_version >= 21;
}

ortp_tensor *encode_round(const fixture *f, size_t round, size_t *length)
{
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_manifest *m = f->manifest;
    const size_t bucket = m->buckets[round % m->bucket_count];
    *length = round % 3 == 0 ? bucket : round % 3 == 1 ? bucket - round % 7 : 1 + round % 5;
    float *features = malloc(*length * m->features * sizeof *features);
    int32_t *keys = malloc(*length * sizeof *keys);
    assert_non_null(features);
    assert_non_null(keys);
    for (size_t k = 0; k < *length * m->features; k++) {
        features[k] = (float)((k * 7 + round * 3) % 17) / 8.0f - 1.0f;
    }
    for (size_t k = 0; k < *length; k++) {
        keys[k] = (int32_t)(4 + (k * 5 + round) % 26);
    }
    const ortp_encoder_input input = {features, keys, *length};
    ortp_tensor *encoded = NULL;
    assert_ok(ortp_model_encode(f->model, &input, &encoded, &error), error);
    free(features);
    free(keys);
    return encoded;
}

void search_round(const fixture *f, ortp_decoder *decoder, size_t round,
                  const ortp_search_params *params, const ortp_constraint *constraint, found *out)
{
    ortp_error error = ORTP_ERROR_INIT;
    size_t length = 0;
    ortp_tensor *encoded = encode_round(f, round, &length);
    out->results[0].struct_size = sizeof out->results[0];
    assert_ok(ortp_decoder_search(decoder, encoded, length, params, constraint, out->results,
                                  RESULTS, &out->count, &error),
              error);
    assert_int_equal(ortp_tensor_release(encoded), ORTP_OK);
    assert_true(out->count > 0);
}

uint64_t values_made(const fixture *f)
{
    ortp_tensor_pool_info info = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(f->tensors, &info);
    return info.creates;
}
