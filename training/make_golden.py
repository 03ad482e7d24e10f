#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: make_golden.py [MODEL] <cases.jsonl >golden.jsonl

Says anew what the model (models/swipe-en-usual) makes of the golden swipes, through onnxruntime (PyPI) and NumPy: a
second implementation of features and search for tests/data/golden.jsonl. Of the cases it keeps id, word, x, y, t and
keyboard. "candidates" are the three best words as model.json has the search, "lexicon_candidates" those among the
lexicon's words alone, without look-ahead.
"""
import json
import os
import sys

import numpy as np

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "scripts"))
from bench_python import Model, Naive  # noqa: E402  pylint: disable=wrong-import-position,import-error

KEPT = ("id", "word", "x", "y", "t", "keyboard")
LEXICON_ALONE = {"look_ahead": 0, "free_score": 0, "count_limit": 0, "shape_weight": 0}


def rounded(values):
    return [float(f"{value:.6g}") for value in np.asarray(values).ravel()]


def main(arguments):
    if len(arguments) > 1 or arguments[:1] == ["--help"]:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    model = Model(arguments[0] if arguments else os.path.join(TOP, "models", "swipe-en-usual"))
    naive, settings = Naive(model), dict(model.beam)
    for line in sys.stdin:
        case = json.loads(line)
        out = {name: case[name] for name in KEPT}
        features, keys, length = model.inputs(case)
        points = int(length[0])
        names = model.manifest["encoder"]
        feed = dict(zip((names["features"], names["keys"], names["length"]), (features, keys, length)))
        memory = model.encoder.run([names["memory"]], feed)[0]
        tokens = np.full((1, model.manifest["max_tokens"]), model.tokens["pad"], np.int32)
        tokens[0, 0] = model.tokens["sos"]
        names = model.manifest["decoder"]
        logits = model.decoder.run([names["logits"]], {names["memory"]: memory, names["tokens"]: tokens,
                                                       names["length"]: length})[0][0, 0]
        out.update(length=points, features=[rounded(row) for row in features[0, :points]],
                   nearest_keys=keys[0, :points].tolist(), memory_first_8=rounded(memory[0, 0, :8]),
                   memory_last_8=rounded(memory[0, points - 1, :8]), logits_after_sos=rounded(logits))
        for name, changed in (("candidates", {}), ("lexicon_candidates", LEXICON_ALONE)):
            model.beam = {**settings, **changed}
            out[name] = [{"word": word, "score": float(f"{score:.6g}")}
                         for score, word in naive.scored((features, keys, length))[:3]]
        print(json.dumps(out, separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
