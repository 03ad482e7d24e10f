/* SPDX-License-Identifier: MIT */
/*
 * Letting ORT pick up an allocator: an env has one CPU allocator, and a session asks for it once,
 * when it is created. So creations go one at a time through a gate that the whole process shares
 * (ORT's env is one per process, too): the one mutable state of the library beside a thread's
 * current ticket.
 */
#ifndef ORTP_REGISTRATION_H
#define ORTP_REGISTRATION_H

#include "allocator.h"

/*
 * Waits until no other session is being created in this process. Not a lock: charges are legal. false: it
 * is this thread that creates one.
 */
bool ortp__creation_begin(void);
void ortp__creation_end(void);

/* The env's CPU allocator from here on; `hosts` (may be NULL) is the one that it replaces. Errors: ORT. */
ORTP_CHECK ortp_status ortp__register(ortp__allocator *allocator, OrtAllocator *hosts,
                                      ortp_error *error);
/* Takes it out again, and puts the host's back. */
void ortp__unregister(ortp__allocator *allocator, OrtAllocator *hosts);

#endif
