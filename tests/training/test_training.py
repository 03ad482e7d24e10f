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

    def manifest(self, folder):
        with open(self.path(folder, "model.json"), encoding="utf-8") as file:
            return json.load(file)

    def curve(self, folder):
        with open(self.path(folder, "curve.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_from_recordings_to_words(self):
        out = self.train("run", "--check", self.path("rows.npz"), "--same-users", "--check-rows", 120, "--check-every",
                         3200)
        self.assertIn("300 swipes to learn from", out)
        curve = self.curve("run")
        self.assertEqual([round(line["seen"], -2) for line in curve], [3200, 6400])
        self.assertGreater(curve[-1]["greedy"], 0.9)
        self.assertLess(curve[-1]["loss"], curve[0]["loss"])
        weights = self.path("run", "weights.pt")
        models = {"fp32": ("export_graphs.py",), "int8": ("export_graphs.py", "--int8"), "usual": ("export_usual.py",)}
        for name, (script, *more) in models.items():
            self.run_python(script, weights, self.path(name), "--heads", 4, "--manifest",
                            source("models", "swipe-en", "model.json"), *more)
            manifest = self.manifest(name)
            self.assertEqual(manifest["encoder"]["ctc"], "ctc")
            self.assertEqual(manifest["hidden"], 64)
            self.assertTrue(os.path.exists(self.path(name, manifest["lexicon"])))
            manifest["lexicon"] = "lexicon.tsv"
            with open(self.path(name, "model.json"), "w", encoding="utf-8") as file:
                json.dump(manifest, file)
            with open(self.path(name, "lexicon.tsv"), "w", encoding="utf-8") as file:
                file.writelines(f"{word}\t1\n" for word in (*WORDS, "it" * 4, "sat", "do"))
            out = self.run_python("evaluate.py", self.path(name), self.rows, "--trained", self.rows)
            top1 = float(next(line for line in out.splitlines() if line.startswith("| all |")).split("|")[3])
            self.assertGreater(top1, 95, name)
        for text in ("7 of the users are among those learned from", "| word never seen in training | 0 | - |",
                     "| not in it | 0 | - |", "calibration error", "Lost: ", "95 % interval"):
            self.assertIn(text, out)
        self.run_python("weights_of.py", self.path("usual"), self.path("again.pt"))
        self.assert_same_weights(self.weights("run"), torch.load(self.path("again.pt"), map_location="cpu"))
        few = self.path("few.jsonl")
        with open(self.rows, encoding="utf-8") as every, open(few, "w", encoding="utf-8") as file:
            file.writelines(list(every)[:42])
        before = self.manifest("fp32")["beam"]
        out = self.run_python("tune.py", self.path("fp32"), few, "--also", self.path("usual"))
        self.assertIn("the others: ", out)
        beam = self.manifest("fp32")["beam"]
        self.assertLessEqual(set(before), set(beam))
        self.assertEqual(beam["stop_margin"], before["stop_margin"])
        self.assertGreater(beam["temperature"], 0)
        self.assertEqual(self.manifest("usual")["beam"], beam)

    def test_goes_on_where_it_stopped(self):
        first = self.train("stopped", "--minutes", 0, swipes=640)
        self.assertIn("32 swipes seen", first)
        out = self.train("stopped", swipes=10**9)  # what was said at the first start holds
        self.assertIn("going on after 32 swipes", out)
        state = torch.load(self.path("stopped", "last.pt"), map_location="cpu")
        self.assertTrue(640 <= state["seen"] < 640 + 32)
        self.assertIn(f"going on after {state['seen']} swipes", self.train("stopped"))

    def weights(self, folder):
        return torch.load(self.path(folder, "weights.pt"), map_location="cpu")

    def assert_same_weights(self, one, other):
        for name, value in one.items():
            self.assertTrue(torch.equal(value, other[name]), name)

    def test_same_seed_same_weights(self):
        for name in ("a", "b"):
            self.train(name, "--threads", 1, swipes=320)
        self.assert_same_weights(self.weights("a"), self.weights("b"))
        self.train("other", "--threads", 1, "--seed", 2, swipes=320)
        self.assertFalse(torch.equal(self.weights("a")["out.weight"], self.weights("other")["out.weight"]))

    def test_stopped_and_gone_on_with_same_weights(self):
        """Batch by batch, past the end of an epoch of three batches; what it began from is gone by then."""
        self.train("first", "--threads", 1, swipes=32)
        init = self.path("first", "weights.pt")
        more = ("--threads", 1, "--batch", 120, "--init", init)
        self.train("whole", *more, swipes=480)
        self.train("pieces", *more, "--minutes", 0, swipes=480)
        os.remove(init)
        for _ in range(4):
            self.assertNotEqual(torch.load(self.path("pieces", "last.pt"), map_location="cpu")["seen"], 480)
            self.train("pieces", *more, "--minutes", 0)
        self.assert_same_weights(self.weights("whole"), self.weights("pieces"))

    def test_words_nobody_recorded(self):
        """Transplanted swipes begin and end near their keys, are none of recorded words, and can be learned from."""
        sys.path.insert(0, source("training"))
        from swipes.keyboard import word_of  # pylint: disable=import-outside-toplevel,import-error
        lexicon = self.path("words.tsv")
        with open(lexicon, "w", encoding="utf-8") as file:
            file.writelines(f"{word}\t9\n" for word in (*WORDS, "dot", "tree", "era", "a", "i'm"))
        out = self.run_python("transplant.py", self.path("extra.npz"), self.path("rows.npz"), lexicon, "--count", 60)
        self.assertIn("60 swipes of 3 words", out)
        made = np.load(self.path("extra.npz"))
        for points, length, tokens in zip(made["points"], made["lengths"], made["tokens"]):
            word = word_of(tokens)
            self.assertIn(word, ("dot", "tree", "era"))
            for letter, (x, y, _) in ((word[0], points[0]), (word[-1], points[length - 1])):
                self.assertLess(np.hypot((x - KEYS[letter][0]) * 10, (y - KEYS[letter][1]) * 3), 0.5, word)
            self.assertTrue((np.diff(points[:length, 2]) > 0).all())
        self.train("more", "--extra", self.path("extra.npz"), "--extra-share", 0.1, swipes=64)
        self.assertIn("not a lexicon", self.run_python("transplant.py", self.path("none.npz"), self.path("rows.npz"),
                                                       self.rows, fails=True))

    def test_bad_input_is_named(self):
        bad = self.path("bad.jsonl")
        with open(bad, "w", encoding="utf-8") as file:
            file.write('{"w": "as", "kw": 360, "kh": 200, "x": [1, 2], "y": [1], "t": [0, 17]}\n')
        self.assertIn("bad.jsonl:1: ", self.run_python("prepare.py", self.path("bad.npz"), bad, fails=True))
        self.assertIn("cannot be read", self.run_python("prepare.py", self.path("bad.npz"), bad + "x", fails=True))
        with open(bad, "w", encoding="utf-8") as file:
            file.write('{"w": "As", "kw": 360, "kh": 200, "x": [1, 2], "y": [1, 2], "t": [0, 17]}\n')
        self.assertIn("expected letters a-z", self.run_python("prepare.py", self.path("bad.npz"), bad, fails=True))
        self.assertIn("no multiple of", self.run_python("train.py", self.path("rows.npz"), self.path("none"), "--hidden", 30,
                                                        fails=True))
        self.assertIn("expected float from 0", self.run_python("train.py", self.path("rows.npz"), self.path("none"),
                                                               "--rate", "nan", fails=True))
        self.assertIn("not a manifest", self.run_python("tune.py", self.path("none"), self.rows, fails=True))
        self.assertIn("cannot be written", self.run_python("prepare.py", self.path("nowhere", "a.npz"), self.rows,
                                                           fails=True))
        self.assertIn("no rows within", self.run_python("train.py", self.path("rows.npz"), self.path("none"),
                                                        "--largest-fit", 0.01, fails=True))
        self.assertIn("7 of its users are in", self.run_python("train.py", self.path("rows.npz"), self.path("none"),
                                                               "--check", self.path("rows.npz"), fails=True))
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
