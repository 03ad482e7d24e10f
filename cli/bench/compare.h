/* SPDX-License-Identifier: MIT */
/* Two documents of the bench, an earlier and a later one: what became better and what worse. */
#ifndef ORTPOOL_CLI_BENCH_COMPARE_H
#define ORTPOOL_CLI_BENCH_COMPARE_H

#include <stdio.h>

/*
 * Ratios (later over earlier) of every row that both have, with intervals. noise: a change of less, as a part of one, is
 * none. EXIT_ANSWERED; EXIT_INPUT: a row of ortpool became worse, in time beyond its interval and the noise, or in a
 * count; EXIT_SETUP, said.
 */
int compare_files(FILE *out, const char *earlier, const char *later, double noise);

#endif
