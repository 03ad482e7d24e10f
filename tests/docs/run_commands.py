#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every command line that the pages show, at its smallest size.

Command lines are: in blocks, lines behind "$ " and each line of a block of a shell; in the text, code that begins with one
of PROGRAMS. TABLE says for each what is run in its place, or why nothing is. A command line that no row of TABLE fits is a
failure.

usage: run_commands.py --build DIR [--top DIR] [--list]
Exit 0; 1 a command failed or is unknown.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PAGES = ("README.md", "BENCHMARKS.md", "docs/*.md", "tests/*/README.md", "models/*/README.md", "training/README.md")
SHELLS = ("sh", "bash", "shell", "console")
PROGRAMS = (r"(?:[A-Z_]+=\S+ +)*(?:sudo +)?(?:ortpool|make|cmake|ctest|cpack|cc|c\+\+|pkg-config|python3|pip|npm|docker|"
            r"apt|apt-get|(?:\./)?(?:build|scripts|training)/\S+)(?: +\S.*)?")
# Code in the text that is the name of a program, a command or a file.
NAMES = r"ortpool|make|cmake|ctest|pkg-config|cc|npm|pip|docker|apt|apt-get|\S+/|build/\S+|\S+\.(?:lock|txt|json|md|c|h|py)"
TIMEOUT = 600


class Skip(str):
    """Why a command line is not run."""


STEP = Skip("is the set-up, the build or the tests, of which this test is a part")
BUILDS = Skip("builds the project anew, for minutes")
WORLD = Skip("needs registries; is part of make test-world or make bench")
INSTALLS = Skip("tests/consume configures, installs, packs and links so")
FILL = Skip("has a name to fill in")
FEW = "--most 1 --rounds 1 --starts 0 --typing 0"
MODEL = "models/swipe-en"

# (the whole command line, what is run in its place or why nothing); the first row that fits counts. BUILD is the folder of
# the build, TEMP an empty one. Paths are below the source folder, `ortpool` is the built one.
TABLE = [
    (r"make bench.*", Skip("takes three quarters of an hour; what it calls is run by itself")),
    (r"make test-(?:world|ort-versions).*", WORLD),
    (r"make (?:demo|test|test-all)(?: \S+=\S+)*", STEP),
    (r"make (\S+)", r"make -n \1"),
    (r".*&& (scripts/bench_memory\.py)", r"\1 --build BUILD --rounds 1 --swipes 1"),
    (r"scripts/bench_memory\.py.*", r"scripts/bench_memory.py --build BUILD --rounds 1 --swipes 1"),
    (r"cmake .*|cpack .*|\(cd build/release && cpack.*|cc \S+\.c .*|pkg-config .*|sudo apt install .*|c\+\+ .*", INSTALLS),
    (r"ctest .*(?:NAME|\.\.\.).*", FILL),
    # Of the preset, as it is shown, at least one test must be chosen; the presets' build is BUILD where that is release.
    (r"ctest --preset (release|world) -([LR]) (\S+)", r"ctest --preset \1 -N -\2 \3 | grep 'Test *#'"),
    (r"ctest -([LR]) (\S+)", r"ctest --test-dir BUILD -N -\1 \2 | grep 'Test *#'"),
    (r"scripts/(?:coverage|mutation|fuzz|test_ort_versions)\.sh.*", BUILDS),
    (r"scripts/(?:setup|test|demo|bench)\.sh.*", STEP),
    (r"scripts/bench_weights\.sh.*", Skip("needs the Python package onnx of PyPI and takes minutes")),
    (r"scripts/bench_python\.py.*", Skip("needs the Python packages NumPy and onnxruntime")),
    (r"(scripts/bench_(?:model|pages|readme)\.py).*", r"python3 \1 --help"),  # what they measure needs registries
    (r"build/fuzz/.*", BUILDS),
    (r"build/release/(examples/\S+ tests/.*)", r"BUILD/\1"),
    (r"training/make_samples\.py.*", r"python3 training/make_samples.py --check"),
    (r"training/\S+.*", Skip("needs recordings, weights or PyTorch")),
    (r"(?:python3 .*|pip .*|npm .*|docker .*|sudo apt.*|apt.*)", Skip("installs or runs packages")),
    # The command: its shown forms at one repeat, its names by their help.
    (r"(?:build/release/)?ortpool run (models/.*)--repeat \d+(.*)", r"ortpool run \1--repeat 1\2"),
    (r"(?:build/release/)?ortpool run --json.*", r"ortpool run --json --repeat 1 tests/graphs/tiny/encoder.onnx "
                                             r"--shape trajectory_features=1,5,6 --shape nearest_keys=1,5"),
    (r"(?:build/release/)?ortpool run MODEL\.onnx.*", r"ortpool run --repeat 1 tests/graphs/tiny/encoder.onnx "
                                                  r"--shape trajectory_features=1,5,6 --shape nearest_keys=1,5"),
    (r"(?:build/release/)?ortpool bench pool.*", r"ortpool bench pool --rounds 1 --sizes 64"),
    (r"(?:build/release/)?ortpool bench --json > A\.json", rf"ortpool bench {FEW} --json > TEMP/A.json"),
    (r"ortpool bench --most .*--pool", "ortpool bench --most 1 --rounds 1 --starts 1 --tail 100 --typing 2 --rows batched"),
    (r"(?:build/release/)?ortpool bench(?: --.*)?", f"ortpool bench {FEW}"),
    (r"(?:build/release/)?ortpool soak(?: --.*)?", "ortpool soak --model tests/graphs/tiny --predictions 20"),
    (r"(?:build/release/)?ortpool (predict|eval) (?:\[?FILE.*)", rf"head -n 3 {MODEL}/samples.jsonl | ortpool \1 -"),
    (r"(?:build/release/)?ortpool predict --stats", rf"head -n 3 {MODEL}/samples.jsonl | ortpool predict --stats -"),
    (r"(?:build/release/)?ortpool inspect \[?(?:DIR|MODEL)\]?", f"ortpool inspect {MODEL}"),
    (r"(?:build/release/)?ortpool COMMAND --help", "ortpool predict --help"),
    (r"(?:build/release/)?ortpool (predict|eval|run|help)", r"ortpool \1 --help"),
    (r"(?:build/release/)?ortpool (inspect|--version|--help)", r"ortpool \1"),
    (r"((?:head .* \| )?)build/release/(ortpool (?:predict|eval|inspect) .*)", r"\1\2"),
    (r"((?:head .* \| )?ortpool (?:predict|eval|inspect) models/.*)", r"\1"),
]


