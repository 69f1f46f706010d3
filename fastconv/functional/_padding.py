"""Padding with an image's own pixels, as a copy, for what the kernels cannot do while they read; and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["fold", "pad"]

Pads = Sequence[tuple[int, int]]


def _source(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """The pixel that every pixel of a padded axis is a copy of."""
    at = np.arange(-before, size + after)
    if mode == "replicate":
        return at.clip(0, size - 1)
    if mode == "circular":
        return at % size
    at = np.abs(at)
    return np.where(at < size, at, 2 * (size - 1) - at)


def pad(x: np.ndarray, pads: Pads, mode: str) -> np.ndarray:
    """Return a channels-last copy of x (N, C, ...) padded along its last axes."""
    last = np.moveaxis(x, 1, -1)
    for axis, (before, after) in enumerate(pads, 1):
        if before or after:
            last = last.take(_source(last.shape[axis], before, after, mode), axis)
    return np.moveaxis(np.ascontiguousarray(last), -1, 1)


def fold(padded: np.ndarray, pads: Pads, mode: str) -> np.ndarray:
    """Add every pixel of the padding to the pixel it is a copy of: the adjoint of `pad`, channels last."""
    last = np.moveaxis(padded, 1, -1)
    for axis, (before, after) in enumerate(pads, 1):
        if not (before or after):
            continue
        rows = np.moveaxis(last, axis, 0)
        size = len(rows) - before - after
        source = _source(size, before, after, mode)
        inner = rows[before : before + size].copy(order="K")
        for at in (*range(before), *range(before + size, len(rows))):
            inner[source[at]] += rows[at]
        last = np.moveaxis(inner, 0, axis)
    return np.moveaxis(np.ascontiguousarray(last), -1, 1)
