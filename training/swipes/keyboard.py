# SPDX-License-Identifier: MIT
"""The keyboard, the tokens and the features of a swipe; src/swipe/features.c in the library does the same.

Positions are those of the letter area, [0,1] x [0,1] over three rows of keys; time is in seconds.
"""
import numpy as np
import torch

MAX_POINTS = 150
MAX_TOKENS = 20                       # with the end tokens
MAX_LETTERS = MAX_TOKENS - 2
VOCABULARY = 30
PAD, UNK, SOS, EOS, FIRST_LETTER = 0, 1, 2, 3, 4
COLUMNS, ROWS = 10, 3
MIN_DT = 0.004                        # s
CLAMP, DIVIDE = 10.0, 3.0             # of velocity and acceleration

_ROWS = ((0.0, "qwertyuiop"), (0.5, "asdfghjkl"), (1.5, "zxcvbnm"))


def key_centres():
    """[26,2]: where the keys a to z are."""
    centres = np.zeros((26, 2))
    for row, (offset, letters) in enumerate(_ROWS):
        for column, letter in enumerate(letters):
            centres[ord(letter) - ord("a")] = ((column + 0.5 + offset) / COLUMNS, (row + 0.5) / ROWS)
    return centres


def tokens_of(word):
    """The tokens of a word of a to z, between those for start and end."""
    return [SOS] + [ord(c) - ord("a") + FIRST_LETTER for c in word] + [EOS]


def word_of(tokens):
    """The letters among tokens, up to the end token."""
    letters = []
    for token in tokens:
        if token == EOS:
            break
        if token >= FIRST_LETTER:
            letters.append(chr(token - FIRST_LETTER + ord("a")))
    return "".join(letters)


def resample(points, count):
    """[n,3] -> [count,3], linear by index, both ends kept."""
    where = np.linspace(0, len(points) - 1, count)
    index = np.arange(len(points))
    return np.stack([np.interp(where, index, points[:, c]) for c in range(points.shape[1])], 1)


_CENTRES = torch.tensor(key_centres()).float()
_KEY_UNITS = torch.tensor([float(COLUMNS), float(ROWS)])


def features(points, lengths):
    """points [B,n,3] and lengths [B] -> features [B,n,6], nearest keys [B,n]; zero beyond a length."""
    x, y, t = points.unbind(-1)
    dt = (t[:, 1:] - t[:, :-1]).clamp(min=MIN_DT)
    velocity = torch.zeros(*x.shape, 2)
    velocity[:, 1:, 0] = (x[:, 1:] - x[:, :-1]) / dt
    velocity[:, 1:, 1] = (y[:, 1:] - y[:, :-1]) / dt
    acceleration = torch.zeros_like(velocity)
    acceleration[:, 1:] = velocity[:, 1:] - velocity[:, :-1]
    inside = torch.arange(x.shape[1])[None] < lengths[:, None]
    values = torch.cat([(2 * x - 1)[..., None], (2 * y - 1)[..., None],
                        velocity.clamp(-CLAMP, CLAMP) / DIVIDE, acceleration.clamp(-CLAMP, CLAMP) / DIVIDE], -1)
    position = points[..., :2] * _KEY_UNITS
    centres = _CENTRES * _KEY_UNITS
    # the square of the position is the same for every key
    keys = (centres.square().sum(-1) - 2 * position @ centres.T).argmin(-1) + FIRST_LETTER
    return values * inside[..., None], keys * inside
