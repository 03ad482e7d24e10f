/* SPDX-License-Identifier: MIT */
/*
 * What the rooms share behind the public headers: error details, logging, control structures that
 * are charged to a budget, options of other versions.
 */
#ifndef ORTP_INTERNAL_H
#define ORTP_INTERNAL_H

#include "platform.h"

#include <ortpool/budget.h>
#include <ortpool/log.h>
#include <ortpool/pool.h>
#include <ortpool/status.h>

/* Says which way code is laid out for. */
#if defined(__GNUC__)
#define ORTP__LIKELY(condition) __builtin_expect((condition), 1)
#else
#define ORTP__LIKELY(condition) (condition)
#endif

/* For what is long beside a short way that its caller has. */
#if defined(__GNUC__)
#define ORTP__OUT_OF_LINE __attribute__((noinline))
#else
#define ORTP__OUT_OF_LINE
#endif

#define ORTP__COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fills `error` (may be NULL), at most its struct_size bytes, and returns `status`. */
ORTP__PRIVATE_API ortp_status ortp__fail(ortp_error *error, ortp_status status, const char *format,
                                         ...)
    ORTP_PRINTF(3, 4);

ORTP__PRIVATE_API void ortp__log(const ortp_logger *logger, ortp_log_level level,
                                 const char *format, ...)
    ORTP_PRINTF(3, 4);

/* As ortp__file_open(); on failure the error says path and reason. Errors: NOTFOUND, NOMEM, SYS. */
ORTP__PRIVATE_API ORTP_CHECK ortp_status ortp__file_open_named(const char *path, FILE **out,
                                                               ortp_error *error);

/* The caller's allocator or malloc/free; INVAL when only one of the two functions is set. */
ORTP__PRIVATE_API ortp_status ortp__alloc_resolve(const ortp_alloc *given, ortp_alloc *out);
ORTP__PRIVATE_API void *ortp__raw_alloc(const ortp_alloc *alloc, size_t bytes); /* zeroed */
ORTP__PRIVATE_API void ortp__raw_free(const ortp_alloc *alloc, void *ptr, size_t bytes);

/* Zeroed control memory, charged to the budget's metadata. Errors: NOMEM, BUDGET. */
ORTP__PRIVATE_API ortp_status ortp__meta_alloc(ortp_budget *budget, const ortp_alloc *alloc,
                                               size_t bytes, ortp_reclaim reclaim, void **out);
ORTP__PRIVATE_API void ortp__meta_free(ortp_budget *budget, const ortp_alloc *alloc, void *ptr,
                                       size_t bytes);

/* Whether a charge of `bytes` would fit at this moment without reclaiming: a hint, no promise. */
bool ortp__budget_has_room(const ortp_budget *budget, size_t bytes);

/* What the ledger counts for the block: its part of a mapping, padding included. */
size_t ortp__block_footprint(const ortp_block *block);

uint64_t ortp__clock_ms(const ortp_clock *clock);
/* The same, or a few milliseconds before, at a fraction of the cost: for stamps. */
uint64_t ortp__clock_stamp_ms(const ortp_clock *clock);

/*
 * Copies an options struct of another version into `out` (`out_bytes`, zeroed beyond what is given).
 * `given` NULL: all zero. VERSION: a larger struct whose unknown tail is not zero, or a struct_size
 * too small to hold itself.
 */
ORTP__PRIVATE_API ortp_status ortp__options_copy(void *out, size_t out_bytes, const void *given);
/* The end of the message for that. */
#define ORTP__OTHER_VERSION "options of another version (struct_size), or not initialised with their _INIT macro"

/*
 * For structs that the caller allocates and the library fills; they begin with struct_size.
 * INVAL for NULL, VERSION for a struct_size too small to hold itself.
 */
ORTP__PRIVATE_API ortp_status ortp__out_check(const void *out);
/*
 * Copies `own`, this version's struct of `own_bytes`, to a caller's of `out_bytes`: what fits, no
 * byte beyond. Its struct_size becomes out_bytes.
 */
ORTP__PRIVATE_API void ortp__out_copy(void *out, size_t out_bytes, const void *own, size_t own_bytes);
/* Both, for one struct whose struct_size says its size. */
ORTP__PRIVATE_API ortp_status ortp__out_fill(void *out, const void *own, size_t own_bytes);

/* *error (may be NULL) becomes `detail`, as far as the caller's version has room. */
void ortp__error_copy(ortp_error *error, const ortp_error *detail);
/* Sets ort_code where error (may be NULL) has it. */
void ortp__error_set_ort_code(ortp_error *error, int32_t ort_code);

#endif
