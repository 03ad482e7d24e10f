#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench_weights.sh [ROUNDS]   what weights cost as packed and as plain ones, in the graph and in a mapped
# file of their own: four processes in turns, medians over the rounds as Markdown.
#
# Needs a release build with -DORTPOOL_BENCH=ON and the Python package onnx (it writes the weights' file).

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ORTPOOL_TOP"

bench=build/release/bench/bench_weights
[ -x "$bench" ] || die "$bench is not built: cmake --preset release -DORTPOOL_BENCH=ON && cmake --build --preset release"
rounds=${1:-8}
folder=build/bench-weights
mkdir -p "$folder"
python3 - models/swipe-en-usual/encoder.onnx "$folder/encoder.onnx" <<'PY' || die "the Python package onnx is needed"
import os, sys, onnx
for name in (sys.argv[2], sys.argv[2] + ".data"):
    if os.path.exists(name):
        os.remove(name)
onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2], save_as_external_data=True,
                location=os.path.basename(sys.argv[2]) + ".data", size_threshold=128)
PY
lines=$folder/lines.jsonl
: >"$lines"
for round in $(seq "$rounds"); do
    say "round $round of $rounds" >&2
    for graph in models/swipe-en-usual/encoder.onnx "$folder/encoder.onnx"; do
        for weights in packed plain; do
            "$bench" "$graph" "$weights" | sed "s|^{|{\"graph\":\"$graph\",|" >>"$lines" || exit 1
        done
    done
done
python3 - "$lines" <<'PY'
import json, statistics, sys
rows = {}
for line in open(sys.argv[1], encoding="utf-8"):
    r = json.loads(line)
    rows.setdefault(("own file" if "bench-weights" in r["graph"] else "in the graph", r["weights"]), []).append(r)
first = rows[("in the graph", "packed")]
mib = lambda rs, key: f"{statistics.median(r[key] for r in rs) / 2**20:.1f}"
print("| weights | | declared | mapped | process: anonymous | process: file | encoder run, ratio to the first row |")
print("| --- | --- | --- | --- | --- | --- | --- |")
for (where, how), rs in rows.items():
    ratios = sorted(r["p50_ms"] / f["p50_ms"] for r, f in zip(rs, first))
    print(f"| {where} | {how} | {mib(rs, 'declared')} | {mib(rs, 'mapped')} | {mib(rs, 'anonymous')} | "
          f"{mib(rs, 'file')} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
PY
