/* SPDX-License-Identifier: MIT */
/* See support.h. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "commands.h"

void bench_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "ortpool bench: %s: %s\n", what, why);
    exit(EXIT_SETUP);
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

int bench_rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

json_t *bench_json(json_t *value)
{
    if (value == NULL) {
        bench_die("the report", "no memory left");
    }
    return value;
}

void bench_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, bench_json(value)) != 0) {
        bench_die("the report", "no memory left");
    }
}

void bench_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, bench_json(value)) != 0) {
        bench_die("the report", "no memory left");
    }
}

double bench_figure(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_object(value)) {
        value = json_object_get(value, "value");
    }
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *bench_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}
