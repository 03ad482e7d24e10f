/* SPDX-License-Identifier: MIT */
/* Shapes of swipes and of words, and how far they are apart: see swipe_shape.h. */
#include "internal.h"

#include <ortpool/swipe_shape.h>

#include <math.h>

#define POINTS ORTP_SWIPE_SHAPE_POINTS

typedef struct place {
    double x, y;
} place;

/* Lays points at equal distances, one corner after the other. */
typedef struct walk {
    ortp_swipe_shape *out;
    double step; /* between points */
    double gone; /* from the first corner to `at` */
    size_t count;
    place at;
} walk;

static double distance(place a, place b)
{
    return hypot(b.x - a.x, b.y - a.y);
}

static void lay(walk *w, place p)
{
    w->out->x[w->count] = p.x;
    w->out->y[w->count] = p.y;
    w->count++;
}

static void walk_to(walk *w, place corner)
{
    const double length = distance(w->at, corner);
    while (w->count + 1 < POINTS && w->step > 0.0 &&
           (double)w->count * w->step <= w->gone + length) {
        const double share = length > 0.0 ? ((double)w->count * w->step - w->gone) / length : 0.0;
        lay(w, (place){w->at.x + share * (corner.x - w->at.x),
                       w->at.y + share * (corner.y - w->at.y)});
    }
    w->gone += length;
    w->at = corner;
}

/* What no step reached: the last point, and all of them where nothing moves. */
static void walk_end(walk *w)
{
    while (w->count < POINTS) {
        lay(w, w->at);
    }
}

static place point_of(const ortp_swipe_config *config, const float *row)
{
    return (place){((double)row[0] + 1.0) / 2.0 * (double)config->layout.columns,
                   ((double)row[1] + 1.0) / 2.0 * (double)config->layout.rows};
}

ortp_status ortp_swipe_shape_of(const ortp_swipe_config *config, const float *features,
                                size_t length, ortp_swipe_shape *out)
{
    ortp_swipe_shape shape = ORTP_SWIPE_SHAPE_INIT;
    double whole = 0.0;
    for (size_t i = 1; i < length; i++) {
        whole += distance(point_of(config, features + (i - 1) * ORTP_SWIPE_FEATURES),
                          point_of(config, features + i * ORTP_SWIPE_FEATURES));
    }
    walk w = {.out = &shape, .step = whole / (POINTS - 1), .at = point_of(config, features)};
    for (size_t i = 0; i < length; i++) {
        walk_to(&w, point_of(config, features + i * ORTP_SWIPE_FEATURES));
    }
    walk_end(&w);
    return ortp__out_fill(out, &shape, sizeof shape);
}

/* The next key of a word from `*letter` on; false at its end. Letters that the layout lacks are passed over. */
static bool next_key(const ortp_layout *layout, const char **letter, place *out)
{
    for (; **letter != '\0'; (*letter)++) {
        for (size_t i = 0; i < layout->key_count; i++) {
            if (layout->keys[i].letter == **letter) {
                *out = (place){layout->keys[i].x * (double)layout->columns,
                               layout->keys[i].y * (double)layout->rows};
                (*letter)++;
                return true;
            }
        }
    }
    return false;
}

double ortp_swipe_shape_distance(const ortp_swipe_config *config, const ortp_swipe_shape *shape,
                                 const char *word)
{
    const char *letter = word;
    place before;
    place key;
    if (!next_key(&config->layout, &letter, &before)) {
        return 0.0;
    }
    double whole = 0.0;
    ortp_swipe_shape ideal = ORTP_SWIPE_SHAPE_INIT;
    walk w = {.out = &ideal, .at = before};
    while (next_key(&config->layout, &letter, &key)) {
        whole += distance(before, key);
        before = key;
    }
    w.step = whole / (POINTS - 1);
    letter = word;
    while (next_key(&config->layout, &letter, &key)) {
        walk_to(&w, key);
    }
    walk_end(&w);
    double sum = 0.0;
    for (size_t i = 0; i < POINTS; i++) {
        sum += hypot(shape->x[i] - ideal.x[i], shape->y[i] - ideal.y[i]);
    }
    return sum / POINTS;
}
