/* SPDX-License-Identifier: MIT */
/* ORT's memory and the inputs from ortpool, 2 MiB at most, given back at the end (the graph: z = x + y). */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <onnxruntime_c_api.h>
#include <ortpool/ortpool.h>
#include <stdio.h>
#include <stdlib.h>
#define TEXT (*error.message ? error.message : ortp_status_text(status)) /* not every call takes an error */
#define TRY(call) if ((status = call)) return fprintf(stderr, "line %d: %s\n", __LINE__, TEXT), 1
#define ORT(call) TRY(ortp_runtime_take_status(runtime, call, "ORT", &error)) /* ORT's own message */

int main(int argc, char **argv) {
    setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* before the first env: ORT would start a telemetry client */
    ortp_status status; ortp_error error = ORTP_ERROR_INIT;
    const OrtApi *ort = OrtGetApiBase()->GetApi(18);
    ortp_runtime *runtime; ortp_session *session; ortp_tensor_pool *tensors; OrtSessionOptions *settings; size_t freed;
    ortp_runtime_options options = {sizeof options, .api = ort, .limit_bytes = 2 << 20};
    TRY(ortp_runtime_create(&options, &runtime, &error));
    ORT(ort->CreateSessionOptions(&settings)); ORT(ort->SetIntraOpNumThreads(settings, 2));
    ortp_session_options model = {sizeof model, .runtime = runtime, .ort_options = settings,
                                  .path = argc > 1 ? argv[1] : "add.onnx", .declared_bytes = 64 << 10};
    TRY(ortp_session_create(&model, &session, &error));
    ortp_tensor_pool_options pool = {sizeof pool, .runtime = runtime};
    TRY(ortp_tensor_pool_create(&pool, &tensors, &error)); /* OrtValue and buffer, used again by shape */
    for (int64_t count = 1024; count <= 1 << 18; count *= 16) { /* 4 KiB, 64 KiB, 1 MiB */
        ortp_tensor *x; OrtValue *z = NULL; /* NULL: ORT allocates it */
        TRY(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, &count, 1, &x, &error));
        for (int64_t i = 0; i < count; i++) ((float *)ortp_tensor_data(x))[i] = (float)i;
        const OrtValue *inputs[] = {ortp_tensor_value(x), ortp_tensor_value(x)};
        status = ortp_session_run(session, NULL, (const char *[]){"x", "y"}, inputs, 2,
                                  (const char *[]){"z"}, &z, 1, &error);
        printf("%6d numbers: %s\n", (int)count, status ? TEXT : "z lies in ortpool's memory");
        error = (ortp_error)ORTP_ERROR_INIT; TRY(ortp_tensor_release(x)); TRY(ortp_value_release(runtime, z));
    }
    TRY(ortp_runtime_trim(runtime, ORTP_UNLIMITED, &freed)); TRY(ortp_session_destroy(session, &error));
    ort->ReleaseSessionOptions(settings);
    TRY(ortp_tensor_pool_destroy(tensors, &error)); TRY(ortp_runtime_destroy(runtime, &error));
    printf("given back before the end: %zu bytes\n", freed);
}
