#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chooses the settings of a model's beam search on every second user, and says how the other users fare. Writes the
chosen ones into MODEL/model.json.

From the settings that are there it goes to a neighbour, one setting changed, as long as one is better: by the share of
right words among one plus that among three; first in strides, then to the next value. Then the temperature of the
confidences: the one under which it is likeliest that the first words are right as often as they are. What the search
costs is not looked at: the width and stop_margin stay what they are.
"""
import argparse
import json
import math
import os
import sys
import tempfile

from swipes.manifest import read_manifest, write_manifest
from swipes.predictions import Recordings, half_of, predict, ranks, share_within

def evenly(first, last, step):
    return [round(first + i * step, 4) for i in range(round((last - first) / step) + 1)]


# From off (0) to the most that is tried, each next to what is nearest to it in effect.
VALUES = {"ctc_weight": evenly(0, 1.2, 0.1), "length_reward": evenly(0, 3, 0.1),
          "frequency_weight": evenly(0, 2, 0.05), "count_limit": [0, 1e6, 5e5, 2e5, 1e5, 5e4, 3e4, 2e4, 1e4, 5e3],
          "free_score": [0, *evenly(-10, -2, 0.5)], "look_ahead": evenly(0, 1.2, 0.1),
          "shape_weight": evenly(0, 4, 0.2)}
STRIDES = (4, 2, 1)
TEMPERATURES = [0.5 * 1.05 ** i for i in range(50)]


class Trials:
    """Accuracy under settings, each measured once."""

    def __init__(self, model, recordings, threads):
        self.model, self.recordings, self.threads = model, recordings, threads
        self.manifest = read_manifest(os.path.join(model, "model.json"))
        self.done = {}

    def answers(self, beam, recordings):
        with tempfile.TemporaryDirectory() as folder:
            for name in os.listdir(self.model):
                os.symlink(os.path.abspath(os.path.join(self.model, name)), os.path.join(folder, name))
            os.unlink(os.path.join(folder, "model.json"))
            lexicon = os.path.abspath(os.path.join(self.model, self.manifest["lexicon"]))
            if not os.path.exists(os.path.join(folder, "lexicon.tsv")):
                os.symlink(lexicon, os.path.join(folder, "lexicon.tsv"))
            write_manifest(os.path.join(folder, "model.json"),
                           {**self.manifest, "beam": beam, "lexicon": "lexicon.tsv"})
            return predict(folder, recordings, self.threads)

    def shares(self, beam, recordings):
        """top-1 and top-3, in percent."""
        found = ranks(recordings, self.answers(beam, recordings))
        return share_within(found, 1), share_within(found, 3)

    def worth(self, beam):
        key = tuple(beam[name] for name in VALUES)
        if key not in self.done:
            self.done[key] = self.shares(beam, self.recordings)
            top1, top3 = self.done[key]
            print(f"{', '.join(f'{n} {beam[n]:g}' for n in VALUES)}: {top1:.2f} {top3:.2f}", flush=True)
        return sum(self.done[key])


def climb(trials, beam):
    """Goes to a neighbour as long as one is better, in ever smaller strides."""
    for stride in STRIDES:
        before = None
        while beam != before:
            before = dict(beam)
            for name, values in VALUES.items():
                for direction in (stride, -stride):
                    while True:
                        place = min(range(len(values)), key=lambda i, v=values, n=name: abs(v[i] - beam[n]))
                        place += direction
                        if not 0 <= place < len(values):
                            break
                        other = {**beam, name: values[place]}
                        if trials.worth(other) <= trials.worth(beam):
                            break
                        beam = other
    return beam


def surprise(right, scores, temperature):
    """How unlikely it is, by the confidences at a temperature, that the first words are right where they are."""
    total = 0.0
    for is_right, row in zip(right, scores):
        sure = 1 / sum(math.exp((score - row[0]) / temperature) for score in row)
        total -= math.log(max(sure if is_right else 1 - sure, 1e-9))
    return total / len(right)


def temperature_of(trials, beam):
    answers = trials.answers(beam, trials.recordings)
    answered = [(word, a["candidates"]) for word, a in zip(trials.recordings.words, answers) if a.get("candidates")]
    right = [candidates[0]["word"] == word for word, candidates in answered]
    scores = [[c["score"] for c in candidates] for _, candidates in answered]
    return round(min(TEMPERATURES, key=lambda t: surprise(right, scores, t)), 3)


def main(arguments):
    parser = argparse.ArgumentParser(prog="tune.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("model", help="a folder with model.json")
    parser.add_argument("rows", help="recordings, as for prepare.py")
    parser.add_argument("--also", nargs="+", default=[], metavar="MODEL", help="write the settings there too")
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args(arguments)
    manifests = {os.path.join(model, "model.json"): None for model in (settings.model, *settings.also)}
    for path in manifests:
        manifests[path] = read_manifest(path)
    everybody = Recordings(settings.rows)
    half = half_of(everybody.users)
    if len(half) < 2:
        raise SystemExit(f"{settings.rows}: of one user, expected some, for settings to be chosen on half of them")
    chosen_on = Recordings(settings.rows, lambda row: half[row.get("u", "")] == 1)
    others = Recordings(settings.rows, lambda row: half[row.get("u", "")] == 0)
    trials = Trials(settings.model, chosen_on, settings.threads)
    beam = {**{name: 0 for name in VALUES}, **trials.manifest["beam"]}
    beam = climb(trials, beam)
    names = dict.fromkeys([*trials.manifest["beam"], *VALUES])
    beam = {name: beam[name] for name in names if beam[name] != 0 or name in trials.manifest["beam"]}
    beam["temperature"] = temperature_of(trials, beam)
    for name, rows in (("these users", chosen_on), ("the others", others), ("all", everybody)):
        top1, top3 = trials.shares(beam, rows)
        print(f"{name}: {len(rows.words)} swipes, top-1 {top1:.2f}, top-3 {top3:.2f}")
    for path, manifest in manifests.items():
        write_manifest(path, {**manifest, "beam": beam})
    print(f"{', '.join(manifests)}: {json.dumps(beam)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
