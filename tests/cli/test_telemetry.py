#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command and the examples leave no file of ONNX Runtime's telemetry client, in a home and a folder for temporary files
of their own.

usage: test_telemetry.py --cli PROGRAM --source FOLDER [--example PROGRAM]...
Exit 0; 1 a file was left; 77 no ONNX Runtime, or one without such a client: nothing is left where it is asked for.
"""
import argparse
import glob
import os
import pathlib
import re
import subprocess
import sys
import tempfile

LOGS = "/tmp/mat-debug-*.log"  # one for each process, children too


def onnxruntime_of(cli):
    """The folder or the library that the command finds, so that the cache can be another one."""
    found = re.search(r"^ONNX Runtime \S+ \((.*)\)", subprocess.run([cli, "--version"], stdout=subprocess.PIPE, text=True,
                                                                    check=True).stdout, re.M)
    return found and re.sub(r"/lib/libonnxruntime\.so[.0-9]*$", "", found.group(1))


def left_by(command, source, onnxruntime, telemetry=None):
    """Files that the client left: its log and those below the home."""
    with tempfile.TemporaryDirectory() as folder:
        home, temporary = pathlib.Path(folder, "home"), pathlib.Path(folder, "tmp")
        home.mkdir()
        temporary.mkdir()
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("ORT_DISABLE_TELEMETRY", "ORTPOOL_MODEL", "CI")}
        # The client does not start where it finds CI.
        # The client takes the cache for its files where it is named.
        environment.update(HOME=str(home), TMPDIR=str(temporary), XDG_CACHE_HOME=str(home / "cache"),
                           ORTPOOL_ONNXRUNTIME=onnxruntime)
        if telemetry is not None:
            environment.update(ORT_DISABLE_TELEMETRY=telemetry)
        before = set(glob.glob(LOGS))
        with subprocess.Popen(command, cwd=source, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            output = process.communicate(timeout=110)[0].decode("utf-8", "replace")
        if process.returncode != 0:
            sys.exit(f"{command}: exit status {process.returncode}\n{output}")
        found = [str(path) for path in [*home.rglob("*"), *temporary.rglob("*")] if path.is_file()]
        for log in set(glob.glob(LOGS)) - before:
            found.append(log)
            os.unlink(log)
        return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--example", action="append", default=[])
    options = parser.parse_args()
    cli, source = os.path.abspath(options.cli), os.path.abspath(options.source)
    onnxruntime = onnxruntime_of(cli)
    if not onnxruntime:
        print("skipped: no ONNX Runtime found")
        return 77
    graph = ["tests/graphs/shapes/add.onnx"]
    few = ["--most", "1", "--rounds", "1", "--starts", "0", "--typing", "0", "--rows", "batched"]
    commands = [[os.path.abspath(program), *graph] for program in options.example]
    commands += [[cli, "predict", "--model", "tests/graphs/tiny", "models/swipe-en/samples.jsonl"],
                 [cli, "run", "--repeat", "1", "--shape", "x=4", "--shape", "y=4", *graph],
                 [cli, "bench", "--model", "tests/graphs/tiny", *few, "models/swipe-en/samples.jsonl"],
                 [cli, "soak", "--model", "tests/graphs/tiny", "--predictions", "10"]]
    failed = False
    for command in commands:
        found = left_by(command, source, onnxruntime)
        print(f"{' '.join(command)}: {found or 'left nothing'}")
        failed = failed or bool(found)
    # With the client asked for: whether this test could have seen it, also what children leave.
    run = next(command for command in commands if "run" in command)
    if not failed and not left_by(commands[0], source, onnxruntime, telemetry="0"):
        print("skipped: this ONNX Runtime has no telemetry client")
        return 77
    if not failed and not left_by(run, source, onnxruntime, telemetry="0"):
        print("the client of `ortpool run`, which was asked for, was not seen")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
