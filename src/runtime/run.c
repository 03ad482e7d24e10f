/* SPDX-License-Identifier: MIT */
/*
 * The run: finds out what it needs, is admitted with a ticket, enters ORT, remembers what it
 * needed.
 */
#include "session_internal.h"

#include "admission.h"
#include "growable.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

#define REPEATS_MAX 8        /* each for more than the one before */
#define SHAPE_DATA_SINCE 24u /* the API that gives a value's shape without an allocation */

/* What Run is called with. */
typedef struct call {
    const OrtRunOptions *options;
    const char *const *input_names;
    const OrtValue *const *inputs;
    size_t input_count;
    const char *const *output_names;
    OrtValue **outputs;
    size_t output_count;
} call;

/* ---- the key: shapes of the inputs, which outputs, and which of them ORT allocates ---- */

static uint64_t hash_dims(const int64_t *dims, size_t count, uint64_t seed)
{
    return XXH3_64bits_withSeed(dims, count * sizeof *dims, seed + count);
}

static uint64_t hash_shape_info(const OrtApi *api, const OrtValue *value, uint64_t seed)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    OrtStatus *status = api->GetTensorTypeAndShape(value, &info);
    int64_t dims[ORTP_RANK_MAX] = {0};
    size_t count = 0;
    if (!status) {
        status = api->GetDimensionsCount(info, &count);
    }
    count = count < ORTP_RANK_MAX ? count : ORTP_RANK_MAX;
    if (!status) {
        status = api->GetDimensions(info, dims, count);
    }
    if (info) {
        api->ReleaseTensorTypeAndShapeInfo(info);
    }
    if (status) { /* a value whose shape is not told has a need all the same */
        api->ReleaseStatus(status);
        count = 0;
    }
    return hash_dims(dims, count, seed);
}

static uint64_t hash_shape(const ortp_runtime *runtime, const OrtValue *value, uint64_t seed)
{
    const OrtApi *api = runtime->api;
    int tensor = 0;
    OrtStatus *status = api->IsTensor(value, &tensor);
    if (status) {
        api->ReleaseStatus(status);
    }
    if (!tensor) {
        return seed;
    }
    if (runtime->api_version < SHAPE_DATA_SINCE) {
        return hash_shape_info(api, value, seed);
    }
    ONNXTensorElementDataType type;
    const int64_t *dims = NULL;
    size_t count = 0;
    status = api->GetTensorElementTypeAndShapeDataReference(value, &type, &dims, &count);
    if (status) {
        api->ReleaseStatus(status);
        return seed;
    }
    return hash_dims(dims, count, seed);
}

static uint64_t key_of(const ortp_session *session, const call *c)
{
    uint64_t key = 0;
    for (size_t i = 0; i < c->output_count; i++) {
        const char *name = c->output_names[i];
        key = XXH3_64bits_withSeed(name, strlen(name), key + (c->outputs[i] ? 1u : 0u));
    }
    for (size_t i = 0; i < c->input_count && !session->fixed_shapes; i++) {
        key = hash_shape(session->runtime, c->inputs[i], key);
    }
    return key;
}

/* ---- the run ---- */

static ortp_status enter(ortp_session *session, const call *c, ortp_error *error)
{
    const OrtApi *api = session->runtime->api;
    const uint64_t denials = ortp__session_denials(session);
    OrtStatus *status = api->Run(session->ort, c->options, c->input_names, c->inputs,
                                 c->input_count, c->output_names, c->output_count, c->outputs);
    return ortp__session_take_status(session, status, denials, error);
}

/* How far a run came. */
typedef struct attempt {
    bool entered;  /* ORT */
    size_t wanted; /* what it was refused there; 0: nothing, or what nobody could grant */
} attempt;

