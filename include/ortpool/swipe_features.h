/* SPDX-License-Identifier: MIT */
/*
 * From a swipe to what the encoder reads: keyboard layout and feature scaling, both from the
 * manifest.
 *
 * Positions are normalised to the letter area (its rows, nothing below): nx = x / width,
 * ny = y / height. Key centre of column c in row r: ((c + 0.5 + offset[r]) / columns,
 * (r + 0.5) / rows). The six features of a point: position x, y (2n - 1), velocity x, y,
 * acceleration x, y. v[i] = delta n / max(dt, min_dt_s), v[0] = 0; a[i] = v[i] - v[i-1], a[0] = 0,
 * from the unclamped v; both clamped, then divided. Nearest key: by squared distance in key units.
 */
#ifndef ORTPOOL_SWIPE_FEATURES_H
#define ORTPOOL_SWIPE_FEATURES_H

#include <ortpool/budget.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORTP_SWIPE_FEATURES 6u
#define ORTP_KEYS_MAX 64u

typedef struct ortp_layout {
    size_t rows;
    size_t columns; /* key widths across the letter area */
    size_t
        key_count; /* 1 to 26, in the order of the alphabet: of two equally near, the first wins */
    struct {
        char letter; /* 'a' to 'z', each at most once */
        double x, y; /* centre, normalised */
    } keys[ORTP_KEYS_MAX];
} ortp_layout;

/* What the swipe workload reads from a manifest: everything that is not the model itself. */
typedef struct ortp_swipe_config {
    size_t struct_size;
    ortp_layout layout;
    int32_t first_letter; /* token of 'a' */
    size_t max_points;    /* longer swipes are resampled by index to this many */
    double min_dt_s;
    double velocity_clamp, acceleration_clamp, divide_by;
    /*
     * Of a word's final score, see lexicon.h: frequency_weight * ln(count + 1), or with a count_limit
     * frequency_weight * ln((count + 1) / (1 + (count + 1) / count_limit)).
     */
    double frequency_weight;
    double count_limit; /* default 0: none */
    double look_ahead;  /* of what a beam may still become; default 0 */
    double free_score;  /* of words outside the lexicon; default 0: none */
    /* Of a candidate, see predictor.h. */
    double shape_weight;     /* the score less that times the distance of shapes; default 0 */
    double temperature;      /* of the confidence; 0, the default: 1 */
    char lexicon_path[1024]; /* directory joined */
} ortp_swipe_config;
#define ORTP_SWIPE_CONFIG_INIT ORTP_STRUCT_INIT(ortp_swipe_config)

/*
 * Reads directory/model.json. Errors name file, field and what was expected: NOTFOUND, INVAL,
 * VERSION, NOMEM, SYS (the file cannot be read). *out is meaningful with ORTP_OK only.
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_swipe_config_load(const char *directory,
                                                       ortp_swipe_config *out, ortp_error *error);

/* Borrowed for a call. x, y in pixels of the letter area (points outside are legal, up to a million
 * times its size), t in ms. */
typedef struct ortp_swipe {
    const double *x, *y, *t;
    size_t count;
    double width, height; /* of the letter area in pixels */
} ortp_swipe;

#define ORTP_SWIPE_POINTS_MAX 100000u

/*
 * Writes features [*length, 6] and keys [*length]; both must have room for config->max_points rows.
 * More points than that are resampled linearly by index, both ends kept.
 * Errors: INVAL with field and index (no points, more than ORTP_SWIPE_POINTS_MAX, NaN or infinity,
 * a time before the one before it, width or height not positive). Makes no allocation.
 * Thread-safe: yes.
 */
ORTP_API ORTP_CHECK ortp_status ortp_swipe_features(const ortp_swipe_config *config,
                                                    const ortp_swipe *swipe, float *features,
                                                    int32_t *keys, size_t *length,
                                                    ortp_error *error);

#ifdef __cplusplus
}
#endif
#endif
