/* SPDX-License-Identifier: MIT */
/* The model's folder: what is named, or else the first of three places. */
#include "find_model.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_manifest(const char *folder)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/model.json", folder);
    return (size_t)length < sizeof(path) && access(path, R_OK) == 0;
}

/* The folder that the executable lies in, without links; false where the system does not say. */
static bool executable_folder(char *folder, size_t capacity)
{
    ssize_t length = readlink("/proc/self/exe", folder, capacity - 1);
    if (length <= 0) {
        return false;
    }
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    assert(slash != NULL); /* the kernel gives whole paths */
    *slash = '\0';
    return true;
}

static bool take(const char *base, const char *below, char *folder, size_t capacity)
{
    int length = snprintf(folder, capacity, "%s%s", base, below);
    return (size_t)length < capacity && has_manifest(folder);
}

static bool take_bundled(const char *base, bool known, char *folder, size_t capacity)
{
    return take("models/swipe-en", "", folder, capacity) ||
           (known && (take(base, "/../../models/swipe-en", folder, capacity) ||
                      take(base, "/../share/ortpool/models/swipe-en", folder, capacity)));
}

bool find_bundled_model(char *folder, size_t capacity)
{
    char base[PATH_MAX];
    return take_bundled(base, executable_folder(base, sizeof(base)), folder, capacity);
}

bool find_model(const char *option, const char *named, char *folder, size_t capacity,
                char *message, size_t message_capacity)
{
    const char *who = option != NULL ? option : "";
    if (named == NULL) {
        named = getenv("ORTPOOL_MODEL");
        who = "ORTPOOL_MODEL";
    }
    if (named != NULL && *named != '\0') {
        errno = 0;
        if (take(named, "", folder, capacity)) {
            return true;
        }
        int number = errno != 0 ? errno : ENAMETOOLONG; /* nothing was called with such a name */
        snprintf(message, message_capacity,
                 "%s%sno model in '%.1024s': model.json cannot be read there: %s", who,
                 *who != '\0' ? ": " : "", named, strerror(number));
        return false;
    }
    char base[PATH_MAX];
    bool known = executable_folder(base, sizeof(base));
    if (take_bundled(base, known, folder, capacity)) {
        return true;
    }
    snprintf(message, message_capacity,
             "no model found. Looked for model.json in\n"
             "    ORTPOOL_MODEL (not set)\n"
             "    models/swipe-en\n"
             "    %s/../../models/swipe-en\n"
             "    %s/../share/ortpool/models/swipe-en\n"
             "Name its folder%s%s.",
             known ? base : "(executable)", known ? base : "(executable)",
             option != NULL ? " with " : "", option != NULL ? option : "");
    return false;
}
