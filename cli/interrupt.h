/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C and SIGTERM end the input; what is in progress is still answered. A second one ends the
 * process.
 */
#ifndef ORTPOOL_CLI_INTERRUPT_H
#define ORTPOOL_CLI_INTERRUPT_H

#include <stdbool.h>

/*
 * Once, before threads. SIGPIPE is ignored from here on: writing says EPIPE instead. False where
 * the system has no pipe for it.
 */
bool interrupt_install(void);
/* From now on no signal ends the process by itself: for one that another one ends. */
void interrupt_every_time(void);
/* The signal that came, or 0. Any thread. */
int interrupt_signal(void);
/* Ends the input as a signal would, without being one. Any thread. */
void interrupt_end_input(void);
/* Waits until fd can be read (or is at its end); false once the input is to end. */
bool interrupt_wait_readable(int fd);

#endif
