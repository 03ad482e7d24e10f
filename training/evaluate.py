#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How often a model's word is the right one, as tables for its model card.

Runs `ortpool predict` (ORTPOOL names the program, else build/release/ortpool) on every row and counts all of
them: by length, in the lexicon and out of it, for words that the training data lacks, by how far the path is
from its word; with intervals from a bootstrap over users, since swipes of one user are alike; the share of
right words by what the model's confidence was; and where the right word was when it was not first.
"""
import argparse
import os
import sys

import numpy as np

from swipes.manifest import read_manifest
from swipes.predictions import CANDIDATES, Recordings, half_of, predict, ranks, share_within
from swipes.rows import read_rows

LENGTHS = (("1-3 letters", 1, 3), ("4-6 letters", 4, 6), ("7 and more", 7, 99))
FITS = (("path within 0.5 key widths of the word", 0, 0.5), ("0.5 to 1", 0.5, 1), ("1 to 1.5", 1, 1.5),
        ("over 1.5", 1.5, 1e9))
BOOTSTRAPS = 2000
BINS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.000001)


def interval(found, users, count):
    """95 % of the shares within `count` when users are drawn anew."""
    names = sorted(set(users))
    place = {name: i for i, name in enumerate(names)}
    right, all_of = np.zeros(len(names)), np.zeros(len(names))
    for rank, user in zip(found, users):
        right[place[user]] += rank is not None and rank < count
        all_of[place[user]] += 1
    drawn = np.random.default_rng(1).integers(0, len(names), (BOOTSTRAPS, len(names)))
    shares = 100 * right[drawn].sum(1) / all_of[drawn].sum(1)
    return np.percentile(shares, [2.5, 97.5])


def line(name, found):
    cells = [f"{share_within(found, count):.1f}" for count in (1, 3, 5)] if found else ["-"] * 3
    return f"| {name} | {len(found)} | {' | '.join(cells)} |"


def accuracy_table(recordings, found, lexicon, trained):
    half = half_of(recordings.users)
    fits = [row.get("fit") for row, _ in recordings.rows]
    groups = [("all", lambda i: True), ("settings chosen on these users", lambda i: half[recordings.users[i]] == 1),
              ("the other users", lambda i: half[recordings.users[i]] == 0)]
    groups += [(name, lambda i, a=a, b=b: a <= len(recordings.words[i]) <= b) for name, a, b in LENGTHS]
    groups += [("in the lexicon", lambda i: recordings.words[i] in lexicon),
               ("not in it", lambda i: recordings.words[i] not in lexicon)]
    if trained is not None:
        groups += [("word among the training data", lambda i: recordings.words[i] in trained),
                   ("word never seen in training", lambda i: recordings.words[i] not in trained),
                   ("never seen, in the lexicon",
                    lambda i: recordings.words[i] not in trained and recordings.words[i] in lexicon)]
    if all(fit is not None for fit in fits):
        groups += [(name, lambda i, a=a, b=b: a <= fits[i] < b) for name, a, b in FITS]
    lines = ["| swipes | number | top-1 | top-3 | top-5 |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, belongs in groups:
        lines.append(line(name, [rank for i, rank in enumerate(found) if belongs(i)]))
    return lines


def calibration_table(answers, found):
    """By the confidence of the first word; and the mean distance between confidence and share, weighted."""
    said = np.array([a["candidates"][0]["confidence"] if a.get("candidates") else 0.0 for a in answers])
    right = np.array([rank == 0 for rank in found])
    lines = ["| confidence | swipes | said | right |", "| --- | ---: | ---: | ---: |"]
    error = 0.0
    for low, high in zip(BINS, BINS[1:]):
        part = (said >= low) & (said < high)
        if part.any():
            lines.append(f"| {low:g} to {min(high, 1):g} | {part.sum()} | {100 * said[part].mean():.1f} | "
                         f"{100 * right[part].mean():.1f} |")
            error += part.mean() * abs(said[part].mean() - right[part].mean())
    return lines + ["", f"Expected calibration error: {100 * error:.1f} points."]


def losses(recordings, answers, found, lexicon):
    """Why words were lost."""
    lost = [i for i, rank in enumerate(found) if rank != 0]
    fits = [row.get("fit", 0) for row, _ in recordings.rows]
    shorter = [i for i in lost if answers[i].get("candidates")
               and len(answers[i]["candidates"][0]["word"]) <= len(recordings.words[i]) - 3]
    parts = (("not in the lexicon", [i for i in lost if recordings.words[i] not in lexicon]),
             (f"among the {CANDIDATES} candidates", [i for i in lost if found[i] is not None]),
             ("seven letters and more", [i for i in lost if len(recordings.words[i]) >= 7]),
             ("answered by a word at least three letters shorter", shorter),
             ("path over 1.5 key widths from the word", [i for i in lost if fits[i] > 1.5]))
    return [f"Lost: {len(lost)} of {len(found)}. Of these"] + [
        f"- {name}: {len(part)} ({100 * len(part) / max(1, len(lost)):.0f} %)" for name, part in parts]


def read_lexicon(model):
    path = os.path.join(model, read_manifest(os.path.join(model, "model.json"))["lexicon"])
    with open(path, encoding="utf-8") as file:
        return {row.split("\t")[0] for row in file}


def main(arguments):
    parser = argparse.ArgumentParser(prog="evaluate.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("model", help="a folder with model.json")
    parser.add_argument("rows", help="recordings, as for prepare.py")
    parser.add_argument("--trained", metavar="ROWS", help="those that it learned from: tells which words it knows")
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args(arguments)
    recordings = Recordings(settings.rows)
    lexicon = read_lexicon(settings.model)
    learned = [row for row, _ in read_rows(settings.trained)] if settings.trained else None
    trained = {row["w"] for row in learned} if learned else None
    known = {row.get("u", "") for row in learned or ()} & set(recordings.users) - {""}
    if known:
        print(f"{settings.trained}: {len(known)} of the users are among those learned from: others will fare worse",
              file=sys.stderr)
    answers = predict(settings.model, recordings, settings.threads)
    found = ranks(recordings, answers)
    print("\n".join(accuracy_table(recordings, found, lexicon, trained)))
    for count in (1, 3):
        low, high = interval(found, recordings.users, count)
        print(f"\ntop-{count}, 95 % interval over users: {low:.1f} to {high:.1f}")
    print(f"\nAmong the {CANDIDATES} candidates: {share_within(found, CANDIDATES):.1f}\n")
    if all("confidence" in c for a in answers for c in a.get("candidates", [])):
        print("\n".join(calibration_table(answers, found)) + "\n")
    print("\n".join(losses(recordings, answers, found, lexicon)))
    times = np.array([a["us"] for a in answers if "us" in a]) / 1000
    print(f"\nA prediction, {settings.threads} thread(s): p50 {np.percentile(times, 50):.1f} ms, "
          f"p99 {np.percentile(times, 99):.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
