/* SPDX-License-Identifier: MIT */
/*
 * The budget: three sums and a limit under one lock.
 *
 *     charged == sums[BLOCKS] + sums[METADATA] + sums[DECLARED]
 *     after a successful charge   charged <= limit
 *
 * Every charge, refund and change of the limit is one critical section, so that they have one order:
 * once ortp_budget_set_limit() returned, no charge above its limit can succeed.
 *
 * Reclaimers stand in one list, sorted by level, then by age. They are called without the lock; a
 * count of running calls keeps a node, and with it the walk's place in the list, alive:
 *
 *     remove:  removed = true  ->  wait until running == 0  ->  unlink, free
 *
 * The budget also keeps the list of who reports to its statistics, see reporter.h.
 */
#include "reporter.h"

#include "internal.h"

#include <assert.h>

struct ortp_reclaimer {
    ortp_reclaimer *next;
    ortp_reclaim level;
    ortp_reclaim_fn fn;
    void *ctx;
    size_t running; /* calls in progress */
    bool removed;   /* no new calls */
};

struct ortp_budget {
    ortp__mutex lock; /* guards all below but alloc and log, which do not change */
    ortp__cond idle;  /* waited for by remove and by charges: a reclaimer's call ended */
    ortp_alloc alloc;
    ortp_logger log;
    ortp_reclaimer *reclaimers;
    uint64_t refunds;      /* that took bytes off an account: what shows that reclaiming works */
    ortp_budget_info info; /* the sums; mapped_bytes is made when asked for */

    ortp__reporters reporters; /* has its own lock */
};

/* What a reclaiming caller wants: room for `bytes` more below `ceiling` (NULL: the limit). */
typedef struct demand {
    size_t bytes;
    const size_t *ceiling;
    unsigned fruitless; /* rounds in a row in which later levels gave and nothing was refunded */
} demand;

/*
 * What a later level gives need not come back to the account: its blocks may lie in slabs that are
 * in use. So the next round asks it for four times as much, and after these rounds it was asked for
 * everything; a reclaimer that still says it gave is not believed any more.
 */
#define FRUITLESS_MAX (sizeof(size_t) * 4u)

static size_t widened(size_t wanted, unsigned fruitless)
{
    for (unsigned i = 0; i < fruitless; i++) {
        if (wanted > SIZE_MAX / 4u) {
            return SIZE_MAX;
        }
        wanted *= 4u;
    }
    return wanted;
}

static bool account_known(ortp_account account)
{
    return (unsigned)account < ORTP_ACCOUNT_COUNT;
}

static bool level_known(ortp_reclaim level)
{
    return (unsigned)level <= ORTP_RECLAIM_CACHE;
}

static const char *account_name(ortp_account account)
{
    static const char *const names[ORTP_ACCOUNT_COUNT] = {"blocks", "metadata", "declared"};
    return names[account];
}

static size_t mapped_bytes(const ortp_budget_info *info)
{
    return info->account_bytes[ORTP_ACCOUNT_BLOCKS] + info->account_bytes[ORTP_ACCOUNT_METADATA];
}

/* Bytes that have to go before the demand is met; the demand's own sum does not overflow. */
static size_t missing_locked(const ortp_budget *budget, const demand *d)
{
    ortp__assert_held(&budget->lock);
    size_t ceiling = d->ceiling != NULL ? *d->ceiling : budget->info.limit_bytes;
    size_t charged = budget->info.charged_bytes;
    if (charged > SIZE_MAX - d->bytes) {
        return SIZE_MAX;
    }
    size_t total = charged + d->bytes;
    return total > ceiling ? total - ceiling : 0;
}

static void add_locked(ortp_budget *budget, ortp_account account, size_t bytes)
{
    ortp_budget_info *info = &budget->info;
    info->account_bytes[account] += bytes;
    info->charged_bytes += bytes;
    info->charges++;
    if (info->charged_bytes > info->peak_bytes) {
        info->peak_bytes = info->charged_bytes;
    }
    size_t mapped = mapped_bytes(info);
    if (mapped > info->mapped_peak_bytes) {
        info->mapped_peak_bytes = mapped;
    }
}

/* Calls one reclaimer with the lock given back meanwhile. */
static size_t call_reclaimer_locked(ortp_budget *budget, ortp_reclaimer *reclaimer, size_t wanted)
{
    reclaimer->running++;
    ortp__unlock(&budget->lock);
    size_t given = reclaimer->fn(reclaimer->ctx, wanted);
    if (given > 0) {
        ortp__log(&budget->log, ORTP_LOG_DEBUG, "budget: reclaimed %zu of %zu bytes, level %d",
                  given, wanted, (int)reclaimer->level);
    }
    ortp__lock(&budget->lock);
    reclaimer->running--;
    if (given > 0) {
        budget->info.reclaims++;
        budget->info.reclaimed_bytes += given;
    }
    ortp__cond_broadcast(&budget->idle);
    return given;
}

