/* SPDX-License-Identifier: MIT */
/*
 * The predictor's life: its parts in order, predictions counted in and out, closing.
 */
#include "model_run.h"
#include "predictor_internal.h"

#include <assert.h>

#define CACHE_ENTRIES 4u
#define CACHE_ENTRIES_MAX 65536u
#define THREADS_MAX 1024u
#define LETTERS 26
#define IDLE_TENSORS_LEAST ((size_t)16 << 20)

/*
 * Entries that may live besides those in the table: each thread may hold the lease of one that was
 * evicted meanwhile, and be about to free another that it evicted itself. Alone it cannot do both.
 */
size_t ortp__entries_beyond(const ortp_predictor *p)
{
    return 2 * p->threads - 1;
}

/*
 * So many bytes of idle tensors that a warmed predictor never drops one: for each bucket the inputs and
 * outputs of `threads` encoder runs and the outputs in the cache.
 */
static size_t idle_tensor_bytes(const ortp_manifest *m, size_t threads, size_t cache_entries)
{
    const size_t input = m->features * sizeof(float) + 2 * sizeof(int64_t);
    const size_t cross = m->step.cross_count * m->step.kv_heads * m->step.kv_size;
    const size_t read = cross > m->hidden ? cross : m->hidden;
    const size_t output = (read + (m->encoder.ctc != NULL ? m->vocabulary : 0)) * sizeof(float);
    const size_t row = threads * input + (2 * threads + cache_entries) * output;
    size_t rows = 0;
    for (size_t i = 0; i < m->bucket_count; i++) {
        rows += m->buckets[i];
    }
    const size_t bytes = 2 * rows * row; /* twice: blocks are larger than what is asked for */
    return bytes > IDLE_TENSORS_LEAST ? bytes : IDLE_TENSORS_LEAST;
}

ortp_status ortp__room_take(ortp_runtime *runtime, size_t bytes, void **out)
{
    return ortp__meta_alloc(ortp_runtime_budget(runtime), ortp__runtime_alloc(runtime), bytes,
                            ORTP_RECLAIM_CACHE, out);
}

void ortp__room_give(ortp_runtime *runtime, void *room, size_t bytes)
{
    ortp__meta_free(ortp_runtime_budget(runtime), ortp__runtime_alloc(runtime), room, bytes);
}

static ortp_status make_tensors(ortp_predictor *p, const ortp_manifest *manifest, ortp_error *error)
{
    ortp_tensor_pool_options options = ORTP_TENSOR_POOL_OPTIONS_INIT;
    options.runtime = p->runtime;
    options.idle_bytes_max = idle_tensor_bytes(manifest, p->threads, p->cache_entries);
    return ortp_tensor_pool_create(&options, &p->tensors, error);
}

static ortp_status make_model(ortp_predictor *p, const ortp_predictor_options *given,
                              ortp_error *error)
{
    ortp_model_options options = ORTP_MODEL_OPTIONS_INIT;
    options.runtime = p->runtime;
    options.tensors = p->tensors;
    options.directory = given->model_directory;
    options.ort_memory = given->ort_memory;
    options.memory_patterns = given->memory_patterns;
    options.path = given->path;
    options.intra_threads = 1;
    return ortp_model_create(&options, &p->model, error);
}

/*
 * Greedy stays in the lexicon: it compares neither hopes nor scores, so that a word outside would
 * cost it nothing.
 */
static ortp_status make_lexicon(ortp_predictor *p, ortp_strategy strategy, ortp_error *error)
{
    const bool leaves = strategy != ORTP_STRATEGY_GREEDY;
    ortp_lexicon_options options = ORTP_LEXICON_OPTIONS_INIT;
    options.pool = ortp_runtime_pool(p->runtime);
    options.path = p->config.lexicon_path;
    options.alloc = *ortp__runtime_alloc(p->runtime);
    const ortp_status status = ortp_lexicon_create(&options, &p->lexicon, error);
    if (status != ORTP_OK) {
        return status;
    }
    p->words = (ortp_lexicon_constraint){.struct_size = sizeof p->words,
                                         .lexicon = p->lexicon,
                                         .first_letter = p->config.first_letter,
                                         .weight = p->config.frequency_weight,
                                         .look_ahead = p->config.look_ahead,
                                         .count_limit = p->config.count_limit,
                                         .free_score = leaves ? p->config.free_score : 0.0};
    p->constraint = (ortp_constraint)ORTP_CONSTRAINT_INIT;
    return ortp_lexicon_make_constraint(&p->words, &p->constraint);
}

