/* SPDX-License-Identifier: MIT */
/* Pools the tensors of an OrtSession that the application already has (the graph: z = x + y). */
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
    ortp_runtime *runtime; ortp_tensor_pool *pool; OrtSession *session;
    ortp_runtime_options options = {sizeof options, .api = ort, .limit_bytes = 8 << 20};
    TRY(ortp_runtime_create(&options, &runtime, &error));
    ORT(ort->CreateSession(ortp_runtime_env(runtime), argc > 1 ? argv[1] : "add.onnx", NULL, &session));
    ortp_tensor_pool_options tensors = {sizeof tensors, .runtime = runtime};
    TRY(ortp_tensor_pool_create(&tensors, &pool, &error));
    for (int run = 0; run < 1000; run++) {
        ortp_tensor *in, *out; /* an OrtValue and its buffer each, the same ones in every run */
        TRY(ortp_tensor_acquire(pool, ORTP_TYPE_FLOAT, (int64_t[]){1024}, 1, &in, &error));
        TRY(ortp_tensor_acquire(pool, ORTP_TYPE_FLOAT, (int64_t[]){1024}, 1, &out, &error));
        for (int i = 0; i < 1024; i++) ((float *)ortp_tensor_data(in))[i] = (float)(run + i);
        const OrtValue *x[] = {ortp_tensor_value(in), ortp_tensor_value(in)};
        OrtValue *z = ortp_tensor_value(out);
        ORT(ort->Run(session, NULL, (const char *[]){"x", "y"}, x, 2, (const char *[]){"z"}, 1, &z));
        if (((float *)ortp_tensor_data(out))[7] != (float)(2 * (run + 7))) return fprintf(stderr, "wrong sum\n"), 1;
        TRY(ortp_tensor_release(in)); TRY(ortp_tensor_release(out));
    }
    ortp_stats stats = ORTP_STATS_INIT; char ledger[4096];
    TRY(ortp_stats_collect(runtime, &stats));
    TRY(ortp_stats_write(&stats, ORTP_STATS_TABLE, ledger, sizeof ledger, NULL));
    printf("1000 runs, %d tensors created\n%s", (int)stats.tensor_creates, ledger);
    ort->ReleaseSession(session);
    TRY(ortp_tensor_pool_destroy(pool, &error)); TRY(ortp_runtime_destroy(runtime, &error));
}
