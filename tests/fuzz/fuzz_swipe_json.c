/* SPDX-License-Identifier: MIT */
/*
 * One line of input. The first byte: whether a word is wanted. An accepted row is consistent, its features
 * are finite or refused with a message; a refused one has a message.
 */
#include "fuzz.h"
#include "swipe_json.h"

#include <ortpool/swipe_features.h>

#include <math.h>
#include <string.h>

/* Two rows of keys, so that the features need no file. */
static ortp_swipe_config config_of(void)
{
    ortp_swipe_config config = {.max_points = 64,
                                .min_dt_s = 0.004,
                                .velocity_clamp = 10,
                                .acceleration_clamp = 10,
                                .divide_by = 3,
                                .first_letter = 4};
    config.layout.rows = 2;
    config.layout.columns = 13;
    config.layout.key_count = 26;
    for (size_t i = 0; i < 26; i++) {
        config.layout.keys[i].letter = (char)('a' + i);
        config.layout.keys[i].x = ((double)(i % 13) + 0.5) / 13;
        config.layout.keys[i].y = i < 13 ? 0.25 : 0.75;
    }
    return config;
}

static void check_features(const swipe_row *row)
{
    const ortp_swipe_config config = config_of();
    const ortp_swipe swipe = {row->x, row->y, row->t, row->count, row->width, row->height};
    float features[64 * ORTP_SWIPE_FEATURES];
    int32_t keys[64];
    size_t length = 0;
    ortp_error error = ORTP_ERROR_INIT;
    const ortp_status status =
        ortp_swipe_features(&config, &swipe, features, keys, &length, &error);
    if (status != ORTP_OK) {
        MUST(status == ORTP_E_INVAL);
        MUST(error.message[0] != '\0');
        return;
    }
    MUST(length >= 1 && length <= 64);
    for (size_t i = 0; i < length; i++) {
        MUST(keys[i] >= 4 && keys[i] < 30);
        for (size_t k = 0; k < ORTP_SWIPE_FEATURES; k++) {
            MUST(isfinite(features[i * ORTP_SWIPE_FEATURES + k]));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    static swipe_row row; /* kept from line to line, as the command does */
    char message[256] = "";
    if (swipe_row_parse(&row, (const char *)data + 1, size - 1, data[0] % 2 == 1, message,
                        sizeof message)) {
        MUST(row.count <= row.capacity && (row.count == 0 || row.x != NULL));
        MUST(data[0] % 2 == 0 || row.word != NULL);
        check_features(&row);
    } else {
        MUST(message[0] != '\0');
    }
    if (data[0] % 4 >= 2) {
        swipe_row_free(&row);
    }
    return 0;
}