static ortp_status run_with_ticket(ortp_session *session, const call *c, uint64_t key,
                                   const ortp__patience *patience, attempt *out, ortp_error *error)
{
    const ortp__need need = ortp__needs_get(&session->needs, key);
    const bool wishes = need.wanted > need.bytes;
    *out = (attempt){false, 0};
    ortp__ticket *ticket;
    ortp_status status =
        ortp__admit(session, wishes ? need.wanted : need.bytes, patience, &ticket, error);
    if (status != ORTP_OK) {
        if (wishes) {
            ortp__needs_wish(&session->needs, key, 0);
        }
        return status;
    }
    out->entered = true;
    ortp__allocator_enter(session->allocator);
    (void)atomic_fetch_add_explicit(&session->runtime->running, 1, memory_order_relaxed);
    ticket->escapes = need.escapes;
    ortp__ticket_begin(ticket);
    status = enter(session, c, error);
    ortp__ticket_end(ticket);
    ortp__ticket_left left;
    ortp__ticket_close(ticket, &left);
    if (status != ORTP_OK && left.wanted > 0) {
        ortp__needs_wish(&session->needs, key, left.wanted);
        out->wanted = left.wanted < ORTP__WISH_MAX ? left.wanted : 0;
    } else if (status == ORTP_OK &&
               (left.need > need.bytes || need.wanted > 0 ||
                memcmp(&left.escapes, &need.escapes, sizeof left.escapes) != 0)) {
        const ortp__need learned = {.key = key, .bytes = left.need, .escapes = left.escapes};
        ortp__needs_learn(&session->needs, &learned);
    }
    (void)atomic_fetch_sub_explicit(&session->runtime->running, 1, memory_order_relaxed);
    ortp__allocator_leave(session->allocator);
    ortp__admission_tell(session->runtime);
    return status;
}

/*
 * Again, where ORT was refused in the middle, since a run may be repeated: at once, a few times,
 * where the next one asks for what was wanted before it enters, when tensors and cache can be got
 * out of the way; and with patience.
 */
static ortp_status run_patiently(ortp_session *session, const call *c, uint64_t key,
                                 const ortp__patience *patience, ortp_error *error)
{
    for (;;) {
        attempt done;
        size_t asked = 0;
        ortp_status status = run_with_ticket(session, c, key, patience, &done, error);
        for (int i = 0; i < REPEATS_MAX && status == ORTP_E_BUDGET && done.wanted > asked; i++) {
            asked = done.wanted;
            status = run_with_ticket(session, c, key, patience, &done, error);
        }
        if (status != ORTP_E_BUDGET || !done.entered || patience->deadline_ms == 0) {
            return status;
        }
        status = ortp__wait_for_room(session->runtime, patience);
        if (status != ORTP_OK) {
            (void)atomic_fetch_add_explicit(&session->turned_away, 1, memory_order_relaxed);
            return ortp__fail(error, status, "%s: waiting for memory: %s", session->name,
                              ortp_status_text(status));
        }
    }
}

static ortp_status perform(ortp_session *session, const call *c, uint64_t key,
                           const ortp__patience *patience, ortp_error *error)
{
    const ortp_status status = session->allocator ? run_patiently(session, c, key, patience, error)
                                                  : enter(session, c, error);
    if (status == ORTP_OK) {
        (void)atomic_fetch_add_explicit(&session->runs, 1, memory_order_relaxed);
    }
    return status;
}

ortp_status ortp__session_run_keyed(ortp_session *session, uint64_t key,
                                    const ortp__patience *patience, const OrtValue *const *inputs,
                                    const ortp__outputs *outputs, ortp_error *error)
{
    const call c = {session->run_options,  session->inputs.names, inputs,
                    session->inputs.count, outputs->names,        outputs->values,
                    outputs->count};
    return perform(session, &c, key, patience, error);
}

/* One side of a call against the session's; `names` may be replaced by the session's own. */
static ortp_status check_side(const ortp_session *session, const char *what,
                              const ortp__ports *ports, const char *const **names, bool values,
                              size_t count, ortp_error *error)
{
    if (*names == NULL && count != ports->count) {
        return ortp__fail(error, ORTP_E_INVAL,
                          "session: %s: %zu %ss given without names; the graph has %zu",
                          session->name, count, what, ports->count);
    }
    if (*names == NULL) {
        *names = ports->names;
    }
    if (!values && count > 0) {
        return ortp__fail(error, ORTP_E_INVAL, "session: %s: the %ss are NULL", session->name,
                          what);
    }
    for (size_t i = 0; i < count; i++) {
        if ((*names)[i] == NULL) {
            return ortp__fail(error, ORTP_E_INVAL, "session: %s: %s %zu has no name", session->name,
                              what, i);
        }
    }
    return ORTP_OK;
}

