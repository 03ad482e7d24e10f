#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cli_calls.py CLI PRELOAD SOURCE: the command where single calls of the system fail (cli_faults.c)."""

import errno
import json
import os
import subprocess
import sys
import tempfile
import unittest

CLI = PRELOAD = SOURCE = ""
SKIPPED = 77


def run(fault, *arguments, stdin=b"", env=None, **keywords):
    """fault: the call, its errno, and which of its calls fail, from the first to the last."""
    environment = dict(os.environ, LD_PRELOAD=PRELOAD, ORTPOOL_FAULT_CALL=":".join(str(part) for part in fault))
    for name, value in (env or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    keywords.setdefault("cwd", SOURCE)
    done = subprocess.run([CLI, *arguments], input=stdin, env=environment, capture_output=True, timeout=60,
                          check=False, **keywords)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    return done


class Calls(unittest.TestCase):
    def predict(self, fault, lines, code):
        done = run(fault, "predict", "--json", "--model", "tests/graphs/tiny", stdin="".join(lines).encode())
        self.assertEqual(done.returncode, code, done.err)
        return [json.loads(line)["id"] for line in done.out.splitlines()], done.err

    def test_reads(self):
        with open(os.path.join(SOURCE, "models", "swipe-en", "samples.jsonl"), encoding="utf-8") as file:
            lines = file.readlines()[:2]
        for number in (errno.EINTR, errno.EAGAIN):
            self.assertEqual(self.predict(("read", number, 1, 2), lines, 0), (["1", "2"], ""))
        ids, said = self.predict(("read", errno.EIO, 1, 1), lines, 2)
        self.assertEqual((ids, said), ([], "ortpool: reading '-' failed after line 0: Input/output error\n"))
        # Half a line was read before: it is no line.
        longer = lines[1].replace("{", '{"more":"' + "x" * (1 << 18) + '",', 1)
        ids, said = self.predict(("read", errno.EIO, 3, 9), [lines[0], longer], 2)
        self.assertEqual((ids, said), (["1"], "ortpool: reading '-' failed after line 1: Input/output error\n"))

    def test_files_that_cannot_be_opened(self):
        done = run(("open", errno.EACCES, 1, 1), "predict", "swipes.jsonl")
        self.assertEqual((done.returncode, done.err), (2, "ortpool: cannot read 'swipes.jsonl': Permission denied\n"))
        # No /dev/null in place of a closed stream: nothing can be said, and nothing is done.
        done = run(("open", errno.ENOENT, 1, 1), "--version", preexec_fn=lambda: os.close(0), stdin=None)
        self.assertEqual((done.returncode, done.out, done.err), (2, "", ""))

    def test_no_descriptors_left(self):
        done = run(("pipe", errno.EMFILE, 1, 1), "predict")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no file descriptors left", done.err)

    def test_no_proc(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run(("readlink", errno.ENOENT, 1, 1), "inspect", cwd=folder, env={"ORTPOOL_MODEL": None})
        self.assertEqual(done.returncode, 2)
        self.assertIn("(executable)/../share/ortpool/models/swipe-en", done.err)
        done = run(("readlink", errno.ENOENT, 1, 1), "run", "tests/graphs/shapes/identity_float.onnx")
        self.assertEqual((done.returncode, done.out), (2, ""))
        self.assertIn("no process can be started: No such file", done.err)

    def test_no_processes(self):
        graph = "tests/graphs/shapes/identity_float.onnx"
        for call, number in (("pipe2", errno.EMFILE), ("posix_spawn", errno.EAGAIN)):
            for first in (1, 2):  # the first process, the second
                done = run((call, number, first, 9), "run", graph)
                self.assertEqual((done.returncode, done.out), (2, ""))
                self.assertEqual(done.err, f"ortpool run: no process can be started: {os.strerror(number)}\n")

    def test_no_such_user(self):
        places = {"ORTPOOL_ONNXRUNTIME": None, "XDG_CACHE_HOME": None, "HOME": None}
        done = run(("getpwuid_r", 0, 1, 1), "--version", env=places)
        self.assertEqual((done.returncode, done.err), (0, ""))
        if "not found" in done.out:  # and none is installed
            self.assertIn("(no home folder)/onnxruntime-*: none fetched", done.out)


def main():
    global CLI, PRELOAD, SOURCE  # pylint: disable=global-statement
    CLI, PRELOAD, SOURCE = (os.path.abspath(argument) for argument in sys.argv[1:4])
    if "not found" in subprocess.run([CLI, "--version"], capture_output=True, text=True, check=True).stdout:
        print("skipped: no ONNX Runtime")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)


main()
