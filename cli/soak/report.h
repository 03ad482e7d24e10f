/* SPDX-License-Identifier: MIT */
/* What a soak came to: a table, or one JSON object. */
#ifndef ORTPOOL_CLI_SOAK_REPORT_H
#define ORTPOOL_CLI_SOAK_REPORT_H

#include "../output.h"
#include "soak.h"

typedef struct soak_about {
    const char *model;
    const char *ort_version;
    const char *path; /* that the decoder ran */
    const char *pool;
    size_t beam; /* 0: the model's */
    int signal;  /* that ended it; 0: none */
} soak_about;

/* After soak_finish(). False: no memory for the JSON, said. */
bool report_write(output *out, const soak *s, const soak_about *about);

#endif
