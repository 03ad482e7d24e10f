/* SPDX-License-Identifier: MIT */
/* The words for the ways a decoder is run. */
#ifndef ORTP_CLI_PATH_H
#define ORTP_CLI_PATH_H

#include <ortpool/model.h>

/* "auto", "sequential", "batched", "incremental". */
bool path_parse(const char *text, ortp_path *out);
const char *path_name(ortp_path path);

/* What path_parse() takes, for messages. */
#define PATH_WORDS "'auto', 'sequential', 'batched' or 'incremental'"

#endif
