#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench.sh   measures a public model, predictions and the pool, holds the baselines against plain Python, and writes
#            BENCHMARKS.md, its pictures in docs/bench/, and the README's tables; scripts/setup.sh bench goes before.
#            Takes three quarters of an hour on a quiet machine. TABLES=1 measures the README's two tables alone, in ten
#            minutes; QUICK=1 little of everything, in three, into build/bench/ alone.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap step_stop EXIT
cd "$ORTPOOL_TOP"
export ORT_DISABLE_TELEMETRY=1

out=build/bench
python=$out/python/bin/python
into=.
measure=(--most 50 --rounds 9 --starts 30 --tail 10000 --typing 300 --pool)
check=(--most 20 --rounds 7)
model=(--rounds 9)
readme=(--readme README.md)
tables_only=
if [ -n "${TABLES:-}" ] && [ "$TABLES" != 0 ]; then
    tables_only=1
    measure=(--rows naive,well-used,batched,incremental,int8 --most 50 --rounds 9 --starts 0 --typing 0)
fi
if [ -n "${QUICK:-}" ] && [ "$QUICK" != 0 ]; then
    into=$out
    if [ -n "$tables_only" ]; then
        measure=("${measure[@]:0:2}" --most 5 --rounds 2 --starts 0 --typing 0)
    else
        measure=(--most 5 --rounds 2 --starts 2 --tail 200 --typing 20 --pool)
    fi
    check=(--most 5 --rounds 2 --words)
    model=(--rounds 2 --repeat 21)
    readme=()
fi

step "Configuring" "" cmake --preset release -DORTPOOL_TESTS=OFF ||
    die "The build could not be configured; the lines above say what is missing."
step "Building" "" cmake --build --preset release ||
    die "The build failed; the lines above say where."
mkdir -p "$out"

version=$(build/release/ortpool --version | sed -n 's/^ONNX Runtime \([0-9.]*\).*/\1/p')
if [ -z "$tables_only" ]; then
    [ -x "$python" ] || step "Making a Python environment" "" python3 -m venv "$out/python" ||
        die "Python could not make an environment in $out/python."
    step "Installing onnxruntime $version, numpy, matplotlib" "$out/python" \
        "$python" -m pip install --quiet --disable-pip-version-check "onnxruntime==$version" numpy matplotlib ||
        die "pip could not install onnxruntime $version, numpy and matplotlib."
fi

say "Measuring a public model; nothing else should run meanwhile: scripts/bench_model.py ${model[*]}"
python3 scripts/bench_model.py "${model[@]}" --json "$out/model.json" ||
    die "The public model could not be measured, or gave other outputs in other memory."

say "Measuring predictions: ortpool bench ${measure[*]}"
status=0
build/release/ortpool bench "${measure[@]}" --save "$out/bench.json" --html "$out/bench.html" >"$out/table.txt" || status=$?
cat "$out/table.txt"
[ "$status" = 0 ] || die "ortpool bench ended with $status."

python3 scripts/bench_readme.py --folder "$out" "${readme[@]}"
if [ -n "$tables_only" ]; then
    exit 0
fi

say "The same in plain Python:"
"$python" scripts/bench_python.py "${check[@]}" --json "$out/python.json" ||
    die "A row that is compared with is slower than plain Python, or finds other words."

"$python" scripts/bench_pages.py --folder "$out" --into "$into"
