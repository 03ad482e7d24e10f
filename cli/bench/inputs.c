/* SPDX-License-Identifier: MIT */
/* See inputs.h. */
#include "inputs.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "commands.h"
#include "random.h"
#include "support.h"

#define MADE_UP 20u /* inputs, unless fewer are wanted */
#define SEED 1u

bool inputs_keyboard(const char *folder)
{
    char path[4200];
    const int length = snprintf(path, sizeof(path), "%s/model.json", folder);
    json_t *manifest = (size_t)length < sizeof(path) ? json_load_file(path, 0, NULL) : NULL;
    const bool keyboard =
        json_object_get(manifest, "layout") != NULL || json_object_get(manifest, "lexicon") != NULL;
    json_decref(manifest);
    return keyboard;
}

static void make_up(input_set *all, const ortp_manifest *m, size_t most)
{
    uint64_t state = SEED;
    all->count = most < MADE_UP ? most : MADE_UP;
    all->points = m->max_points;
    all->width = m->features;
    const size_t numbers = all->count * m->max_points * m->features;
    all->features = calloc(numbers, sizeof(*all->features));
    all->keys = calloc(all->count * m->max_points, sizeof(*all->keys));
    all->lengths = calloc(all->count, sizeof(*all->lengths));
    if (all->features == NULL || all->keys == NULL || all->lengths == NULL) {
        bench_die(m->path, "no memory for its inputs");
    }
    for (size_t i = 0; i < numbers; i++) {
        all->features[i] = (float)(random_unit(&state) + random_unit(&state) - 1);
    }
    /* Keys are tokens: those behind the special ones. */
    for (size_t i = 0; i < all->count * m->max_points; i++) {
        const double part = random_unit(&state);
        const size_t special = m->vocabulary > 8 ? 4 : 0;
        all->keys[i] = (int32_t)(special + (size_t)(part * (double)(m->vocabulary - special)));
    }
    for (size_t i = 0; i < all->count; i++) { /* spread over all lengths, in a mixed order */
        all->lengths[i] = (i * 7 % all->count + 1) * m->max_points / all->count;
        all->lengths[i] = all->lengths[i] > 0 ? all->lengths[i] : 1;
    }
}

void inputs_open(input_set *all, const char *folder, const char *swipes, size_t most)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_manifest *manifest = NULL;
    all->keyboard = inputs_keyboard(folder);
    if (all->keyboard) {
        if (!swipe_file_read(&all->swipes, swipes)) {
            exit(EXIT_SETUP);
        }
        all->count = all->swipes.count < most ? all->swipes.count : most;
        return;
    }
    bench_must(ortp_manifest_create(
                   &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                                  .directory = folder},
                   &manifest, &error),
               &error);
    make_up(all, manifest, most);
    ortp_manifest_destroy(manifest, NULL);
}

way_input inputs_get(const input_set *all, size_t index, ortp_swipe *swipe)
{
    if (all->keyboard) {
        *swipe = swipe_of(&all->swipes.rows[index]);
        return (way_input){.swipe = swipe};
    }
    return (way_input){.features = all->features + index * all->points * all->width,
                       .keys = all->keys + index * all->points,
                       .length = all->lengths[index]};
}

void inputs_close(input_set *all)
{
    swipe_file_free(&all->swipes);
    free(all->features);
    free(all->keys);
    free(all->lengths);
}
