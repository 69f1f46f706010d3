"""Resizing: one output element after the other."""

from __future__ import annotations

from itertools import product

import numpy as np

__all__ = ["interpolate", "interpolate_grad"]

_ALL = (slice(None), slice(None))  # images and channels


def _cubic(distance: float) -> float:
    """Keys' cubic convolution with a = -0.75."""
    a = -0.75
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * (distance**3 - 5 * distance**2 + 8 * distance - 4) if distance < 2 else 0.0


def _weights(i: int, size: int, out: int, step: float, mode: str, align_corners: bool) -> list[tuple[int, float]]:
    """The elements of an axis that output element i is made of."""
    if mode in ("nearest", "nearest-exact"):
        place = (np.float32(i) + np.float32(0.5 * (mode != "nearest"))) * np.float32(step)
        return [(min(int(place), size - 1), 1.0)]
    if mode == "area":
        first, last = i * size // out, -(-(i + 1) * size // out)
        return [(j, 1 / (last - first)) for j in range(first, last)]
    if size == out and mode != "bicubic":
        return [(i, 1.0)]
    place = (i + 0.5) * step - 0.5
    if align_corners:
        place = i * (size - 1) / (out - 1) if out > 1 else 0.0
    if mode == "bicubic":
        first = int(np.floor(place))
        return [(min(max(j, 0), size - 1), _cubic(abs(place - j))) for j in range(first - 1, first + 3)]
    place = min(max(place, 0), size - 1)
    first = int(place)
    return [(first, 1 - (place - first)), (min(first + 1, size - 1), place - first)]


def _parts(x: np.ndarray, size, scale_factor, mode: str, align_corners: bool):
    """For each output element the input elements and weights that it is the sum of."""
    axes = x.shape[2:]
    if size is None:
        factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * len(axes)
        out = tuple(int(n * factor) for n, factor in zip(axes, factors, strict=True))
        steps = [1 / factor for factor in factors]
    else:
        out = size if isinstance(size, tuple) else (size,) * len(axes)
        steps = [n / m for n, m in zip(axes, out, strict=True)]
    for place in np.ndindex(*out):
        geometry = zip(place, axes, out, steps, strict=True)
        each = [_weights(i, n, m, step, mode, align_corners) for i, n, m, step in geometry]
        for parts in product(*each):
            at, weights = zip(*parts, strict=True)
            yield place, at, np.prod(weights)


def interpolate(x: np.ndarray, size=None, scale_factor=None, mode: str = "nearest", align_corners: bool | None = False):
    """The sum of what every output element is made of."""
    parts = list(_parts(x, size, scale_factor, mode, bool(align_corners)))
    shape = tuple(n + 1 for n in parts[-1][0])
    out = np.zeros((*x.shape[:2], *shape), x.dtype)
    for place, at, weight in parts:
        out[_ALL + place] += weight * x[_ALL + at]
    return out


def interpolate_grad(
    grad: np.ndarray,
    x: np.ndarray,
    size=None,
    scale_factor=None,
    mode: str = "nearest",
    align_corners: bool | None = False,
):
    grad_x = np.zeros_like(x)
    for place, at, weight in _parts(x, size, scale_factor, mode, bool(align_corners)):
        grad_x[_ALL + at] += weight * grad[_ALL + place]
    return grad_x
