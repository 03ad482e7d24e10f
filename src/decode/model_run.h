/* SPDX-License-Identifier: MIT */
/*
 * The encoder's run for the room above, which has a deadline and warms what it takes. Includes no
 * header of ONNX Runtime.
 */
#ifndef ORTP_MODEL_RUN_H
#define ORTP_MODEL_RUN_H

#include "session_run.h"

#include <ortpool/decoder.h>

/* As ortp_model_encode(), but with patience (TIMEOUT, CANCELLED). */
ORTP_CHECK ortp_status ortp__model_encode_patient(ortp_model *model,
                                                  const ortp_encoder_input *input,
                                                  const ortp__patience *patience,
                                                  ortp_tensor **encoded, ortp_error *error);

/* A tensor for an encoder's output of `source` positions, with the values of its parts made. */
ORTP_CHECK ortp_status ortp__encoded_acquire(ortp_model *model, size_t source, ortp_tensor **out,
                                             ortp_error *error);
/* The value of one part. Of a tensor from acquire it is only looked up: any thread, whoever else does. */
ORTP_CHECK ortp_status ortp__encoded_part(const ortp_model *model, ortp_tensor *encoded,
                                          size_t source, size_t part, OrtValue **out,
                                          ortp_error *error);

/* The encoder's own reading, [source, V]; only of models with encoder.ctc. */
const float *ortp__encoded_ctc(const ortp_model *model, const ortp_tensor *encoded, size_t source);

/* Whether the runs of this decoder's next searches wait only beside others: session_run.h. */
void ortp__decoder_wait_beside(ortp_decoder *decoder, bool beside);

/* As ortp_decoder_warm(), for searches that weigh ctc or for such that do not. */
ORTP_CHECK ortp_status ortp__decoder_warm(ortp_decoder *decoder, size_t bucket_index, size_t beams,
                                          bool weighs, ortp_error *error);

/* Microseconds that the decoder runs of the last search took. */
uint64_t ortp__decoder_last_run_us(const ortp_decoder *decoder);

/* After a search or warm-up step: the logits of the last run, f32 [n,T,V] or [n,V], valid until the
 * next; NULL before. For tests. One owner at a time, as the decoder. */
const float *ortp__decoder_logits(const ortp_decoder *decoder, size_t *rows);

/* What a decoder has of control memory, and in its buffers, blocks' rounding left out. */
size_t ortp__decoder_control_bytes(const ortp_decoder *decoder);
size_t ortp__decoder_buffer_bytes(const ortp_decoder *decoder);

#endif
