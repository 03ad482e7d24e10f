/* SPDX-License-Identifier: MIT */
/*
 * What one encoder run asks of its allocator, call by call, so that ways to place blocks can be
 * simulated:
 *
 *     bench_trace [S ...]         lengths, default 10 to 150
 *
 *     run S
 *     a ID BYTES                  Alloc
 *     f ID BYTES                  Free
 *     end PEAK                    the most bytes that were live
 */
#include "counting_memory.h"
#include "encoder.h"

#include <ort_loader.h>

#include <stdio.h>
#include <stdlib.h>

static void tell(void *ctx, bool is_alloc, uint64_t id, size_t bytes)
{
    const uint64_t *first = ctx;
    (void)printf("%c %llu %zu\n", is_alloc ? 'a' : 'f', (unsigned long long)(id - *first), bytes);
}

static void trace_run(const OrtApi *api, OrtSession *session, counting_memory *memory,
                      size_t points)
{
    encoder_values values;
    encoder_values_make(&values, api, points);
    uint64_t first = memory->allocs;
    counting_memory_reset(memory);
    (void)printf("run %zu\n", points);
    memory->told_ctx = &first;
    memory->told = tell;
    ort_must(api, api->Run(session, NULL, encoder_inputs, (const OrtValue *const *)values.inputs, 3,
                           encoder_outputs, 1, &values.output));
    memory->told = NULL;
    (void)printf("end %zu\n", (size_t)memory->peak_bytes);
    encoder_values_free(&values, api);
}

int main(int argc, char **argv)
{
    ort_library library;
    char message[2048];
    if (!ort_library_open(&library, message, sizeof(message))) {
        (void)fprintf(stderr, "%s\n", message);
        return 1;
    }
    const OrtApi *api = library.api;
    OrtEnv *env = encoder_env(api);
    counting_memory memory;
    ort_must(api, counting_memory_register(&memory, api, library.api_version, env));
    OrtSessionOptions *options = encoder_options(api);
    ort_must(api, api->AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
    OrtSession *session = NULL;
    ort_must(api, api->CreateSession(env, BENCH_MODEL "/encoder.onnx", options, &session));
    api->ReleaseSessionOptions(options);

    if (argc < 2) {
        for (size_t points = 10; points <= ENCODER_POINTS_MAX; points += 10) {
            trace_run(api, session, &memory, points);
        }
    }
    for (int i = 1; i < argc; i++) {
        const unsigned long points = strtoul(argv[i], NULL, 10);
        if (points < 1 || points > ENCODER_POINTS_MAX) {
            (void)fprintf(stderr, "a length is 1 to %u, not '%s'\n", ENCODER_POINTS_MAX, argv[i]);
            return 2;
        }
        trace_run(api, session, &memory, points);
    }
    api->ReleaseSession(session);
    counting_memory_unregister(&memory, api, env);
    api->ReleaseEnv(env);
    return 0;
}
