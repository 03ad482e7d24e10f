/* SPDX-License-Identifier: MIT */
/* See machine.h. */
#define _DEFAULT_SOURCE 1 /* madvise, MAP_ANONYMOUS */

#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NO_ADVICE 9999

unsigned test_thin(void)
{
    const char *wish = getenv("ORTPOOL_TEST_THIN");
    return wish ? (unsigned)strtoul(wish, NULL, 10) : 0;
}

bool test_advice_heeded(void)
{
    const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return true;
    }
    const bool heeded = madvise(page, bytes, NO_ADVICE) != 0;
    (void)munmap(page, bytes);
    if (!heeded) {
        (void)fputs("skipped: this system takes any advice about pages and follows none\n", stderr);
    }
    return heeded;
}
