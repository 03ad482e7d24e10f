/* SPDX-License-Identifier: MIT */
/* Both libraries: as program.c, with a predictor. */
#include <ortpool/ortpool.h>
#include <ortpool/predict.h>
#include <stdio.h>

int main(void)
{
    ortp_error error = ORTP_ERROR_INIT;
    ortp_runtime *runtime = NULL;
    ortp_session *session = NULL;
    ortp_predictor *predictor = NULL;
    if (ortp_runtime_create(NULL, &runtime, &error) != ORTP_E_INVAL ||
        ortp_session_create(NULL, &session, &error) != ORTP_E_INVAL ||
        ortp_predictor_create(NULL, &predictor, &error) != ORTP_E_INVAL) {
        return 1;
    }
    printf("ortpool %s with its predictor in C\n", ortp_version());
    return 0;
}
