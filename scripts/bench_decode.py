#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures predictions by ortpool, by the usual code and by ONNX Runtime well used; writes Markdown.

    cmake --preset release -DORTPOOL_BENCH=ON && cmake --build --preset release
    scripts/bench_decode.py [--model DIR] [--usual DIR] [--int8 DIR] [--rounds N] > DECODE.md

--model: fused graphs, fp32; --usual: the same weights as the usual export; --int8: fused, quantised. One process
for each row, which lives through all rounds; a round lets each predict all swipes, beginning with another
row each time. Exit status 1 where rows of the same weights gave different words.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from bench_memory import TOP, machine, table

# name in the table, what bench_decode is asked for, which folder
ROWS = {
    "naive-usual": ("naive, usual export", "naive", "usual"),
    "naive-fused": ("naive, fused", "naive", "model"),
    "well-used-usual": ("well used, usual export", "well-used", "usual"),
    "well-used-fused": ("well used, fused", "well-used", "model"),
    "sequential": ("ortpool, sequential", "sequential", "model"),
    "batched": ("ortpool, batched", "batched", "model"),
    "incremental": ("**ortpool, incremental**", "incremental", "model"),
    "incremental-int8": ("ortpool, incremental, int8", "incremental", "int8"),
    "incremental-hits": ("(ortpool, encoder cache hits)", "hits", "model"),
}
BASELINES = ["naive-usual", "naive-fused", "well-used-usual", "well-used-fused"]
OWN = ["sequential", "batched", "incremental", "incremental-int8"]

# (row, baseline, least ratio of p50); (row, baseline, least reduction of heap allocations)
FASTER = [
    ("incremental", "naive-usual", 6.0),
    ("incremental", "naive-fused", 6.0),
    ("incremental", "well-used-usual", 3.5),
    ("incremental", "well-used-fused", 3.5),
    ("incremental-int8", "naive-usual", 10.0),
    ("incremental-int8", "naive-fused", 10.0),
]
FEWER = [("incremental", "naive-usual", 0.93), ("incremental", "naive-fused", 0.85)]


def say(text):
    print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)


# ---- the processes ----


class Row:
    """A process of bench_decode; with `preload` its heap is counted."""

    def __init__(self, name, options, preload=None):
        _, how, folder = ROWS[name]
        self.name = name
        arguments = [os.path.join(options.build, "bench", "bench_decode"), how]
        arguments.append(getattr(options, folder))
        for flag, value in (("-b", options.beam), ("-n", options.most)):
            arguments += [flag, str(value)] if value else []
        for file in options.swipes:
            arguments += ["-s", file]
        environment = dict(os.environ, ORT_DISABLE_TELEMETRY="1")
        if preload:
            environment["LD_PRELOAD"] = preload
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            status = self.process.wait()
            print(file=sys.stderr)
            print(f"{self.name}: its process ended with {status}", file=sys.stderr)
            sys.exit(77 if status == 77 else 1)  # 77: there is no ONNX Runtime
        return json.loads(text)

    def round(self):
        self.process.stdin.write("g")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"{self.name}: failed in the end")


def count_heap(names, options):
    """Allocations of a steady round, each row in a process of its own."""
    preload = os.path.join(options.build, "libortpool-heapcount.so")
    counted = {}
    for name in names:
        say(f"counting: {name}")
        row = Row(name, options, preload)
        row.line()
        row.round()  # the first is not counted
        counted[name] = row.round()
        row.end()
    return counted


def time_rows(names, options):
    """First lines and the rounds' lines, by row."""
    rows = []
    first = {}
    for name in names:
        say(f"opening: {name}")
        rows.append(Row(name, options))
        first[name] = rows[-1].line()
    rounds = {name: [] for name in names}
    for row in rows:
        say(f"warming up: {row.name}")
        row.round()
    for number in range(options.rounds):
        for i in range(len(rows)):
            row = rows[(number + i) % len(rows)]
            say(f"round {number + 1} of {options.rounds}: {row.name}")
            rounds[row.name].append(row.round())
    for row in rows:
        row.end()
    print(file=sys.stderr)
    return first, rounds


# ---- figures ----