static ortp_status make_cache(ortp_predictor *p, uint64_t stale_ms, ortp_error *error)
{
    ortp_cache_options options = ORTP_CACHE_OPTIONS_INIT;
    options.pool = ortp_runtime_pool(p->runtime);
    options.entries_max = p->cache_entries;
    options.stale_ms = stale_ms;
    options.disabled = p->cache_entries == 0;
    options.spare_entries = ortp__entries_beyond(p);
    options.alloc = *ortp__runtime_alloc(p->runtime);
    options.clock = *ortp__runtime_clock(p->runtime);
    options.log = *ortp__runtime_log(p->runtime);
    return ortp_cache_create(&options, &p->cache, error);
}

static void make_params(ortp_predictor *p, const ortp_predictor_options *options)
{
    p->params = (ortp_search_params)ORTP_SEARCH_PARAMS_INIT;
    (void)ortp_search_params_from(ortp_model_manifest(p->model), &p->params);
    const bool given = options->path != ORTP_PATH_AUTO;
    p->params.path = given ? options->path : ortp_model_path(p->model);
    p->params.strategy = options->strategy;
    if (options->beam_width > 0) {
        p->params.beam_width = options->beam_width;
    }
    if (options->strategy == ORTP_STRATEGY_GREEDY) {
        p->params.beam_width = 1;
    }
}

static ortp_status make_locks(ortp_predictor *p, ortp_error *error)
{
    if (!ortp__mutex_init(&p->mutex, ORTP_RANK_PREDICTOR)) {
        return ortp__fail(error, ORTP_E_SYS, "predictor: the system refused a lock");
    }
    if (!ortp__cond_init(&p->quiet)) {
        goto fail_mutex;
    }
    if (!ortp__cond_init(&p->returned)) {
        goto fail_quiet;
    }
    p->locks_made = true;
    return ORTP_OK;

fail_quiet:
    ortp__cond_destroy(&p->quiet);
fail_mutex:
    ortp__mutex_destroy(&p->mutex);
    return ortp__fail(error, ORTP_E_SYS, "predictor: the system refused a lock");
}

/*
 * model.json is read once for the workload's settings and again with the model: a file that is replaced
 * in between must not leave arrays of one reading's size to the other's lengths.
 */
static ortp_status check_same(const ortp_swipe_config *config, const ortp_manifest *m,
                              ortp_error *error)
{
    if (config->max_points != m->max_points || m->features != ORTP_SWIPE_FEATURES ||
        m->buckets[m->bucket_count - 1] != config->max_points) {
        return ortp__fail(error, ORTP_E_INVAL, "%s: changed while it was being loaded", m->path);
    }
    return ORTP_OK;
}

/* The letters are 26 tokens of the vocabulary, and none of those with a meaning of their own. */
static ortp_status check_letters(const ortp_swipe_config *config, const ortp_manifest *m,
                                 ortp_error *error)
{
    const int64_t first = config->first_letter;
    const int64_t last = first + LETTERS - 1;
    const struct {
        const char *name;
        int32_t token;
    } taken[] = {{"pad", m->pad}, {"unk", m->unk}, {"sos", m->sos}, {"eos", m->eos}};
    if (first < 0 || (uint64_t)last >= m->vocabulary) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "%s: tokens.first_letter: %d, expected 26 tokens "
                          "from it on in a vocabulary of %zu",
                          m->path, (int)first, m->vocabulary);
    }
    for (size_t i = 0; i < ORTP__COUNT(taken); i++) {
        if (taken[i].token >= first && taken[i].token <= last) {
            return ortp__fail(error, ORTP_E_INVAL,
                              "%s: tokens.first_letter: %d, expected 26 "
                              "tokens from it on without tokens.%s, %d",
                              m->path, (int)first, taken[i].name, (int)taken[i].token);
        }
    }
    return ORTP_OK;
}

