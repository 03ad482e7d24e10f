/* SPDX-License-Identifier: MIT */
/* What a figure is worth nothing without: the machine, the compiler, the time; and documents as text. */
#ifndef ORTPOOL_CLI_BENCH_MACHINE_H
#define ORTPOOL_CLI_BENCH_MACHINE_H

#include <stddef.h>

#include <jansson.h>

/*
 * {"cpu", "cores", "memory_bytes", "system", "compiler"}, the caller's. What the system does not say is
 * null; NULL: no memory.
 */
json_t *machine_json(void);

#define MACHINE_DATE_BYTES 24
/* The time now as "2026-01-31T23:59:59Z". */
void machine_date(char date[MACHINE_DATE_BYTES]);

/* The whole document as text, to be freed; NULL: no memory. (json_dumps() loses what it has no memory for.) */
char *machine_document(const json_t *json);

#endif
