/* SPDX-License-Identifier: MIT */
/*
 * What is declared for a session: estimated before ORT is asked, corrected to what it then holds
 * where no allocator of ours sees it.
 */
#include "session_internal.h"

#include "graph_bytes.h"

/*
 * What the process grew by while a session was created is an estimate that other threads'
 * allocations spoil. Weights, their packed copies and the graph itself measured 1.0 to 1.6 times
 * the file, and a small graph costs a few MiB of first use; above these bounds it was somebody
 * else.
 */
#define GROWTH_FACTOR_MAX 4u
#define GROWTH_BASE_MAX ((uint64_t)8 << 20)

/* Charges `more` declared bytes to the session; the error says what limit would do. */
static ortp_status declare(ortp_session *session, size_t more, ortp_error *error)
{
    ortp_budget *budget = session->runtime->budget;
    ortp_status status =
        ortp_budget_charge(budget, ORTP_ACCOUNT_DECLARED, more, ORTP_RECLAIM_CACHE);
    if (status == ORTP_OK) {
        session->declared_bytes += more;
        return ORTP_OK;
    }
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    /* While ORT packs weights it holds both copies, the second in memory of ours. */
    const bool packs = session->memory == ORTP_ORT_MEMORY_POOL && !session->disable_prepacking;
    const size_t packed = packs && session->declared_bytes == 0 ? more + more / 2 : 0;
    const size_t most = SIZE_MAX / 4;
    const bool countable = info.charged_bytes < most && more < most;
    const size_t would_do = countable ? info.charged_bytes + more + packed : SIZE_MAX;
    return ortp__fail(
        error, status,
        "session: %s needs %zu bytes for its weights; %zu of %zu are charged, a limit "
        "of %zu would do",
        session->name, session->declared_bytes + more, info.charged_bytes, info.limit_bytes,
        would_do);
}

ortp_status ortp__declared_estimate(ortp_session *session, const ortp_session_options *options,
                                    ortp_error *error)
{
    uint64_t graph_bytes = 0;
    if (options->path) {
        ortp_status status = ortp__graph_file_bytes(options->path, &graph_bytes, error);
        if (status != ORTP_OK) {
            return status;
        }
    } else if (options->model) {
        graph_bytes = ortp__graph_memory_bytes(options->model, options->model_bytes);
    }
    if (options->declared_bytes > 0) {
        graph_bytes = options->declared_bytes;
    }
    session->estimate = graph_bytes > SIZE_MAX ? SIZE_MAX : (size_t)graph_bytes;
    session->measured = options->declared_bytes == 0;
    return ORTP_OK;
}

/* Without what the heap of the C library keeps for later, which is not the session's. */
static ortp__footprint footprint_get(const ortp_runtime *runtime)
{
    ortp__heap_trim();
    ortp__process_memory process;
    ortp__footprint out = {.known = ortp__process_memory_get(&process)};
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(runtime->budget, &info);
    out.anonymous = process.anonymous;
    out.mapped = info.mapped_bytes;
    return out;
}

ortp_status ortp__declared_charge(ortp_session *session, ortp_error *error)
{
    const ortp_status status = declare(session, session->estimate, error);
    if (status == ORTP_OK) {
        session->before = footprint_get(session->runtime);
        session->measured = session->measured && session->before.known;
    }
    return status;
}

/*
 * By how much the process grew since the session was begun beyond what ortpool mapped, packed
 * weights above all, within what this session can have caused.
 */
static size_t growth_of(const ortp_session *session)
{
    const ortp__footprint before = session->before;
    const ortp__footprint now = footprint_get(session->runtime);
    if (!now.known || now.anonymous <= before.anonymous) {
        return 0;
    }
    const size_t mapped = now.mapped > before.mapped ? now.mapped - before.mapped : 0;
    if (now.anonymous - before.anonymous <= mapped) {
        return 0;
    }
    const uint64_t growth = now.anonymous - before.anonymous - mapped;
    const uint64_t files = session->estimate;
    const uint64_t bound = files == 0 || files > (UINT64_MAX - GROWTH_BASE_MAX) / GROWTH_FACTOR_MAX
                               ? UINT64_MAX
                               : files * GROWTH_FACTOR_MAX + GROWTH_BASE_MAX;
    const uint64_t clipped = growth < bound ? growth : bound;
    return clipped > SIZE_MAX ? SIZE_MAX : (size_t)clipped;
}

/*
 * From the estimate to the steady residue. Weights that were packed into memory of ours are on the
 * budget as such; the others ORT still holds, whatever the process seems to have grown by, unless
 * they are mapped files.
 */
ortp_status ortp__declared_correct(ortp_session *session, ortp_error *error)
{
    if (!session->measured) {
        return ORTP_OK;
    }
    const size_t packed = session->packed_bytes;
    const size_t held =
        session->estimate > packed && !session->disable_prepacking ? session->estimate - packed : 0;
    const size_t growth = growth_of(session);
    const size_t steady = growth > held ? growth : held;
    if (steady > session->declared_bytes) {
        return declare(session, steady - session->declared_bytes, error);
    }
    (void)ortp_budget_refund(session->runtime->budget, ORTP_ACCOUNT_DECLARED,
                             session->declared_bytes - steady);
    session->declared_bytes = steady;
    return ORTP_OK;
}
