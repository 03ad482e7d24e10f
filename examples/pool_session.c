/* SPDX-License-Identifier: MIT */
/* Pools the tensors of an OrtSession that the application already has (the graph: z = x + y). */
#include <onnxruntime_c_api.h>
#include <ortpool/ortpool.h>
#include <stdio.h>
#define TRY(call) if (call) return fprintf(stderr, "failed: %s\n", #call), 1

int main(int argc, char **argv) {
    const OrtApi *ort = OrtGetApiBase()->GetApi(18); /* the application's own: ORT, env, session */
    OrtEnv *env; OrtSession *session;
    TRY(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "app", &env));
    TRY(ort->CreateSession(env, argc > 1 ? argv[1] : "add.onnx", NULL, &session));
    ortp_runtime_options options = {sizeof options, .api = ort, .env = env, .limit_bytes = 8 << 20};
    ortp_runtime *runtime; /* ortpool over them: 8 MiB at most */
    TRY(ortp_runtime_create(&options, &runtime, NULL));
    ortp_tensor_pool *pool;
    TRY(ortp_tensor_pool_create(&(ortp_tensor_pool_options){sizeof(ortp_tensor_pool_options),
                                                            .runtime = runtime}, &pool, NULL));
    for (int run = 0; run < 1000; run++) {
        ortp_tensor *in, *out; /* an OrtValue and its buffer each, the same ones in every run */
        TRY(ortp_tensor_acquire(pool, ORTP_TYPE_FLOAT, (int64_t[]){1024}, 1, &in, NULL));
        TRY(ortp_tensor_acquire(pool, ORTP_TYPE_FLOAT, (int64_t[]){1024}, 1, &out, NULL));
        for (int i = 0; i < 1024; i++) ((float *)ortp_tensor_data(in))[i] = (float)(run + i);
        const OrtValue *x[] = {ortp_tensor_value(in), ortp_tensor_value(in)};
        OrtValue *z[] = {ortp_tensor_value(out)};
        TRY(ort->Run(session, NULL, (const char *[]){"x", "y"}, x, 2, (const char *[]){"z"}, 1, z));
        TRY(((float *)ortp_tensor_data(out))[7] != (float)(2 * (run + 7)));
        TRY(ortp_tensor_release(in) || ortp_tensor_release(out));
    }
    ortp_stats stats = ORTP_STATS_INIT;
    TRY(ortp_stats_collect(runtime, &stats));
    char ledger[4096];
    TRY(ortp_stats_write(&stats, ORTP_STATS_TABLE, ledger, sizeof ledger, NULL));
    printf("1000 runs, %d tensors created\n%s", (int)stats.tensor_creates, ledger);
    TRY(ortp_tensor_pool_destroy(pool, NULL) || ortp_runtime_destroy(runtime, NULL));
    ort->ReleaseSession(session), ort->ReleaseEnv(env);
}
