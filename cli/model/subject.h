/* SPDX-License-Identifier: MIT */
/*
 * A session of a model whose memory comes from ONNX Runtime's arena, from the C library, or from ortpool.
 * Of the first two nothing of ortpool's is called: they are what a program without it does.
 */
#ifndef ORTPOOL_CLI_MODEL_SUBJECT_H
#define ORTPOOL_CLI_MODEL_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include <ort_loader.h>
#include <ortpool/ortpool.h>

#include "ports.h"

typedef enum subject_kind {
    SUBJECT_ORT,
    SUBJECT_NONE,
    SUBJECT_ORTPOOL,
    SUBJECT_KINDS
} subject_kind;
extern const char *const subject_names[SUBJECT_KINDS]; /* "ort", "none", "ortpool" */

typedef struct subject_options {
    subject_kind kind;
    const char *path;
    size_t budget;        /* 0: no limit; ortpool only */
    size_t intra_threads; /* of ONNX Runtime, in one run */
} subject_options;

typedef struct subject {
    subject_kind kind;
    const OrtApi *api;
    OrtEnv *env;
    OrtSession *ort;
    model_ports ports;
    const char **output_names;
    /* ortpool's */
    ortp_runtime *runtime;
    ortp_session *session;
    size_t
        mapped_bytes; /* of ortpool, when the session was there; the budget's peaks begin again then */
    size_t charged_peak; /* up to then */
    size_t live_bytes; /* that ONNX Runtime held of it when the session was there: packed weights */
} subject;

/* What a call ended with. */
typedef struct subject_error {
    bool budget; /* it did not fit into the limit */
    char message[1024];
} subject_error;

/* false: said in *error. subject_close() after both. */
bool subject_open(subject *out, const ort_library *library, const subject_options *options,
                  subject_error *error);
void subject_close(subject *s);

/*
 * outputs: one for each, NULL: ONNX Runtime allocates it. Any thread. shrink: its arena gives back what the run
 * leaves idle (SUBJECT_ORT alone).
 */
bool subject_run(const subject *s, const OrtValue *const *inputs, const char *const *input_names,
                 OrtValue **outputs, bool shrink, subject_error *error);
/* Gives back what is idle, where there is a way. */
void subject_trim(const subject *s, const OrtValue *const *inputs, const char *const *input_names);

#endif
