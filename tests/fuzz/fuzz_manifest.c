/* SPDX-License-Identifier: MIT */
/*
 * model.json, as the manifest and as the swipe workload's settings. What is accepted keeps every promise of
 * model.h and swipe_features.h; what is refused says file and reason; nothing is left allocated. The
 * first byte: how many allocations succeed, and the limit of the budget.
 */
#include "fuzz.h"

#include "counting_alloc.h"

#include <ortpool/model.h>
#include <ortpool/swipe_features.h>

#include <math.h>
#include <string.h>

static void check_error(ortp_status status, const ortp_error *error)
{
    MUST(status == ORTP_E_INVAL || status == ORTP_E_NOMEM || status == ORTP_E_BUDGET);
    MUST(error->status == status);
    MUST(strstr(error->message, "model.json") != NULL);
}

static void check_token(const ortp_manifest *m, int32_t token)
{
    MUST(token >= 0 && (size_t)token < m->vocabulary);
}

static void check_manifest(const ortp_manifest *m)
{
    MUST(m->name[0] != '\0' && m->min_ort[0] != '\0');
    MUST(strncmp(m->encoder_path, m->directory, strlen(m->directory)) == 0);
    MUST(strncmp(m->decoder_path, m->directory, strlen(m->directory)) == 0);
    MUST(m->encoder.features != NULL && m->encoder.memory != NULL);
    MUST(m->encoder.length != NULL || m->encoder.source_mask != NULL);
    MUST(m->decoder.memory != NULL && m->decoder.tokens != NULL && m->decoder.logits != NULL);
    MUST(m->decoder.length != NULL || m->decoder.source_mask != NULL);
    MUST(m->max_points >= 1 && m->features >= 1 && m->hidden >= 1 && m->max_tokens >= 2);
    MUST(m->bucket_count >= 1 && m->bucket_count <= ORTP_BUCKETS_MAX);
    MUST(m->buckets[m->bucket_count - 1] == m->max_points);
    for (size_t i = 1; i < m->bucket_count; i++) {
        MUST(m->buckets[i] > m->buckets[i - 1]);
    }
    MUST(ortp_manifest_bucket(m, m->max_points) == m->max_points);
    MUST(ortp_manifest_bucket(m, m->max_points + 1) == 0);
    check_token(m, m->pad);
    check_token(m, m->unk);
    check_token(m, m->sos);
    check_token(m, m->eos);
    MUST(m->sos != m->eos && m->pad != m->eos);
    MUST(m->beam_width >= 1 && m->beam_width <= 32);
    MUST(isfinite(m->length_reward) && m->length_alpha >= 0 && m->stop_margin >= 0);
    MUST(isfinite(m->ctc_weight) && m->ctc_weight >= 0);
    MUST(m->ctc_weight == 0 || m->encoder.ctc != NULL);
    MUST(m->encoder.ctc == NULL ||
         (m->encoder.ctc[0] != '\0' && strcmp(m->encoder.ctc, m->encoder.memory) != 0));
}

static void check_config(const ortp_swipe_config *c)
{
    MUST(c->max_points >= 1 && c->first_letter >= 0);
    MUST(c->layout.key_count >= 1 && c->layout.key_count <= 26);
    MUST(c->layout.rows >= 1 && c->layout.columns >= 1);
    for (size_t i = 0; i < c->layout.key_count; i++) {
        MUST(c->layout.keys[i].letter >= 'a' && c->layout.keys[i].letter <= 'z');
        MUST(isfinite(c->layout.keys[i].x) && isfinite(c->layout.keys[i].y));
    }
    MUST(c->min_dt_s > 0 && c->divide_by > 0);
    MUST(isfinite(c->look_ahead) && c->look_ahead >= 0);
    MUST(memchr(c->lexicon_path, '\0', sizeof c->lexicon_path) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    fuzz_write("model.json", data + 1, size - 1);
    counting_alloc counting = {0};
    const ortp_alloc alloc = counting_alloc_use(&counting);
    ortp_budget_options options = ORTP_BUDGET_OPTIONS_INIT;
    options.limit_bytes = data[0] >= 0xf0 ? 1024u + 64u * (data[0] & 15u) : 0;
    ortp_budget *budget = NULL;
    MUST(ortp_budget_create(&options, &budget, NULL) == ORTP_OK);
    counting_alloc_fail(&counting, data[0] < 4 ? data[0] : 0, false);

    ortp_manifest *manifest = NULL;
    ortp_error error = ORTP_ERROR_INIT;
    ortp_status status = ortp_manifest_create(
        &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                       .directory = fuzz_folder(),
                                       .budget = budget,
                                       .alloc = alloc},
        &manifest, &error);
    if (status == ORTP_OK) {
        check_manifest(manifest);
    } else {
        MUST(manifest == NULL);
        check_error(status, &error);
    }
    ortp_manifest_destroy(manifest, NULL);
    MUST(counting.live_blocks == 0 && counting.errors == 0);
    MUST(ortp_budget_destroy(budget, NULL) == ORTP_OK); /* nothing charged */

    ortp_swipe_config config = ORTP_SWIPE_CONFIG_INIT;
    error = (ortp_error)ORTP_ERROR_INIT;
    status = ortp_swipe_config_load(fuzz_folder(), &config, &error);
    if (status == ORTP_OK) {
        check_config(&config);
    } else {
        check_error(status, &error);
    }
    return 0;
}