static ortp_status check_call(const ortp_session *session, call *c, ortp_error *error)
{
    ortp_status status = check_side(session, "input", &session->inputs, &c->input_names,
                                    c->inputs != NULL, c->input_count, error);
    if (status == ORTP_OK) {
        status = check_side(session, "output", &session->outputs, &c->output_names,
                            c->outputs != NULL, c->output_count, error);
    }
    if (status == ORTP_OK && c->output_count == 0) {
        status = ortp__fail(error, ORTP_E_INVAL, "session: %s: no output is asked for",
                            session->name);
    }
    for (size_t i = 0; i < c->input_count && status == ORTP_OK; i++) {
        if (c->inputs[i] == NULL) {
            status = ortp__fail(error, ORTP_E_INVAL, "session: %s: no value for input %s",
                                session->name, c->input_names[i]);
        }
    }
    return status;
}

ortp_status ortp_session_run(ortp_session *session, const ortp_run_options *given,
                             const char *const *input_names, const OrtValue *const *inputs,
                             size_t input_count, const char *const *output_names,
                             OrtValue **outputs, size_t output_count, ortp_error *error)
{
    ortp_run_options options;
    ortp_status status = ortp__options_copy(&options, sizeof(options), given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "session: run " ORTP__OTHER_VERSION);
    }
    if (!session) {
        return ortp__fail(error, ORTP_E_INVAL, "session: NULL cannot run");
    }
    call c = {options.ort ? options.ort : session->run_options,
              input_names,
              inputs,
              input_count,
              output_names,
              outputs,
              output_count};
    status = check_call(session, &c, error);
    if (status != ORTP_OK) {
        return status;
    }
    const uint64_t key = session->allocator ? key_of(session, &c) : 0;
    ortp__patience patience = {.deadline_ms = 0}; /* it does not wait */
    if (options.timeout_ms > 0) {
        patience.deadline_ms =
            ortp__deadline_after(ortp_runtime_now_ms(session->runtime), options.timeout_ms);
    }
    return perform(session, &c, key, &patience, error);
}

ortp_status ortp_session_warm_runs(ortp_session *session, size_t count)
{
    if (!session) {
        return ORTP_E_INVAL;
    }
    const size_t most = ortp__needs_most(&session->needs);
    /* A run whose allocations are small needs none but the block itself. */
    if (!session->allocator || (most == 0 && ortp_session_runs(session) == 0)) {
        return ORTP_OK;
    }
    const size_t bytes = ortp__ticket_block_bytes(most);
    return count > SIZE_MAX / bytes
               ? ORTP_E_INVAL
               : ortp__pool_warm_growable(session->runtime->pool, bytes, count);
}

uint64_t ortp_session_runs(const ortp_session *session)
{
    return atomic_load_explicit(&session->runs, memory_order_relaxed);
}

void ortp__runtime_report(const void *object, ortp__figures *figures)
{
    ortp_runtime *r = (ortp_runtime *)object; /* its lock is taken */
    ortp__lock(&r->mutex);
    ortp__retired sum = r->retired;
    size_t overdraft = 0;
    for (const ortp_session *s = r->first_session; s; s = s->next_session) {
        sum.runs += ortp_session_runs(s);
        sum.waits += atomic_load_explicit(&s->waits, memory_order_relaxed);
        sum.turned_away += atomic_load_explicit(&s->turned_away, memory_order_relaxed);
    }
    for (const ortp__allocator *a = r->allocators; a; a = a->next) {
        sum.allocs += atomic_load_explicit(&a->served.allocs, memory_order_relaxed);
        sum.overflows += atomic_load_explicit(&a->served.overflows, memory_order_relaxed);
        sum.refusals += atomic_load_explicit(&a->served.refusals, memory_order_relaxed);
        sum.outside_allocs += atomic_load_explicit(&a->served.outside_allocs, memory_order_relaxed);
        sum.outside_bytes += atomic_load_explicit(&a->served.outside_bytes, memory_order_relaxed);
        overdraft += atomic_load_explicit(&a->overdraft_bytes, memory_order_relaxed);
    }
    ortp__unlock(&r->mutex);
    ortp_stats *stats = &figures->stats;
    stats->groups |= ORTP_STATS_RUNTIME;
    stats->overdraft += overdraft;
    stats->runs += sum.runs;
    stats->run_waits += sum.waits;
    stats->runs_turned_away += sum.turned_away;
    stats->ort_allocations += sum.allocs;
    stats->ort_overflows += sum.overflows;
    stats->ort_refusals += sum.refusals;
    stats->outside_allocations += sum.outside_allocs;
    stats->outside_bytes += sum.outside_bytes;
}
