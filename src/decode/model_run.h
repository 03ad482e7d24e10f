/* SPDX-License-Identifier: MIT */
/*
 * The encoder's run for the room above, which has a deadline. Includes no header of ONNX Runtime.
 */
#ifndef ORTP_MODEL_RUN_H
#define ORTP_MODEL_RUN_H

#include "session_run.h"

#include <ortpool/model.h>

/* As ortp_model_encode(), but with patience (TIMEOUT, CANCELLED). */
ORTP_CHECK ortp_status ortp__model_encode_patient(ortp_model *model,
                                                  const ortp_encoder_input *input,
                                                  const ortp__patience *patience,
                                                  ortp_tensor **memory, ortp_error *error);

#endif
