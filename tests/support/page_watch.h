/* SPDX-License-Identifier: MIT */
/*
 * Counts the pages that ortpool takes from the system, apart from ortpool's own accounts: in an
 * executable given to ortpool_watch_pages() (page_watch.cmake) every call of its page functions passes
 * here. With an ortp_alloc that counts the control structures too, and a limit that every step is held
 * against.
 * One per process, thread-safe. The limit's violations are kept until asked for, since the calls come
 * from inside the library.
 */
#ifndef TEST_PAGE_WATCH_H
#define TEST_PAGE_WATCH_H

#include <ortpool/status.h>

typedef struct page_watch_counts {
    size_t mapped_bytes;  /* pages that are usable now */
    size_t mapped_peak;   /* the most since the last start */
    size_t control_bytes; /* live in page_watch_alloc() */
    size_t control_blocks;
    size_t both_peak; /* the most of both together */
    uint64_t maps, commits, unmaps;
    uint64_t violations; /* steps that ended above the limit, or frees of what is not there */
    char first[160];     /* what the first of them was */
} page_watch_counts;

/* Peaks and violations start anew; what is mapped stays counted. */
void page_watch_start(void);
/* From now on mapped + control + `others` <= limit at each step that takes memory; SIZE_MAX: none. */
void page_watch_limit(size_t limit, size_t others);
page_watch_counts page_watch_get(void);
/* Of what is mapped, the bytes whose pages are present, as the system says. */
size_t page_watch_resident(void);
ortp_alloc page_watch_alloc(void);

#endif
