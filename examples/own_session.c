/* SPDX-License-Identifier: MIT */
/* An application's own OrtSession: ORT's memory and the inputs from ortpool, 2 MiB at most, given back at the end. */
#include <onnxruntime_c_api.h>
#include <ortpool/ortpool.h>
#include <stdio.h>
#define TRY(call) if (call) return fprintf(stderr, "failed: %s: %s\n", #call, error.message), 1

int main(int argc, char **argv) {
    ortp_error error = ORTP_ERROR_INIT;
    const char *path = argc > 1 ? argv[1] : "add.onnx"; /* the graph: z = x + y */
    const OrtApi *ort = OrtGetApiBase()->GetApi(18);
    OrtEnv *env; OrtSessionOptions *settings; OrtSession *mine;
    TRY(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "app", &env));
    TRY(ort->CreateSessionOptions(&settings)); /* the application's own settings go here */
    ortp_runtime_options options = {sizeof options, .api = ort, .env = env, .limit_bytes = 2 << 20};
    ortp_runtime *runtime; ortp_session *session; ortp_tensor_pool *tensors; size_t freed;
    TRY(ortp_runtime_create(&options, &runtime, &error));
    TRY(ortp_session_options_prepare(&(ortp_session_options){sizeof(ortp_session_options),
            .runtime = runtime, .path = path, .declared_bytes = 64 << 10}, settings, &session, &error));
    TRY(ort->CreateSession(env, path, settings, &mine)); /* between the two calls, and nowhere else */
    TRY(ortp_session_adopt(session, mine, &error));
    TRY(ortp_tensor_pool_create(&(ortp_tensor_pool_options){sizeof(ortp_tensor_pool_options),
            .runtime = runtime}, &tensors, &error)); /* OrtValue and buffer, used again by shape */
    for (int64_t count = 1024; count <= 1 << 18; count *= 16) { /* 4 KiB, 64 KiB, 1 MiB */
        ortp_tensor *x; OrtValue *z = NULL;
        TRY(ortp_tensor_acquire(tensors, ORTP_TYPE_FLOAT, &count, 1, &x, &error));
        for (int64_t i = 0; i < count; i++) ((float *)ortp_tensor_data(x))[i] = (float)i;
        ortp_status status = ortp_run(session, NULL, (const char *[]){"x", "y"}, /* in place of Run */
            (const OrtValue *[]){ortp_tensor_value(x), ortp_tensor_value(x)}, 2,
            (const char *[]){"z"}, &z, 1, &error);
        printf("%6d numbers: %s\n", (int)count, status ? error.message : "z lies in ortpool's memory");
        TRY(ortp_tensor_release(x)); ort->ReleaseValue(z);
    }
    TRY(ortp_runtime_trim(runtime, ORTP_UNLIMITED, &freed) || ortp_session_destroy(session, NULL));
    ort->ReleaseSession(mine), ort->ReleaseSessionOptions(settings);
    TRY(ortp_tensor_pool_destroy(tensors, &error) || ortp_runtime_destroy(runtime, &error));
    ort->ReleaseEnv(env);
    printf("given back before the end: %zu bytes\n", freed);
}
