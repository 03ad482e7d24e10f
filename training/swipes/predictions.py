# SPDX-License-Identifier: MIT
"""What the ortpool program itself makes of recorded swipes: the accuracy that counts is its own."""
import json
import os
import subprocess
import tempfile

from .rows import read_rows

CANDIDATES = 16
PROGRAM = os.environ.get("ORTPOOL", os.path.join(os.path.dirname(__file__), "..", "..", "build", "release", "ortpool"))


class Recordings:
    """Rows, and the same as lines for the program."""

    def __init__(self, path, wanted=None):
        self.rows = [(row, line) for row, line in read_rows(path) if wanted is None or wanted(row)]
        if not self.rows:
            raise SystemExit(f"{path}: no rows")
        self.words = [row["w"] for row, _ in self.rows]
        self.users = [row.get("u", "") for row, _ in self.rows]

    def lines(self):
        return "".join(line for _, line in self.rows)


def predict(model, recordings, threads=1, program=PROGRAM):
    """The answers of `ortpool predict`, in order: {"candidates": [{"word", "score", ..}], "us": ..}."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(recordings.lines())
        file.flush()
        command = [program, "predict", "--model", model, "--json", "--top", str(CANDIDATES),
                   "--threads", str(threads), file.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode not in (0, 1) or len(answers) != len(recordings.words):
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}, {len(answers)} answers to "
                         f"{len(recordings.words)} swipes")
    return answers


def ranks(recordings, answers):
    """Where the right word stands among the candidates, from 0; None where it does not."""
    found = []
    for word, answer in zip(recordings.words, answers):
        words = [candidate["word"] for candidate in answer.get("candidates", [])]
        found.append(words.index(word) if word in words else None)
    return found


def share_within(found, count):
    """How many of the ranks are below count, in percent."""
    return 100 * sum(rank is not None and rank < count for rank in found) / len(found)


def half_of(users):
    """user -> 0 or 1: every second one of them in order; settings are chosen on 1's half, not on the other."""
    return {user: i % 2 for i, user in enumerate(sorted(set(users)))}
