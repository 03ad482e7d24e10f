/* SPDX-License-Identifier: MIT */
/* What several benches need: ending with a message, time, faults, order. */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <ortpool/status.h>

#include <stddef.h>

/* Both end the process with the message; bench_must() where status is not ORTP_OK. */
_Noreturn void bench_die(const char *what, const char *why);
void bench_must(ortp_status status, const ortp_error *error);
double bench_now_us(void);
long bench_minor_faults(void);
/* For qsort(): doubles, rising. */
int bench_rising(const void *a, const void *b);
/* A number in 1 .. most; ends the process where text is none. */
size_t bench_number(const char *text, size_t most);

#endif
