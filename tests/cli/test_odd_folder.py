#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The built ortpool command in a folder whose name has a blank, a colon and a letter outside ASCII, its model,
ONNX Runtime, cache and temporary files in such folders too.

usage: test_odd_folder.py --cli PROGRAM --source FOLDER CLASS...
Exit codes as those of test_cli.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source folder stays as it is

import test_cli as cli  # noqa: E402

NAME = "a b:c é"
HEAPCOUNT = "libortpool-heapcount.so"


class OddFolder(cli.OrtCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keeper = tempfile.TemporaryDirectory()
        cls.addClassCleanup(keeper.cleanup)
        cls.top = os.path.join(keeper.name, NAME)
        cls.program = os.path.join(cls.top, "build", "release", "ortpool")
        os.makedirs(os.path.dirname(cls.program))
        shutil.copy(cli.CLI, cls.program)
        built = os.path.join(os.path.dirname(cli.CLI), HEAPCOUNT)
        cls.counts = os.path.exists(built)
        if cls.counts:
            shutil.copy(built, os.path.dirname(cls.program))
        shared = os.path.join(os.path.dirname(cli.CLI), "lib")
        if os.path.isdir(shared):  # what `ortpool bench pool` opens
            os.symlink(shared, os.path.join(os.path.dirname(cls.program), "lib"))
        for name in ("swipe-en", "swipe-en-fp32"):
            if os.path.isdir(cli.path("models", name)):
                shutil.copytree(cli.path("models", name), os.path.join(cls.top, "models", name))
        shutil.copytree(cli.path("tests", "graphs", "tiny"), os.path.join(cls.top, "tiny model"))
        cls.env = dict(os.environ)
        for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME"):
            cls.env[name] = os.path.join(cls.top, name + " é")
            os.makedirs(cls.env[name])
        cls.ort()

    @classmethod
    def ort(cls):
        """ONNX Runtime by a link below the folder: named, and as the set-up leaves it in a cache."""
        found = re.search(r"^ONNX Runtime \S+ \((.*)\)$", cli.run("--version").out, re.MULTILINE)
        cls.cached = None
        if found and "/" in found.group(1):
            folder = os.path.dirname(os.path.dirname(os.path.abspath(found.group(1))))
            link = os.path.join(cls.top, "ONNX Runtime: é")
            os.symlink(folder, link)
            cls.env["ORTPOOL_ONNXRUNTIME"] = link
            cls.cached = os.path.join(cls.env["XDG_CACHE_HOME"], "ortpool", f"onnxruntime-1.0-{os.uname().machine}")
            os.makedirs(os.path.dirname(cls.cached))
            os.symlink(folder, cls.cached)

    def run_there(self, *arguments, code=0, env=None):
        environment = {name: value for name, value in {**self.env, **(env or {})}.items() if value is not None}
        done = subprocess.run([self.program, *arguments], cwd=self.top, env=environment, capture_output=True,
                              timeout=cli.TIMEOUT, check=False)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        self.ends(done, code)
        self.assertNotIn("ld.so", done.err)
        return done

    def test_predict_and_inspect(self):
        self.assertIn("swipe-en", self.run_there("inspect", "--check").out)
        samples = os.path.join(self.top, "models", "swipe-en", "samples.jsonl")
        self.run_there("predict", "--model", os.path.join(self.top, "tiny model"), samples)
        self.run_there("eval", "--model", "tiny model", "models/swipe-en/samples.jsonl")
        self.run_there("soak", "--model", "tiny model", "--predictions", "20")

    def test_cached_onnx_runtime(self):
        if not self.cached:
            self.skipTest("no ONNX Runtime in a folder of its own")
        done = self.run_there("--version", env={"ORTPOOL_ONNXRUNTIME": None})
        if "/" in done.out.splitlines()[1]:  # else one is installed, which comes first
            self.assertIn(self.cached, done.out)

    def test_run_counts_the_heap(self):
        outputs = os.path.join(self.top, "outputs: é")
        model = os.path.join(self.top, "tiny model", "encoder.onnx")
        done = self.run_there("run", "--repeat", "3", "--json", "--save-outputs", outputs, *self.shapes(), model)
        rows = json.loads(done.out)["rows"]
        self.assertEqual(len(rows), 3)
        self.assertTrue(os.listdir(outputs))
        for row in rows:
            if self.counts:
                self.assertIsInstance(row["heap_allocations_per_run"], float, row)
                self.assertNotIn("heap_missing", row)
            else:
                self.assertIn("heap_missing", row)

    def shapes(self):
        return ["--shape", "trajectory_features=1,5,6", "--shape", "nearest_keys=1,5"]

    def test_run_says_why_the_heap_is_not_counted(self):
        library = os.path.join(os.path.dirname(self.program), HEAPCOUNT)
        if self.counts:
            os.rename(library, library + ".away")
            self.addCleanup(os.rename, library + ".away", library)
        model = os.path.join(self.top, "tiny model", "encoder.onnx")
        done = self.run_there("run", "--repeat", "2", *self.shapes(), model)
        self.assertRegex(done.out, r"(?m)^heap allocations per run +not counted: \S")
        done = self.run_there("bench", "--model", "tiny model", *self.few(), "models/swipe-en/samples.jsonl")
        self.assertIn("tensors and heap: not counted: ", done.out)

    def test_a_long_preload_does_not_end_the_counting(self):
        if not self.counts:
            self.skipTest("this build does not count the heap")
        model = os.path.join(self.top, "tiny model", "encoder.onnx")
        long = ":".join(["libc.so.6"] * 1000)
        done = self.run_there("run", "--repeat", "2", *self.shapes(), model, env={"LD_PRELOAD": long})
        self.assertNotIn("not counted", done.out)

    def few(self):
        return ["--most", "1", "--rounds", "1", "--starts", "0", "--typing", "0"]

    def test_bench_counts_the_heap(self):
        done = self.run_there("bench", *self.few(), "--json")
        rows = json.loads(done.out)["rows"]
        self.assertTrue(rows)
        for row in rows:
            self.assertEqual(row["heap_calls"] is not None, self.counts, row["name"])
        if self.counts and "no row mimalloc" not in self.run_there(
                "bench", *self.few(), "--rows", "mimalloc,batched", "--json").err:
            self.assertIn("mimalloc", [row["name"] for row in rows])
        page, kept = os.path.join(self.top, "page é.html"), os.path.join(self.top, "kept é.json")
        with open(kept, "w", encoding="utf-8") as file:
            file.write(done.out)
        self.run_there("bench", "--from", kept, "--html", page)
        self.assertGreater(os.path.getsize(page), 0)
        self.assertEqual(os.listdir(self.env["TMPDIR"]), [])

    def test_bench_pool(self):
        done = self.run_there("bench", "pool", "--rounds", "1", "--sizes", "64,4096", "--json")
        self.assertTrue(json.loads(done.out))


if __name__ == "__main__":
    sys.exit(cli.main(sys.modules[__name__]))