/*
 * One round: asks the reclaimers in order until the demand is met; true when another may help. At
 * level BLOCKS only refunds are believed, whatever a reclaimer reports. Ends early after one above
 * BLOCKS gave something: what it gave is idle blocks now, and the next round's first callers unmap
 * them.
 */
static bool reclaim_round_locked(ortp_budget *budget, ortp_reclaim level, demand *d)
{
    bool progress = false;
    for (ortp_reclaimer *r = budget->reclaimers; r != NULL && r->level <= level; r = r->next) {
        size_t wanted = missing_locked(budget, d);
        if (wanted == 0) {
            break;
        }
        if (r->removed) {
            continue;
        }
        bool later = r->level > ORTP_RECLAIM_BLOCKS;
        uint64_t refunds = budget->refunds;
        size_t gave =
            call_reclaimer_locked(budget, r, later ? widened(wanted, d->fruitless) : wanted);
        if (gave == 0) {
            continue;
        }
        if (budget->refunds != refunds) {
            d->fruitless = 0;
            progress = true;
        } else if (later && d->fruitless <= FRUITLESS_MAX) {
            d->fruitless++;
            progress = true;
        }
        if (later && d->fruitless <= FRUITLESS_MAX) {
            break;
        }
    }
    return progress;
}

static bool others_reclaim_locked(const ortp_budget *budget, ortp_reclaim level)
{
    for (const ortp_reclaimer *r = budget->reclaimers; r != NULL && r->level <= level;
         r = r->next) {
        if (r->running > 0) {
            return true;
        }
    }
    return false;
}

/* Rounds while they give something back; true when the demand is met. */
static bool make_room_locked(ortp_budget *budget, ortp_reclaim level, demand *d)
{
    bool waited = false;
    for (;;) {
        if (missing_locked(budget, d) == 0) {
            return true;
        }
        if (level == ORTP_RECLAIM_NONE) {
            return false;
        }
        if (reclaim_round_locked(budget, level, d)) {
            waited = false;
            continue;
        }
        if (missing_locked(budget, d) == 0) {
            return true;
        }
        /*
         * Nothing left for us, but another thread may hold idle memory in its hands, unmapped and
         * not yet refunded: wait for one call to end, once, so that we do not deny what fits.
         */
        if (waited || !others_reclaim_locked(budget, level)) {
            return false;
        }
        ortp__cond_wait(&budget->idle, &budget->lock);
        waited = true;
    }
}

ortp_status ortp_budget_create(const ortp_budget_options *options, ortp_budget **out,
                               ortp_error *error)
{
    if (out == NULL) {
        return ortp__fail(error, ORTP_E_INVAL, "budget: out is NULL");
    }
    *out = NULL;
    ortp_budget_options o;
    ortp_status status = ortp__options_copy(&o, sizeof o, options);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "budget: " ORTP__OTHER_VERSION);
    }
    ortp_alloc alloc;
    status = ortp__alloc_resolve(&o.alloc, &alloc);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "budget: options.alloc needs both functions or none");
    }
    size_t limit = o.limit_bytes == 0 ? ORTP_UNLIMITED : o.limit_bytes;
    if (limit < sizeof(ortp_budget)) {
        return ortp__fail(error, ORTP_E_BUDGET,
                          "budget: a limit of %zu bytes is below its own struct of %zu", limit,
                          sizeof(ortp_budget));
    }
    ortp_budget *budget = ortp__raw_alloc(&alloc, sizeof *budget);
    if (budget == NULL) {
        return ortp__fail(error, ORTP_E_NOMEM, "budget: no memory for its struct of %zu bytes",
                          sizeof *budget);
    }
    if (!ortp__mutex_init(&budget->lock, ORTP_RANK_BUDGET)) {
        goto fail;
    }
    if (!ortp__cond_init(&budget->idle)) {
        goto fail_mutex;
    }
    if (!ortp__mutex_init(&budget->reporters.lock, ORTP_RANK_STATISTICS)) {
        goto fail_cond;
    }
    budget->alloc = alloc;
    budget->log = o.log;
    budget->info.limit_bytes = limit;
    ortp__lock(&budget->lock);
    add_locked(budget, ORTP_ACCOUNT_METADATA, sizeof *budget);
    ortp__unlock(&budget->lock);
    *out = budget;
    return ORTP_OK;

