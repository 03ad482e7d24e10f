#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make_models.sh WEIGHTS.pt [FOLDER]   the three bundled models from one set of weights, their checks, golden cases
#
# FOLDER (models) holds swipe-en, swipe-en-fp32 and swipe-en-usual, whose model.json keep what they say of the search;
# tests/data/golden.jsonl is said anew. Needs Python with torch, onnx, onnxruntime and NumPy: PYTHON names it
# (python3). The graphs of swipe-en-usual are written by the torch of USUAL_PYTHON (PYTHON): the bundled ones by 1.13.
set -euo pipefail
cd "$(dirname "$0")/.."

weights=${1:?"usage: make_models.sh WEIGHTS.pt [FOLDER]"}
folder=${2:-models}
python=${PYTHON:-python3}

training() {
    local script=$1
    shift
    "$python" "training/$script" "$@"
}

training export_graphs.py "$weights" "$folder/swipe-en-fp32" --manifest "$folder/swipe-en-fp32/model.json"
training export_graphs.py "$weights" "$folder/swipe-en" --manifest "$folder/swipe-en/model.json" --int8
"${USUAL_PYTHON:-$python}" training/export_usual.py "$weights" "$folder/swipe-en-usual" \
    --manifest "$folder/swipe-en-usual/model.json"
for model in swipe-en-fp32 swipe-en; do
    training check_graphs.py "$folder/$model" --usual "$folder/swipe-en-usual"
done
if [ "$folder" = models ]; then
    training make_golden.py <tests/data/golden.jsonl >tests/data/golden.new
    mv tests/data/golden.new tests/data/golden.jsonl
fi
