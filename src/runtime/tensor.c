/* SPDX-License-Identifier: MIT */
/*
 * The tensor pool's lists: who is out, what is idle, what is dropped.
 *
 *     unused --fill--> out <--acquire/release--> idle --drop--> dropped --empty--> unused
 *
 * Idle tensors are in one list by time of release and in buckets by type and shape; the one
 * released last is taken first. Structs stay with the pool until it is destroyed, so that a
 * changing mix of shapes makes no heap allocation either, and releasing twice is seen rather than
 * undefined.
 */
#include "tensor_internal.h"

#include <ortpool/stats.h>

#define IDLE_BYTES_DEFAULT ((size_t)16 << 20)

static void list_push(ortp__tensor_list *list, ortp_tensor *tensor)
{
    tensor->previous = NULL;
    tensor->next = list->first;
    if (list->first) {
        list->first->previous = tensor;
    } else {
        list->last = tensor;
    }
    list->first = tensor;
}

static void list_remove(ortp__tensor_list *list, ortp_tensor *tensor)
{
    if (tensor->previous) {
        tensor->previous->next = tensor->next;
    } else {
        list->first = tensor->next;
    }
    if (tensor->next) {
        tensor->next->previous = tensor->previous;
    } else {
        list->last = tensor->previous;
    }
    tensor->previous = NULL;
    tensor->next = NULL;
}

static ortp_tensor **bucket_of(ortp_tensor_pool *pool, const ortp__tensor_kind *kind)
{
    return &pool->buckets[ortp__tensor_kind_hash(kind) & (ORTP__TENSOR_BUCKETS - 1)];
}

static void idle_add_locked(ortp_tensor_pool *pool, ortp_tensor *tensor, uint64_t now_ms)
{
    ortp__assert_held(&pool->mutex);
    ortp_tensor **bucket = bucket_of(pool, &tensor->kind);
    tensor->bucket_previous = NULL;
    tensor->bucket_next = *bucket;
    if (*bucket) {
        (*bucket)->bucket_previous = tensor;
    }
    *bucket = tensor;
    tensor->state = ORTP__TENSOR_IDLE;
    tensor->idle_since_ms = now_ms;
    list_push(&pool->idle, tensor);
    ++pool->info.idle;
    pool->info.idle_bytes += tensor->block_bytes;
    pool->info.idle_footprint[ortp_block_label(tensor->block)] += tensor->footprint;
}

static void idle_remove_locked(ortp_tensor_pool *pool, ortp_tensor *tensor)
{
    ortp__assert_held(&pool->mutex);
    if (tensor->bucket_previous) {
        tensor->bucket_previous->bucket_next = tensor->bucket_next;
    } else {
        *bucket_of(pool, &tensor->kind) = tensor->bucket_next;
    }
    if (tensor->bucket_next) {
        tensor->bucket_next->bucket_previous = tensor->bucket_previous;
    }
    tensor->bucket_previous = NULL;
    tensor->bucket_next = NULL;
    list_remove(&pool->idle, tensor);
    --pool->info.idle;
    pool->info.idle_bytes -= tensor->block_bytes;
    pool->info.idle_footprint[ortp_block_label(tensor->block)] -= tensor->footprint;
}

static void out_add_locked(ortp_tensor_pool *pool, ortp_tensor *tensor)
{
    ortp__assert_held(&pool->mutex);
    tensor->state = ORTP__TENSOR_OUT;
    list_push(&pool->out, tensor);
    ++pool->info.out;
    ++pool->info.acquires;
}

/* Takes the idle tensor that was released first off the lists and puts it on `dropped`. */
static size_t drop_last_locked(ortp_tensor_pool *pool, ortp__tensor_list *dropped)
{
    ortp__assert_held(&pool->mutex);
    ortp_tensor *tensor = pool->idle.last;
    idle_remove_locked(pool, tensor);
    tensor->state = ORTP__TENSOR_DROPPED;
    list_push(dropped, tensor);
    ++pool->info.drops;
    return tensor->block_bytes;
}

/* The second half of dropping, outside the lock: ORT and the pool are called. */
static void empty_all(const ortp__tensor_list *dropped)
{
    for (ortp_tensor *tensor = dropped->first; tensor; tensor = tensor->next) {
        ortp__tensor_empty(tensor);
    }
}

static void unused_add_locked(ortp_tensor_pool *pool, ortp__tensor_list *dropped)
{
    ortp__assert_held(&pool->mutex);
    while (dropped->first) {
        ortp_tensor *tensor = dropped->first;
        list_remove(dropped, tensor);
        tensor->state = ORTP__TENSOR_UNUSED;
        list_push(&pool->unused, tensor);
    }
}

