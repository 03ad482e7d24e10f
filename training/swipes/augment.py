# SPDX-License-Identifier: MIT
"""Recorded swipes as somebody else, or another phone, might have drawn them."""
import numpy as np

from .keyboard import COLUMNS, MAX_POINTS, ROWS, resample

KEY = np.array([1 / COLUMNS, 1 / ROWS])   # the size of a key
LEAST = 4                                 # points are left


def _trim_dwell(points, rng):
    """Drops part of the time a finger rests at either end."""
    for _ in range(2):
        points = points[::-1]
        if rng.random() < 0.3:
            away = np.abs((points[:, :2] - points[0, :2]) / KEY).max(1) > 0.3
            resting = int(away.argmax()) if away.any() else 0
            points = points[min(rng.integers(0, resting + 1), max(0, len(points) - LEAST)):] if resting > 1 else points
    return points


def _drop_span(points, rng):
    """A gap, as where an event queue was flushed."""
    count = len(points)
    if rng.random() < 0.15 and count > 12:
        span = int(rng.integers(1, max(2, count // 10)))
        first = int(rng.integers(1, count - span - 1))
        points = np.delete(points, slice(first, first + span), 0)
    return points


def _resample_time(points, rng):
    """Another sampling rate: 8 to 34 ms; and most long swipes with fewer points, which halves the time of training."""
    count = len(points)
    if rng.random() < 0.5:
        step = 0.017 * np.exp(rng.uniform(-0.7, 0.7))
        count = int(np.clip((points[-1, 2] - points[0, 2]) / step + 1, 6, MAX_POINTS))
    if count > 60 and rng.random() < 0.8:
        count = int(rng.integers(45, min(count, 90) + 1))
    if not 0.9 * len(points) <= count <= 1.1 * len(points):
        order = np.argsort(points[:, 2], kind="stable")
        t = np.linspace(points[0, 2], points[-1, 2], count)
        points = np.stack([np.interp(t, points[order, 2], points[order, c]) for c in (0, 1)] + [t], 1)
    return points


def _drift(points, rng):
    """A hand less sure: noise that changes slowly along the path."""
    if rng.random() < 0.5:
        knots = int(rng.integers(4, 12))
        noise = rng.normal(0, 0.08, (knots, 2)) * KEY
        points[:, :2] += resample(noise, len(points))
    return points


def augment(points, rng):
    """[n,3] -> [m,3], min(n, LEAST) <= m <= MAX_POINTS. The word stays what it was."""
    points = _trim_dwell(points, rng)
    points = _drop_span(points, rng)
    points = _resample_time(points, rng)
    points = np.array(points, np.float64)
    points = _drift(points, rng)
    centred = points[:, :2] - 0.5
    turn = np.array([[1 + rng.normal(0, 0.02), rng.normal(0, 0.01)],
                     [rng.normal(0, 0.02), 1 + rng.normal(0, 0.03)]])
    points[:, :2] = centred @ turn + 0.5 + rng.normal(0, [0.01, 0.03])
    points[:, 2] = (points[:, 2] - points[0, 2]) * np.exp(rng.normal(0, 0.2))
    return points.astype(np.float32)
