/* SPDX-License-Identifier: MIT */
/* What the system says that this process holds. */
#ifndef ORTPOOL_CLI_PROCESS_H
#define ORTPOOL_CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct process_memory {
    int64_t anonymous, resident, resident_peak; /* bytes; -1: the system does not tell */
} process_memory;

process_memory process_memory_now(void);
/* From here on resident_peak is the peak since this call; false where the system cannot do that. */
bool process_reset_peak(void);
/* Page faults that took no I/O, since the process began. */
long process_minor_faults(void);

#endif
