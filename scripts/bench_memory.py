#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures memory and latency of ORT's memory from different places; writes Markdown.

    cmake --preset release -DORTPOOL_BENCH=ON && cmake --build --preset release
    scripts/bench_memory.py [--rounds N] [--swipes N] [--only shapes|latency] > BENCH.md

--from FILE takes lines that the benches wrote before in place of running them; --keep FILE keeps
those of this run. Exit status 1 where rows did not do the same work.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

NAMES = {
    "need": "ORT's need",
    "pool": "ortpool",
    "arena": "ORT arena",
    "arena-patterns": "ORT arena, memory patterns (ORT's default)",
    "arena-two": "ORT arena, power of two (its default)",
    "arena-same": "ORT arena, as requested",
    "arena-two-shrink": "arena, power of two, shrunk after each run",
    "arena-same-shrink": "arena, as requested, shrunk after each run",
    "plain": "no arena",
    "plain-mimalloc": "no arena, mimalloc",
}
RESAMPLES = 4000


def terminal():
    """Whether standard error takes a carriage return."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def run(program, arguments, keep):
    """Every line of JSON that it writes, shown as progress."""
    environment = dict(os.environ, ORT_DISABLE_TELEMETRY="1")
    lines = []
    with subprocess.Popen(
        [program, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for line in process.stdout:
            lines.append(json.loads(line))
            if keep:
                keep.write(line)
            done = lines[-1]
            place = done.get("order", f"{done.get('threads')} threads, round {done.get('round')}")
            if terminal():
                print(f"\r{done['bench']}: {done['memory']}, {place:<30}", end="", file=sys.stderr)
    if terminal():
        print(file=sys.stderr)
    if process.returncode != 0:
        sys.exit(f"{os.path.basename(program)} ended with {process.returncode}")
    return lines


def in_order(lines, key):
    return list(dict.fromkeys(line[key] for line in lines))


def table(head, rows):
    text = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(text + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def kib(number):
    return f"{number / 1024:,.0f}"


# ---- shapes ----


def shapes_table(lines):
    """One row for each memory, the three orders side by side."""
    orders = in_order(lines, "order")
    by = {(line["memory"], line["order"]): line for line in lines}
    need = max(line["peak"] for line in lines if line["memory"] == "need")

    def each(memory, show):
        return " / ".join(show(by[memory, order]) for order in orders)

    rows = []
    for memory in in_order(lines, "memory"):
        rows.append(
            [
                NAMES[memory],
                each(memory, lambda x: f"{x['peak'] / need:.2f}"),
                each(memory, lambda x: f"{x['kept'] / need:.2f}"),
                each(memory, lambda x: f"{x['trimmed'] / need:.2f}"),
                each(memory, lambda x: f"{x['again'] / need:.2f}"),
                each(memory, lambda x: kib(x["resident"])),
                each(memory, lambda x: kib(x["resident_trimmed"])),
            ]
        )
    head = ["memory", "peak / need", "kept / need", "after trim", "largest input again"]
    head += ["resident, KiB", "after trim, KiB"]
    text = f"Each cell: {' / '.join(orders)} order. Largest need: {need:,} bytes.\n\n"
    return text + table(head, rows)


SHAPES_METHOD = """
The bundled encoder, 16 lengths of input from 10 to 150, three passes over them, every cell from a
process of its own; one thread, memory patterns off. *Need* is the most that ORT asked for at one moment
of any run, in its own sizes, from an allocator that passes everything on. *Peak* is the most that was taken
at one moment: ortpool's pages and control structures, counted at its page functions; in the other
rows what ORT's CPU allocator took from the C++ heap, which for an arena is its regions (its own
TotalAllocated says the same wherever it can be asked), and without an arena the bytes that were asked
for: what the heap holds around them shows in *resident* alone. *Kept* is what is still taken after the last run,
*after trim* after `ortp_runtime_trim`, or one run with the option to shrink; then the longest input *again*.
*Resident* is the growth of VmRSS since the session was there and the heap trimmed; every row
also pays there for ORT's code read in by the first run. Weights are on neither side. Input and output
values are the program's, made before the session. ORT's need is measured with the C library's heap.
"""


# ---- latency ----


def bootstrap(ratios, generator):
    """95 % interval of the median."""
    medians = sorted(
        statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES)
    )
    return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]


def compared(lines, figure, memory, generator):
    """ortpool's figure over the row's, paired by round: median and interval."""
    by = {(line["memory"], line["round"]): line[figure] for line in lines}
    ratios = [
        by["pool", r] / by[memory, r]
        for r in in_order(lines, "round")
        if ("pool", r) in by and (memory, r) in by
    ]
    low, high = bootstrap(ratios, generator)
    return f"{statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}]"


def latency_table(lines, threads):
    generator = random.Random(1)
    lines = [line for line in lines if line["threads"] == threads]
    rows = []
    for memory in in_order(lines, "memory"):
        own = [line for line in lines if line["memory"] == memory]
        faults = sum(x["faults"] for x in own) / sum(x["predictions"] for x in own)
        row = [NAMES[memory], f"{statistics.median(x['p50_us'] for x in own) / 1000:.2f}"]
        for figure in ("p50_us", "wall_us"):
            row.append("1" if memory == "pool" else compared(lines, figure, memory, generator))
        rows.append(row + [f"{faults:.2f}"])
    head = ["memory", "p50, ms", "ortpool / row, p50", "ortpool / row, whole round"]
    head += ["minor faults per prediction"]
    rounds = len(in_order(lines, "round"))
    count = lines[0]["predictions"]
    text = f"{threads} predicting thread{'s' if threads > 1 else ''}, {rounds} rounds of {count}.\n\n"
    return text + table(head, rows)


LATENCY_METHOD = """
The bundled swipes through the predictor, encoder cache off, beam 8, batched, after warm-up; one process for
each row, which lives through all rounds. In a round every row predicts the same swipes once per thread, one row
after the other, each round beginning with another. *p50* is the median over rounds of a round's median.
Ratios are paired by round: the median of the rounds' ratios with a 95 % bootstrap interval; below 1
ortpool is faster. An interval that contains 1 shows no difference. Everything but ORT's own memory is the
same in all rows, tensors and decode state from ortpool's pool included.
"""


# ---- the page ----


def same_work(lines, what):
    words = {line["words"] for line in lines}
    if len(words) != 1 or words == {"0" * 16}:
        print(f"{what}: the rows gave different results: {sorted(words)}", file=sys.stderr)
        return False
    return True


def machine(lines):
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(x.split(":")[1].strip() for x in file if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    commit = subprocess.run(
        ["git", "-C", TOP, "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{model}, {os.cpu_count()} processors, load averages at the end {load}; "
        f"{platform.system()} {platform.release().split('-')[0]}, "
        f"{' '.join(platform.libc_ver())}; ONNX Runtime {lines[0]['ort']}; "
        f"ortpool {commit or 'of an unknown commit'}; {time.strftime('%Y-%m-%d')}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(TOP, "build", "release"))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--swipes", type=int, default=16)
    parser.add_argument("--only", choices=["shapes", "latency"])
    parser.add_argument("--from", dest="source")
    parser.add_argument("--keep")
    options = parser.parse_args()

    lines = []
    if options.source:
        with open(options.source, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    else:
        keep = open(options.keep, "w", encoding="utf-8") if options.keep else None
        bench = os.path.join(options.build, "bench")
        if options.only != "latency":
            lines += run(os.path.join(bench, "bench_shapes"), [], keep)
        if options.only != "shapes":
            arguments = ["-r", str(options.rounds), "-s", str(options.swipes)]
            lines += run(os.path.join(bench, "bench_latency"), arguments, keep)
        if keep:
            keep.close()

    shapes = [line for line in lines if line["bench"] == "shapes"]
    latency = [line for line in lines if line["bench"] == "latency"]
    good = True
    print("# Memory and latency by where ORT's memory comes from\n\n" + machine(lines))
    if shapes:
        good = same_work(shapes, "shapes") and good
        print("## Changing shapes\n\n" + shapes_table(shapes) + SHAPES_METHOD)
    if latency:
        good = same_work(latency, "latency") and good
        print("## Latency\n")
        for threads in in_order(latency, "threads"):
            print(latency_table(latency, threads))
        print(LATENCY_METHOD.lstrip())
        if "plain-mimalloc" not in in_order(latency, "memory"):
            print("mimalloc is not installed here; its row is left out.\n")
    if good:
        words = "Every row gave the same results, bit for bit."
    else:
        words = "**The rows gave different results: these figures compare nothing.**"
    print(words)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
