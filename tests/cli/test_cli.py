#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the built ortpool command, as a user runs it.

usage: test_cli.py --cli PROGRAM --source FOLDER CLASS...
Exit 0; 1 a test failed; 77 everything was skipped (no ONNX Runtime, or no recordings).
Standard library only.
"""

import argparse
import gzip
import json
import os
import pty
import pwd
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

CLI = ""
SOURCE = ""
SANITIZED = any(name in os.environ for name in ("LSAN_OPTIONS", "TSAN_OPTIONS"))
# Sample lines that words are checked on, and those that runs with other options are compared on.
CHECKED = 24
COMPARED = 8
SKIPPED = 77
TIMEOUT = 300


def path(*parts):
    return os.path.join(SOURCE, *parts)


def tiny():
    """Options for a small model: it takes no time, and its words mean nothing."""
    return ["--model", path("tests", "graphs", "tiny")]


def samples(count=None):
    """The bundled sample lines, or the first few."""
    with open(path("models", "swipe-en", "samples.jsonl"), encoding="utf-8") as file:
        return file.read().splitlines()[:count]


def run(*arguments, stdin="", env=None, cwd=None):
    """The finished process of one call, from the project's folder. env: changes, None unsets."""
    environment = dict(os.environ)
    environment.pop("ORTPOOL_MODEL", None)
    for name, value in (env or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([CLI, *arguments], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment, cwd=cwd or SOURCE,
                          timeout=TIMEOUT, check=False)
    done.out = done.stdout.decode()
    done.err = done.stderr.decode()
    return done


def has_ort():
    return "not found" not in run("--version").out


class Case(unittest.TestCase):
    longMessage = True

    def ends(self, done, code):
        """The exit code, with what was said when it is another one."""
        self.assertEqual(done.returncode, code,
                         f"{done.args}\n{done.out[-2000:]}\n{done.err[-2000:]}")

    def predict(self, *arguments, lines, code=0):
        """The JSON lines of `ortpool predict --json`."""
        text = "\n".join(lines) + "\n"
        done = run("predict", "--json", *arguments, stdin=text)
        self.ends(done, code)
        return [json.loads(line) for line in done.out.splitlines()]


class OrtCase(Case):
    @classmethod
    def setUpClass(cls):
        if not has_ort():
            raise unittest.SkipTest("no ONNX Runtime found")


class PipeCase(OrtCase):
    """Talks with a command that runs."""

    def start(self, *arguments, **keywords):
        return subprocess.Popen([CLI, "predict", *tiny(), *arguments], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=SOURCE,
                                **keywords)

    def send(self, process, line):
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()

    def receive(self, process):
        """One line, or a failure when none comes."""
        ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
        self.assertTrue(ready, "no answer while the input is open")
        return process.stdout.readline().decode()

    def on_terminal(self, arguments, env, typed=None, piped=None):
        """Exit code and all output of a run whose standard output and error are a terminal. Its input
        is what is `typed` there, or comes from a pipe, or is empty."""
        environment = {name: value for name, value in {**os.environ, **env}.items() if value is not None}
        try:
            controller, terminal = pty.openpty()
        except OSError as error:  # a bare chroot has no /dev/pts
            self.skipTest(f"no terminal to be had here: {error}")
        stdin = terminal if typed else subprocess.PIPE
        with subprocess.Popen([CLI, *arguments], stdin=stdin, stdout=terminal, stderr=terminal,
                              cwd=SOURCE, env=environment) as process:
            os.close(terminal)
            if typed:
                os.write(controller, typed.encode())
            else:
                process.stdin.write((piped or "").encode())
                process.stdin.close()
            seen = b""
            end = time.monotonic() + TIMEOUT
            while time.monotonic() < end:
                try:
                    part = os.read(controller, 65536)
                except OSError:
                    break
                if not part:
                    break
                seen += part
            os.close(controller)
            return process.wait(TIMEOUT), seen.decode()


def words(rows):
    """What two ways to predict must agree on."""
    return [(row["id"], [(c["word"], c["score"]) for c in row["candidates"]]) for row in rows]


class Usage(Case):
    """Needs no ONNX Runtime: all of it ends before anything is loaded."""

    def test_help(self):
        for arguments in (["--help"], ["-h"], ["help"], ["predict", "--help"], ["eval", "--help"],
                          ["predict", "-h"], ["predict", "--top", "5", "--help"]):
            done = run(*arguments)
            self.ends(done, 0)
            self.assertTrue(done.out.startswith("usage: ortpool"), arguments)
            self.assertEqual(done.err, "")
        for command in ("predict", "eval"):
            lines = run(command, "--help").out.splitlines()
            self.assertTrue(all(len(line) <= 80 for line in lines))
        text = run("predict", "--help").out
        for option in ("--json", "--top", "--beam", "--path", "--pool", "--budget", "--threads",
                       "--no-warmup", "--stats", "--model", "--help", "--version", "64 MB"):
            self.assertIn(option, text)

    def test_version(self):
        for arguments in (["--version"], ["predict", "--version"], ["eval", "--version"]):
            done = run(*arguments)
            self.ends(done, 0)
            first, second = done.out.splitlines()
            self.assertRegex(first, r"^ortpool \d+\.\d+\.\d+$")
            self.assertRegex(second, r"^ONNX Runtime (\d+\.\d+\.\d+ \(.+\)|not found: .+)$")

    def test_nonsense_names_the_option(self):
        cases = {
            "--top": ["", "0", "17", "-1", "3x", "three"],
            "--beam": ["0", "33", "1.5", " 8"],
            "--threads": ["0", "65", "-4", "all"],
            "--path": ["", "fast", "Batched", "batched "],
            "--pool": ["", "none", "STRIPED"],
            "--budget": ["", "0", "-1", "64X", "64MB", "1.5G", "99999999999999999999", "20000000T"],
            "--model": [""],
            "--stats": ["table", ""],
        }
        for option, values in cases.items():
            for value in values:
                for command in ("predict", "eval"):
                    if command == "eval" and option == "--top":
                        continue
                    done = run(command, f"{option}={value}", "-")
                    self.ends(done, 2)
                    self.assertIn(option, done.err.splitlines()[0], (option, value))
                    self.assertIn(f"'{value}'", done.err.splitlines()[0])
                    self.assertIn(f"Try 'ortpool {command} --help'", done.err)
                    self.assertEqual(done.out, "")

    def test_wrong_words(self):
        cases = [([], "which command"), (["swipe"], "no command swipe"),
                 (["--frob"], "no option --frob"),
                 (["predict", "--frob"], "'--frob'"), (["predict", "-x"], "'-x'"),
                 (["predict", "--json=1"], "--json takes no value"),
                 (["predict", "--no-warmup=1"], "--no-warmup takes no value"),
                 (["predict", "--top"], "--top needs a value"),
                 (["predict", "a", "b"], "'b'"), (["predict", ""], "empty"),
                 (["eval"], "no input"), (["eval", "--top", "3", "-"], "'--top'")]
        for arguments, said in cases:
            done = run(*arguments)
            self.ends(done, 2)
            self.assertIn(said, done.err)
            self.assertEqual(done.out, "")

    def test_input_that_cannot_be_read(self):
        for command in ("predict", "eval"):
            for name, reason in (("no-such-file", "No such file"), (SOURCE, "Is a directory")):
                done = run(command, name)
                self.ends(done, 2)
                self.assertIn(name, done.err)
                self.assertIn(reason, done.err)

    def test_no_model(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("predict", "--model", folder)
            self.ends(done, 2)
            self.assertIn("--model", done.err)
            self.assertIn(folder, done.err)
            done = run("predict", env={"ORTPOOL_MODEL": folder})
            self.ends(done, 2)
            self.assertIn("ORTPOOL_MODEL", done.err)

    def test_no_ort_says_where_it_looked(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("predict", env={"ORTPOOL_ONNXRUNTIME": folder})
            self.ends(done, 2)
            self.assertIn("ORTPOOL_ONNXRUNTIME", done.err)
            self.assertIn(folder, done.err)
            done = run("--version", env={"ORTPOOL_ONNXRUNTIME": folder})
            self.ends(done, 0)
            self.assertEqual(done.out.splitlines()[1:],
                             [f"ONNX Runtime not found: ORTPOOL_ONNXRUNTIME={folder}: "
                              "no lib/libonnxruntime.so in it"])
            os.mkdir(os.path.join(folder, "lib"))
            with open(os.path.join(folder, "lib", "libonnxruntime.so"), "wb") as file:
                file.write(b"no library")
            done = run("--version", env={"ORTPOOL_ONNXRUNTIME": folder})
            self.ends(done, 0)
            self.assertEqual(len(done.out.splitlines()), 2, done.out)
            self.assertRegex(done.out, r"\nONNX Runtime not found: .*libonnxruntime\.so: .+\n$")
            os.remove(os.path.join(folder, "lib", "libonnxruntime.so"))
            os.rmdir(os.path.join(folder, "lib"))
            # Without a name for it: where none is installed, all places are said.
            done = run("predict", env={"ORTPOOL_ONNXRUNTIME": None, "XDG_CACHE_HOME": folder})
            if done.returncode != 0:
                self.ends(done, 2)
                self.assertIn("ORTPOOL_ONNXRUNTIME", done.err)
                self.assertIn("libonnxruntime.so", done.err)
                self.assertIn(folder, done.err)

    def test_no_home_in_the_environment(self):
        """The home folder is then the one that the system has for the user."""
        unset = {"ORTPOOL_ONNXRUNTIME": None, "XDG_CACHE_HOME": None}
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            self.skipTest("the system does not know this user")
        with_home = run("--version", env={**unset, "HOME": home})
        for home in (None, ""):
            done = run("--version", env={**unset, "HOME": home})
            self.ends(done, 0)
            self.assertEqual(done.out, with_home.out)
            done = run("predict", *tiny(), env={**unset, "HOME": home})
            self.assertNotIn("no home folder", done.err)


class Predict(OrtCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = run("predict", "--json", "--threads", "2", stdin="\n".join(samples(CHECKED)))
        cls.reference = [json.loads(line) for line in done.out.splitlines()]

    def test_samples(self):
        rows = [json.loads(line) for line in samples(CHECKED)]
        self.assertEqual([row["id"] for row in self.reference], [row["id"] for row in rows])
        right = 0
        for got, row in zip(self.reference, rows):
            self.assertEqual(set(got), {"id", "candidates", "cache", "us", "stages_us"})
            stages = got["stages_us"]
            self.assertEqual(set(stages), {"features", "encoder", "decoder", "search"})
            self.assertLessEqual(sum(stages.values()), got["us"])
            self.assertGreater(stages["decoder"], 0)
            self.assertEqual(stages["encoder"] == 0, got["cache"] == "hit")
            self.assertIn(got["cache"], ("hit", "miss"))
            self.assertGreater(got["us"], 0)
            self.assertLessEqual(len(got["candidates"]), 3)
            scores = [c["score"] for c in got["candidates"]]
            self.assertEqual(scores, sorted(scores, reverse=True))
            right += got["candidates"][0]["word"] == row["word"]
        self.assertGreaterEqual(right / len(rows), 0.9)

    def test_threads_and_pools_change_nothing(self):
        for arguments in (["--threads", "1"], ["--threads", "4"],
                          ["--threads", "4", "--pool", "striped"],
                          ["--no-warmup", "--pool", "thread", "--path", "auto"]):
            rows = self.predict(*arguments, lines=samples(COMPARED))
            self.assertEqual(words(rows), words(self.reference[:COMPARED]), arguments)

    def test_paths_agree(self):
        """Of the fp32 graphs: in the int8 ones rows share the scale of their activations."""
        fp32 = ["--model", path("models", "swipe-en-fp32"), "--threads", "2"]
        reference = self.predict(*fp32, lines=samples(COMPARED))
        for which in ("sequential", "batched"):
            rows = self.predict("--path", which, *fp32, lines=samples(COMPARED))
            self.assertEqual(len(rows), COMPARED)
            for got, expected in zip(rows, reference):
                self.assertEqual(got["id"], expected["id"])
                first = {c["word"]: c["score"] for c in got["candidates"]}
                for c in expected["candidates"]:
                    # A word may differ only where its score is that of its neighbour.
                    if c["word"] not in first:
                        self.assertLess(min(abs(c["score"] - s) for s in first.values()), 1e-3)
                    else:
                        self.assertLess(abs(c["score"] - first[c["word"]]), 1e-3)

    def test_top_and_beam(self):
        for top in (1, 8):
            rows = self.predict("--top", str(top), "--no-warmup", lines=samples(2))
            self.assertTrue(all(1 <= len(row["candidates"]) <= top for row in rows))
        self.assertEqual(len(rows[0]["candidates"]), 8)
        rows = self.predict("--beam", "1", "--top", "1", "--no-warmup", lines=samples(4)[1:])
        self.assertEqual([row["candidates"][0]["word"] for row in rows], ["world", "the", "of"])

    def test_cache(self):
        line = samples(1)[0]
        rows = self.predict(*tiny(), lines=[line, line, samples(2)[1], line])
        self.assertEqual([row["cache"] for row in rows], ["miss", "hit", "miss", "hit"])
        self.assertEqual(words(rows[:1]), words(rows[1:2]))

    def test_ids_are_echoed(self):
        row = json.loads(samples(1)[0])
        ids = ["a \"b\" \\ \u00e9 \U0001F600", 42, -7, None, ""]
        lines = []
        for value in ids:
            row["id"] = value
            lines.append(json.dumps(row))
        del row["id"]
        lines.append(json.dumps(row))
        rows = self.predict("--top", "1", *tiny(), lines=lines)
        self.assertEqual([got["id"] for got in rows], ids + [None])

    def test_input_forms(self):
        lines = samples(2)
        text = "\ufeff\n" + lines[0] + "\r\n  \n\n" + lines[1]
        done = run("predict", "--json", *tiny(), "-", stdin=text)
        self.ends(done, 0)
        self.assertEqual([json.loads(line)["id"] for line in done.out.splitlines()], ["1", "2"])

    def test_empty_input(self):
        for text in ("", "\n\n  \n"):
            for arguments in ([], ["--json"], ["--stats"]):
                done = run("predict", *arguments, *tiny(), stdin=text)
                self.ends(done, 0)
                self.assertEqual(done.out, "")
                self.assertIn("no swipes", done.err)

    def test_table(self):
        lines = samples(4)
        rows = [json.loads(line) for line in lines]
        rows[1]["id"] = "\u00fcml\u00e4ut"
        rows[2]["id"] = "evil \033[2J"
        rows[3]["x"] = []
        done = run("predict", "--no-warmup", stdin="\n".join(json.dumps(row) for row in rows))
        self.ends(done, 1)
        out = done.out.splitlines()
        self.assertEqual(len(out), 5)
        for column in ("id", "word", "second", "third", "score", "cache", "ms"):
            self.assertIn(column, out[0].split())
        self.assertEqual(out[1].split()[:2], ["1", "hello"])
        self.assertIn("\u00fcml\u00e4ut  world", out[2])
        self.assertNotIn("\033", done.out)
        self.assertIn("(line 4 failed)", out[4])
        self.assertIn("line 4:", done.err)
        # The words of a row begin below each other from the widest id on.
        self.assertEqual(out[3].index("the"), len("evil ?[2J") + 2)

    def test_statistics(self):
        for arguments in (["--stats=json"], ["--stats", "--json"], ["--stats=json", "--json"]):
            done = run("predict", *arguments, *tiny(), "--threads", "3",
                       stdin="\n".join(samples(8)))
            self.ends(done, 0)
            last = json.loads(done.out.splitlines()[-1])
            self.assertEqual(list(last), ["stats"])
            stats = last["stats"]
            in_use = sum(value for name, value in stats.items() if name.startswith("in_use_"))
            self.assertEqual(in_use + stats["idle"] + stats["metadata"], stats["mapped"])
            self.assertEqual(stats["mapped"] + stats["declared"], stats["charged"])
            self.assertLessEqual(stats["charged"], stats["charged_peak"])
            self.assertGreater(stats["mapped"], 0)
            self.assertGreater(stats["declared"], 10 << 10)
            self.assertEqual(stats["predictions"], 8)
            self.assertEqual((stats["lines"], stats["lines_failed"]), (8, 0))
            self.assertGreater(stats["warmup_us"], 0)
            self.assertGreater(stats["warmup_mapped"], 0)
            self.assertGreater(stats["words_per_second"], 0)
        done = run("predict", "--stats", *tiny(), stdin="\n".join(samples(2)))
        self.ends(done, 0)
        for text in ("warm-up", "steps", "words per second", "mapped by ortpool", "budget limit"):
            self.assertIn(text, done.out)
        done = run("predict", "--stats", "--no-warmup", *tiny(), stdin=samples(1)[0])
        self.assertRegex(done.out, r"warm-up +none")

    def test_closed_standard_streams(self):
        """A closed stream's number goes to nothing else; a closed input is an empty one."""
        def shell(redirections, *arguments):
            return subprocess.run(["sh", "-c", 'exec "$@" ' + redirections, "sh", CLI, "predict",
                                   "--json", *tiny(), *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, cwd=SOURCE, timeout=TIMEOUT, check=False)
        done = shell("<&-")
        self.assertEqual((done.returncode, done.stdout), (0, b""), done)
        self.assertIn(b"no swipes", done.stderr)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("\n".join(["nonsense"] + samples(3)) + "\n")
            file.flush()
            for redirections in ("<&-", "2>&-", "<&- 2>&-"):
                done = shell(redirections, file.name)
                self.assertEqual(done.returncode, 1, done)
                self.assertEqual(len(done.stdout.splitlines()), 4, done)
            for redirections in (">&-", "<&- >&-"):
                done = shell(redirections, file.name)
                self.assertEqual(done.returncode, 2, done)
                self.assertIn(b"could not be written", done.stderr)
            self.assertEqual(shell("<&- >&- 2>&-", file.name).returncode, 2)

    def test_output_that_cannot_be_written(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CLI, "predict", "--json", *tiny()],
                                  input=samples(1)[0].encode(), stdout=full,
                                  stderr=subprocess.PIPE, cwd=SOURCE, timeout=TIMEOUT,
                                  check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"could not be written", done.stderr)


class Errors(OrtCase):
    """A line that fails is said, the others are answered."""

    CHANGES = [
        ({"x": None}, '"x" is null, expected an array'),
        ({"y": ...}, '"y" is missing'),
        ({"t": "0"}, '"t" is a string'),
        ({"keyboard": ...}, '"keyboard" is missing'),
        ({"keyboard": [1, 2]}, '"keyboard" is an array'),
        ({"keyboard": {"width": 100}}, '"keyboard.height" is missing'),
        ({"keyboard": {"width": "100", "height": 50}}, '"keyboard.width" is a string'),
        ({"keyboard": {"width": 0, "height": 50}}, "width"),
        ({"keyboard": {"width": 100, "height": -1}}, "height"),
        ({"x": [1, 2, 3], "y": [1, 2], "t": [0, 1, 2]}, '"y" has 2 values and "x" has 3'),
        ({"x": [1, "2"], "y": [1, 2], "t": [0, 1]}, '"x"[1] is a string'),
        ({"x": [1, 2, 3], "y": [1, 2, 3], "t": [0, 20, 10]}, "t[2]"),
        ({"x": [], "y": [], "t": []}, "point"),
    ]

    def bad_lines(self):
        """Pairs of a line and what must be said about it; ids are bad0, bad1, ..."""
        pairs = []
        for changes, said in self.CHANGES:
            row = json.loads(samples(1)[0])
            row["id"] = f"bad{len(pairs)}"
            for name, value in changes.items():
                if value is ...:
                    del row[name]
                else:
                    row[name] = value
            pairs.append((json.dumps(row), said))
        return pairs

    def unreadable_lines(self):
        """The same for lines whose id cannot be known."""
        good = samples(1)[0]
        return [('{"id":"1"', "not JSON"), ("hello", "not JSON"), ("[]", "expected an object"),
                (good.replace('"x":[', '"x":[NaN,', 1), "not JSON"),
                (good.replace('"x":[', '"x":[Infinity,', 1), "not JSON"),
                (good.replace('"x":[', '"x":[1e999,', 1), "not JSON"),
                (good + good, "not JSON"),
                (good.replace('{"id":"1"', '{"id":true', 1), '"id" is a boolean')]

    def check(self, *arguments):
        good = samples(3)
        answer = words(self.predict(*tiny(), lines=good[1:2]))
        pairs = self.bad_lines()
        lines, expected = [], []
        for line, said in pairs + self.unreadable_lines():
            lines.append(line)
            known = (line, said) in pairs
            expected.append((json.loads(line)["id"] if known else None, said))
            if len(lines) % 5 == 0:
                lines.append(good[1])
                expected.append(("2", None))
        rows = self.predict(*arguments, *tiny(), lines=lines, code=1)
        self.assertEqual(len(rows), len(lines))
        for number, (row, (name, said)) in enumerate(zip(rows, expected), 1):
            self.assertEqual(row["id"], name, row)
            if said is None:
                self.assertEqual(words([row]), answer)
                continue
            self.assertEqual(set(row), {"id", "error"})
            self.assertTrue(row["error"].startswith(f"line {number}: "), row)
            self.assertIn(said, row["error"])

    def test_errors_are_said_in_place(self):
        self.check()

    def test_errors_among_threads(self):
        self.check("--threads", "4")

    def test_bad_bytes(self):
        done = run("predict", "--json", *tiny(), stdin=b'{"id":"\xff"}\n' + b'{"id":"\x00"}\n')
        self.ends(done, 1)
        for line in done.out.splitlines():
            self.assertIn("not JSON", json.loads(line)["error"])

    def test_table_says_errors_on_stderr(self):
        lines = [samples(1)[0], "nonsense\033[2J", samples(2)[1]]
        done = run("predict", "--stats", "--no-warmup", stdin="\n".join(lines))
        self.ends(done, 1)
        self.assertIn("(line 2 failed)", done.out)
        self.assertIn("ortpool: line 2: not JSON", done.err)
        self.assertNotIn("\033", done.err)
        self.assertIn("world", done.out)
        self.assertIn("1 failed", done.out)


class Setup(OrtCase):
    def too_small(self, *arguments):
        """What is said to a budget that does not do, and the MiB that would."""
        done = run("predict", *arguments, stdin=samples(1)[0])
        self.ends(done, 2)
        self.assertEqual(done.out, "")
        said = done.err.splitlines()
        self.assertEqual(len(said), 3, done.err)
        enough = re.search(r"about (\d+) MiB would do: --budget (\d+)M$", said[2])
        self.assertTrue(enough, done.err)
        self.assertEqual(enough.group(1), enough.group(2))
        return said, int(enough.group(1))

    def test_budget_too_small(self):
        said, enough = self.too_small("--budget", "1M")
        self.assertIn("1.0 MiB is too small", said[0])
        self.assertRegex(said[1], r"models/swipe-en/\w+\.(onnx|tsv)")  # what did not fit
        self.assertEqual(said, self.too_small("--budget", "1M")[0])
        self.assertEqual(self.too_small("--budget", "5M")[1], enough)
        # More is asked for where more is wanted.
        self.assertGreater(self.too_small("--budget", "1M", "--threads", "64")[1], enough)
        self.assertLess(self.too_small("--budget", "1M", *tiny())[1], enough)

    @unittest.skipIf(SANITIZED, "a sanitizer's own memory looks like ONNX Runtime's")
    def test_budget_that_would_do_does(self):
        for arguments in (["--threads", "1"], ["--threads", "4", "--beam", "2"],
                          ["--beam", "2", *tiny()], ["--threads", "8", *tiny()]):
            _, enough = self.too_small("--budget", "64K", *arguments)
            done = run("predict", "--budget", f"{enough}M", "--stats=json", "--json", *arguments,
                       stdin="\n".join(samples(6)))
            self.ends(done, 0)
            stats = json.loads(done.out.splitlines()[-1])["stats"]
            self.assertEqual(stats["limit"], enough << 20)
            self.assertLessEqual(stats["charged_peak"], stats["limit"])
            self.assertEqual(stats["denials"], 0)

    @unittest.skipIf(SANITIZED, "a sanitizer's own memory looks like ONNX Runtime's")
    def test_threads_wait_for_each_other(self):
        """What warm-up fits into will do for all threads: who has no room beside the others waits."""
        def run_with(kib, count):
            return run("predict", "--budget", f"{kib}K", "--threads", "4", "--json",
                       stdin="\n".join(samples(count)))
        def words(done):
            return [[c["word"] for c in json.loads(line)["candidates"]]
                    for line in done.out.splitlines()]
        expected = words(run("predict", "--json", stdin="\n".join(samples(50))))
        below, enough = 16 << 10, 64 << 10
        while enough - below > 256:
            middle = (below + enough) // 2
            if run_with(middle, 1).returncode == 2:
                below = middle
            else:
                enough = middle
        for kib in (enough + 128, enough + 512, enough + 1024, enough + 2048):
            done = run_with(kib, 50)
            self.ends(done, 0)
            self.assertEqual(words(done), expected)

    @unittest.skipIf(SANITIZED, "a sanitizer's own memory looks like ONNX Runtime's")
    def test_threads_take_turns(self):
        """Where one prediction fits, each of many threads gets its words: none waits for what another holds."""
        def run_with(kib, threads, count):
            return run("predict", "--budget", f"{kib}K", "--threads", str(threads), "--no-warmup", "--json",
                       stdin="\n".join(samples(count)))
        below, enough = 8 << 10, 64 << 10
        while enough - below > 256:
            middle = (below + enough) // 2
            below, enough = (below, middle) if run_with(middle, 1, 8).returncode == 0 else (middle, enough)
        for more in (256, 384, 512, 640, 768, 1024, 2048):
            done = run_with(enough + more, 8, 50)
            self.ends(done, 0)
            self.assertEqual(len(done.out.splitlines()), 50)

    def test_warm_up_that_does_not_fit_ends(self):
        done = run("predict", "--budget", "20M", "--threads", "4", "--beam", "32", stdin=samples(1)[0])
        self.ends(done, 2)
        self.assertIn("is too small for this model and these options", done.err)

    def test_small_budget_loads_no_graph(self):
        """A limit is not broken in order to say which one would do."""
        source = path("models", "swipe-en-usual")
        with tempfile.TemporaryDirectory() as base:
            folder = os.path.join(base, "model")
            os.mkdir(folder)
            os.symlink(path("models", "swipe-en"), os.path.join(base, "swipe-en"))
            os.symlink(os.path.join(source, "model.json"), os.path.join(folder, "model.json"))
            for name in ("encoder.onnx", "decoder.onnx"):
                with open(os.path.join(folder, name), "wb") as file:
                    file.truncate(os.path.getsize(os.path.join(source, name)))
            _, enough = self.too_small("--budget", "1M", "--model", folder)
            self.assertEqual(enough, self.too_small("--budget", "1M", "--model", source)[1])

    def tiny_with(self, folder, **changes):
        """The small model in `folder`, with another manifest."""
        source = path("tests", "graphs", "tiny")
        for name in ("lexicon.tsv", "encoder.onnx", "decoder.onnx"):
            os.symlink(os.path.join(source, name), os.path.join(folder, name))
        with open(os.path.join(source, "model.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        manifest.update(changes)
        with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as file:
            json.dump(manifest, file)

    def test_score_that_is_not_finite_is_an_error(self):
        beam = {"width": 8, "frequency_weight": 1e308, "length_reward": 4.5, "stop_margin": 3}
        with tempfile.TemporaryDirectory() as folder:
            self.tiny_with(folder, beam=beam)
            rows = self.predict("--model", folder, lines=samples(2), code=1)
            self.assertEqual([row["id"] for row in rows], ["1", "2"])
            for number, row in enumerate(rows, 1):
                self.assertEqual(row.get("error"),
                                 f"line {number}: score is not finite: check "
                                 "the weights in beam of the manifest")

    def test_model_that_needs_a_later_ort(self):
        with tempfile.TemporaryDirectory() as folder:
            self.tiny_with(folder, min_ort="99.1")
            done = run("predict", "--model", folder, stdin=samples(1)[0])
            self.ends(done, 2)
            self.assertIn("needs ONNX Runtime 99.1 or later, this is ", done.err)
            self.assertIn(re.search(r"ONNX Runtime (\S+)", run("--version").out).group(1), done.err)

    @unittest.skipIf(SANITIZED, "a sanitizer's own memory looks like ONNX Runtime's")
    def test_budget_of_64m_holds(self):
        for arguments in (["--pool", "thread"], ["--pool", "striped", "--path", "sequential"]):
            done = run("predict", "--budget", "64M", "--stats=json", "--json", "--threads", "2",
                       *arguments, stdin="\n".join(samples(4)))
            self.ends(done, 0)
            stats = json.loads(done.out.splitlines()[-1])["stats"]
            self.assertEqual(stats["limit"], 64 << 20)
            self.assertLessEqual(stats["charged_peak"], 64 << 20)
            self.assertEqual(stats["denials"], 0)

    def test_model_is_found(self):
        line = samples(1)[0]
        with tempfile.TemporaryDirectory() as folder:
            for arguments, env in ((["--model", path("models", "swipe-en")], {}),
                                   ([], {"ORTPOOL_MODEL": path("models", "swipe-en")})):
                done = run("predict", "--json", "--no-warmup", *arguments, stdin=line, env=env,
                           cwd=folder)
                self.ends(done, 0)
                self.assertIn('"hello"', done.out)
            # Beside the program, as it is installed.
            os.makedirs(os.path.join(folder, "bin"))
            os.makedirs(os.path.join(folder, "share", "ortpool", "models"))
            os.symlink(path("models", "swipe-en"),
                       os.path.join(folder, "share", "ortpool", "models", "swipe-en"))
            program = os.path.join(folder, "bin", "ortpool")
            with open(CLI, "rb") as source, open(program, "wb") as target:
                target.write(source.read())
            os.chmod(program, 0o755)
            done = subprocess.run([program, "predict", "--json", "--no-warmup"],
                                  input=line.encode(), cwd=folder, stdout=subprocess.PIPE,
                                  timeout=TIMEOUT, check=False)
            self.assertEqual(done.returncode, 0)
            self.assertIn(b'"hello"', done.stdout)

    def test_damaged_model(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as file:
                file.write('{"name": "broken"}')
            done = run("predict", "--model", folder, stdin=samples(1)[0])
            self.ends(done, 2)
            self.assertIn("model.json", done.err)
            self.assertEqual(done.out, "")


class Stream(PipeCase):
    """The command as one end of a pipe, and on a terminal."""

    def test_answers_come_before_the_input_ends(self):
        for threads in ("1", "4"):
            with self.start("--json", "--threads", threads) as process:
                for number, line in enumerate(samples(2), 1):
                    self.send(process, line)
                    self.assertEqual(json.loads(self.receive(process))["id"], str(number))
                process.stdin.close()
                self.assertEqual(process.wait(TIMEOUT), 0)
                self.assertEqual(process.stdout.read(), b"")

    def test_interrupt_ends_with_what_is_done(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.start("--json", "--stats") as process:
                self.send(process, samples(1)[0])
                self.assertEqual(json.loads(self.receive(process))["id"], "1")
                process.send_signal(number)
                self.assertEqual(process.wait(TIMEOUT), code)
                self.assertEqual(json.loads(process.stdout.read())["stats"]["lines"], 1)
                self.assertEqual(process.stderr.read(),
                                 b"ortpool: interrupted: 1 line answered\n")

    def test_reader_that_goes_away(self):
        with self.start("--json") as process:
            self.send(process, samples(1)[0])
            self.receive(process)
            process.stdout.close()
            self.send(process, samples(1)[0])
            # The input stays open: it must not be waited for.
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertEqual(process.stderr.read(), b"")

    def test_terminal(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("\n".join(samples(6)) + "\n")
            file.flush()
            plain = {"TERM": "xterm", "NO_COLOR": "1"}
            colour = {"TERM": "xterm", "NO_COLOR": ""}
            code, seen = self.on_terminal(["predict", "--no-warmup", file.name], colour)
            self.assertEqual(code, 0, seen)
            self.assertIn("\033[1mhello\033[0m", seen)
            code, seen = self.on_terminal(["predict", *tiny(), file.name], plain)
            self.assertEqual(code, 0, seen)
            self.assertNotIn("\033[1m", seen)
            code, seen = self.on_terminal(["eval", file.name], plain)
            self.assertEqual(code, 0, seen)
            self.assertIn("evaluating [", seen)
            code, seen = self.on_terminal(["eval", "--json", *tiny(), file.name], colour)
            self.assertEqual(code, 0, seen)
            self.assertNotIn("\033", seen)
            self.assertNotIn("evaluating", seen)
            code, seen = self.on_terminal(["eval", *tiny(), file.name],
                                          dict(plain, TERM="dumb"))
            self.assertEqual(code, 0, seen)
            self.assertNotIn("\033", seen)


class Eval(OrtCase):
    def evaluate(self, lines, *arguments, code=0):
        done = run("eval", "--json", *arguments, "-", stdin="\n".join(lines))
        self.ends(done, code)
        return json.loads(done.out.splitlines()[0]), done

    def test_samples(self):
        lines = samples(CHECKED)
        report, _ = self.evaluate(lines, "--threads", "2")
        self.assertEqual((report["rows"], report["failed"]), (CHECKED, 0))
        self.assertGreaterEqual(report["top1"], 0.9)
        self.assertLessEqual(report["top1"], report["top3"])
        self.assertLessEqual(report["top3"], report["top5"])
        self.assertLessEqual(report["top5"], 1)
        # The figures are those of predict.
        rows = self.predict("--top", "5", "--threads", "2", lines=lines)
        for top in (1, 3, 5):
            right = sum(json.loads(line)["word"] in [c["word"] for c in row["candidates"][:top]]
                        for line, row in zip(lines, rows))
            self.assertAlmostEqual(report[f"top{top}"], right / CHECKED, places=5)
        lengths = [len(json.loads(line)["word"]) for line in lines]
        classes = report["by_length"]
        self.assertEqual(list(classes), ["1-3", "4-6", "7+"])
        self.assertEqual([classes[name]["rows"] for name in classes],
                         [sum(n <= 3 for n in lengths), sum(4 <= n <= 6 for n in lengths),
                          sum(n >= 7 for n in lengths)])
        self.assertEqual(report["in_lexicon"]["rows"] + report["out_of_lexicon"]["rows"],
                         CHECKED)
        latency = report["latency_us"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"])

    def test_cache_is_off(self):
        line = samples(1)[0]
        _, done = self.evaluate([line, line, line], "--stats", *tiny())
        stats = json.loads(done.out.splitlines()[-1])["stats"]
        self.assertEqual(stats["cache_hits"], 0)
        self.assertEqual(stats["predictions"], 3)

    def test_failed_rows_count_as_wrong(self):
        lines = samples(3)
        no_word = json.loads(lines[0])
        del no_word["word"]
        unknown = dict(json.loads(lines[1]), word="w\u00f6rldly")
        bad = dict(json.loads(lines[2]), t=[])
        report, done = self.evaluate([lines[0], json.dumps(no_word), json.dumps(unknown),
                                      json.dumps(bad), "{"], "--no-warmup", code=1)
        self.assertEqual((report["rows"], report["failed"]), (5, 3))
        self.assertAlmostEqual(report["top1"], 0.2)
        self.assertEqual(report["out_of_lexicon"]["rows"], 1)
        self.assertEqual(report["by_length"]["7+"]["rows"], 1)
        self.assertEqual(report["in_lexicon"]["rows"], 2)
        for said in ('line 2: "word" is missing', "line 4: ", "line 5: not JSON"):
            self.assertIn(said, done.err)

    def test_table(self):
        done = run("eval", "models/swipe-en/samples.jsonl", "--threads", "2", "--stats", *tiny())
        self.ends(done, 0)
        for text in ("top-1", "top-5", "1-3 letters", "7+ letters", "in the lexicon", "p99",
                     "words per second", "mapped by ortpool"):
            self.assertIn(text, done.out)

    def test_no_rows(self):
        done = run("eval", *tiny(), "/dev/null")
        self.ends(done, 0)
        self.assertEqual(done.out, "")
        self.assertIn("no swipes", done.err)
        report, _ = self.evaluate([], *tiny())
        self.assertEqual(report["rows"], 0)
        self.assertIsNone(report["top1"])
        self.assertIsNone(report["latency_us"])


class Validation(OrtCase):
    """The model's own figures, where the recordings lie beside the project."""

    # models/swipe-en/README.md; half a point is what another ORT or machine may move.
    TOP1, TOP3, TOLERANCE, ROWS = 0.896, 0.950, 0.005, 3533

    def test_figures(self):
        recordings = path("..", "shared", "data", "hws_val.jsonl.gz")
        if not os.path.exists(recordings):
            self.skipTest("no recordings beside the project")
        with tempfile.TemporaryDirectory() as folder:
            rows = os.path.join(folder, "validation.jsonl")
            subprocess.run([sys.executable, path("training", "convert_hws.py"), recordings, rows],
                           check=True, stderr=subprocess.DEVNULL)
            with gzip.open(recordings) as file:
                self.assertEqual(sum(1 for line in file if line.strip()), self.ROWS)
            threads = str(min(os.cpu_count() or 1, 8))
            done = subprocess.run([CLI, "eval", "--json", "--threads", threads, rows],
                                  stdout=subprocess.PIPE, cwd=SOURCE, check=False)
        self.assertEqual(done.returncode, 0)
        report = json.loads(done.stdout)
        print(json.dumps(report, indent=1), file=sys.stderr)
        self.assertEqual((report["rows"], report["failed"]), (self.ROWS, 0))
        self.assertAlmostEqual(report["top1"], self.TOP1, delta=self.TOLERANCE)
        self.assertAlmostEqual(report["top3"], self.TOP3, delta=self.TOLERANCE)


def main(module=None):
    """Runs the named classes of a module, this one unless told."""
    global CLI, SOURCE
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("classes", nargs="+")
    options = parser.parse_args()
    CLI = os.path.abspath(options.cli)
    SOURCE = os.path.abspath(options.source)
    suite = unittest.TestSuite()
    for name in options.classes:
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName(
            name, module or sys.modules[__name__]))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        return 1
    for _, reason in result.skipped:
        print(f"skipped: {reason}")
    # A class that skips as a whole runs no test at all.
    ran = result.testsRun - sum(isinstance(test, unittest.TestCase) for test, _ in result.skipped)
    return SKIPPED if ran <= 0 else 0


if __name__ == "__main__":
    sys.exit(main())
