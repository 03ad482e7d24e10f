#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The training commands one after the other, as README.md of training/ has them, with a model that is too small to
be good and large enough to learn: recordings -> arrays -> weights -> graphs -> words of the ortpool program."""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import onnx  # noqa: F401  pylint: disable=unused-import
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

settings = None
LETTER_SHARE = 3 / 3.7
WORDS = ("as", "sad", "it", "top", "pot", "red")
KEYS = {letter: ((column + 0.5 + offset) / 10, (row + 0.5) / 3)
        for row, (offset, letters) in enumerate(((0, "qwertyuiop"), (0.5, "asdfghjkl"), (1.5, "zxcvbnm")))
        for column, letter in enumerate(letters)}


def source(*names):
    return os.path.join(settings.source, *names)


def recording(word, user, random):
    """A straight path from key to key, with a little noise, as a row of the recordings."""
    corners = np.array([KEYS[letter] for letter in word])
    where = np.linspace(0, len(word) - 1, 8 * len(word))
    x, y = (np.interp(where, np.arange(len(word)), corners[:, i]) + random.normal(0, 0.01, len(where)) for i in (0, 1))
    return {"u": user, "w": word, "kw": 360, "kh": 200, "fit": 0.1, "x": [round(v * 360, 1) for v in x],
            "y": [round(v * 200 * LETTER_SHARE, 1) for v in y], "t": [17 * i for i in range(len(where))]}


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keep = tempfile.TemporaryDirectory()
        cls.folder = cls.keep.name
        random = np.random.default_rng(3)
        cls.rows = cls.path("rows.jsonl")
        with open(cls.rows, "w", encoding="utf-8") as file:
            for i in range(300):
                file.write(json.dumps(recording(WORDS[i % len(WORDS)], f"user{i % 7}", random)) + "\n")
        cls.run_python("prepare.py", cls.path("rows.npz"), cls.rows)

    @classmethod
    def tearDownClass(cls):
        cls.keep.cleanup()

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.folder, *names)

    @classmethod
    def run_python(cls, name, *arguments, fails=False):
        done = subprocess.run([sys.executable, source("training", name), *map(str, arguments)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
                              env={**os.environ, "ORTPOOL": settings.cli}, check=False)
        if (done.returncode != 0) != fails:
            raise AssertionError(f"{name}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def train(self, folder, *more, swipes=6400):
        return self.run_python("train.py", self.path("rows.npz"), self.path(folder), "--hidden", 64, "--batch", 32,
                               "--rate", 2e-3, "--swipes", swipes, "--threads", 2, *more)

    def curve(self, folder):
        with open(self.path(folder, "curve.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_from_recordings_to_words(self):
        out = self.train("run", "--check", self.path("rows.npz"), "--check-rows", 120, "--check-every", 3200)
        self.assertIn("300 swipes to learn from", out)
        curve = self.curve("run")
        self.assertGreater(curve[-1]["greedy"], 0.9)
        self.assertLess(curve[-1]["loss"], curve[0]["loss"])
        model = self.path("model")
        weights = self.path("run", "weights.pt")
        self.run_python("export_graphs.py", weights, model, "--heads", 4, "--manifest",
                        source("models", "swipe-en", "model.json"))
        with open(os.path.join(model, "model.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual(manifest["encoder"]["ctc"], "ctc")
        manifest.update(hidden=64, lexicon="lexicon.tsv")
        manifest["decoder_step"]["kv_size"] = 16
        manifest["beam"].update(ctc_weight=0.3, look_ahead=0.3)
        with open(os.path.join(model, "model.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        with open(os.path.join(model, "lexicon.tsv"), "w", encoding="utf-8") as file:
            file.writelines(f"{word}\t1\n" for word in (*WORDS, "it" * 4, "sat", "do"))
        out = self.run_python("evaluate.py", model, self.rows, "--trained", self.rows)
        top1 = float(next(line for line in out.splitlines() if line.startswith("| all |")).split("|")[3])
        self.assertGreater(top1, 95)
        for text in ("| word never seen in training | 0 | - |", "| not in it | 0 | - |", "calibration error",
                     "Lost: ", "95 % interval"):
            self.assertIn(text, out)
        few = self.path("few.jsonl")
        with open(self.rows, encoding="utf-8") as every, open(few, "w", encoding="utf-8") as file:
            file.writelines(list(every)[:42])
        out = self.run_python("tune.py", model, few)
        self.assertIn("the others: ", out)
        with open(os.path.join(model, "model.json"), encoding="utf-8") as file:
            beam = json.load(file)["beam"]
        self.assertLessEqual(set(manifest["beam"]), set(beam))
        self.assertGreater(beam["temperature"], 0)

    def test_goes_on_where_it_stopped(self):
        first = self.train("stopped", "--minutes", 0, swipes=640)
        self.assertIn("32 swipes seen", first)
        out = self.train("stopped", swipes=10**9)  # what was said at the first start holds
        self.assertIn("going on after 32 swipes", out)
        state = torch.load(self.path("stopped", "last.pt"), map_location="cpu")
        self.assertTrue(640 <= state["seen"] < 640 + 32)
        self.assertIn(f"going on after {state['seen']} swipes", self.train("stopped"))

    def test_same_seed_same_weights(self):
        weights = []
        for name in ("a", "b"):
            self.train(name, "--threads", 1, swipes=320)
            weights.append(torch.load(self.path(name, "weights.pt"), map_location="cpu"))
        for name, value in weights[0].items():
            self.assertTrue(torch.equal(value, weights[1][name]), name)
        self.train("other", "--threads", 1, "--seed", 2, swipes=320)
        other = torch.load(self.path("other", "weights.pt"), map_location="cpu")
        self.assertFalse(torch.equal(weights[0]["out.weight"], other["out.weight"]))

    def test_bad_input_is_named(self):
        bad = self.path("bad.jsonl")
        with open(bad, "w", encoding="utf-8") as file:
            file.write('{"w": "as", "kw": 360, "kh": 200, "x": [1, 2], "y": [1], "t": [0, 17]}\n')
        self.assertIn("bad.jsonl:1: ", self.run_python("prepare.py", self.path("bad.npz"), bad, fails=True))
        self.assertIn("cannot be read", self.run_python("prepare.py", self.path("bad.npz"), bad + "x", fails=True))
        with open(bad, "w", encoding="utf-8") as file:
            file.write('{"w": "As", "kw": 360, "kh": 200, "x": [1, 2], "y": [1, 2], "t": [0, 17]}\n')
        self.assertIn("expected letters a-z", self.run_python("prepare.py", self.path("bad.npz"), bad, fails=True))
        self.assertIn("not what prepare.py writes",
                      self.run_python("train.py", bad, self.path("none"), fails=True))
        self.assertIn("no checkpoint", self.run_python("train.py", self.path("rows.npz"), self.path("none"), "--init",
                                                       bad, fails=True))


class Augmentation(unittest.TestCase):
    def test_swipes_stay_swipes(self):
        sys.path.insert(0, source("training"))
        from swipes.augment import LEAST, augment  # pylint: disable=import-outside-toplevel,import-error
        from swipes.keyboard import MAX_POINTS  # pylint: disable=import-outside-toplevel,import-error
        random = np.random.default_rng(5)
        for count in (4, 5, 9, 30, 150):
            for _ in range(200):
                points = np.cumsum(random.normal(0, 0.02, (count, 3)), 0)
                points[:, 2] = 0.017 * np.arange(count)
                got = augment(points.astype(np.float32), random)
                self.assertTrue(min(LEAST, count) <= len(got) <= MAX_POINTS)
                self.assertTrue(np.isfinite(got).all())
                self.assertEqual(got[0, 2], 0)
                self.assertTrue((np.diff(got[:, 2]) >= 0).all())

    def test_features_are_those_of_the_library(self):
        sys.path.insert(0, source("training"))
        from swipes.keyboard import features  # pylint: disable=import-outside-toplevel,import-error
        from swipes.rows import points_of  # pylint: disable=import-outside-toplevel,import-error
        with open(source("tests", "data", "golden.jsonl"), encoding="utf-8") as file:
            for case in map(json.loads, file):
                keyboard = case["keyboard"]
                points = points_of({**case, "kw": keyboard["width"], "kh": keyboard["height"] / LETTER_SHARE})
                values, keys = features(torch.tensor(points).float()[None], torch.tensor([len(points)]))
                self.assertEqual(keys[0].tolist(), case["nearest_keys"])
                worst = (values[0] - torch.tensor(case["features"])).abs().max().item()
                self.assertTrue(math.isfinite(worst) and worst < 2e-3, worst)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", required=True)
    parser.add_argument("--source", required=True)
    settings, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
