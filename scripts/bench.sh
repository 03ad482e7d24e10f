#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench.sh   measures predictions and the pool, holds the baselines against plain Python, and writes BENCHMARKS.md, its
#            pictures in docs/bench/, and the README's table; scripts/setup.sh bench goes before. Takes three quarters of
#            an hour on a quiet machine; QUICK=1 two minutes, into build/bench/ alone.

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
if [ -n "${QUICK:-}" ] && [ "$QUICK" != 0 ]; then
    into=$out
    measure=(--most 5 --rounds 2 --starts 2 --tail 200 --typing 20 --pool)
    check=(--most 5 --rounds 2)
fi

step "Configuring" "" cmake --preset release -DORTPOOL_TESTS=OFF ||
    die "The build could not be configured; the lines above say what is missing."
step "Building" "" cmake --build --preset release ||
    die "The build failed; the lines above say where."
mkdir -p "$out"

version=$(build/release/ortpool --version | sed -n 's/^ONNX Runtime \([0-9.]*\).*/\1/p')
[ -x "$python" ] || step "Making a Python environment" "" python3 -m venv "$out/python" ||
    die "Python could not make an environment in $out/python."
step "Installing onnxruntime $version, numpy, matplotlib" "$out/python" \
    "$python" -m pip install --quiet --disable-pip-version-check "onnxruntime==$version" numpy matplotlib ||
    die "pip could not install onnxruntime $version, numpy and matplotlib."

say "Measuring; nothing else should run meanwhile: ortpool bench ${measure[*]}"
status=0
build/release/ortpool bench "${measure[@]}" --save "$out/bench.json" --html "$out/bench.html" >"$out/table.txt" || status=$?
cat "$out/table.txt"
[ "$status" = 0 ] || die "ortpool bench ended with $status."

say "The same in plain Python:"
"$python" scripts/bench_python.py "${check[@]}" --json "$out/python.json" ||
    die "A row that is compared with is slower than plain Python, or finds other words."

"$python" scripts/bench_pages.py --folder "$out" --into "$into"
