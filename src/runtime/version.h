/* SPDX-License-Identifier: MIT */
/*
 * Versions of ONNX Runtime: the least one that a manifest names, the one that a host has.
 */
#ifndef ORTP_VERSION_H
#define ORTP_VERSION_H

#include <stdbool.h>

/* "1.18", "1.18.0"; with `rest` anything may follow ("1.30.0-dev"). */
typedef struct ortp__version {
    unsigned parts[3];
} ortp__version;

/* false: `text` is no version. */
bool ortp__version_read(const char *text, bool rest, ortp__version *out);
int ortp__version_compare(const ortp__version *a, const ortp__version *b); /* < 0: a is older */

#endif
