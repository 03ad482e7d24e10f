/* SPDX-License-Identifier: MIT */
/* See ort_heaps.h. */
#include "ort_heaps.h"

#include <stdio.h>
#include <string.h>

/* A session's arena can be had from a session alone: y = Identity(x), one float. Opset 13, IR version 7. */
static const unsigned char model[] = {
    0x08, 0x07, 0x3a, 0x37,                                                 /* graph */
    0x0a, 0x10, 0x0a, 0x01, 'x',  0x12, 0x01, 'y',                          /* node */
    0x22, 0x08, 'I',  'd',  'e',  'n',  't',  'i',  't',  'y',              /* its operator */
    0x12, 0x01, 'g',                                                        /* the graph's name */
    0x5a, 0x0f, 0x0a, 0x01, 'x',  0x12, 0x0a, 0x0a, 0x08, 0x08, 0x01,       /* input: float */
    0x12, 0x04, 0x0a, 0x02, 0x08, 0x01,                                     /* [1] */
    0x62, 0x0f, 0x0a, 0x01, 'y',  0x12, 0x0a, 0x0a, 0x08, 0x08, 0x01,       /* output: float */
    0x12, 0x04, 0x0a, 0x02, 0x08, 0x01, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x0d, /* [1]; opset */
};

/* Takes the status; true where there is none. */
static bool well(ort_heaps *heaps, OrtStatus *status)
{
    if (status == NULL) {
        return true;
    }
    const OrtApi *api = heaps->library.api;
    const char *text = api->GetErrorMessage(status);
    snprintf(heaps->arena_absent, sizeof(heaps->arena_absent), "%.*s", (int)strcspn(text, "\n"),
             text);
    api->ReleaseStatus(status);
    return false;
}

static bool open_session(ort_heaps *out)
{
    const OrtApi *api = out->library.api;
    OrtSessionOptions *options = NULL;
    const bool opened =
        well(out, api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "ortpool", &out->env)) &&
        well(out, api->CreateSessionOptions(&options)) &&
        well(out, api->SetIntraOpNumThreads(options, 1)) &&
        well(out, api->EnableCpuMemArena(options)) &&
        well(out,
             api->CreateSessionFromArray(out->env, model, sizeof(model), options, &out->session)) &&
        well(out, api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &out->memory)) &&
        well(out, api->CreateAllocator(out->session, out->memory, &out->arena));
    if (options != NULL) {
        api->ReleaseSessionOptions(options);
    }
    return opened;
}

/* A build may have no arena and give the default allocator in its place. */
static bool is_arena(ort_heaps *heaps)
{
    const OrtApi *api = heaps->library.api;
    const OrtMemoryInfo *memory = NULL;
    OrtAllocatorType type = OrtInvalidAllocator;
    return well(heaps, api->AllocatorGetInfo(heaps->arena, &memory)) &&
           well(heaps, api->MemoryInfoGetType(memory, &type)) && type == OrtArenaAllocator;
}

void ort_heaps_open(ort_heaps *out)
{
    char message[4096];
    *out = (ort_heaps){0};
    if (!ort_library_open(&out->library, message, sizeof(message))) {
        snprintf(out->absent, sizeof(out->absent), "%.*s", (int)strcspn(message, ":\n"), message);
        snprintf(out->arena_absent, sizeof(out->arena_absent), "%s", out->absent);
        return;
    }
    if (!well(out, out->library.api->GetAllocatorWithDefaultOptions(&out->plain))) {
        snprintf(out->absent, sizeof(out->absent), "it gives no default allocator");
    }
    if (open_session(out) && !is_arena(out)) {
        snprintf(out->arena_absent, sizeof(out->arena_absent),
                 "this ONNX Runtime gives no arena for the CPU");
        out->library.api->ReleaseAllocator(out->arena);
        out->arena = NULL;
    }
}

void ort_heaps_close(ort_heaps *heaps)
{
    const OrtApi *api = heaps->library.api;
    if (heaps->arena != NULL) {
        api->ReleaseAllocator(heaps->arena);
    }
    if (heaps->memory != NULL) {
        api->ReleaseMemoryInfo(heaps->memory);
    }
    if (heaps->session != NULL) {
        api->ReleaseSession(heaps->session);
    }
    if (heaps->env != NULL) {
        api->ReleaseEnv(heaps->env);
    }
    *heaps = (ort_heaps){0};
}