/*
 * Gives the lock back and finishes the drops. Counted, since the tensors are no longer out: destroy
 * must not take the pool away meanwhile.
 */
static void unlock_and_drop(ortp_tensor_pool *pool, ortp__tensor_list *dropped)
{
    ortp__assert_held(&pool->mutex);
    const bool any = dropped->first != NULL;
    pool->dropping += any;
    ortp__unlock(&pool->mutex);
    if (!any) {
        return;
    }
    empty_all(dropped);
    ortp__lock(&pool->mutex);
    unused_add_locked(pool, dropped);
    --pool->dropping;
    ortp__unlock(&pool->mutex);
}

static size_t reclaim(void *ctx, size_t bytes_wanted)
{
    ortp_tensor_pool *pool = ctx;
    ortp__tensor_list dropped = {NULL, NULL};
    size_t bytes = 0;
    ortp__lock(&pool->mutex);
    while (bytes < bytes_wanted && pool->idle.last) {
        bytes += drop_last_locked(pool, &dropped);
    }
    ortp__unlock(&pool->mutex);
    /* Not counted: destroy waits for running reclaimers, and must not be refused because of one. */
    empty_all(&dropped);
    ortp__lock(&pool->mutex);
    unused_add_locked(pool, &dropped);
    ortp__unlock(&pool->mutex);
    return bytes;
}

static void report(const void *object, ortp__figures *figures)
{
    ortp_tensor_pool_info info = ORTP_TENSOR_POOL_INFO_INIT;
    ortp_tensor_pool_get_info(object, &info);
    for (size_t i = 0; i < ORTP_LABEL_COUNT; ++i) {
        figures->idle_tensors[i] += info.idle_footprint[i];
    }
    figures->stats.tensor_acquires += info.acquires;
    figures->stats.tensor_reuses += info.reuses;
    figures->stats.tensor_creates += info.creates;
}

ortp_status ortp_tensor_pool_create(const ortp_tensor_pool_options *given, ortp_tensor_pool **out,
                                    ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor pool: out is NULL");
    }
    *out = NULL;
    ortp_tensor_pool_options options;
    ortp_status status = ortp__options_copy(&options, sizeof(options), given);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "tensor pool: " ORTP__OTHER_VERSION);
    }
    ortp_runtime *runtime = options.runtime;
    if (!runtime) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor pool: runtime is NULL");
    }
    if (!runtime->pool) {
        return ortp__fail(error, ORTP_E_CLOSED, "tensor pool: the runtime is being destroyed");
    }
    void *memory = NULL;
    status = ortp__meta_alloc(runtime->budget, &runtime->alloc, sizeof(ortp_tensor_pool),
                              ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "tensor pool: no room for its struct: %s",
                          ortp_status_text(status));
    }
    ortp_tensor_pool *pool = memory;
    pool->runtime = runtime;
    pool->idle_bytes_max = options.idle_bytes_max > 0 ? options.idle_bytes_max : IDLE_BYTES_DEFAULT;
    if (!ortp__mutex_init(&pool->mutex, ORTP_RANK_TENSORS)) {
        status = ortp__fail(error, ORTP_E_SYS, "tensor pool: the system refused a lock");
        goto fail_struct;
    }
    status = ortp_budget_add_reclaimer(runtime->budget, ORTP_RECLAIM_TENSORS, reclaim, pool,
                                       &pool->reclaimer);
    if (status != ORTP_OK) {
        status =
            ortp__fail(error, status, "tensor pool: no reclaimer: %s", ortp_status_text(status));
        goto fail_mutex;
    }
    ortp__runtime_retain(runtime, ORTP__USER_TENSOR_POOL);
    ortp__reporter_join(runtime->budget, &pool->reporter, report, pool);
    *out = pool;
    return ORTP_OK;

fail_mutex:
    ortp__mutex_destroy(&pool->mutex);
fail_struct:
    ortp__meta_free(runtime->budget, &runtime->alloc, pool, sizeof(*pool));
    return status;
}

static bool find_one_out(ortp_tensor_pool *pool, ortp__tensor_kind *kind, size_t *count,
                         size_t *dropping)
{
    ortp__lock(&pool->mutex);
    const ortp_tensor *tensor = pool->out.last; /* the longest out: the likeliest leak */
    *count = pool->info.out;
    *dropping = pool->dropping;
    if (tensor) {
        *kind = tensor->kind;
    }
    ortp__unlock(&pool->mutex);
    return tensor != NULL;
}

