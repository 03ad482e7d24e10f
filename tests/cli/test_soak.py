#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of `ortpool soak` as a user runs it.

usage: test_soak.py --cli PROGRAM --source FOLDER CLASS...
Exit as test_cli.py.
"""

import json
import os
import signal
import subprocess
import sys
import time

import test_cli as cli
from bad_options import NOT_A_NUMBER, documented

SECONDS = 3
OPTIONS = {
    "--predictions": (NOT_A_NUMBER + ["1000000001"], "a number from 1 to 1000000000"),
    "--seconds": (NOT_A_NUMBER + ["1000001"], "a number from 1 to 1000000"),
    "--threads": (NOT_A_NUMBER + ["65"], "a number from 1 to 64"),
    "--seed": ([value for value in NOT_A_NUMBER if value != "0"] + ["4294967296"], "a number from 0 to 4294967295"),
    "--beam": (NOT_A_NUMBER + ["33"], "a number from 1 to 32"),
    "--path": (["", "x", "Batched"], "'auto', 'sequential', 'batched' or 'incremental'"),
    "--pool": (["", "x", "Thread"], "'thread' or 'striped'"),
    "--budget": (["", "x", "0", "64MB"], "a size above 0 such as 512K, 64MiB, 1G or bytes"),
    "--model": ([""], "a model's folder"),
    "--json": None,
    "--help": None,
    "--version": None,
}


def graphs(name):
    return ["--model", cli.path("tests", "graphs", name)]


class Usage(cli.Case):
    def refused(self, arguments, expected):
        done = cli.run("soak", *arguments)
        self.ends(done, 2)
        self.assertEqual(done.out, "", arguments)
        self.assertIn("ortpool soak: ", done.err)
        self.assertIn(expected, done.err)
        self.assertIn("Try 'ortpool soak --help'.", done.err)

    def test_help_names_every_option(self):
        self.assertEqual({name: value is not None for name, value in OPTIONS.items()}, documented("soak"))
        self.assertIn("  soak ", cli.run("--help").out)

    def test_values_that_are_nonsense(self):
        for name, nonsense in OPTIONS.items():
            if nonsense is None:
                self.refused([f"{name}=1"], f"{name} takes no value")
                continue
            self.refused([name], f"{name} needs a value")
            for value in nonsense[0]:
                with self.subTest(option=name, value=value):
                    self.refused([f"{name}={value}"], f"{name}: '{value}' is not {nonsense[1]}")

    def test_others(self):
        self.refused(["--top", "3"], "no option '--top'")
        self.refused(["a", "b"], "one input at a time, and 'b' is a second one")
        self.refused([""], "the input's name is empty")


class SoakCase(cli.OrtCase):
    def soak(self, *arguments, code=0, **keywords):
        done = cli.run("soak", "--json", *arguments, **keywords)
        self.ends(done, code)
        self.assertEqual(done.err, "")
        return json.loads(done.out)

    def assert_well(self, report):
        self.assertEqual(report["verdict"], "good")
        self.assertEqual((report["wrong"], report["failed"], report["failures"]["count"]), (0, 0, 0))
        self.assertEqual(report["right"], report["predictions"])
        self.assertGreater(report["right"], 0)
        counted = sum(kind["count"] for kind in report["latency_us"].values() if kind)
        self.assertEqual(counted, report["predictions"])
        for kind in report["latency_us"].values():
            if kind:
                order = [kind[name] for name in ("p50", "p99", "p999", "max")]
                self.assertEqual(order, sorted(order))
        points = report["checkpoints"]
        self.assertGreater(len(points), 0)
        self.assertEqual(points[-1]["predictions"], report["predictions"])
        for name in ("seconds", "predictions"):
            self.assertEqual([p[name] for p in points], sorted(p[name] for p in points))
        self.assertTrue(all(p["mapped"] > 0 for p in points))


class Runs(SoakCase):
    """A few seconds each."""

    def test_the_bundled_model(self):
        few = "\n".join(cli.samples(5 if cli.SANITIZED else None))
        for threads in ("2", "4"):
            report = self.soak("--seconds", str(SECONDS), "--threads", threads, "-", stdin=few)
            self.assert_well(report)
            self.assertEqual(report["threads"], int(threads))
            self.assertGreaterEqual(report["seconds"], SECONDS)
            self.assertGreater(sum(report["pressure"].values()), 0)
            self.assertFalse(report["interrupted"])

    def test_small_graphs(self):
        for name in ("tiny", "step", "ctc", "mask"):
            report = self.soak(*graphs(name), "--seconds", str(SECONDS), "--threads", "4", "--seed", "9")
            self.assert_well(report)
            self.assertEqual(report["seed"], 9)

    def test_options(self):
        report = self.soak(*graphs("tiny"), "--predictions", "200", "--threads", "1", "--path", "sequential", "--pool",
                           "striped", "--beam", "4", "--budget", "64M")
        self.assert_well(report)
        self.assertGreaterEqual(report["predictions"], 200)
        self.assertEqual([report[name] for name in ("threads", "path", "pool", "beam", "budget")],
                         [1, "sequential", "striped", 4, 64 << 20])

    def test_swipes_of_a_file(self):
        for arguments, stdin in (([cli.path("models", "swipe-en", "samples.jsonl")], ""),
                                 (["-"], "\n".join(cli.samples(3)))):
            self.assert_well(self.soak(*graphs("tiny"), "--predictions", "50", *arguments, stdin=stdin))


class Words(SoakCase):
    """What is printed, and what cannot be run."""

    def test_table(self):
        done = cli.run("soak", *graphs("tiny"), "--seconds", "1")
        self.ends(done, 0)
        for text in ("on ONNX Runtime", "predictions with words", "encoder cache missed", "encoder cache hit",
                     "limits set below it", "quiet at s", "growth of what ortpool maps",
                     "good: words, ledger, limits, memory\n"):
            self.assertIn(text, done.out)
        self.assertEqual(done.err, "")

    def test_inputs_that_are_none(self):
        good = cli.samples(1)[0]
        short = '{"x":[1],"y":[1,2],"t":[0],"keyboard":{"width":9,"height":9}}'
        for stdin, expected in (("", "no swipes in '-'"), ("{", "-: line 1: "), (f"{good}\n\n[]\n", "-: line 3: "),
                                (short, '"y"')):
            done = cli.run("soak", *graphs("tiny"), "-", stdin=stdin)
            self.ends(done, 2)
            self.assertEqual(done.out, "")
            self.assertIn(expected, done.err)
        done = cli.run("soak", *graphs("tiny"), "/nonexistent")
        self.ends(done, 2)
        self.assertIn("cannot read '/nonexistent': No such file", done.err)

    def test_a_swipe_that_is_none(self):
        bad = '{"x":[],"y":[],"t":[],"keyboard":{"width":9,"height":9}}'
        done = cli.run("soak", *graphs("tiny"), "-", stdin=bad)
        self.ends(done, 2)
        self.assertIn("swipe 1, alone and without pressure: ", done.err)

    def test_a_budget_that_is_too_small(self):
        done = cli.run("soak", *graphs("tiny"), "--budget", "1K")
        self.ends(done, 2)
        self.assertIn("is too small", done.err)

    def test_signals(self):
        """The report is given all the same."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([cli.CLI, "soak", "--json", *graphs("tiny"), "--seconds", "600"], cwd=cli.SOURCE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                time.sleep(SECONDS)
                process.send_signal(number)
                out, err = process.communicate(timeout=cli.TIMEOUT)
            self.assertEqual((process.returncode, err), (128 + number, b""))
            report = json.loads(out)
            self.assertTrue(report["interrupted"])
            self.assert_well(report)


class Live(cli.PipeCase):
    def test_the_line_on_a_terminal(self):
        code, seen = self.on_terminal(["soak", *graphs("tiny"), "--seconds", "2"], {"TERM": "xterm"})
        self.assertEqual(code, 0, seen)
        self.assertIn("soak  ", seen)
        self.assertIn(" mapped ", seen)
        self.assertIn("good: words", seen)
        code, seen = self.on_terminal(["soak", "--json", *graphs("tiny"), "--seconds", "1"], {"TERM": "xterm"})
        self.assertEqual(code, 0, seen)
        self.assertTrue(seen.startswith("{"), seen)


class Minute(SoakCase):
    """What CI runs: 60 seconds on the bundled model."""

    def test_a_minute(self):
        report = self.soak("--seconds", "60", "--threads", str(min(4, os.cpu_count() or 2)))
        self.assert_well(report)
        self.assertTrue(report["growth"]["mapped"]["judged"])
        self.assertGreater(report["latency_us"]["hit"]["count"], 0)
        self.assertGreater(report["refused"]["budget"], 0)


if __name__ == "__main__":
    sys.exit(cli.main(sys.modules[__name__]))
