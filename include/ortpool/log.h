/* SPDX-License-Identifier: MIT */
/*
 * Logging goes to a callback of the application; without one nothing is written anywhere.
 */
#ifndef ORTPOOL_LOG_H
#define ORTPOOL_LOG_H

#include <ortpool/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ortp_log_level {
    ORTP_LOG_ERROR = 1,
    ORTP_LOG_WARNING = 2,
    ORTP_LOG_INFO = 3,
    ORTP_LOG_DEBUG = 4,
} ortp_log_level;

/*
 * message: one line, no newline, valid for the call only. Called from any thread, several at a
 * time, never under a lock of the library. Must not call back into the object that logs.
 */
typedef void (*ortp_log_fn)(void *ctx, ortp_log_level level, const char *message);

/* Copied into each object that takes it. A zero struct logs nothing; level 0 means WARNING. */
typedef struct ortp_logger {
    ortp_log_fn fn;
    void *ctx;
    ortp_log_level level; /* messages above this level are not made */
} ortp_logger;

#ifdef __cplusplus
}
#endif
#endif