static ortp_status check_manifest(const ortp_swipe_config *config, const ortp_manifest *m,
                                  ortp_error *error)
{
    const ortp_status status = check_same(config, m, error);
    return status == ORTP_OK ? check_letters(config, m, error) : status;
}

/* All that comes before the model; cheap checks first: a bad manifest is refused before a graph is
 * loaded. */
static ortp_status make_ground(ortp_predictor *p, const char *directory, ortp_error *error)
{
    ortp_status status = make_locks(p, error);
    if (status == ORTP_OK) {
        p->config = (ortp_swipe_config)ORTP_SWIPE_CONFIG_INIT;
        status = ortp_swipe_config_load(directory, &p->config, error);
    }
    if (status != ORTP_OK) {
        return status;
    }
    ortp_manifest *manifest = NULL;
    status = ortp_manifest_create(
        &(const ortp_manifest_options){.struct_size = sizeof(ortp_manifest_options),
                                       .directory = directory,
                                       .budget = ortp_runtime_budget(p->runtime),
                                       .alloc = *ortp__runtime_alloc(p->runtime)},
        &manifest, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = check_manifest(&p->config, manifest, error);
    if (status == ORTP_OK) {
        status = make_tensors(p, manifest, error);
    }
    (void)ortp_manifest_destroy(manifest, NULL);
    return status;
}

/* The lexicon before the model: what its loading needs for a while does not add to the model's peak. */
static ortp_status make_parts(ortp_predictor *p, const ortp_predictor_options *options,
                              ortp_error *error)
{
    ortp_status status = make_ground(p, options->model_directory, error);
    if (status == ORTP_OK) {
        status = make_lexicon(p, options->strategy, error);
    }
    if (status == ORTP_OK) {
        status = make_model(p, options, error);
    }
    if (status == ORTP_OK) {
        status = check_manifest(&p->config, ortp_model_manifest(p->model), error);
    }
    if (status == ORTP_OK) {
        make_params(p, options);
        status = make_cache(p, options->cache_stale_ms, error);
    }
    if (status == ORTP_OK) {
        status = ortp__warm_plan(p, error);
    }
    if (status == ORTP_OK) {
        status = ortp__state_fill(p, 1, error); /* what cannot be decoded at all is refused now */
    }
    if (status == ORTP_OK) {
        status = ortp_budget_add_reclaimer(ortp_runtime_budget(p->runtime), ORTP_RECLAIM_TENSORS,
                                           ortp__state_reclaim, p, &p->reclaimer);
        if (status != ORTP_OK) {
            (void)ortp__fail(error, status, "predictor: reclaimer: %s", ortp_status_text(status));
        }
    }
    return status;
}

static ortp_status check_options(const ortp_predictor_options *given,
                                 ortp_predictor_options *options, ortp_error *error)
{
    const ortp_status status = ortp__options_copy(options, sizeof *options, given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "ortp_predictor_create: " ORTP__OTHER_VERSION);
    }
    if (options->runtime == NULL || options->model_directory == NULL) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_predictor_create: runtime and model_directory are required");
    }
    if (options->beam_width > ORTP_BEAM_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_predictor_create: beam_width: %zu, expected "
                          "at most %u",
                          options->beam_width, ORTP_BEAM_MAX);
    }
    if (options->path < ORTP_PATH_AUTO || options->path > ORTP_PATH_INCREMENTAL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_predictor_create: path: unknown value");
    }
    if (options->strategy != ORTP_STRATEGY_BEAM && options->strategy != ORTP_STRATEGY_GREEDY) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_predictor_create: strategy: unknown value");
    }
    if (options->cache_entries > CACHE_ENTRIES_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_predictor_create: cache_entries: %zu, "
                          "expected at most %u",
                          options->cache_entries, CACHE_ENTRIES_MAX);
    }
    if (options->threads > THREADS_MAX) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "ortp_predictor_create: threads: %u, expected at "
                          "most %u",
                          options->threads, THREADS_MAX);
    }
    return ORTP_OK;
}

