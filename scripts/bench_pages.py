#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what `make bench` measured where it is read: BENCHMARKS.md and its pictures (the README: bench_readme.py).

    scripts/bench_pages.py --folder build/bench --into DIR

FOLDER has bench.json and table.txt of `ortpool bench`, python.json of scripts/bench_python.py, and model.json of
scripts/bench_model.py. DIR gets BENCHMARKS.md and docs/bench/*.svg.
"""

import argparse
import json
import os

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

PHASES = (("encoder", "#4c78a8"), ("decoder", "#72b7b2"), ("rest", "#e45756"))
PHASE_NAMES = {"encoder": "ORT's encoder run", "decoder": "ORT's decoder runs", "rest": "application and library"}
MIB = 2**20
OWN, OTHER = "#2f7d4f", "#8a8f98"


def style():
    plt.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "ortpool",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "axes.axisbelow": True,
            "figure.constrained_layout.use": True,
        }
    )


def save(figure, folder, name):
    path = os.path.join(folder, "docs", "bench", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)


# ---- pictures ----


def latency(data, folder):
    rows = data["rows"][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(rows) + 0.9))
    for i, row in enumerate(rows):
        p50 = row["p50_us"]
        value = p50["value"] / 1e3
        beside = [[value - p50["low"] / 1e3], [p50["high"] / 1e3 - value]]
        axes.barh(i, value, color=OWN if row["own"] else OTHER, xerr=beside, error_kw={"elinewidth": 1, "capsize": 2})
        axes.text(p50["high"] / 1e3, i, f"  {value:.1f} ms", va="center")
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("median of a prediction, ms, with its 95 % interval")
    save(figure, folder, "latency.svg")


def allocations(data, folder):
    rows = [row for row in data["rows"] if row["phases"]][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(rows) + 1.1))
    for i, row in enumerate(rows):
        left = 0
        for phase, colour in PHASES:
            calls = row["phases"][phase]["heap_calls"]
            axes.barh(i, calls, left=left, color=colour, label=PHASE_NAMES[phase] if i == 0 else None)
            left += calls
        axes.text(left, i, f"  {left:,.0f}", va="center")
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("heap allocations of the whole process per prediction")
    axes.legend(frameon=False, loc="lower right")
    save(figure, folder, "allocations.svg")


def distribution(data, folder):
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for row in data["rows"]:
        axes.plot(range(101), [us / 1e3 for us in row["distribution_us"]], label=row["title"], lw=2.2 if row["own"] else 1.1,
                  ls="-" if row["own"] else "--")
    axes.set_yscale("log")
    axes.set_xlabel("percentile of all predictions")
    axes.set_ylabel("ms")
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, folder, "distribution.svg")


def pressure(axes, typing):
    for i, (t, _) in enumerate(typing["pressure"]):
        axes.axvline(t / 1e3, color="#b279a2", lw=1, ls=":", label="memory given back" if i == 0 else None)


def typing_latency(data, folder):
    typing = data["typing"]
    figure, axes = plt.subplots(figsize=(8, 3))
    kinds = (("prediction", OWN, 0, 0), ("correction: encoder cache hit", "#f58518", 0, 1), ("second thread", OTHER, 1, None))
    for label, colour, thread, hit in kinds:
        points = [s for s in typing["samples"] if s[2] == thread and (hit is None or s[3] == hit)]
        axes.scatter([s[0] / 1e3 for s in points], [s[1] / 1e3 for s in points], s=7, color=colour, label=label)
    pressure(axes, typing)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("s")
    axes.set_ylabel("latency, ms")
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, folder, "typing.svg")


def typing_memory(data, folder):
    typing = data["typing"]
    memory = typing["memory"]
    figure, axes = plt.subplots(figsize=(8, 3))
    t = [ms / 1e3 for ms in memory["t_ms"]]
    labels = [label for label in memory["labels"] if any(label["bytes"])]
    axes.stackplot(t, [[b / 2**20 for b in label["bytes"]] for label in labels], labels=[label["name"] for label in labels])
    axes.plot(t, [b / 2**20 for b in memory["resident"]], color="black", lw=1, label="process: resident")
    pressure(axes, typing)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("s")
    axes.set_ylabel("MiB")
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, folder, "memory.svg")


def pool(data, folder):
    cases = data["pool"]["cases"]
    figure, all_axes = plt.subplots(1, len(cases), figsize=(3 * len(cases) + 1.5, 3.4), sharey=True, squeeze=False)
    for axes, case in zip(all_axes[0], cases):
        for allocator in case["allocators"]:
            points = [(size, ns) for size, ns in zip(case["sizes"], allocator["median"]) if ns]
            own = allocator["name"].startswith("pool-")
            axes.plot(*zip(*points), label=allocator["title"], lw=2.2 if own else 1.1, marker=".", ls="-" if own else "--")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(case["case"], fontsize=9)
        axes.set_xlabel("bytes")
    all_axes[0][0].set_ylabel("ns per acquire and release, median")
    all_axes[0][-1].legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, folder, "pool.svg")


# ---- pages ----


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(" --- " for _ in head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def verdicts(data, name):
    words = {True: "yes", False: "**no**", None: "–"}
    rows = [[t["figure"], t["wanted"], t["reached"], words[t["holds"]]] for t in data["targets"] if t["table"] == name]
    return table(["figure", "wanted", "reached", "holds"], rows)


def machine(data):
    m = data["machine"]
    memory = f", {m['memory_bytes'] / 2**30:.0f} GiB" if m["memory_bytes"] else ""
    return (f"{m['cpu']}, {m['cores']} cores{memory}, {m['system']}, {m['compiler']}; ONNX Runtime {data['ort']}, "
            f"ortpool {data['ortpool']}; {data['date'][:10]}")


def python_section(check):
    text = "## No strawman\n\nThe rows that ortpool is compared with, beside plain Python that does the same through onnxruntime "
    text += f"{check['ort']['python']} (`scripts/bench_python.py`, in turns with processes of `ortpool bench`):\n\n"
    rows = [[f["way"], f"{f['c_ms']:.1f} ms", f"{f['python_ms']:.1f} ms", f"{f['ratio']:.2f} ({f['low']:.2f} to {f['high']:.2f})"]
            for f in check["figures"]]
    text += table(["row", "here, in C", "in Python", "Python takes times as long"], rows)
    return text + ("\nAll four find the same words.\n" if check["same"] else "\n**They find different words.**\n")


def figure(value, unit=1.0, digits=1):
    """Median, and in brackets least and most of the rounds."""
    if value is None:
        return "not measured"
    middle, low, high = (f"{value[key] / unit:,.{digits}f}" for key in ("value", "low", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


def model_section(model):
    text = f"## A public model with changing shapes\n\nPP-OCRv4's text detector (`{model['graph']}`, npm `{model['package']}`) on\n"
    text += f"{model['shapes']} image sizes in a mixed order; {model['rounds']} rounds, each memory in a process of its own:\n\n"
    text += f"    {model['command']}\n\n"
    rows = [[row["title"], figure(row["peak_bytes"], MIB), figure(row["kept_bytes"], MIB), figure(row["trimmed_bytes"], MIB),
             figure(row["p50_ms"]), figure(row["faults"], digits=0), figure(row["heap_calls"], digits=0)] for row in model["rows"]]
    text += table(["memory from", "peak, MiB", "after the runs, MiB", "after trim, MiB", "a run: p50, ms", "page faults", "heap calls"],
                  rows)
    text += "\nMedian of the rounds, in brackets least and most. The process's memory less what it was with the model loaded:\n"
    text += "peak is resident memory, the others are anonymous memory.\n"
    need = max(row["need_bytes"] or 0 for row in model["rows"])
    text += f"The largest need of a run is {need / MIB:.1f} MiB. "
    return text + ("Outputs are the same from all, bit for bit.\n" if model["same"] else "**Outputs differ.**\n")


def benchmarks(data, text, check, model):
    out = "# Benchmarks\n\nWritten by `make bench`. " + machine(data) + ".\n\n"
    out += "What each column means and how it is measured: [docs/bench.md](docs/bench.md). Losses stand where wins do.\n\n"
    out += model_section(model) + "\n## Swipe predictions\n\n"
    out += "![median latency of every row](docs/bench/latency.svg)\n\n```\n" + text.split("\nTargets:")[0].rstrip() + "\n```\n\n"
    words = data["words"]
    out += ("Every row of the same weights found the same words, in every round.\n" if words["same"] else "**Words differ.**\n")
    out += "".join(f"- {note}\n" for note in words["notes"]) + "\n"
    out += "## What the project started from\n\n" + verdicts(data, "seed")
    out += "\n## What it set itself since\n\n" + verdicts(data, "design")
    out += "\n## Where allocations are made\n\n![heap allocations by phase](docs/bench/allocations.svg)\n"
    out += "\n## All latencies\n\n![latency by percentile](docs/bench/distribution.svg)\n"
    if data["typing"]:
        out += "\n## A typing session\n\nSwipes at a human cadence compressed ten times, one in eight corrected at once (the encoder cache knows it), a "
        out += "second thread that predicts all along, memory given back under pressure meanwhile.\n\n"
        out += "![latency over time](docs/bench/typing.svg)\n\n![memory over time, by label](docs/bench/memory.svg)\n"
    if data["pool"]:
        out += "\n## The pool by itself\n\n`ortpool bench pool`; the method: [docs/bench-pool.md](docs/bench-pool.md).\n\n"
        out += "![time of an acquire and release against size](docs/bench/pool.svg)\n"
    return out + "\n" + python_section(check)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True)
    parser.add_argument("--into", required=True)
    options = parser.parse_args()
    with open(os.path.join(options.folder, "bench.json"), encoding="utf-8") as file:
        data = json.load(file)
    with open(os.path.join(options.folder, "python.json"), encoding="utf-8") as file:
        check = json.load(file)
    with open(os.path.join(options.folder, "model.json"), encoding="utf-8") as file:
        model = json.load(file)
    with open(os.path.join(options.folder, "table.txt"), encoding="utf-8") as file:
        text = file.read()
    style()
    latency(data, options.into)
    allocations(data, options.into)
    distribution(data, options.into)
    if data["typing"]:
        typing_latency(data, options.into)
        typing_memory(data, options.into)
    if data["pool"]:
        pool(data, options.into)
    with open(os.path.join(options.into, "BENCHMARKS.md"), "w", encoding="utf-8") as file:
        file.write(benchmarks(data, text, check, model))
    print(f"written: {os.path.join(options.into, 'BENCHMARKS.md')}, {os.path.join(options.into, 'docs', 'bench')}/")


if __name__ == "__main__":
    main()
