/* SPDX-License-Identifier: MIT */
/*
 * ONNX Runtime's table of functions with runs timed and tensors counted: every row of a bench gets it,
 * so that encoder and decoder are told apart in the same way in all of them. One thread.
 */
#ifndef ORTPOOL_CLI_BENCH_TIMED_API_H
#define ORTPOOL_CLI_BENCH_TIMED_API_H

#include <ort_loader.h>

typedef struct timed_runs {
    double us;
    uint64_t runs, heap_calls, heap_bytes; /* heap: where it is counted */
} timed_runs;

typedef struct timed_counts {
    timed_runs encoder, decoder;
    uint64_t tensors; /* made by the caller through the API, or by ORT as a run's outputs */
} timed_counts;

/* *version: of the table, in place of the library's. count_heap: libortpool-heapcount.so is preloaded. */
const OrtApi *timed_api(const ort_library *library, uint32_t *version, bool count_heap);
/* Runs of this session are the encoder's, those of all others the decoder's. */
void timed_api_encoder(const OrtSession *encoder);
/* Since the process began. */
timed_counts timed_api_read(void);

#endif
