/* SPDX-License-Identifier: MIT */
/* What `ortpool bench` measures beside predictions. argv[0] is the part's name, the result an exit code. */
#ifndef ORTPOOL_CLI_BENCH_BENCH_H
#define ORTPOOL_CLI_BENCH_BENCH_H

/* Acquiring and releasing blocks, beside other allocators. */
int bench_pool(int argc, char **argv);

#endif
