#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chooses the settings of a model's beam search: one after the other, on every second user, and says how the
other users fare. Writes the chosen ones into MODEL/model.json.

What is made larger is the share of right words among one plus that among three.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile

from export_graphs import write_manifest
from swipes.predictions import Recordings, half_of, predict, ranks, share_within

STEPS = {"ctc_weight": 0.1, "length_reward": 0.2, "frequency_weight": 0.1, "look_ahead": 0.1, "stop_margin": 1.0}
LEAST_STEP = 0.4                      # of the first one


class Trials:
    """Accuracy under settings, each measured once."""

    def __init__(self, model, recordings, threads):
        self.model, self.recordings, self.threads = model, recordings, threads
        with open(os.path.join(model, "model.json"), encoding="utf-8") as file:
            self.manifest = json.load(file)
        self.done = {}

    def shares(self, beam, recordings=None):
        """top-1 and top-3, in percent."""
        with tempfile.TemporaryDirectory() as folder:
            for name in os.listdir(self.model):
                os.symlink(os.path.abspath(os.path.join(self.model, name)), os.path.join(folder, name))
            os.unlink(os.path.join(folder, "model.json"))
            lexicon = os.path.abspath(os.path.join(self.model, self.manifest["lexicon"]))
            if not os.path.exists(os.path.join(folder, "lexicon.tsv")):
                os.symlink(lexicon, os.path.join(folder, "lexicon.tsv"))
            write_manifest(os.path.join(folder, "model.json"),
                           {**self.manifest, "beam": beam, "lexicon": "lexicon.tsv"})
            recordings = recordings or self.recordings
            found = ranks(recordings, predict(folder, recordings, self.threads))
        return share_within(found, 1), share_within(found, 3)

    def worth(self, beam):
        key = tuple(beam[name] for name in STEPS)
        if key not in self.done:
            self.done[key] = self.shares(beam)
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
                    other = {**beam, name: round(max(0.0, beam[name] + direction * step * scale), 4)}
                    if other[name] == beam[name] or trials.worth(other) <= trials.worth(beam):
                        break
                    beam = other
        if beam == before:
            scale /= 2
    return beam


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
