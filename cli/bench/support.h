/* SPDX-License-Identifier: MIT */
/* What the measuring processes need: ending with a message, time, order. */
#ifndef ORTPOOL_CLI_BENCH_SUPPORT_H
#define ORTPOOL_CLI_BENCH_SUPPORT_H

#include <ortpool/status.h>

#include <stddef.h>

#include <jansson.h>

/* Both end the process with the message and EXIT_SETUP; bench_must() where status is not ORTP_OK. */
_Noreturn void bench_die(const char *what, const char *why);
void bench_must(ortp_status status, const ortp_error *error);
double bench_now_us(void);
/* For qsort(): doubles, rising. */
int bench_rising(const void *a, const void *b);

/* JSON: a NULL value is lack of memory, which ends the process. */
json_t *bench_json(json_t *value);
void bench_put(json_t *object, const char *key, json_t *value);
void bench_append(json_t *array, json_t *value);
/* A number, or an interval's value; NAN: null or not there. */
double bench_figure(const json_t *object, const char *key);
/* A string; "" where there is none. */
const char *bench_text(const json_t *object, const char *key);

#endif
