#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make_models.sh WEIGHTS.pt [ROWS]   the three bundled models from one set of weights, their checks, golden cases
#
# models/ holds swipe-en, swipe-en-fp32 and swipe-en-usual, whose model.json keep what they say of the search, or, where
# there are recordings (ROWS), have it chosen anew by tune.py; tests/data/golden.jsonl is said anew.
# Needs Python with torch, onnx, onnxruntime and NumPy: PYTHON names it
# (python3). The graphs of swipe-en-usual are written by the torch of USUAL_PYTHON (PYTHON): the bundled ones by 1.13.
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
'' | -*)
    echo "usage: make_models.sh WEIGHTS.pt [ROWS]" >&2
    exit 2
    ;;
esac
weights=$1
rows=${2:-}
python=${PYTHON:-python3}

training() {
    local script=$1
    shift
    "$python" "training/$script" "$@"
}

training export_graphs.py "$weights" models/swipe-en-fp32 --manifest models/swipe-en-fp32/model.json
training export_graphs.py "$weights" models/swipe-en --manifest models/swipe-en/model.json --int8
"${USUAL_PYTHON:-$python}" training/export_usual.py "$weights" models/swipe-en-usual \
    --manifest models/swipe-en-usual/model.json
for model in swipe-en-fp32 swipe-en; do
    training check_graphs.py "models/$model" --usual models/swipe-en-usual
done
if [ -n "$rows" ]; then
    training tune.py models/swipe-en "$rows" --also models/swipe-en-fp32 models/swipe-en-usual --threads "$(nproc)"
fi
training make_golden.py <tests/data/golden.jsonl >tests/data/golden.new
mv tests/data/golden.new tests/data/golden.jsonl
