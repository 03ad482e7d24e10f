/* SPDX-License-Identifier: MIT */
/* libortpool alone: whatever it links it must be able to call; without an ONNX Runtime that ends in clear statuses. */
#include <ortpool/ortpool.h>
#include <stdio.h>

int main(void)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime *runtime = NULL;
    ortp_session *session = NULL;
    if (ortp_runtime_create(NULL, &runtime, &error) != ORTP_E_INVAL ||
        ortp_session_create(NULL, &session, &error) != ORTP_E_INVAL) {
        return 1;
    }
    printf("ortpool %s in a program of C alone\n", ortp_version());
    return 0;
}
