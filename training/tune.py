#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chooses the settings of a model's beam search on every second user, and says how the other users fare. Writes the
chosen ones into MODEL/model.json.

From the settings that are there it goes to a neighbour, one setting changed by a step, as long as one is better: by
the share of right words among one plus that among three. Then the temperature of the confidences: the one under which
it is likeliest that the first words are right as often as they are.
"""
import argparse
import json
import math
import os
import shutil
import sys
import tempfile

from export_graphs import write_manifest
from swipes.predictions import Recordings, half_of, predict, ranks, share_within

STEPS = {"ctc_weight": 0.1, "length_reward": 0.3, "frequency_weight": 0.1, "free_score": 2.0, "look_ahead": 0.1,
         "shape_weight": 0.4, "stop_margin": 1.0}
BOUNDS = {"free_score": (-20.0, 0.0)}  # the others: 0 or more
LEAST_STEP = 0.4                      # of the first one
TEMPERATURES = [0.5 * 1.05 ** i for i in range(50)]


class Trials:
    """Accuracy under settings, each measured once."""

    def __init__(self, model, recordings, threads):
        self.model, self.recordings, self.threads = model, recordings, threads
        with open(os.path.join(model, "model.json"), encoding="utf-8") as file:
            self.manifest = json.load(file)
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
        key = tuple(beam[name] for name in STEPS)
        if key not in self.done:
            self.done[key] = self.shares(beam, self.recordings)
            top1, top3 = self.done[key]
            print(f"{', '.join(f'{n} {beam[n]:g}' for n in STEPS)}: {top1:.2f} {top3:.2f}", flush=True)
        return sum(self.done[key])


def climb(trials, beam):
    """Goes to a neighbour as long as one is better, then takes smaller steps."""
    scale = 1.0
    while scale >= LEAST_STEP:
        before = dict(beam)
        for name, step in STEPS.items():
            for direction in (1, -1):
                while True:
                    least, most = BOUNDS.get(name, (0.0, 100.0))
                    value = min(most, max(least, beam[name] + direction * step * scale))
                    other = {**beam, name: round(value, 4)}
                    if other[name] == beam[name] or trials.worth(other) <= trials.worth(beam):
                        break
                    beam = other
        if beam == before:
            scale /= 2
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
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args(arguments)
    everybody = Recordings(settings.rows)
    half = half_of(everybody.users)
    chosen_on = Recordings(settings.rows, lambda row: half[row.get("u", "")] == 1)
    others = Recordings(settings.rows, lambda row: half[row.get("u", "")] == 0)
    trials = Trials(settings.model, chosen_on, settings.threads)
    beam = {**{name: 0.0 for name in STEPS}, **trials.manifest["beam"]}
    beam = climb(trials, beam)
    beam = {name: value for name, value in beam.items() if value != 0 or name in trials.manifest["beam"]}
    beam["temperature"] = temperature_of(trials, beam)
    for name, rows in (("these users", chosen_on), ("the others", others), ("all", everybody)):
        top1, top3 = trials.shares(beam, rows)
        print(f"{name}: {len(rows.words)} swipes, top-1 {top1:.2f}, top-3 {top3:.2f}")
    path = os.path.join(settings.model, "model.json")
    shutil.copy(path, path + ".before")
    write_manifest(path, {**trials.manifest, "beam": beam})
    print(f"{path}: {json.dumps(beam)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
