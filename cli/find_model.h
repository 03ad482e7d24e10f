/* SPDX-License-Identifier: MIT */
/* Where the model is, when no option says it. */
#ifndef ORTPOOL_CLI_FIND_MODEL_H
#define ORTPOOL_CLI_FIND_MODEL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds a folder with a model.json, in this order:
 *   1. `named`, or else $ORTPOOL_MODEL; when one is given no other place is tried
 *   2. models/swipe-en below the current folder
 *   3. ../../models/swipe-en from the executable (a build folder inside the sources)
 *   4. ../share/ortpool/models/swipe-en from the executable (installed)
 * False: `message` says what was looked for where. option: what `named` was given with, "--model", and how to name
 * a folder; NULL: `named` is the command's own operand.
 */
bool find_model(const char *option, const char *named, char *folder, size_t capacity,
                char *message, size_t message_capacity);
/* The same by 2 to 4 alone. */
bool find_bundled_model(char *folder, size_t capacity);

#endif
