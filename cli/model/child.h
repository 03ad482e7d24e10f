/* SPDX-License-Identifier: MIT */
/*
 * A process that measures: this program again, with --child=WHAT before the same options. It answers with
 * one line of JSON.
 */
#ifndef ORTPOOL_CLI_MODEL_CHILD_H
#define ORTPOOL_CLI_MODEL_CHILD_H

#include <jansson.h>

/*
 * In the process that measures, first: signals end its runs, however many come, and it ends at once where
 * the one that started it does.
 */
void child_begin(void);

/* What it answered, the caller's; NULL: there is no answer, and the reason was said on standard error. */
json_t *child_run(int argc, char **argv, const char *what);

#endif
