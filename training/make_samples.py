#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write models/swipe-en/samples.jsonl: 50 synthetic swipes in the format of `ortpool predict`.

Recordings of people may not be part of the project, so the bundled samples are drawn: a
minimum-jerk path through the centres of a word's keys, with the offsets, corner cuts, dwell times
and durations that fingers show (fitted on "How We Swipe", Leiva et al. 2021, doi
10.1145/3447526.3472059; lengths in widths of a letter key). They are a demonstration and say
nothing about accuracy: noise and seed were chosen so that the model reads most of them (49 of 50).

usage: make_samples.py [--check | --output FILE|-]

Standard library only. The same bytes come out of every Python from 3.9 on: the one source of
chance is random.Random(seed).random(), whose sequence Python guarantees, and all figures are
rounded far above the last bits in which mathematical libraries differ.
"""

import argparse
import json
import math
import os
import random
import sys

SEED = 2026
WIDTH, HEIGHT = 1080, 486  # the letter area in pixels: three rows of ten keys
ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.5), ("zxcvbnm", 1.5))
SAMPLE_MS = 1000.0 / 60.0

# A careful typist: this share of the fitted standard deviations, so that a sample can be read.
CARE = 0.65

# word, or word with what makes this swipe special:
#   slow    factor on the duration
#   lower   rows added to y, as when the finger lands low and leaves the letter area
#   repeat  True: the same points once more under the next id, which is a hit in the encoder cache
WORDS = (
    ("hello", {}),
    ("world", {}),
    ("the", {}),
    ("of", {}),
    ("to", {}),
    ("and", {}),
    ("you", {}),
    ("we", {}),
    ("it", {}),
    ("what", {}),
    ("this", {}),
    ("good", {}),
    ("morning", {"repeat": True}),
    ("coffee", {}),
    ("letter", {}),
    ("happy", {}),
    ("tomorrow", {}),
    ("keyboard", {}),
    ("swipe", {}),
    ("memory", {}),
    ("water", {}),
    ("people", {}),
    ("about", {}),
    ("jazz", {}),
    ("queen", {}),
    ("xylophone", {}),
    ("cabin", {"lower": 0.6}),
    ("power", {"lower": -0.35}),
    ("friend", {}),
    ("because", {}),
    ("thanks", {}),
    ("weather", {}),
    ("language", {}),
    ("computer", {}),
    ("question", {}),
    ("beautiful", {}),
    ("different", {}),
    ("important", {}),
    ("yesterday", {}),
    ("something", {}),
    ("necessary", {}),
    ("government", {}),
    ("dictionary", {}),
    ("experience", {}),
    ("information", {}),
    ("comfortable", {}),
    ("neighborhood", {}),
    ("understanding", {"slow": 1.6}),
    ("extraordinary", {}),
)


class Chance:
    """Draws from the one generator whose sequence is guaranteed, random()."""

    def __init__(self, seed):
        self._uniform = random.Random(seed).random

    def normal(self, mean, deviation):
        """Box-Muller; the second value of the pair is dropped, so that a draw has no state."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self._uniform()))
        return mean + deviation * radius * math.cos(2.0 * math.pi * self._uniform())


def key_centres():
    """Letter -> (x, y) in key widths and rows."""
    return {
        letter: (column + 0.5 + offset, row + 0.5)
        for row, (letters, offset) in enumerate(ROWS)
        for column, letter in enumerate(letters)
    }


def via_points(word, chance):
    """Where the finger passes: one point for each key, a letter that doubles counting once."""
    centres = key_centres()
    keys = [centres[c] for i, c in enumerate(word) if i == 0 or c != word[i - 1]]
    if len(keys) == 1:  # nothing but one key: a short drag on it
        keys.append(keys[0])
    shared = (chance.normal(0.0, CARE * 0.183), chance.normal(0.0, CARE * 0.158))
    last = len(keys) - 1
    points = []
    for i, (x, y) in enumerate(keys):
        if i == 0:
            own, low = (0.194, 0.173), 0.106
        elif i == last:
            own, low = (0.445, 0.346), 0.153
        else:
            own, low = (0.236, 0.205), 0.069
            to_x = (keys[i - 1][0] + keys[i + 1][0]) / 2.0 - x
            to_y = (keys[i - 1][1] + keys[i + 1][1]) / 2.0 - y
            far = math.sqrt(to_x * to_x + to_y * to_y)
            if far > 1e-9:  # a corner: cut it inwards, more where the path turns back
                cut = chance.normal(0.06 + 0.07 * turn(keys, i) / math.pi, CARE * 0.10)
                x += to_x / far * cut
                y += to_y / far * cut
        x += shared[0] + chance.normal(0.0, CARE * own[0])
        y += shared[1] + chance.normal(low, CARE * own[1])
        points.append((x, y))
    return points


