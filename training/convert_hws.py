#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Convert rows of the "How We Swipe" recordings into rows for `ortpool predict` and `ortpool eval`.

Input, one JSON object a line (Leiva et al. 2021, doi 10.1145/3447526.3472059; prepared as rows):
    {"u": user, "w": "word", "kw": 411, "kh": 234, "x": [...], "y": [...], "t": [...]}
kw and kh are the size of the keyboard in pixels. It is 3.7 key rows high, three of letters and 0.7
of others, so the letter area that ortpool measures in is kw wide and kh * 3 / 3.7 high.

Output, one JSON object a line:
    {"id": "1", "word": "word", "x": [...], "y": [...], "t": [...],
     "keyboard": {"width": 411, "height": 189.7...}}
The id is the input's line number. Users are left out. Every row is kept (empty lines are no rows):
leaving rows out by their word, or by how well the path fits it, would flatter an evaluation.

usage: convert_hws.py [INPUT [OUTPUT]] [--limit N]
- is standard input or output, the default. Compressed input is recognised by its first bytes, an
output whose name ends in .gz is compressed. Exit 0; 1 a row or a file is bad; 2 usage. Standard
library only.
"""

import argparse
import gzip
import io
import json
import math
import os
import sys

LETTER_SHARE = 3 / 3.7


class BadRow(Exception):
    """A row that cannot be converted; the text says why."""


def is_number(value):
    """A finite JSON number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def convert(line, number):
    """One line of input as one line of output."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadRow(f"no JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadRow("not a JSON object")
    word = row.get("w")
    if not isinstance(word, str) or not word:
        raise BadRow('"w" must be a word')
    for key in ("kw", "kh"):
        if not is_number(row.get(key)) or row[key] <= 0:
            raise BadRow(f'"{key}" must be a number above 0')
    for key in ("x", "y", "t"):
        if not isinstance(row.get(key), list) or not all(map(is_number, row[key])):
            raise BadRow(f'"{key}" must be a list of numbers')
    if not len(row["x"]) == len(row["y"]) == len(row["t"]):
        raise BadRow(f'"x", "y" and "t" have {len(row["x"])}, {len(row["y"])} and '
                     f'{len(row["t"])} values')
    if not row["x"]:
        raise BadRow("no points")
    out = {"id": str(number), "word": word, "x": row["x"], "y": row["y"], "t": row["t"],
           "keyboard": {"width": row["kw"], "height": row["kh"] * LETTER_SHARE}}
    return json.dumps(out, separators=(",", ":")) + "\n"


def open_input(name):
    """A text stream over a file or standard input, unpacked where it is compressed."""
    raw = sys.stdin.buffer if name == "-" else open(name, "rb")
    if not hasattr(raw, "peek"):
        raw = io.BufferedReader(raw)
    if raw.peek(2)[:2] == b"\x1f\x8b":
        raw = gzip.GzipFile(fileobj=raw, mode="rb")
    return io.TextIOWrapper(raw, encoding="utf-8")


class GzipOutput(gzip.GzipFile):
    """A compressed file with no time and no name inside: the same rows give the same bytes."""

    def __init__(self, name):
        self._file = open(name, "wb")
        super().__init__(filename="", mode="wb", fileobj=self._file, mtime=0)

    def close(self):
        try:
            super().close()
        finally:
            self._file.close()  # GzipFile leaves a file open that it did not open itself


def open_output(name):
    """A text stream to a file or standard output, packed where the name ends in .gz."""
    if name == "-":
        return io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
    if name.endswith(".gz"):
        return io.TextIOWrapper(GzipOutput(name), encoding="utf-8", newline="\n")
    return open(name, "w", encoding="utf-8", newline="\n")


def run(source, target, limit, name):
    """Converts up to `limit` rows (None: all). Returns how many."""
    done = 0
    for number, line in enumerate(source, 1):
        if limit is not None and done >= limit:
            break
        if not line.strip():
            continue
        try:
            target.write(convert(line, number))
        except BadRow as error:
            raise BadRow(f"{name}:{number}: {error}") from None
        done += 1
    return done


def count(text):
    """An argument that counts rows."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def main():
    parser = argparse.ArgumentParser(
        description='Convert rows of the "How We Swipe" recordings for ortpool predict and eval.')
    parser.add_argument("input", nargs="?", default="-", metavar="INPUT",
                        help="JSON lines, plain or gzip; - is standard input (default)")
    parser.add_argument("output", nargs="?", default="-", metavar="OUTPUT",
                        help="a file, compressed if it ends in .gz; - is standard output (default)")
    parser.add_argument("--limit", type=count, metavar="N", help="stop after N rows")
    options = parser.parse_args()
    try:
        with open_input(options.input) as source, open_output(options.output) as target:
            done = run(source, target, options.limit, options.input)
            target.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader is gone; nothing to say
        return 1
    except (BadRow, OSError, EOFError, UnicodeDecodeError) as error:
        print(f"convert_hws: {error}", file=sys.stderr)
        return 1
    print(f"convert_hws: {done} rows", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
