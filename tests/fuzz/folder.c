/* SPDX-License-Identifier: MIT */
/* See fuzz.h. */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "fuzz.h"

#include <string.h>
#include <unistd.h>

static char folder[256];
static char written[64]; /* the one name that is used */
static char path[512];

const char *fuzz_path(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    return path;
}

static void remove_folder(void)
{
    if (written[0] != '\0') {
        (void)unlink(fuzz_path(written));
    }
    (void)rmdir(folder);
}

const char *fuzz_folder(void)
{
    if (folder[0] == '\0') {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
        (void)snprintf(folder, sizeof folder, "%s/ortpool-fuzz-XXXXXX",
                       base != NULL ? base : "/tmp");
        if (mkdtemp(folder) == NULL || atexit(remove_folder) != 0) {
            perror(folder);
            exit(2);
        }
    }
    return folder;
}

void fuzz_write(const char *name, const void *data, size_t size)
{
    (void)snprintf(written, sizeof written, "%s", name);
    FILE *file = fopen(fuzz_path(name), "wb");
    if (file == NULL || (size > 0 && fwrite(data, 1, size, file) != size) || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}
