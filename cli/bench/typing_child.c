/* SPDX-License-Identifier: MIT */
/* The process of a typing session: see parts.h and typing.h. */
#include <stdio.h>
#include <stdlib.h>

#include "child.h"
#include "commands.h"
#include "engine.h"
#include "interrupt.h"
#include "parts.h"
#include "swipe_file.h"
#include "typing.h"

#define DIGITS 9 /* of a number */

static void show(void *ctx, double fraction)
{
    progress_update(ctx, fraction, "as a person does, ten times as fast");
}

static int run(const engine *e, const swipe_file *swipes, size_t count, bool quiet)
{
    progress bar;
    progress_start(&bar, "typing", 0.3, quiet);
    const typing_options options = {.swipes = count, .progress = show, .progress_ctx = &bar};
    json_t *typing = typing_run(e->runtime, e->predictor, swipes->rows, swipes->count, &options);
    progress_clear(&bar);
    const bool told =
        typing != NULL && json_dumpf(typing, stdout, JSON_REAL_PRECISION(DIGITS)) == 0;
    json_decref(typing);
    return told ? EXIT_ANSWERED : EXIT_SETUP;
}

int typing_serve(const char *folder, const char *swipes, size_t count, size_t beam, bool quiet)
{
    const run_options options = {.model = folder, .beam = beam, .threads = 2, .json = true};
    swipe_file file;
    engine e;
    child_begin();
    if (!swipe_file_read(&file, swipes)) {
        return EXIT_SETUP;
    }
    int code = engine_open(&e, &options, false);
    if (code == EXIT_ANSWERED) {
        code = run(&e, &file, count, quiet);
    }
    swipe_file_free(&file);
    return engine_close(&e, code);
}
