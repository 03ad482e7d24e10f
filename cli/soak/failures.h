/* SPDX-License-Identifier: MIT */
/* What went wrong: all of it is counted, the first few are kept in words. Any thread. */
#ifndef ORTPOOL_CLI_SOAK_FAILURES_H
#define ORTPOOL_CLI_SOAK_FAILURES_H

#include <pthread.h>
#include <stddef.h>

#include <ortpool/status.h>

#define FAILURES_KEPT 16u
#define FAILURE_BYTES 512u

typedef struct failures {
    pthread_mutex_t mutex;
    size_t count; /* read by others when the threads have ended */
    char kept[FAILURES_KEPT][FAILURE_BYTES];
} failures;

void failures_start(failures *f);
void failures_end(failures *f);
void failures_add(failures *f, const char *format, ...) ORTP_PRINTF(2, 3);

#endif
