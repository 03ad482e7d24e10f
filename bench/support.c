/* SPDX-License-Identifier: MIT */
/* See support.h. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

void bench_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

void bench_must(ortp_status status, const ortp_error *error)
{
    if (status != ORTP_OK) {
        bench_die(ortp_status_name(status), error->message);
    }
}

double bench_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

long bench_minor_faults(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

int bench_rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

size_t bench_number(const char *text, size_t most)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (value < 1 || value > most || *end != '\0') {
        bench_die(text, "not a number in range");
    }
    return value;
}
