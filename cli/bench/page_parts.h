/* SPDX-License-Identifier: MIT */
/* The files that the page is made of, embedded by cmake/OrtpoolEmbed.cmake when the command is built. */
#ifndef ORTPOOL_CLI_BENCH_PAGE_PARTS_H
#define ORTPOOL_CLI_BENCH_PAGE_PARTS_H

#include <stddef.h>

typedef struct page_part {
    const char *name; /* of the file, "page.css" */
    const unsigned char *bytes;
    size_t size; /* above 0 */
} page_part;

extern const page_part page_parts[];
extern const size_t page_part_count;

#endif
