#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes swipes of words that nobody recorded, for train.py --extra: how a hand strayed from the straight way between
the keys of a recorded word is transplanted to the way of another one that turns much alike.

Words are drawn from a lexicon by their counts to the power of three quarters, recorded ones left out. Of the recordings
that go to as many keys the one is taken, of some drawn at random, whose way is most like the new word's.
"""
import argparse
import sys

import numpy as np

from swipes.arguments import number
from swipes.keyboard import COLUMNS, MAX_LETTERS, MAX_POINTS, MAX_TOKENS, ROWS, key_centres, tokens_of, word_of
from swipes.rows import Swipes

KEY = np.array([COLUMNS, ROWS])       # letter area -> keys
STEPS = 8                             # places on the way from a key to the next that points are aligned to
DRAWN = 200                           # recordings to choose from
LARGEST_FIT = 1.0                     # key widths: swipes that lie further from their own word give nothing
PACE = 0.469                          # time between keys goes with their distance to this power
NEAR = 0.3                            # keys, added to a distance: short ways take time too


def way_of(word):
    """[n,2] the keys of a word, in keys; letters that repeat are one. A second place where there is but one."""
    letters = [c for i, c in enumerate(word) if i == 0 or word[i - 1] != c]
    keys = [ord(c) - ord("a") for c in letters]
    return (key_centres() * KEY)[keys if len(keys) > 1 else keys * 2]


def places_on(way):
    """[(n-1)*STEPS+1,2]"""
    where = np.arange((len(way) - 1) * STEPS + 1) / STEPS
    return np.stack([np.interp(where, np.arange(len(way)), way[:, c]) for c in (0, 1)], 1)


def align(points, way):
    """The place on the way of each point: the nearest in sum, never going back, from the first to the last."""
    places = places_on(way)
    cost = np.square(points[:, None] - places).sum(2)
    came = np.zeros(cost.shape, int)
    total = np.where(np.arange(len(places)) == 0, cost[0], np.inf)
    for i in range(1, len(points)):
        least = np.minimum.accumulate(total)
        came[i] = np.maximum.accumulate(np.where(total <= least, np.arange(len(places)), 0))
        total = least + cost[i]
    found = np.zeros(len(points), int)
    found[-1] = len(places) - 1
    for i in range(len(points) - 1, 0, -1):
        found[i - 1] = came[i, found[i]]
    return found


def transplant(points, from_way, to_way):
    """points [n,3] as recorded, ways as way_of gives them -> [m,3] on the other way, 2 <= m <= MAX_POINTS."""
    place = align(points[:, :2] * KEY, from_way)
    moved = points[:, :2] * KEY - places_on(from_way)[place] + places_on(to_way)[place]
    distance = [np.linalg.norm(np.diff(way, axis=0), axis=1) + NEAR for way in (from_way, to_way)]
    pace = (distance[1] / distance[0]) ** PACE
    dt = np.diff(points[:, 2])
    t = np.concatenate([[0.0], np.cumsum(dt * pace[np.minimum(place[1:] // STEPS, len(pace) - 1)])])
    step = max(np.median(dt), 0.004)
    count = int(np.clip(np.round(t[-1] / step) + 1, 2, MAX_POINTS))
    even = np.linspace(0, t[-1], count)
    return np.stack([np.interp(even, t, moved[:, c]) / KEY[c] for c in (0, 1)] + [even], 1)


class Sources:
    """Recordings by how many keys they go to."""

    def __init__(self, swipes):
        self.swipes = swipes
        self.by_keys = {}
        ways = {}
        for row, tokens in enumerate(swipes.tokens):
            word = word_of(tokens)
            way = ways.setdefault(word, way_of(word) if word else None)
            if way is not None and swipes.lengths[row] > len(way) and swipes.fit[row] <= LARGEST_FIT:
                self.by_keys.setdefault(len(way), []).append((row, way))
        self.words = set(ways)

    def swipe_of(self, word, rng):
        """[m,3], or None where no recording goes to as many keys."""
        way = way_of(word)
        rows = self.by_keys.get(len(way))
        if not rows:
            return None
        drawn = [rows[i] for i in rng.integers(0, len(rows), DRAWN)]
        unlike = [np.square(np.diff(other, axis=0) - np.diff(way, axis=0)).sum() for _, other in drawn]
        row, other = drawn[int(np.argmin(unlike))]
        return transplant(self.swipes.points[row, :self.swipes.lengths[row]].astype(float), other, way)


def lexicon_of(path):
    """Words of a-z that have 2 to MAX_LETTERS letters, and their counts."""
    try:
        with open(path, encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines if not line.startswith("#")]
        rows = [(word, float(count)) for word, count in rows]
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: not a lexicon: {error}") from None
    return [(w, c) for w, c in rows if 2 <= len(w) <= MAX_LETTERS and w.isascii() and w.isalpha() and w.islower()]


def main(arguments):
    parser = argparse.ArgumentParser(prog="transplant.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("output")
    parser.add_argument("data", help="recordings, as prepare.py writes them")
    parser.add_argument("lexicon", help="words and counts")
    parser.add_argument("--count", type=number(int, 1), default=30_000, help="swipes (30000)")
    parser.add_argument("--seed", type=number(int, 0), default=1)
    settings = parser.parse_args(arguments)
    rng = np.random.default_rng(settings.seed)
    sources = Sources(Swipes.load(settings.data))
    rows = [(w, c) for w, c in lexicon_of(settings.lexicon) if w not in sources.words]
    if not rows:
        raise SystemExit(f"{settings.lexicon}: no word that was not recorded")
    words, counts = zip(*rows)
    share = np.array(counts) ** 0.75
    made = {field: [] for field in Swipes.FIELDS}
    for i in rng.choice(len(words), settings.count, p=share / share.sum()):
        points = sources.swipe_of(words[i], rng)
        if points is not None:
            row, tokens = np.zeros((MAX_POINTS, 3), np.float32), np.zeros(MAX_TOKENS, np.int64)
            row[:len(points)] = points
            spelled = tokens_of(words[i])
            tokens[:len(spelled)] = spelled
            for field, value in zip(Swipes.FIELDS, (row, len(points), tokens, "", np.float32(0))):
                made[field].append(value)
    swipes = Swipes(**{field: np.array(values) for field, values in made.items()})
    swipes.save(settings.output)
    print(f"{settings.output}: {len(swipes)} swipes of {len(set(map(word_of, swipes.tokens)))} words, "
          f"{swipes.lengths.mean():.1f} points each")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
