# SPDX-License-Identifier: MIT
"""Recordings of "How We Swipe", from lines of JSON to arrays."""
import json

import numpy as np

from convert_hws import LETTER_SHARE, BadRow, convert, open_input

from .keyboard import MAX_LETTERS, MAX_POINTS, MAX_TOKENS, resample, tokens_of


def read_rows(path):
    """Yields each row of a file, plain or gzip, checked, with its line for `ortpool predict`."""
    try:
        with open_input(str(path)) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        converted = convert(line, number)
                    except BadRow as error:
                        raise SystemExit(f"{path}:{number}: {error}") from None
                    yield json.loads(line), converted
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: cannot be read: {error}") from None


def points_of(row):
    """[n,3] x, y of the letter area and seconds, at most MAX_POINTS."""
    points = np.stack([np.asarray(row["x"], float) / row["kw"],
                       np.asarray(row["y"], float) / (row["kh"] * LETTER_SHARE),
                       np.asarray(row["t"], float) / 1000], 1)
    return resample(points, MAX_POINTS) if len(points) > MAX_POINTS else points


class Swipes:
    """Swipes side by side: points [N,MAX_POINTS,3], lengths [N], tokens [N,MAX_TOKENS], users [N], fit [N]."""

    left_out = 0                      # by from_rows: words of more than MAX_LETTERS, swipes of one point

    FIELDS = ("points", "lengths", "tokens", "users", "fit")

    def __init__(self, **arrays):
        for field in self.FIELDS:
            setattr(self, field, arrays[field])

    def __len__(self):
        return len(self.lengths)

    @classmethod
    def from_rows(cls, path):
        points, tokens, users, fit = [], [], [], []
        left_out = 0
        for row, _ in read_rows(path):
            word = row["w"]
            if not (word.isascii() and word.isalpha() and word.islower()):
                raise SystemExit(f"{path}: \"w\" is {word!r}, expected letters a-z")
            if len(word) > MAX_LETTERS or len(row["x"]) < 2:
                left_out += 1
                continue
            points.append(points_of(row).astype(np.float32))
            tokens.append(tokens_of(word))
            users.append(row.get("u", ""))
            fit.append(row.get("fit", 0.0))
        if not points:
            raise SystemExit(f"{path}: no rows")
        padded = np.zeros((len(points), MAX_POINTS, 3), np.float32)
        padded_tokens = np.zeros((len(points), MAX_TOKENS), np.int64)
        for i, (p, t) in enumerate(zip(points, tokens)):
            padded[i, :len(p)] = p
            padded_tokens[i, :len(t)] = t
        swipes = cls(points=padded, lengths=np.array([len(p) for p in points], np.int64), tokens=padded_tokens,
                   users=np.array(users), fit=np.array(fit, np.float32))
        swipes.left_out = left_out
        return swipes

    def select(self, wanted):
        """Those rows for which wanted(self), an array of bool, is true."""
        rows = wanted(self)
        return Swipes(**{field: getattr(self, field)[rows] for field in self.FIELDS})

    def save(self, path):
        try:
            with open(path, "wb") as file:
                np.savez(file, **{field: getattr(self, field) for field in self.FIELDS})
        except OSError as error:
            raise SystemExit(f"{path}: cannot be written: {error}") from None

    @classmethod
    def load(cls, path):
        try:
            with np.load(path) as arrays:
                return cls(**{field: arrays[field] for field in cls.FIELDS})
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise SystemExit(f"{path}: not what prepare.py writes: {error}") from None
