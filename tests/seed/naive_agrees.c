/* SPDX-License-Identifier: MIT */
/*
 * That the usual code predicts what ortpool does; the seed's comparisons stand on it. Their own model need
 * not have every setting of a search: tests/graphs/weighed has.
 *
 * usage: naive_agrees MODEL...
 */
#include "naive.h"

#include <stdlib.h>

static bool predictions_agree(naive *n, ortp_predictor *predictor, const seed_samples *samples)
{
    bool ok = true;
    for (size_t i = 0; ok && i < samples->count; i++) {
        const seed_sample *sample = &samples->items[i];
        ortp_prediction prediction = ORTP_PREDICTION_INIT;
        naive_words words = {NULL, 0};
        ok = naive_predict(n, &sample->swipe, &words) &&
             seed_predict(predictor, &sample->swipe, &prediction) &&
             naive_agrees(&words, &prediction, sample->word);
        naive_words_free(&words);
    }
    return ok;
}

static bool model_agrees(const OrtApi *api, OrtEnv *env, const seed_samples *samples,
                         const char *directory, ortp_path path)
{
    seed_world world;
    if (!seed_world_open(&world, api, ORTP_POOL_THREAD_CACHED, 0)) {
        return false;
    }
    ortp_predictor *predictor = seed_predictor(
        &world, &(seed_setup){.model_directory = directory, .path = path, .cache_off = true});
    naive *n = predictor ? naive_create(api, env, predictor, path) : NULL;
    bool ok = n && predictions_agree(n, predictor, samples);
    naive_destroy(n);
    ortp_predictor_destroy(predictor, NULL);
    return seed_world_close(&world) && ok;
}

int main(int argc, char **argv)
{
    const OrtApi *api = seed_open_ort();
    seed_samples samples;
    OrtEnv *env = NULL;
    if (api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "naive", &env)) {
        return seed_red("no environment");
    }
    if (!seed_samples_load(&samples)) {
        return seed_red("no swipes");
    }
    bool ok = argc > 1;
    for (int i = 1; i < argc; i++) {
        const bool well = model_agrees(api, env, &samples, argv[i], ORTP_PATH_BATCHED) &&
                          model_agrees(api, env, &samples, argv[i], ORTP_PATH_SEQUENTIAL);
        printf("%s: %s\n", argv[i], well ? "the same words" : "OTHER WORDS");
        ok = ok && well;
    }
    seed_samples_free(&samples);
    api->ReleaseEnv(env);
    return ok ? seed_green("the same words with all models") : seed_red("other words");
}
