#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cli_oom.py CLI PRELOAD SOURCE: the command with memory failing under it.

One run writes down every allocation of the command's own code and of jansson (cli_faults.c). Then, for each
place that allocates, its first, its last and some calls between fail, alone and with all that come after:
the command ends by itself, says that there was no memory, and prints no line that is wrong."""

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
PER_SITE = 5
TELLS = re.compile(r"memory|budget|no thread|thread.*start|SYS|resource", re.IGNORECASE)


def run(cli, source, preload, arguments, **settings):
    environment = dict(os.environ, LD_PRELOAD=preload, **settings)
    return subprocess.run([cli, *arguments], cwd=source, env=environment, capture_output=True, text=True,
                          errors="replace", timeout=60, check=False)


def places(log_name):
    """Place -> numbers of its calls."""
    found = {}
    with open(log_name, encoding="utf-8") as log:
        for line in log:
            number, what, where = line.split()
            found.setdefault(f"{what} {where}", []).append(int(number))
    return found


def some(numbers):
    if len(numbers) <= PER_SITE:
        return numbers
    step = (len(numbers) - 1) / (PER_SITE - 1)
    return sorted({numbers[round(i * step)] for i in range(PER_SITE)})


def answers(text):
    """The lines of JSON, without what differs from run to run."""
    out = []
    lines = text.splitlines()
    if text.startswith("{\n"):  # one object: that of `run`
        whole = json.loads(text)
        lines = [json.dumps({key: row[key] for key in ("allocator", "outputs", "runs", "shapes")})
                 for row in whole["rows"]] + [json.dumps({"model": whole["model"]})]
    for line in lines:
        value = json.loads(line)
        for varying in ("us", "stages_us", "cache", "seconds", "latency_us"):
            value.pop(varying, None)
        if "stats" in value:
            value["stats"] = len(value["stats"])
        out.append(json.dumps(value, sort_keys=True))
    return out


def judge(right, done):
    """What is wrong with a run, or None."""
    if done.returncode not in (0, 1, 2):
        return f"ended with {done.returncode}"
    try:
        got = answers(done.stdout)
    except ValueError as problem:
        return f"printed what is no JSON: {problem}"
    told = TELLS.search(done.stderr) is not None
    for line in got:
        error = json.loads(line).get("error")
        if error is not None and TELLS.search(error):
            told = True
        elif line not in right and "top1" not in line:
            return f"printed a wrong line: {line}"
        elif line not in right and done.returncode == 0:
            return f"printed wrong totals: {line}"
    if done.returncode == 0 and got != right:
        return f"said that all is well with {len(got)} of {len(right)} lines"
    if done.returncode != 0 and not told and got != right:
        return f"failed without saying why: {done.stderr[:300]!r}"
    return None


def sweep(cli, source, preload, arguments):
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        first = run(cli, source, preload, arguments, ORTPOOL_FAULT_LOG=log.name)
        if first.returncode == 2 and "ONNX Runtime" in first.stderr:
            print("skipped: no ONNX Runtime")
            sys.exit(SKIPPED)
        if first.returncode not in (0, 1):
            sys.exit(f"{arguments}: ended with {first.returncode}: {first.stderr}")
        found = places(log.name)
    if not any("jansson" in place for place in found) or not any("ortpool" in place for place in found):
        sys.exit(f"{arguments}: no call of the command or of jansson was seen: the preload does not work")
    right = answers(first.stdout)
    tasks = [(place, number, mode) for place, numbers in sorted(found.items()) for number in some(numbers)
             for mode in ("ORTPOOL_FAULT_AT", "ORTPOOL_FAULT_FROM")]

    def problem_of(task):
        place, number, mode = task
        try:
            problem = judge(right, run(cli, source, preload, arguments, **{mode: str(number)}))
        except subprocess.TimeoutExpired:
            problem = "did not end"
        return problem and f"{place}, call {number} ({mode}): {problem}"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [problem for problem in pool.map(problem_of, tasks) if problem]
    calls = sum(len(numbers) for numbers in found.values())
    print(f"{' '.join(arguments)}: {len(found)} places, {calls} calls, {len(tasks)} runs, {len(wrong)} wrong",
          flush=True)
    return wrong


def main():
    cli, preload, source = (os.path.abspath(argument) for argument in sys.argv[1:4])
    tiny = os.path.join(source, "tests", "graphs", "tiny")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        swipes = os.path.join(folder, "swipes.jsonl")
        with open(os.path.join(source, "models", "swipe-en", "samples.jsonl"), encoding="utf-8") as samples:
            lines = samples.read().splitlines()[:3]
        with open(swipes, "w", encoding="utf-8") as file:
            file.write("\n".join([lines[0], '{"x":[1', lines[1], lines[2].replace('"id":"3"', '"id":3')]) + "\n")
        wrong += sweep(cli, source, preload,
                       ["predict", "--json", "--stats", "--threads", "2", "--model", tiny, swipes])
        wrong += sweep(cli, source, preload, ["eval", "--json", "--stats", "--no-warmup", "--model", tiny, swipes])
        wrong += sweep(cli, source, preload, ["inspect", "--json", "--check", tiny])
        add = os.path.join(source, "tests", "graphs", "shapes", "add.onnx")
        varying = ["--vary", "x:0=2..4", "--vary", "y:0=2..4", "--repeat", "4"]
        wrong += sweep(cli, source, preload, ["run", "--json", "--threads", "2", *varying, "--save-outputs", folder,
                                              "--budget", "64M", add])
        wrong += sweep(cli, source, preload, ["run", "--allocator", "none", "--json", *varying, add])
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
