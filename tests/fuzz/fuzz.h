/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: the entry point, an oracle that stops, a file made of the input. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An oracle: what must hold for every input. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition);       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A folder of this process, gone at its end. Stops the process where none can be made. */
const char *fuzz_folder(void);
/* Writes folder/name anew. */
void fuzz_write(const char *name, const void *data, size_t size);
/* folder/name; valid until the next call. */
const char *fuzz_path(const char *name);

#endif
