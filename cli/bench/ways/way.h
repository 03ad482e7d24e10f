/* SPDX-License-Identifier: MIT */
/* What `ortpool bench` compares: ways to predict. One thread; each ends the process with a message where it fails. */
#ifndef ORTPOOL_CLI_BENCH_WAY_H
#define ORTPOOL_CLI_BENCH_WAY_H

#include <ortpool/ortpool.h>
#include <ortpool/predict.h>

typedef struct way_setup {
    const OrtApi *api;
    uint32_t api_version;
    const char *ort_version;
    const char *directory; /* of the model */
    size_t beam_width;     /* 0: the manifest's */
    bool no_arena;         /* the plain ones: ORT's arena switched off */
    bool keyboard;         /* the model predicts words from swipes */
} way_setup;

/* What ortpool has taken since it was opened; all zero for the plain ones. */
typedef struct way_taken {
    uint64_t mappings, tensors;   /* so many */
    uint64_t mapped, mapped_peak; /* bytes */
} way_taken;

/* What is predicted: a swipe, or without a keyboard what goes into the encoder, as in ortp_encoder_input. */
typedef struct way_input {
    const ortp_swipe *swipe; /* NULL: the others */
    const float *features;
    const int32_t *keys;
    size_t length;
} way_input;

typedef struct way way;
struct way {
    /* Three candidates at most. */
    void (*predict)(way *w, const way_input *input, ortp_prediction *out);
    void (*warm)(way *w); /* NULL: by predictions alone */
    way_taken (*taken)(const way *w);
    void (*close)(way *w);
};

/* The usual code: one run for each beam and step, tensors made for each run, ORT's defaults. */
way *usual_open(const way_setup *setup);
/* ORT well used: beams batched, tensors and bindings made once, ORT's arena. */
way *well_used_open(const way_setup *setup);
/* ortpool's predictor, of a model with a keyboard. */
way *pooled_open(const way_setup *setup, ortp_path path, bool cached);
/* ortpool's model and decoder, of one without. */
way *pooled_model_open(const way_setup *setup, ortp_path path);
/* No prediction: a loop of arithmetic that takes about so long, which shows what the machine adds. */
way *spin_open(double us);

/* What both of ortpool's stand on. */
ortp_runtime *way_runtime(const way_setup *setup);

#define WAY_NAME_BYTES 48u
/* What stands for a word where tokens have no letters; WAY_NAME_BYTES at most. */
void way_name_tokens(const int32_t *tokens, size_t length, char *word);

#endif