ortp_status ortp_tensor_pool_destroy(ortp_tensor_pool *pool, ortp_error *error)
{
    if (!pool) {
        return ORTP_OK;
    }
    ortp__tensor_kind kind;
    size_t count = 0;
    size_t dropping = 0;
    if (find_one_out(pool, &kind, &count, &dropping)) {
        char text[128];
        ortp__tensor_kind_text(&kind, text, sizeof(text));
        return ortp__fail(error, ORTP_E_BUSY, "tensor pool: %zu tensors are out, one is %s", count,
                          text);
    }
    if (dropping > 0) {
        return ortp__fail(error, ORTP_E_BUSY, "tensor pool: %zu calls are dropping tensors",
                          dropping);
    }
    ortp_runtime *runtime = pool->runtime;
    ortp__reporter_leave(runtime->budget, &pool->reporter);
    ortp_budget_remove_reclaimer(runtime->budget, pool->reclaimer);
    (void)reclaim(pool, SIZE_MAX);
    while (pool->all) {
        ortp_tensor *tensor = pool->all;
        pool->all = tensor->all_next;
        ortp__meta_free(runtime->budget, &runtime->alloc, tensor, sizeof(*tensor));
    }
    ortp__mutex_destroy(&pool->mutex);
    ortp__meta_free(runtime->budget, &runtime->alloc, pool, sizeof(*pool));
    ortp__runtime_release(runtime, ORTP__USER_TENSOR_POOL);
    return ORTP_OK;
}

/* An idle tensor of this kind, now out; or else an unused struct in *unused, on no list; or
 * neither. */
static ortp_tensor *take_locked(ortp_tensor_pool *pool, const ortp__tensor_kind *kind,
                                ortp_tensor **unused)
{
    ortp__assert_held(&pool->mutex);
    ortp_tensor *tensor = *bucket_of(pool, kind);
    while (tensor && !ortp__tensor_kind_equal(&tensor->kind, kind)) {
        tensor = tensor->bucket_next;
    }
    *unused = NULL;
    if (tensor) {
        idle_remove_locked(pool, tensor);
        out_add_locked(pool, tensor);
        ++pool->info.reuses;
    } else if (pool->unused.first) {
        *unused = pool->unused.first;
        list_remove(&pool->unused, *unused);
    }
    return tensor;
}

static ortp_status make_struct(ortp_tensor_pool *pool, ortp_tensor **out, ortp_error *error)
{
    const ortp_runtime *runtime = pool->runtime;
    void *memory = NULL;
    ortp_status status = ortp__meta_alloc(runtime->budget, &runtime->alloc, sizeof(ortp_tensor),
                                          ORTP_RECLAIM_CACHE, &memory);
    if (status != ORTP_OK) {
        return ortp__fail(error, status, "tensor: no room for its struct: %s",
                          ortp_status_text(status));
    }
    ortp_tensor *tensor = memory;
    tensor->pool = pool;
    ortp__lock(&pool->mutex);
    tensor->all_next = pool->all;
    pool->all = tensor;
    ortp__unlock(&pool->mutex);
    *out = tensor;
    return ORTP_OK;
}

static ortp_status acquire_new(ortp_tensor_pool *pool, ortp_tensor *unused,
                               const ortp__tensor_kind *kind, ortp_label label, ortp_tensor **out,
                               ortp_error *error)
{
    ortp_tensor *tensor = unused;
    if (!tensor) {
        ortp_status status = make_struct(pool, &tensor, error);
        if (status != ORTP_OK) {
            return status;
        }
    }
    ortp_status status = ortp__tensor_fill(tensor, kind, label, error);
    ortp__lock(&pool->mutex);
    if (status == ORTP_OK) {
        out_add_locked(pool, tensor);
        ++pool->info.creates;
        *out = tensor;
    } else {
        list_push(&pool->unused, tensor);
    }
    ortp__unlock(&pool->mutex);
    return status;
}

