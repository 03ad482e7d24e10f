/* SPDX-License-Identifier: MIT */
/* The rows of `ortpool bench`: ways to predict with what is set about them. */
#ifndef ORTPOOL_CLI_BENCH_ROWS_H
#define ORTPOOL_CLI_BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "ways/way.h"

/* Which of the folders a row predicts with: the same weights but for INT8. */
typedef enum row_model {
    ROW_MODEL,       /* --model */
    ROW_MODEL_USUAL, /* --usual: its weights as an exporter writes them, operators not fused */
    ROW_MODEL_INT8,  /* --int8: quantised */
    ROW_MODELS
} row_model;

typedef struct row_kind {
    const char *name, *title;
    row_model model;
    bool own;      /* ortpool's */
    bool cached;   /* each swipe predicted twice, the second time counts */
    bool mimalloc; /* preloaded */
} row_kind;

#define ROWS_MAX 16u
extern const row_kind row_kinds[];
extern const size_t row_kind_count;

/* The row that all others are compared with, and those it is compared with first. */
#define ROW_INCREMENTAL "incremental"
#define ROW_BATCHED "batched"
#define ROW_WELL_USED "well-used"
#define ROW_NAIVE "naive"
/* A process that is no row: the noise floor. */
#define ROW_SPIN "spin"

const row_kind *row_kind_find(const char *name);
/* setup->no_arena is the row's to set. spin_us: of ROW_SPIN. */
way *row_open(const char *name, way_setup *setup, double spin_us);

#endif
