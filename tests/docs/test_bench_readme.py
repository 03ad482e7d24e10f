#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/bench_readme.py on figures that are known: what it writes where, and what it refuses to write."""
import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "scripts", "bench_readme.py")
MIB = 1 << 20
PAGE = ("before\n<!-- bench model: written by make bench -->\nold\n<!-- bench model: end -->\nbetween\n"
        "<!-- bench swipe: written by make bench -->\n<!-- bench swipe: end -->\nafter\n")


def figure(value, spread=0.0):
    return {"value": value, "low": value - spread, "high": value + spread}


def memory(title, peak, trimmed, ms):
    return {"title": title, "peak_bytes": figure(peak * MIB), "trimmed_bytes": figure(trimmed * MIB), "p50_ms": figure(ms, 0.5)}


MODEL = {"ort": "1.29.0", "rounds": 9, "runs": 63, "same": True,
         "rows": [memory("ORT's arena", 206.7, 2.8, 40), memory("no arena", 229, -3.8, 50), memory("ortpool", 63.7, 0.1, 41)]}
BENCH = {"ort": "1.29.0", "date": "2026-12-01T00:00:00Z", "method": {"rounds": 7, "swipes": 50}, "words": {"same": True},
         "machine": {"cpu": "CPU", "cores": 2, "system": "Linux 6.1-x"},
         "rows": [{"name": name, "p50_us": figure(us, 100), "tensors": 131.8, "heap_calls": heap, "peak_anonymous": 38 * MIB}
                  for name, us, heap in (("naive", 81350, 12634), ("well-used", 63460, 3329), ("sequential", 1, 1),
                                         ("batched", 53230, 2952), ("incremental", 14670, None), ("int8", 7780, 2776))]}


class Tables(unittest.TestCase):
    def write(self, model, bench, page=PAGE):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, content in (("model.json", json.dumps(model)), ("bench.json", json.dumps(bench)), ("README.md", page)):
            with open(os.path.join(folder.name, name), "w", encoding="utf-8") as file:
                file.write(content)
        readme = os.path.join(folder.name, "README.md")
        done = subprocess.run([sys.executable, SCRIPT, "--folder", folder.name, "--readme", readme],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        with open(readme, encoding="utf-8") as file:
            return done, file.read()

    def refused(self, model, bench, said, page=PAGE):
        done, text = self.write(model, bench, page)
        self.assertEqual(done.returncode, 1)
        self.assertIn(said, done.stderr)
        self.assertEqual(text, page)

    def test_both_tables_between_their_marks(self):
        done, text = self.write(MODEL, BENCH)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("| ORT's arena | 206.7 | 2.8 | 40.0 (39.5 to 40.5) |", "| no arena | 229.0 | −3.8 | 50.0 (49.5 to 50.5) |",
                     "| ortpool, batched | 53.2 | 53.1 to 53.3 | 132 | 2,952 | 38.0 |",
                     "| ortpool, incremental | 14.7 | 14.6 to 14.8 | 132 | not counted | 38.0 |",
                     "CPU, 2 cores, Linux 6.1, ONNX Runtime 1.29.0, 2026-12-01;",
                     "9 rounds of 63 images; 7 rounds of 50 swipes; one thread."):
            self.assertIn("\n" + line + "\n", text)
        self.assertNotIn("old", text)
        self.assertEqual(text.count("swipe prediction"), 1)
        self.assertEqual([line for line in text.splitlines() if line in ("before", "between", "after")],
                         ["before", "between", "after"])

    def test_figures_that_compare_nothing(self):
        self.refused(dict(MODEL, same=False), BENCH, "other results")
        self.refused(MODEL, dict(BENCH, words={"same": False}), "other results")
        self.refused(dict(MODEL, ort="1.30.0"), BENCH, "measure both in one run")
        less = copy.deepcopy(BENCH)
        del less["rows"][4]
        self.refused(MODEL, less, "no row incremental")

    def test_two_rounds_are_no_interval(self):
        few = dict(BENCH, method={"rounds": 2, "swipes": 50})
        self.refused(MODEL, few, "too few")
        self.refused(dict(MODEL, rounds=5), BENCH, "too few")

    def test_page_without_marks(self):
        self.refused(MODEL, BENCH, "no mark", PAGE.replace("<!-- bench swipe: end -->", ""))


if __name__ == "__main__":
    unittest.main()
