/* SPDX-License-Identifier: MIT */
/* The threads that predict. */
#ifndef ORTPOOL_CLI_SOAK_WORKER_H
#define ORTPOOL_CLI_SOAK_WORKER_H

#include "soak.h"

/* Predicts until the gate ends; a pthread's function, on a soak_worker. */
void *worker_run(void *worker);
/* At a closed gate: what each worker was refused last must succeed now. */
void workers_recover(soak *s);

#endif