fail_cond:
    ortp__cond_destroy(&budget->idle);
fail_mutex:
    ortp__mutex_destroy(&budget->lock);
fail:
    ortp__raw_free(&alloc, budget, sizeof *budget);
    return ortp__fail(error, ORTP_E_SYS, "budget: the system refused a lock");
}

ortp_status ortp_budget_destroy(ortp_budget *budget, ortp_error *error)
{
    if (budget == NULL) {
        return ORTP_OK;
    }
    ortp__lock(&budget->lock);
    bool busy = budget->info.charged_bytes != sizeof *budget; /* a reclaimer is charged too */
    const ortp_budget_info info = budget->info;
    size_t reclaimers = 0;
    for (const ortp_reclaimer *r = budget->reclaimers; r != NULL; r = r->next) {
        reclaimers++;
    }
    ortp__unlock(&budget->lock);
    if (busy) {
        return ortp__fail(error, ORTP_E_BUSY,
                          "budget: still charged: %zu bytes of blocks, %zu of metadata beside its "
                          "own, %zu declared; %zu reclaimers are registered",
                          info.account_bytes[ORTP_ACCOUNT_BLOCKS],
                          info.account_bytes[ORTP_ACCOUNT_METADATA] - sizeof *budget,
                          info.account_bytes[ORTP_ACCOUNT_DECLARED], reclaimers);
    }
    assert(budget->reporters.first == NULL); /* each is charged */
    ortp__mutex_destroy(&budget->reporters.lock);
    ortp__cond_destroy(&budget->idle);
    ortp__mutex_destroy(&budget->lock);
    ortp_alloc alloc = budget->alloc;
    ortp__raw_free(&alloc, budget, sizeof *budget);
    return ORTP_OK;
}

ortp_status ortp_budget_charge(ortp_budget *budget, ortp_account account, size_t bytes,
                               ortp_reclaim reclaim)
{
    if (budget == NULL || !account_known(account) || !level_known(reclaim)) {
        return ORTP_E_INVAL;
    }
    if (bytes == 0) {
        return ORTP_OK;
    }
    demand d = {.bytes = bytes, .ceiling = NULL};
    ortp__lock(&budget->lock);
    if (budget->info.charged_bytes > SIZE_MAX - bytes) {
        ortp__unlock(&budget->lock);
        return ORTP_E_INVAL;
    }
    bool fits = bytes <= budget->info.limit_bytes && make_room_locked(budget, reclaim, &d);
    /* While others ran, the sum may have come to overflow: that is missing bytes, hence a denial. */
    if (fits) {
        add_locked(budget, account, bytes);
    } else {
        budget->info.denials++;
    }
    size_t charged = budget->info.charged_bytes;
    size_t limit = budget->info.limit_bytes;
    ortp__unlock(&budget->lock);
    if (fits) {
        return ORTP_OK;
    }
    ortp__log(&budget->log, ORTP_LOG_WARNING,
              "budget: denied %zu bytes of %s: %zu of %zu bytes are charged", bytes,
              account_name(account), charged, limit);
    return ORTP_E_BUDGET;
}

ortp_status ortp_budget_refund(ortp_budget *budget, ortp_account account, size_t bytes)
{
    if (budget == NULL || !account_known(account)) {
        return ORTP_E_INVAL;
    }
    ortp__lock(&budget->lock);
    size_t held = budget->info.account_bytes[account];
    if (account == ORTP_ACCOUNT_METADATA) {
        held -= sizeof *budget; /* its own struct stays charged as long as it lives */
    }
    bool ok = bytes <= held;
    if (ok) {
        budget->info.account_bytes[account] -= bytes;
        budget->info.charged_bytes -= bytes;
        budget->refunds += bytes > 0;
    } else {
        budget->info.refund_errors++;
    }
    ortp__unlock(&budget->lock);
    if (!ok) {
        ortp__log(&budget->log, ORTP_LOG_ERROR,
                  "budget: refund of %zu bytes of %s, of which %zu are charged", bytes,
                  account_name(account), held);
    }
    return ok ? ORTP_OK : ORTP_E_INVAL;
}