def lines_of(text):
    """Command lines of a page."""
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.M | re.S):
        for line in re.sub(r" *\\\n\s*", " ", block).splitlines():
            behind = re.match(r" *\$ (.*)", line)
            if behind:
                yield behind.group(1)
            elif language in SHELLS and not line.strip().startswith("#"):
                yield re.sub(r"\s+# .*", "", line)
    for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)):
        code = " ".join(code.split()).replace("\\|", "|")
        if re.fullmatch(PROGRAMS, code) and not re.fullmatch(NAMES, code.split()[0] if " " not in code else ""):
            yield code


def documented(top):
    """Each command line with the pages that show it."""
    found = {}
    for pattern in PAGES:
        for page in sorted(top.glob(pattern)):
            for line in lines_of(page.read_text(encoding="utf-8")):
                line = line.strip()
                if line:
                    found.setdefault(line, []).append(str(page.relative_to(top)))
    return found


def variant(line):
    """What is run in its place; None: unknown."""
    for pattern, what in TABLE:
        match = re.fullmatch(pattern, line)
        if match:
            return what if isinstance(what, Skip) else match.expand(what)
    return None


def run(command, top, build, temp):
    """The exit status, and the end of what was said."""
    environment = dict(os.environ, PATH=f"{build}:{os.environ['PATH']}", ORT_DISABLE_TELEMETRY="1",
                       PYTHONDONTWRITEBYTECODE="1", ORTPOOL_MODEL="")
    command = command.replace("BUILD", '"$BUILD"').replace("TEMP/", '"$TEMP"/')
    environment.update(BUILD=str(build), TEMP=temp)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=top, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")[-2000:]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--top", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--list", action="store_true", help="says what would be run")
    options = parser.parse_args()
    top, build = options.top.resolve(), options.build.resolve()
    failed, ran = 0, {}
    for line, pages in documented(top).items():
        what = variant(line)
        where = ", ".join(sorted(set(pages)))
        if what is None:
            failed += 1
            print(f"UNKNOWN  {line}   ({where}): TABLE of {pathlib.Path(__file__).name} has no row for it", flush=True)
        elif isinstance(what, Skip):
            print(f"not run  {line}: {what}", flush=True)
        elif "bench_memory" in what and not (build / "bench" / "bench_shapes").exists():
            print(f"not run  {line}: the build has no benches (-DORTPOOL_BENCH=ON)", flush=True)
        elif options.list or what in ran:
            print(f"as       {line}: {what}", flush=True)
        else:
            with tempfile.TemporaryDirectory() as temp:
                start = time.monotonic()
                status, output = run(what, top, build, temp)
            ran[what] = status
            failed += status != 0
            print(f"{'ran' if status == 0 else 'FAILED':8} {line}: {what}: {status}, {time.monotonic() - start:.1f} s",
                  flush=True)
            if status != 0:
                print(f"  ({where})\n{output}", flush=True)
    for page in ("README.md", "docs/command.md"):
        if not any(page in pages for pages in documented(top).values()):
            print(f"{page}: no command line was found in it")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