def quantile(values, part):
    """Nearest rank."""
    values = sorted(values)
    return values[max(0, min(len(values), -int(-part * len(values) // 1)) - 1)]


def figures(first, rounds, counted):
    """Of one row: times in microseconds, counts per prediction."""
    count = sum(r["predictions"] for r in rounds)
    latencies = [us for r in rounds for us in r["us"]]

    def per_prediction(*fields):
        return sum(r[field] for r in rounds for field in fields) / count

    return {
        "round_p50_us": [statistics.median(r["us"]) for r in rounds],
        "p50_us": statistics.median(statistics.median(r["us"]) for r in rounds),
        "p90_us": quantile(latencies, 0.9),
        "p99_us": quantile(latencies, 0.99),
        "encoder_us": statistics.median(r["encoder_us"] for r in rounds),
        "decoder_us": statistics.median(r["decoder_us"] for r in rounds),
        "decoder_runs": per_prediction("decoder_runs"),
        "heap": counted["heap"] / counted["predictions"],
        "tensors": per_prediction("tensors", "aligned_new", "mappings"),
        "faults": per_prediction("faults"),
        "hits": per_prediction("hits"),
        "peak_rss_kib": rounds[-1]["peak_rss_kib"],
        "open_us": first["open_us"],
        "warm_us": first["warm_us"],
        "first_us": first["first_us"],
    }


def ratios(of, row, baseline):
    """How many times the baseline takes as long, round by round: median, least, most."""
    each = [b / a for a, b in zip(of[row]["round_p50_us"], of[baseline]["round_p50_us"])]
    return statistics.median(each), min(each), max(each)


def compare_words(first, options):
    """What differs from the batched row: texts, and whether that is a failure."""
    wanted = [[word for word, _ in one] for one in first["batched"]["words"]]
    texts, good = [], True
    for name, line in first.items():
        words = [[word for word, _ in one] for one in line["words"]]
        differing = sum(a != b for a, b in zip(wanted, words))
        best = sum(a[:1] != b[:1] for a, b in zip(wanted, words))
        if ROWS[name][2] == "int8" or (ROWS[name][2] == "usual" and options.other_weights):
            texts.append(
                f"{ROWS[name][0]}: other words than the batched row for {differing} of {len(words)} "
                f"swipes, another first word for {best}."
            )
        elif differing:
            good = False
            texts.append(f"**{ROWS[name][0]}: other words for {differing} of {len(words)} swipes.**")
    if good:
        texts.insert(0, "Every other row gave the same words.")
    return texts, good


# ---- the page ----


def ms(us):
    return f"{us / 1000:.2f}"


def main_table(of):
    head = ["row", "p50, ms", "p90", "p99", "encoder", "decoder", "decoder runs"]
    head += ["heap allocations", "tensor allocations", "minor faults", "peak RSS, MiB", "first, ms"]
    rows = []
    for name, f in of.items():
        row = [ROWS[name][0]]
        row += [ms(f[key]) for key in ("p50_us", "p90_us", "p99_us", "encoder_us", "decoder_us")]
        row += [f"{f['decoder_runs']:.1f}", f"{f['heap']:,.0f}", f"{f['tensors']:.2f}"]
        row += [f"{f['faults']:.2f}", f"{f['peak_rss_kib'] / 1024:.1f}", ms(f["first_us"])]
        rows.append(row)
    return table(head, rows)


def ratio_table(of):
    baselines = [name for name in BASELINES if name in of]
    head = ["p50: times as fast as"] + [ROWS[name][0] for name in baselines]
    rows = []
    own = [name for name in OWN if name in of]
    for name in own:
        cells = ["{:.2f} ({:.2f} to {:.2f})".format(*ratios(of, name, b)) for b in baselines]
        rows.append([ROWS[name][0], *cells])
    for name in own:
        cells = [f"{100 * (of[name]['heap'] / of[b]['heap'] - 1):+.1f} %" for b in baselines]
        rows.append([ROWS[name][0] + ": heap allocations", *cells])
    return table(head, rows)


def targets(of):
    """(text, wanted, measured, holds) of those whose rows are there."""
    result = []
    for row, baseline, least in FASTER:
        if row in of and baseline in of:
            middle, low, high = ratios(of, row, baseline)
            text = f"{ROWS[row][0]}: p50 against {ROWS[baseline][0]}"
            measured = f"{middle:.2f} times ({low:.2f} to {high:.2f})"
            result.append((text, f"{least:g} times", measured, middle >= least))
    for row, baseline, least in FEWER:
        if row in of and baseline in of:
            less = 1 - of[row]["heap"] / of[baseline]["heap"]
            text = f"{ROWS[row][0]}: heap allocations against {ROWS[baseline][0]}"
            result.append((text, f"-{100 * least:.0f} %", f"-{100 * less:.1f} %", less >= least))
    for name in OWN:
        for key, what in (("tensors", "tensor allocations"), ("faults", "minor faults")):
            if name in of:
                value = of[name][key]
                result.append((f"{ROWS[name][0]}: {what}", "0", f"{value:.3f}", value == 0))
    return result


METHOD = """
Per prediction, after warm-up, encoder cache off but in the row of hits, one intra-op thread, {predictions}
swipes, {rounds} rounds. One process for each row, which lives through all rounds; in a round each row predicts all
swipes, one row after the other, each round beginning with another. *p50* is the median over rounds of a round's
median, *p90* and *p99* are over all predictions; ratios are paired by round: median, least and most. *encoder* and *decoder* are
the time inside ORT's runs. *naive*: one decoder run for each beam and step, tensors made for each run, ORT's defaults.
*well used*: one run a step, all tensors and bindings made once, ORT's arena. Both are written against ORT's C API and
use ortpool's features, lexicon and score rules; on fused graphs they run encoder and decoder, and the encoder's
cross keys and values are computed but not asked for. *Heap allocations*: of the whole process, all threads, counted in processes of
their own by interposition. *Tensor allocations*: tensors made through ORT's API or as outputs by ORT, mappings by
ortpool, and what ORT took from the C++ heap with an alignment. *first*: the first prediction after opening, and
after warm-up where there is one (ortpool).
"""


def page(of, words, good, first, options):
    text = "# Predictions: ortpool, the usual code, ONNX Runtime well used\n\n"
    text += machine(list(first.values())) + "\n" + main_table(of) + "\n" + ratio_table(of) + "\n"
    rows = [[a, b, c, "yes" if d else "**no**"] for a, b, c, d in targets(of)]
    text += table(["target", "wanted", "measured", "holds"], rows)
    count = len(first["batched"]["words"])
    text += METHOD.format(predictions=count, rounds=options.rounds) + "\n" + "\n".join(words) + "\n"
    if not good:
        text += "**The rows gave different words: these figures compare nothing.**\n"
    return text


def has_steps(folder):
    with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
        return "decoder_step" in json.load(file)["graphs"]


def rows_of(options):
    """Rows that the folders allow; what is left out is said."""
    names = options.rows.split(",") if options.rows else list(ROWS)
    if not set(names) <= set(ROWS) or "batched" not in names:
        sys.exit(f"--rows: some of {','.join(ROWS)}; batched is needed")
    for name, folder in (("incremental", options.model), ("incremental-int8", options.int8)):
        if name in names and not has_steps(folder):
            names.remove(name)
            print(f"{folder} has no decoder_step: no row {name}", file=sys.stderr)
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    bundled = os.path.join(TOP, "models", "swipe-en")
    parser.add_argument("--build", default=os.path.join(TOP, "build", "release"))
    parser.add_argument("--model", default=bundled + "-fp32", help="fused graphs, fp32")
    parser.add_argument("--usual", default=bundled + "-usual", help="the same weights, usual export")
    parser.add_argument("--int8", default=bundled, help="fused graphs, quantised")
    parser.add_argument("--other-weights", action="store_true", help="--usual may give other words")
    parser.add_argument("--rows", help="names with commas between them; default: all")
    parser.add_argument("--beam", type=int, help="default: the model's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--swipes", action="append", default=[], help="a file beside the bundled")
    parser.add_argument("--most", type=int, help="swipes in all")
    parser.add_argument("--json", help="a file for all figures")
    options = parser.parse_args()

    names = rows_of(options)
    counted = count_heap(names, options)
    first, rounds = time_rows(names, options)
    of = {name: figures(first[name], rounds[name], counted[name]) for name in names}
    words, good = compare_words(first, options)
    print(page(of, words, good, first, options), end="")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            held = [dict(zip(("target", "wanted", "measured", "holds"), t)) for t in targets(of)]
            json.dump({"rows": of, "targets": held, "words": words, "same": good}, file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
