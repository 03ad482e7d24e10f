/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <string.h>

static const char *const names[] = {
    [ORTP_PATH_AUTO] = "auto",
    [ORTP_PATH_SEQUENTIAL] = "sequential",
    [ORTP_PATH_BATCHED] = "batched",
    [ORTP_PATH_INCREMENTAL] = "incremental",
};

bool path_parse(const char *text, ortp_path *out)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (ortp_path)i;
            return true;
        }
    }
    return false;
}

const char *path_name(ortp_path path)
{
    return names[path];
}
