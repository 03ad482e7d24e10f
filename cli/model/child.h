/* SPDX-License-Identifier: MIT */
/*
 * A process that measures: this program again, with --child=WHAT before the same options. It answers with
 * one line of JSON.
 */
#ifndef ORTPOOL_CLI_MODEL_CHILD_H
#define ORTPOOL_CLI_MODEL_CHILD_H

#include <jansson.h>

/* What it answered, the caller's; NULL: there is no answer, and the reason was said on standard error. */
json_t *child_run(int argc, char **argv, const char *what);

#endif
