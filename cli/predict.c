/* SPDX-License-Identifier: MIT */
/* ortpool predict: swipes in, words out. */
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "engine.h"
#include "options.h"
#include "output.h"
#include "run.h"

static const subcommand predict_command = {
    .name = "predict",
    .has_top = true,
    .help =
        "usage: ortpool predict [OPTION]... [FILE|-]\n"
        "\n"
        "Reads swipes, one JSON object a line, and prints the words they stand for.\n"
        "- or no FILE is standard input. One line of input:\n"
        "  "
        "{\"id\":\"7\",\"x\":[..],\"y\":[..],\"t\":[..],\"keyboard\":{\"width\":W,\"height\":H}}\n"
        "x and y are pixels in the area of the three letter rows, W by H; t is\n"
        "milliseconds. id is any string or whole number and may be left out; other\n"
        "fields are ignored. A line of more than 64 MB fails.\n"
        "\n"
        "  --json           one JSON object a line instead of a table: {\"id\":..,\n"
        "                   \"candidates\":[{\"word\":..,\"score\":..,\"confidence\":..}],\n"
        "                   \"cache\":..,\"us\":..}\n"
        "                   and for a line that fails {\"id\":..,\"error\":..}\n"
        "  --top K          candidates per swipe, 1 to 16 (3)\n"
        "  --beam N         beam width of the search, 1 to 32 (the model's)\n"
        "  --path PATH      auto (default): incremental where model and ONNX Runtime can,\n"
        "                   else batched; incremental: one letter of each beam per step,\n"
        "                   over a KV cache; batched: all letters of all beams per step;\n"
        "                   sequential: all letters of one beam at a time\n"
        "  --pool KIND      thread: free blocks cached per thread (default);\n"
        "                   striped: shared, lock-striped\n"
        "  --budget SIZE    limit of all memory that ortpool maps or declares:\n"
        "                   512K, 64M or 64MiB, 1G, or bytes (none)\n"
        "  --threads N      predictions in parallel, 1 to 64 (1); the output stays in\n"
        "                   input order\n"
        "  --no-warmup      predict at once; the first predictions pay for the set-up\n"
        "  --stats[=json]   print the memory ledger after the words; with --json or\n"
        "                   =json as a last line {\"stats\":{..}}\n"
        "  --model DIR      folder with model.json (ORTPOOL_MODEL, or else\n"
        "                   models/swipe-en here or beside the program)\n"
        "  --help, --version\n"
        "\n"
        "Exit status: 0 all lines answered; 1 a line failed; 2 usage or set-up;\n"
        "130 interrupted. ORTPOOL_ONNXRUNTIME names an ONNX Runtime release folder\n"
        "(lib/libonnxruntime.so). NO_COLOR switches colours off.\n",
};

static bool print_answer(void *ctx, const answer *a)
{
    return output_answer(ctx, a);
}

static int predict_lines(engine *e, const run_options *options, line_reader *reader)
{
    output out;
    output_start(&out, options->json, options->top);
    run r = {.engine = e, .options = options, .result = print_answer, .ctx = &out};
    int code = run_lines(&r, reader);
    if (r.summary.lines > 0 && !output_stats(&out, options, e, &r.summary)) {
        code = EXIT_SETUP;
    }
    return output_finish(&out, code);
}

int command_predict(int argc, char **argv)
{
    run_options options;
    int code;
    if (!options_parse(&predict_command, argc, argv, &options, &code)) {
        return code;
    }
    line_reader reader;
    if (!run_open_input(&reader, options.input)) {
        return EXIT_SETUP;
    }
    if (isatty(reader.fd)) {
        fputs("ortpool: reading swipes from the terminal, one JSON object a line; Ctrl-D ends\n",
              stderr);
    }
    engine e;
    code = engine_open(&e, &options, false);
    if (code == EXIT_ANSWERED) {
        code = predict_lines(&e, &options, &reader);
    }
    line_reader_close(&reader);
    return engine_close(&e, code);
}
