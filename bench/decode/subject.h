/* SPDX-License-Identifier: MIT */
/* What bench_decode measures: a way to predict. One thread. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <ortpool/ortpool.h>
#include <ortpool/swipe.h>

#include <onnxruntime_c_api.h>

typedef struct subject_setup {
    const OrtApi *api;
    uint32_t api_version;
    const char *ort_version;
    const char *directory; /* of the model */
    size_t beam_width;     /* 0: the manifest's */
} subject_setup;

/* Tensors' memory that ortpool has taken since it was opened; all zero for the plain ones. */
typedef struct subject_taken {
    uint64_t mappings, tensors;
} subject_taken;

typedef struct subject subject;
struct subject {
    /* Three candidates at most. Ends the process where it fails. */
    void (*predict)(subject *s, const ortp_swipe *swipe, ortp_prediction *out);
    void (*warm)(subject *s); /* NULL: by predictions alone */
    subject_taken (*taken)(const subject *s);
    void (*close)(subject *s);
};

/* The usual code: one run for each beam and step, tensors made for each run, ORT's defaults. */
subject *usual_open(const subject_setup *setup);
/* ORT well used: beams batched, tensors and bindings made once, ORT's arena. */
subject *well_used_open(const subject_setup *setup);
/* ortpool's predictor. */
subject *pooled_open(const subject_setup *setup, ortp_path path, bool cached);

#endif
