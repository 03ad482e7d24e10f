#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the README's two tables from what one `make bench` measured.

    scripts/bench_readme.py --folder build/bench [--readme README.md]

FOLDER has model.json of scripts/bench_model.py and bench.json of `ortpool bench`. The tables go to FOLDER/tables.md and,
where a README is named, between its marks.
"""

import argparse
import json
import os
import re
import sys

ROWS = (  # of `ortpool bench`; what the README calls them
    ("naive", "naive: a run per beam, new tensors"),
    ("well-used", "ORT well used: batched, tensors reused"),
    ("batched", "ortpool, batched"),
    ("incremental", "ortpool, incremental"),
    ("int8", "ortpool, incremental, int8"),
)
MIB = 1 << 20
ROUNDS_OF_INTERVAL = 6  # the fewest whose least and most hold the median with 95 %, as cli/bench/table.c has it


def mib(figure):
    if figure is None:
        return "not measured"
    value = f"{figure['value'] / MIB:.1f}"
    return "0.0" if value == "-0.0" else value.replace("-", "−")


def table(head, rows):
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule] + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def model_table(model):
    head = ["text detector, memory from", "peak, MiB", "after trim, MiB", "median run, ms (least to most)"]
    rows = []
    for row in model["rows"]:
        p50 = row["p50_ms"]
        rows.append([row["title"], mib(row["peak_bytes"]), mib(row["trimmed_bytes"]),
                     f"{p50['value']:.1f} ({p50['low']:.1f} to {p50['high']:.1f})"])
    return table(head, rows)


def swipe_table(data):
    rows = {row["name"]: row for row in data["rows"]}
    missing = [name for name, _ in ROWS if name not in rows]
    if missing:
        sys.exit(f"bench.json has no row {missing[0]}: measure with --rows {','.join(name for name, _ in ROWS)} among them")
    cells = []
    for name, title in ROWS:
        p50 = rows[name]["p50_us"]
        heap = rows[name]["heap_calls"]
        cells.append([title, f"{p50['value'] / 1e3:.1f}",
                      f"{p50['low'] / 1e3:.1f} to {p50['high'] / 1e3:.1f}", f"{rows[name]['tensors']:.0f}",
                      "not counted" if heap is None else f"{heap:,.0f}",
                      f"{rows[name]['peak_anonymous'] / MIB:.1f}"])
    between = "95 %" if data["method"]["rounds"] >= ROUNDS_OF_INTERVAL else "least to most"
    head = ["swipe prediction", "median, ms", between, "tensors made", "heap calls", "process, MiB"]
    return table(head, cells)


def where(model, data):
    """The machine and how much was measured."""
    machine, method = data["machine"], data["method"]
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['system'].split('-')[0]}, ONNX Runtime {data['ort']}, "
            f"{data['date'][:10]};\n{model['rounds']} rounds of {model['runs']} images; "
            f"{method['rounds']} rounds of {method['swipes']} swipes; one thread.\n")


def tables(model, data):
    return {"model": model_table(model), "swipe": swipe_table(data) + "\n" + where(model, data)}


def fill(path, blocks):
    """Each block between its two marks."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    for name, text in blocks.items():
        begin, end = f"<!-- bench {name}: written by make bench -->", f"<!-- bench {name}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            sys.exit(f"{path} has no mark '{begin}', or not its end")
        page = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _, t=text: f"{begin}\n{t}{end}", page, flags=re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def load(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True)
    parser.add_argument("--readme")
    options = parser.parse_args()
    model, data = load(options.folder, "model.json"), load(options.folder, "bench.json")
    if not model["same"] or not data["words"]["same"]:
        sys.exit("Rows gave other results than others: these figures compare nothing.")
    if model["ort"] != data["ort"]:
        sys.exit(f"model.json is of ONNX Runtime {model['ort']}, bench.json of {data['ort']}: measure both in one run.")
    blocks = tables(model, data)
    path = os.path.join(options.folder, "tables.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(blocks.values()))
    rounds = min(model["rounds"], data["method"]["rounds"])
    if options.readme and rounds < ROUNDS_OF_INTERVAL:
        sys.exit(f"{rounds} rounds are too few for a README: measure {ROUNDS_OF_INTERVAL} at least.")
    if options.readme:
        fill(options.readme, blocks)
    print(f"written: {path}" + (f", {options.readme}" if options.readme else ""))


if __name__ == "__main__":
    main()