ortp_status ortp_budget_set_limit(ortp_budget *budget, size_t limit_bytes, size_t *excess_bytes)
{
    if (excess_bytes != NULL) {
        *excess_bytes = 0;
    }
    if (budget == NULL) {
        return ORTP_E_INVAL;
    }
    ortp__lock(&budget->lock);
    budget->info.limit_bytes = limit_bytes;
    demand d = {.bytes = 0, .ceiling = &limit_bytes};
    (void)make_room_locked(budget, ORTP_RECLAIM_CACHE, &d);
    size_t excess = missing_locked(budget, &d);
    ortp__unlock(&budget->lock);
    if (excess == 0) {
        return ORTP_OK;
    }
    if (excess_bytes != NULL) {
        *excess_bytes = excess;
    }
    ortp__log(&budget->log, ORTP_LOG_WARNING, "budget: limit %zu, %zu bytes above it are in use",
              limit_bytes, excess);
    return ORTP_E_BUSY;
}

/* The lock is part of a budget that others see as const. */
static ortp_budget *mutable_budget(const ortp_budget *budget)
{
    return (ortp_budget *)budget;
}

ortp__reporters *ortp__budget_reporters(const ortp_budget *budget)
{
    return &mutable_budget(budget)->reporters;
}

double ortp_budget_usage(const ortp_budget *budget)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    if (info.limit_bytes == ORTP_UNLIMITED) {
        return 0.0;
    }
    if (info.charged_bytes >= info.limit_bytes) {
        return 1.0;
    }
    return (double)info.charged_bytes / (double)info.limit_bytes;
}

ortp_status ortp_budget_get_info(const ortp_budget *budget, ortp_budget_info *out)
{
    if (budget == NULL) {
        return ORTP_E_INVAL;
    }
    ortp_budget *b = mutable_budget(budget);
    ortp__lock(&b->lock);
    ortp_budget_info info = b->info;
    ortp__unlock(&b->lock);
    info.mapped_bytes = mapped_bytes(&info);
    return ortp__out_fill(out, &info, sizeof info);
}

void ortp_budget_reset_peaks(ortp_budget *budget)
{
    ortp__lock(&budget->lock);
    budget->info.peak_bytes = budget->info.charged_bytes;
    budget->info.mapped_peak_bytes = mapped_bytes(&budget->info);
    ortp__unlock(&budget->lock);
}

bool ortp__budget_has_room(const ortp_budget *budget, size_t bytes)
{
    ortp_budget_info info = ORTP_BUDGET_INFO_INIT;
    ortp_budget_get_info(budget, &info);
    return info.charged_bytes <= info.limit_bytes && info.limit_bytes - info.charged_bytes >= bytes;
}

ortp_status ortp_budget_add_reclaimer(ortp_budget *budget, ortp_reclaim level, ortp_reclaim_fn fn,
                                      void *ctx, ortp_reclaimer **out)
{
    if (out == NULL) {
        return ORTP_E_INVAL;
    }
    *out = NULL;
    if (budget == NULL || fn == NULL || !level_known(level) || level == ORTP_RECLAIM_NONE) {
        return ORTP_E_INVAL;
    }
    void *memory;
    ortp_status status = ortp__meta_alloc(budget, &budget->alloc, sizeof(ortp_reclaimer),
                                          ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_reclaimer *reclaimer = memory;
    reclaimer->level = level;
    reclaimer->fn = fn;
    reclaimer->ctx = ctx;

    ortp__lock(&budget->lock);
    ortp_reclaimer **at = &budget->reclaimers;
    while (*at != NULL && (*at)->level <= level) {
        at = &(*at)->next;
    }
    reclaimer->next = *at;
    *at = reclaimer;
    ortp__unlock(&budget->lock);
    *out = reclaimer;
    return ORTP_OK;
}

void ortp_budget_remove_reclaimer(ortp_budget *budget, ortp_reclaimer *reclaimer)
{
    if (budget == NULL || reclaimer == NULL) {
        return;
    }
    ortp__lock(&budget->lock);
    reclaimer->removed = true;
    while (reclaimer->running > 0) {
        ortp__cond_wait(&budget->idle, &budget->lock);
    }
    ortp_reclaimer **at = &budget->reclaimers;
    while (*at != reclaimer) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = reclaimer->next;
    ortp__unlock(&budget->lock);
    ortp__meta_free(budget, &budget->alloc, reclaimer, sizeof *reclaimer);
}

size_t ortp_budget_reclaim(ortp_budget *budget, ortp_reclaim level, size_t bytes)
{
    if (budget == NULL || !level_known(level) || bytes == 0) {
        return 0;
    }
    ortp__lock(&budget->lock);
    size_t before = budget->info.charged_bytes;
    size_t target = before > bytes ? before - bytes : 0;
    demand d = {.bytes = 0, .ceiling = &target};
    (void)make_room_locked(budget, level, &d);
    size_t after = budget->info.charged_bytes;
    ortp__unlock(&budget->lock);
    return before > after ? before - after : 0;
}