/* BUSY where the host has a lease or an encoder's output; its decoders are the model's to know. */
static ortp_status check_parts(const ortp_predictor *p, ortp_error *error)
{
    ortp_cache_info cache = ORTP_CACHE_INFO_INIT;
    if (p->cache != NULL) {
        (void)ortp_cache_get_info(p->cache, &cache);
        if (cache.leased == 0) {
            (void)ortp_cache_clear(p->cache); /* its entries are tensors that are out */
        }
    }
    ortp_tensor_pool_info tensors = ORTP_TENSOR_POOL_INFO_INIT;
    if (p->tensors != NULL) {
        (void)ortp_tensor_pool_get_info(p->tensors, &tensors);
    }
    if (cache.leased > 0 || tensors.out > 0) {
        return ortp__fail(error, ORTP_E_BUSY,
                          "predictor: %zu entries of its cache are leased, %zu tensors are out",
                          cache.leased, tensors.out);
    }
    return ORTP_OK;
}

/*
 * Frees everything, or ORTP_E_BUSY where the host still uses a part. Up to the model's close,
 * which asks for its decoders, only what is made again goes: idle states and cache entries. The
 * reclaimer goes first, since it would hold states at the wrong moment; a closed predictor needs
 * it no more.
 */
static ortp_status predictor_free(ortp_predictor *p, ortp_error *error)
{
    ortp_runtime *runtime = p->runtime;
    ortp_budget_remove_reclaimer(ortp_runtime_budget(runtime), p->reclaimer);
    p->reclaimer = NULL;
    while (p->locks_made && ortp__state_drop(p)) {
    }
    assert(p->state_count == 0);
    ortp_status status = check_parts(p, error);
    if (status != ORTP_OK) {
        return status;
    }
    status = ortp_model_destroy(p->model, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp__reporter_leave(ortp_runtime_budget(runtime), &p->reporter);
    status = ortp_cache_destroy(p->cache, NULL);
    assert(status == ORTP_OK);
    status = ortp_tensor_pool_destroy(p->tensors, NULL);
    assert(status == ORTP_OK);
    (void)status;
    (void)ortp_lexicon_destroy(p->lexicon, NULL);
    ortp__warm_plan_free(p);
    if (p->locks_made) {
        ortp__cond_destroy(&p->returned);
        ortp__cond_destroy(&p->quiet);
        ortp__mutex_destroy(&p->mutex);
    }
    ortp__room_give(runtime, p, sizeof *p);
    return ORTP_OK;
}

static void report(const void *object, ortp__figures *figures)
{
    ortp_predictor *p = (ortp_predictor *)object; /* its lock is taken */
    ortp__lock(&p->mutex);
    figures->stats.predictions += p->predictions;
    figures->stats.failures += p->failures;
    ortp__unlock(&p->mutex);
    figures->stats.groups |= ORTP_STATS_PREDICTOR;
}

ortp_status ortp_predictor_create(const ortp_predictor_options *given, ortp_predictor **out,
                                  ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "ortp_predictor_create: out is required");
    }
    *out = NULL;
    ortp_predictor_options options;
    ortp_status status = check_options(given, &options, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_runtime *runtime = options.runtime;
    void *memory = NULL;
    status = ortp__room_take(runtime, sizeof(ortp_predictor), &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "predictor: %zu bytes for its struct: %s",
                          sizeof(ortp_predictor), ortp_status_text(status));
    }
    ortp_predictor *p = memory;
    p->runtime = runtime;
    p->threads = options.threads > 0 ? options.threads : 1;
    p->cache_entries = options.cache_off           ? 0
                       : options.cache_entries > 0 ? options.cache_entries
                                                   : CACHE_ENTRIES;
    status = make_parts(p, &options, error);
    if (status != ORTP_OK) {
        const ortp_status freed = predictor_free(p, NULL);
        assert(freed == ORTP_OK);
        (void)freed;
        return status;
    }
    ortp__reporter_join(ortp_runtime_budget(runtime), &p->reporter, report, p);
    *out = p;
    return ORTP_OK;
}

