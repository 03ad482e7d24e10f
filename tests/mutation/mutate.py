#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutate.py --check SOURCE BUILD  every mutation's text stands in its file exactly once, and BUILD has its test
   mutate.py SOURCE [NUMBER...]   breaks the lines one at a time in a copy and runs the test that must fail

A mutation that does not compile, and a test that fails without any, are errors of the list."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

TIMEOUT_SECONDS = 60


def load(source):
    with open(pathlib.Path(source, "tests/mutation/mutations.toml"), "rb") as file:
        return tomllib.load(file)["mutation"]


def misfits(source, mutations):
    for number, mutation in enumerate(mutations, 1):
        count = pathlib.Path(source, mutation["file"]).read_text(encoding="utf-8").count(mutation["find"])
        if count != 1:
            yield f"{number} ({mutation['means']}): its text stands {count} times in {mutation['file']}, expected once"


def unknown_tests(build, mutations):
    done = subprocess.run(["ctest", "--test-dir", build, "-N"], stdout=subprocess.PIPE, text=True, check=True)
    known = {line.split()[-1] for line in done.stdout.splitlines() if " Test " in line and "#" in line}
    for number, mutation in enumerate(mutations, 1):
        if mutation["test"] not in known:
            yield f"{number} ({mutation['means']}): the build has no test {mutation['test']}"


def copy_tree(source, to):
    ignore = shutil.ignore_patterns("build", ".git", "__pycache__")
    shutil.copytree(source, to, ignore=ignore)


def run(command, seconds=600):
    """Exit status and output; None where the time was up."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=seconds, check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, "time was up"


def test_fails(build, test):
    status, output = run(["ctest", "--test-dir", str(build), "-R", f"^{test}$", "--timeout", str(TIMEOUT_SECONDS),
                          "--no-tests=error"])
    if "No tests were found" in output or "Skipped" in output:
        sys.exit(f"{test} was not run:\n{output}")
    return status != 0


def try_mutation(tree, build, mutation):
    """True: the test failed."""
    path = pathlib.Path(tree, mutation["file"])
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(mutation["find"], mutation["replace"]), encoding="utf-8")
    try:
        status, output = run(["cmake", "--build", str(build), "--target", mutation["test"]])
        if status != 0:
            sys.exit(f"\n{mutation['file']}: '{mutation['means']}' does not compile:\n{output[-3000:]}")
        return test_fails(build, mutation["test"])
    finally:
        path.write_text(original, encoding="utf-8")


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    arguments = [argument for argument in arguments if argument != "--check"]
    source = arguments[0]
    mutations = load(source)
    problems = list(misfits(source, mutations))
    if check:
        problems += unknown_tests(arguments[1], mutations)
    if problems:
        sys.exit("\n".join(problems))
    if check:
        print(f"{len(mutations)} mutations have their lines")
        return 0

    chosen = [int(argument) for argument in arguments[1:]] or range(1, len(mutations) + 1)
    survived = []
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ortpool-mutation-") as folder:
        tree, build = pathlib.Path(folder, "tree"), pathlib.Path(folder, "build")
        copy_tree(source, tree)
        tests = sorted({mutations[number - 1]["test"] for number in chosen})
        for command in (["cmake", "-S", str(tree), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                         "-DCMAKE_C_FLAGS_DEBUG=-g -O0", "-DORTPOOL_TESTS=ON"],
                        ["cmake", "--build", str(build), "--target", *tests]):
            status, output = run(command)
            if status != 0:
                sys.exit(f"{' '.join(command)}:\n{output[-3000:]}")
        for test in tests:
            if test_fails(build, test):
                sys.exit(f"{test} fails without any mutation")
        print(f"  {len(tests)} tests pass unbroken, {time.monotonic() - start:.0f} s", flush=True)
        for number in chosen:
            mutation = mutations[number - 1]
            began = time.monotonic()
            killed = try_mutation(tree, build, mutation)
            if not killed:
                survived.append(number)
            print(f"  {number:2} {'killed by' if killed else 'SURVIVED '} {mutation['test']:<22} "
                  f"{mutation['file']}: {mutation['means']} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"  {len(chosen) - len(survived)} of {len(chosen)} killed, {time.monotonic() - start:.0f} s")
    return 1 if survived else 0


sys.exit(main())
