/* SPDX-License-Identifier: MIT */
/*
 * A swipe as the encoder reads it; the definition stands in swipe_features.h.
 *
 * Row i of the output is computed from the input directly: a swipe with too many points is resampled
 * by index while it is read, so no copy of it is ever made.
 */
#include "internal.h"

#include <ortpool/swipe_features.h>

#include <math.h>

/*
 * How far outside a position may lie, in sizes of the letter area. Nobody's finger does; it keeps
 * velocities and accelerations finite whatever the input.
 */
#define OUTSIDE_MAX 1e6

typedef struct sample {
    double x, y; /* normalised */
    double t;    /* seconds */
} sample;

static ortp_status refuse_point(ortp_error *error, const char *field, size_t index,
                                const char *what)
{
    return ortp__fail(error, ORTP_E_INVAL, "swipe: %s[%zu]: %s", field, index, what);
}

static ortp_status check_point(const ortp_swipe *swipe, size_t i, ortp_error *error)
{
    if (!isfinite(swipe->x[i])) {
        return refuse_point(error, "x", i, "expected a finite number");
    }
    if (!isfinite(swipe->y[i])) {
        return refuse_point(error, "y", i, "expected a finite number");
    }
    if (!isfinite(swipe->t[i])) {
        return refuse_point(error, "t", i, "expected a finite number");
    }
    if (!(fabs(swipe->x[i] / swipe->width) <= OUTSIDE_MAX)) {
        return refuse_point(error, "x", i,
                            "more than a million widths outside the letter area, expected less");
    }
    if (!(fabs(swipe->y[i] / swipe->height) <= OUTSIDE_MAX)) {
        return refuse_point(error, "y", i,
                            "more than a million heights outside the letter area, expected less");
    }
    if (i > 0 && swipe->t[i] < swipe->t[i - 1]) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "swipe: t[%zu]: %.15g, earlier than the point before it, expected "
                          "%.15g or later",
                          i, swipe->t[i], swipe->t[i - 1]);
    }
    return ORTP_OK;
}

static ortp_status check_swipe(const ortp_swipe *swipe, ortp_error *error)
{
    if (swipe->count == 0) {
        return ortp__fail(error, ORTP_E_INVAL, "swipe: no points, expected 1 to %u",
                          ORTP_SWIPE_POINTS_MAX);
    }
    if (swipe->count > ORTP_SWIPE_POINTS_MAX) {
        return ortp__fail(error, ORTP_E_INVAL, "swipe: %zu points, expected at most %u",
                          swipe->count, ORTP_SWIPE_POINTS_MAX);
    }
    if (swipe->x == NULL || swipe->y == NULL || swipe->t == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "swipe: x, y and t are required");
    }
    if (!isfinite(swipe->width) || swipe->width <= 0.0) {
        return ortp__fail(error, ORTP_E_INVAL, "swipe: width: %g, expected a number above 0",
                          swipe->width);
    }
    if (!isfinite(swipe->height) || swipe->height <= 0.0) {
        return ortp__fail(error, ORTP_E_INVAL, "swipe: height: %g, expected a number above 0",
                          swipe->height);
    }
    for (size_t i = 0; i < swipe->count; i++) {
        const ortp_status status = check_point(swipe, i, error);
        if (status != ORTP_OK) {
            return status;
        }
    }
    return ORTP_OK;
}

static sample point(const ortp_swipe *swipe, size_t i)
{
    return (sample){swipe->x[i] / swipe->width, swipe->y[i] / swipe->height, swipe->t[i] / 1000.0};
}

/* As a weighted mean and not as a slope: the difference of two finite numbers may be infinite. */
static double between(double a, double b, double share)
{
    return share == 0.0 ? a : a * (1.0 - share) + b * share;
}

/* Row `row` of `rows`: the point itself, or between two points where there are too many. */
static sample sample_at(const ortp_swipe *swipe, size_t row, size_t rows)
{
    if (rows == swipe->count) {
        return point(swipe, row);
    }
    if (row + 1 == rows && rows > 1) {
        return point(swipe, swipe->count - 1);
    }
    const double step = rows > 1 ? (double)(swipe->count - 1) / (double)(rows - 1) : 0.0;
    const double position = (double)row * step;
    const size_t before = (size_t)position; /* below count - 1: the last row is taken above */
    const double share = position - (double)before;
    const sample a = point(swipe, before);
    const sample b = point(swipe, before + 1);
    return (sample){between(a.x, b.x, share), between(a.y, b.y, share), between(a.t, b.t, share)};
}

static float scaled(double value, double clamp, double divide_by)
{
    return (float)(fmax(-clamp, fmin(clamp, value)) / divide_by);
}

static int32_t nearest_key(const ortp_swipe_config *config, const sample *at)
{
    const ortp_layout *layout = &config->layout;
    double least = HUGE_VAL;
    char letter = 'a';
    for (size_t i = 0; i < layout->key_count; i++) {
        const double dx = (at->x - layout->keys[i].x) * (double)layout->columns;
        const double dy = (at->y - layout->keys[i].y) * (double)layout->rows;
        const double distance = dx * dx + dy * dy;
        if (distance < least) {
            least = distance;
            letter = layout->keys[i].letter;
        }
    }
    return config->first_letter + (letter - 'a');
}

ortp_status ortp_swipe_features(const ortp_swipe_config *config, const ortp_swipe *swipe,
                                float *features, int32_t *keys, size_t *length, ortp_error *error)
{
    if (config == NULL || swipe == NULL || features == NULL || keys == NULL || length == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_swipe_features: an argument is NULL");
    }
    *length = 0;
    const ortp_status status = check_swipe(swipe, error);
    if (status != ORTP_OK) {
        return status;
    }
    const size_t rows = swipe->count < config->max_points ? swipe->count : config->max_points;
    sample last = {0};
    double last_vx = 0.0;
    double last_vy = 0.0;
    for (size_t i = 0; i < rows; i++) {
        const sample now = sample_at(swipe, i, rows);
        const double dt = i == 0 ? config->min_dt_s : fmax(now.t - last.t, config->min_dt_s);
        const double vx = i == 0 ? 0.0 : (now.x - last.x) / dt;
        const double vy = i == 0 ? 0.0 : (now.y - last.y) / dt;
        float *row = features + i * ORTP_SWIPE_FEATURES;
        row[0] = (float)(2.0 * now.x - 1.0);
        row[1] = (float)(2.0 * now.y - 1.0);
        row[2] = scaled(vx, config->velocity_clamp, config->divide_by);
        row[3] = scaled(vy, config->velocity_clamp, config->divide_by);
        row[4] = scaled(vx - last_vx, config->acceleration_clamp, config->divide_by);
        row[5] = scaled(vy - last_vy, config->acceleration_clamp, config->divide_by);
        keys[i] = nearest_key(config, &now);
        last = now;
        last_vx = vx;
        last_vy = vy;
    }
    *length = rows;
    return ORTP_OK;
}