ortp_status ortp__predictor_enter(ortp_predictor *p, ortp_error *error)
{
    ortp__lock(&p->mutex);
    const bool closed = p->closed;
    if (!closed) {
        p->active++;
    }
    ortp__unlock(&p->mutex);
    if (closed) {
        return ortp__fail(error, ORTP_E_CLOSED, "the predictor is closed");
    }
    return ORTP_OK;
}

void ortp__predictor_leave(ortp_predictor *p, ortp__outcome outcome)
{
    ortp__lock(&p->mutex);
    assert(p->active > 0);
    p->active--;
    p->predictions += outcome == ORTP__SUCCEEDED ? 1 : 0;
    p->failures += outcome == ORTP__FAILED ? 1 : 0;
    if (p->active == 0) {
        ortp__cond_broadcast(&p->quiet); /* under the lock: who waits may free it at once */
    }
    ortp__unlock(&p->mutex);
}

ortp_status ortp_predictor_close(ortp_predictor *p, uint64_t timeout_ms)
{
    if (p == NULL) {
        return ORTP_OK;
    }
    const uint64_t deadline = ortp__deadline_after(ortp__now_ms(), timeout_ms);
    ortp__lock(&p->mutex);
    p->closed = true;
    ortp__cond_broadcast(&p->returned);
    bool in_time = true;
    while (p->active > 0 && in_time) {
        if (deadline == UINT64_MAX) {
            ortp__cond_wait(&p->quiet, &p->mutex);
        } else {
            in_time = ortp__cond_wait_until(&p->quiet, &p->mutex, deadline);
        }
    }
    const bool quiet = p->active == 0;
    ortp__unlock(&p->mutex);
    return quiet ? ORTP_OK : ORTP_E_TIMEOUT;
}

ortp_status ortp_predictor_destroy(ortp_predictor *p, ortp_error *error)
{
    if (p == NULL) {
        return ORTP_OK;
    }
    (void)ortp_predictor_close(p, UINT64_MAX);
    return predictor_free(p, error);
}

/* What may stay of `keep` besides `held`. */
static size_t rest(size_t keep, size_t held)
{
    return keep > held ? keep - held : 0;
}

/*
 * What is cheapest to make again goes first: blocks, then tensors, then states one at a time, whose
 * buffers are tensors then. The blocks of what goes are unmapped in the end.
 */
ortp_status ortp_predictor_trim(ortp_predictor *p, size_t keep_bytes, bool drop_cache,
                                size_t *freed_bytes)
{
    if (p == NULL) {
        return ORTP_E_INVAL;
    }
    if (drop_cache) {
        (void)ortp_cache_clear(p->cache);
    }
    size_t states = ortp__state_idle_bytes(p);
    ortp_status status = ortp_tensor_pool_trim(p->tensors, rest(keep_bytes, states), 0, NULL);
    while (status == ORTP_OK && states > keep_bytes && ortp__state_drop(p)) {
        states = ortp__state_idle_bytes(p);
        status = ortp_tensor_pool_trim(p->tensors, rest(keep_bytes, states), 0, NULL);
    }
    if (status != ORTP_OK) {
        return status;
    }
    ortp_tensor_pool_info tensors = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(p->tensors, &tensors);
    const size_t blocks = rest(rest(keep_bytes, states), tensors.idle_bytes);
    return ortp_pool_trim(ortp_runtime_pool(p->runtime), blocks, 0, freed_bytes);
}

const ortp_swipe_config *ortp_predictor_config(const ortp_predictor *predictor)
{
    return &predictor->config;
}

ortp_model *ortp_predictor_model(const ortp_predictor *predictor)
{
    return predictor->model;
}

const ortp_lexicon *ortp_predictor_lexicon(const ortp_predictor *predictor)
{
    return predictor->lexicon;
}

ortp_cache *ortp_predictor_cache(const ortp_predictor *predictor)
{
    return predictor->cache;
}
