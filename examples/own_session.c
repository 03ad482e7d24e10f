/* SPDX-License-Identifier: MIT */
/* An application's own OrtSession with ORT's memory from ortpool: 2 MiB at most, given back at the end. */
#include <onnxruntime_c_api.h>
#include <ortpool/ortpool.h>
#include <stdio.h>
#define TRY(call) if (call) return fprintf(stderr, "failed: %s: %s\n", #call, error.message), 1

int main(int argc, char **argv) {
    ortp_error error = ORTP_ERROR_INIT;
    const char *path = argc > 1 ? argv[1] : "add.onnx"; /* the graph: z = x + y */
    const OrtApi *ort = OrtGetApiBase()->GetApi(18);
    OrtEnv *env; OrtSessionOptions *settings; OrtSession *mine; OrtMemoryInfo *cpu;
    TRY(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "app", &env));
    TRY(ort->CreateSessionOptions(&settings)); /* the application's own settings go here */
    TRY(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    ortp_runtime_options options = {sizeof options, .api = ort, .env = env, .limit_bytes = 2 << 20};
    ortp_runtime *runtime; ortp_session *session;
    TRY(ortp_runtime_create(&options, &runtime, &error));
    TRY(ortp_session_options_prepare(&(ortp_session_options){sizeof(ortp_session_options),
            .runtime = runtime, .path = path, .declared_bytes = 64 << 10}, settings, &session, &error));
    TRY(ort->CreateSession(env, path, settings, &mine)); /* between the two calls, and nowhere else */
    TRY(ortp_session_adopt(session, mine, &error));
    static float numbers[1 << 20];
    for (int64_t count = 1024; count <= 1 << 20; count *= 32) { /* 4 KiB, 128 KiB, 4 MiB */
        OrtValue *x, *z = NULL;
        TRY(ort->CreateTensorWithDataAsOrtValue(cpu, numbers, (size_t)count * 4, &count, 1,
                                                ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &x));
        ortp_status status = ortp_run(session, NULL, (const char *[]){"x", "y"}, /* in place of Run */
            (const OrtValue *[]){x, x}, 2, (const char *[]){"z"}, &z, 1, &error);
        printf("%7d numbers: %s\n", (int)count, status ? error.message : "z lies in ortpool's memory");
        ort->ReleaseValue(x), ort->ReleaseValue(z);
    }
    size_t freed;
    TRY(ortp_runtime_trim(runtime, ORTP_UNLIMITED, &freed) || ortp_session_destroy(session));
    ort->ReleaseSession(mine), ort->ReleaseSessionOptions(settings), ort->ReleaseMemoryInfo(cpu);
    TRY(ortp_runtime_destroy(runtime, &error));
    ort->ReleaseEnv(env);
    printf("given back before the end: %zu bytes\n", freed);
}