ortp_status ortp_tensor_acquire_labelled(ortp_tensor_pool *pool, ortp_type type,
                                         const int64_t *shape, size_t rank, ortp_label label,
                                         ortp_tensor **out, ortp_error *error)
{
    if (!out) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: out is NULL");
    }
    *out = NULL;
    if (!pool) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: the tensor pool is NULL");
    }
    if ((unsigned)label >= ORTP_LABEL_COUNT) {
        return ortp__fail(error, ORTP_E_INVAL, "tensor: unknown label %d", (int)label);
    }
    ortp__tensor_kind kind;
    ortp_status status = ortp__tensor_kind_make(&kind, type, shape, rank, error);
    if (status != ORTP_OK) {
        return status;
    }
    ortp_tensor *unused = NULL;
    ortp__lock(&pool->mutex);
    ortp_tensor *tensor = take_locked(pool, &kind, &unused);
    ortp__unlock(&pool->mutex);
    if (!tensor) {
        return acquire_new(pool, unused, &kind, label, out, error);
    }
    if (ortp_block_label(tensor->block) != label) {
        (void)ortp_block_relabel(tensor->block, label); /* the label is known to be one */
    }
    *out = tensor;
    return ORTP_OK;
}

ortp_status ortp_tensor_acquire(ortp_tensor_pool *pool, ortp_type type, const int64_t *shape,
                                size_t rank, ortp_tensor **out, ortp_error *error)
{
    return ortp_tensor_acquire_labelled(pool, type, shape, rank, ORTP_LABEL_TENSORS, out, error);
}

ortp_status ortp_tensor_release(ortp_tensor *tensor)
{
    if (!tensor) {
        return ORTP_OK;
    }
    ortp_tensor_pool *pool = tensor->pool;
    const uint64_t now_ms = ortp__clock_ms(&pool->runtime->clock);
    ortp__tensor_list dropped = {NULL, NULL};
    ortp__lock(&pool->mutex);
    const bool out = tensor->state == ORTP__TENSOR_OUT;
    if (out) {
        list_remove(&pool->out, tensor);
        --pool->info.out;
        idle_add_locked(pool, tensor, now_ms);
        while (pool->info.idle_bytes > pool->idle_bytes_max) {
            (void)drop_last_locked(pool, &dropped);
        }
    }
    unlock_and_drop(pool, &dropped);
    return out ? ORTP_OK : ORTP_E_INVAL;
}

OrtValue *ortp_tensor_value(const ortp_tensor *tensor)
{
    return tensor->value;
}

void *ortp_tensor_data(const ortp_tensor *tensor)
{
    return ortp_block_data(tensor->block);
}

size_t ortp_tensor_bytes(const ortp_tensor *tensor)
{
    return tensor->kind.bytes;
}

size_t ortp_tensor_elements(const ortp_tensor *tensor)
{
    return tensor->kind.elements;
}

ortp_type ortp_tensor_type(const ortp_tensor *tensor)
{
    return tensor->kind.type;
}

const int64_t *ortp_tensor_shape(const ortp_tensor *tensor, size_t *rank)
{
    *rank = tensor->kind.rank;
    return tensor->kind.shape;
}

ortp_status ortp_tensor_relabel(ortp_tensor *tensor, ortp_label label)
{
    return tensor ? ortp_block_relabel(tensor->block, label) : ORTP_E_INVAL;
}

/* Threads read the clock before they take the lock, so `now` may lie before a release. */
static uint64_t idle_ms_of(const ortp_tensor *tensor, uint64_t now_ms)
{
    return now_ms > tensor->idle_since_ms ? now_ms - tensor->idle_since_ms : 0;
}

ortp_status ortp_tensor_pool_trim(ortp_tensor_pool *pool, size_t keep_bytes, uint64_t idle_ms,
                                  size_t *dropped_bytes)
{
    if (dropped_bytes) {
        *dropped_bytes = 0;
    }
    if (!pool) {
        return ORTP_E_INVAL;
    }
    const uint64_t now_ms = ortp__clock_ms(&pool->runtime->clock);
    ortp__tensor_list dropped = {NULL, NULL};
    size_t bytes = 0;
    ortp__lock(&pool->mutex);
    while (pool->idle.last && pool->info.idle_bytes > keep_bytes &&
           idle_ms_of(pool->idle.last, now_ms) >= idle_ms) {
        bytes += drop_last_locked(pool, &dropped);
    }
    unlock_and_drop(pool, &dropped);
    if (dropped_bytes) {
        *dropped_bytes = bytes;
    }
    return ORTP_OK;
}

ortp_status ortp_tensor_pool_get_info(const ortp_tensor_pool *pool, ortp_tensor_pool_info *out)
{
    if (!pool) {
        return ORTP_E_INVAL;
    }
    ortp_tensor_pool *unlocked = (ortp_tensor_pool *)pool; /* the lock is the pool's own business */
    ortp__lock(&unlocked->mutex);
    const ortp_tensor_pool_info info = unlocked->info;
    ortp__unlock(&unlocked->mutex);
    return ortp__out_fill(out, &info, sizeof(info));
}
