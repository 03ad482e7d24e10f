/* SPDX-License-Identifier: MIT */
/* See process.h. */
#include "process.h"

#include <stdio.h>
#include <sys/resource.h>

process_memory process_memory_now(void)
{
    process_memory now = {-1, -1, -1};
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        long long kib;
        if (sscanf(line, "RssAnon: %lld kB", &kib) == 1) {
            now.anonymous = kib * 1024;
        } else if (sscanf(line, "VmRSS: %lld kB", &kib) == 1) {
            now.resident = kib * 1024;
        } else if (sscanf(line, "VmHWM: %lld kB", &kib) == 1) {
            now.resident_peak = kib * 1024;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return now;
}

bool process_reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL) {
        return false;
    }
    const bool written = fputs("5\n", file) >= 0; /* 5: VmHWM alone */
    return fclose(file) == 0 && written;           /* the write itself is made at the latest here */
}

long process_minor_faults(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}