def turn(keys, i):
    """The angle by which the path turns at an interior key, 0 straight on to pi back."""
    before = math.atan2(keys[i][1] - keys[i - 1][1], keys[i][0] - keys[i - 1][0])
    after = math.atan2(keys[i + 1][1] - keys[i][1], keys[i + 1][0] - keys[i][0])
    angle = abs(after - before)
    return min(angle, 2.0 * math.pi - angle)


def timing(points, slow, chance):
    """Milliseconds spent on each segment."""
    lengths = [
        math.sqrt((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) + 0.05
        for a, b in zip(points, points[1:])
    ]
    log_ms = 5.479 + 0.264 * math.log(sum(lengths)) + 0.684 * math.log(len(lengths))
    total = slow * math.exp(chance.normal(log_ms, CARE * 0.454))
    shares = [l ** 0.469 * math.exp(chance.normal(0.0, CARE * 0.30)) for l in lengths]
    return [total * share / sum(shares) for share in shares]


def bowed(points, times, chance):
    """Puts a point into the middle of each segment, a little aside: nobody draws straight lines."""
    out, spans = [points[0]], []
    for (ax, ay), (bx, by), ms in zip(points, points[1:], times):
        bow = chance.normal(0.0, CARE * 0.06)
        out.append(((ax + bx) / 2.0 - (by - ay) * bow, (ay + by) / 2.0 + (bx - ax) * bow))
        out.append((bx, by))
        spans += [ms / 2.0, ms / 2.0]
    return out, spans


def solve(matrix, right):
    """Gaussian elimination with partial pivoting; `right` is a list of columns."""
    n = len(matrix)
    rows = [list(row) + [column[i] for column in right] for i, row in enumerate(matrix)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(i + 1, n):
            factor = rows[r][i] / rows[i][i]
            if factor != 0.0:
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    out = [[0.0] * n for _ in right]
    for c, column in enumerate(out):
        for i in reversed(range(n)):
            known = sum(rows[i][j] * column[j] for j in range(i + 1, n))
            column[i] = (rows[i][n + c] - known) / rows[i][i]
    return out


def knot_motion(values, spans):
    """Velocity and acceleration at each knot of the minimum-jerk curve through them.

    The curve of least integrated squared jerk through points at given times is a quintic spline
    with four continuous derivatives; at rest at both ends. The unknowns are v and a of the
    interior knots; third and fourth derivative must agree from both sides there.
    """
    n = len(values) - 2
    if n == 0:
        return [0.0, 0.0], [0.0, 0.0]
    matrix = [[0.0] * (2 * n) for _ in range(2 * n)]
    right = [0.0] * (2 * n)

    def add(row, knot, velocity, acceleration):
        if 1 <= knot <= n:  # the ends are at rest and add nothing
            matrix[row][2 * (knot - 1)] += velocity
            matrix[row][2 * (knot - 1) + 1] += acceleration

    for k in range(1, n + 1):
        g, h = spans[k - 1], spans[k]
        before, after = values[k] - values[k - 1], values[k + 1] - values[k]
        jerk, snap = 2 * (k - 1), 2 * (k - 1) + 1
        add(jerk, k - 1, -24 / g ** 2, -3 / g)
        add(jerk, k, -36 / g ** 2 + 36 / h ** 2, 9 / g + 9 / h)
        add(jerk, k + 1, 24 / h ** 2, -3 / h)
        right[jerk] = 60 * after / h ** 3 - 60 * before / g ** 3
        add(snap, k - 1, -168 / g ** 3, -24 / g ** 2)
        add(snap, k, -192 / g ** 3 - 192 / h ** 3, 36 / g ** 2 - 36 / h ** 2)
        add(snap, k + 1, -168 / h ** 3, 24 / h ** 2)
        right[snap] = -360 * after / h ** 4 - 360 * before / g ** 4
    solution = solve(matrix, [right])[0]
    return [0.0] + solution[0::2] + [0.0], [0.0] + solution[1::2] + [0.0]


def quintic(p0, v0, a0, p1, v1, a1, h, t):
    """The quintic with these end conditions on [0, h], at t."""
    d = p1 - p0
    c3 = (20 * d - (8 * v1 + 12 * v0) * h - (3 * a0 - a1) * h * h) / (2 * h ** 3)
    c4 = (-30 * d + (14 * v1 + 16 * v0) * h + (3 * a0 - 2 * a1) * h * h) / (2 * h ** 4)
    c5 = (12 * d - 6 * (v1 + v0) * h + (a1 - a0) * h * h) / (2 * h ** 5)
    return p0 + t * (v0 + t * (a0 / 2 + t * (c3 + t * (c4 + t * c5))))


def swipe(word, options, chance):
    """One swipe: lists x and y in pixels of the letter area, t in ms from the first point."""
    keys = via_points(word, chance)
    knots, spans = bowed(keys, timing(keys, options.get("slow", 1.0), chance), chance)
    spans = [span / 1000.0 for span in spans]  # seconds keep the system well scaled
    rest_before = math.exp(chance.normal(math.log(93.0), CARE * 0.5))
    rest_after = math.exp(chance.normal(math.log(92.0), CARE * 0.65))
    axes = []
    for axis in (0, 1):
        values = [knot[axis] for knot in knots]
        axes.append((values, *knot_motion(values, spans)))
    moving = 1000.0 * sum(spans)

    def place(ms):
        t = min(max(ms - rest_before, 0.0), moving) / 1000.0
        i = 0
        while i < len(spans) - 1 and t > spans[i]:
            t -= spans[i]
            i += 1
        t = min(t, spans[i])
        return [
            quintic(p[i], v[i], a[i], p[i + 1], v[i + 1], a[i + 1], spans[i], t)
            for p, v, a in axes
        ]

    xs, ys, ts, ms = [], [], [], 0.0
    while ms < rest_before + moving + rest_after:
        x, y = place(ms)
        x += chance.normal(0.0, 0.01)
        y += chance.normal(0.0, 0.01) + options.get("lower", 0.0)
        xs.append(round(x * WIDTH / 10.0, 1) + 0.0)  # + 0.0: never a negative zero
        ys.append(round(y * HEIGHT / 3.0, 1) + 0.0)
        ts.append(round(ms, 1))
        ms += SAMPLE_MS * max(0.4, chance.normal(1.0, 0.08))
    return xs, ys, ts


def render():
    """The whole file as bytes."""
    chance = Chance(SEED)
    lines = []
    for word, options in WORDS:
        x, y, t = swipe(word, options, chance)
        for _ in range(2 if options.get("repeat") else 1):
            row = {"id": str(len(lines) + 1), "word": word, "x": x, "y": y, "t": t}
            row["keyboard"] = {"width": WIDTH, "height": HEIGHT}
            lines.append(json.dumps(row, separators=(",", ":")) + "\n")
    return "".join(lines).encode("ascii")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    bundled = os.path.join(here, os.pardir, "models", "swipe-en", "samples.jsonl")
    parser = argparse.ArgumentParser(description="Write the bundled synthetic swipes.")
    parser.add_argument("--output", metavar="FILE", default=bundled,
                        help="where to write, - for standard output (default: the bundled file)")
    parser.add_argument("--check", action="store_true",
                        help="write nothing; exit 1 unless the file has exactly these bytes")
    options = parser.parse_args()
    data = render()
    if options.check:
        try:
            with open(options.output, "rb") as file:
                same = file.read() == data
        except OSError as error:
            print(f"make_samples: {error}", file=sys.stderr)
            return 1
        if not same:
            print(f"make_samples: {options.output} differs from what this script writes",
                  file=sys.stderr)
        return 0 if same else 1
    if options.output == "-":
        sys.stdout.buffer.write(data)
        return 0
    with open(options.output, "wb") as file:
        file.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
