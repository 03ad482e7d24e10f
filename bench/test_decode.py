# SPDX-License-Identifier: MIT
"""The bench of predictions as a whole: every row runs on a small model of random weights, counts what there
must be, and other words are seen.

test_decode.py --build DIR --source DIR
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

SKIPPED = 77


def bench(options, *arguments):
    driver = os.path.join(options.source, "scripts", "bench_decode.py")
    command = [sys.executable, driver, "--build", options.build, "--rounds", "1", "--most", "3"]
    for folder in ("--model", "--usual", "--int8"):
        command += [folder, os.path.join(options.source, "tests", "graphs", "step")]
    command += arguments
    return subprocess.run(command, capture_output=True, text=True, check=False)


def expect(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def check_rows(options, folder):
    figures = os.path.join(folder, "figures.json")
    result = bench(options, "--json", figures)
    if result.returncode == SKIPPED:
        sys.exit(SKIPPED)
    expect(result.returncode == 0, f"exit status {result.returncode}: {result.stderr}")
    expect("ONNX Runtime" in result.stdout, "no version of ONNX Runtime in the output")
    with open(figures, encoding="utf-8") as file:
        data = json.load(file)
    rows = data["rows"]
    expect(len(rows) == 9, f"rows: {', '.join(rows)}")
    expect(data["same"], "other words")
    for name, row in rows.items():
        expect(row["heap"] > 100, f"{name}: {row['heap']} heap allocations were seen")
        expect(row["decoder_runs"] >= 1, f"{name}: no decoder run was seen")
        expect(row["p50_us"] >= row["decoder_us"] > 0, f"{name}: times")
        naive = name.startswith("naive")
        expect((row["tensors"] > 1) == naive, f"{name}: {row['tensors']} tensors")
        expect(row["hits"] == (name == "incremental-hits"), f"{name}: {row['hits']} hits")
    for name in ("naive-usual", "naive-fused", "sequential"):
        expect(rows[name]["decoder_runs"] > 2 * rows["batched"]["decoder_runs"], f"{name}: runs")


def check_other_words(options):
    """Another model in the place of the usual export is told."""
    tiny = os.path.join(options.source, "tests", "graphs", "tiny")
    result = bench(options, "--usual", tiny, "--rows", "well-used-usual,batched")
    expect(result.returncode == 1, f"other words: exit status {result.returncode}")
    expect("other words for" in result.stdout, "other words were not told")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--source", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check_rows(options, folder)
    check_other_words(options)
    print("every row ran, counted, and gave the same words; other words are seen")


if __name__ == "__main__":
    main()
