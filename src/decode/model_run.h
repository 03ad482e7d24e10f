/* SPDX-License-Identifier: MIT */
/*
 * The encoder's run for the room above, which has a deadline. Includes no header of ONNX Runtime.
 */
#ifndef ORTP_MODEL_RUN_H
#define ORTP_MODEL_RUN_H

#include <ortpool/model.h>

/* As ortp_model_encode(), but waits for memory until `deadline_ms` (0: not at all). */
ORTP_CHECK ortp_status ortp__model_encode_until(ortp_model *model, const ortp_encoder_input *input,
                                                uint64_t deadline_ms, ortp_tensor **memory,
                                                ortp_error *error);

#endif
