/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npy files: little-endian arrays in C order, of the element types that ONNX and NumPy share.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (versions 1 to 3).
 */
#ifndef ORTPOOL_CLI_NPY_H
#define ORTPOOL_CLI_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ortpool/tensor.h>

typedef struct npy_array {
    ortp_type type;
    int64_t shape[ORTP_RANK_MAX];
    size_t rank;
    void *data; /* owned; never NULL, without elements too */
    size_t bytes;
} npy_array;

/* false: `message` says what is wrong and what was expected; nothing to free. */
bool npy_read(const char *path, npy_array *out, char *message, size_t message_bytes);
void npy_free(npy_array *array);
/* false: `message` says why. bfloat16, which NumPy does not know, is written as uint16. */
bool npy_write(const char *path, ortp_type type, const int64_t *shape, size_t rank,
               const void *data, char *message, size_t message_bytes);

#endif
