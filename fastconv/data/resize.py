"""Scaling images."""

from __future__ import annotations

import functools

import numpy as np

from fastconv import _kernels
from fastconv.errors import ShapeError


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale images (N, C, H, W) to `size`, (height, width), channels last in memory.

    An output pixel is the mean of the input weighted by a triangle around its place, of half width 1 output pixel where
    images shrink and 1 input pixel where they grow: what Pillow's and torchvision's antialiased bilinear filters do.

    Raises
    ------
    ShapeError
        If there are no pixels to scale.

    Examples
    --------
    >>> resize(np.array([[[[0.0, 1.0]]]]), (1, 4))
    array([[[[0.  , 0.25, 0.75, 1.  ]]]])
    """
    count, channels, height, width = images.shape
    if images.shape[2:] == tuple(size):
        return images
    if not height or not width:
        raise ShapeError(f"resize: images of {height} x {width} pixels cannot be scaled to {size[0]} x {size[1]}")
    # Down first what shrinks most: it leaves the least to do.
    x = _kernels.channels_last(images).transpose(0, 2, 3, 1)
    axes = [axis for axis in (1, 2) if x.shape[axis] != size[axis - 1]]
    for axis in sorted(axes, key=lambda axis: size[axis - 1] / x.shape[axis]):
        rows = size[axis - 1]
        outer, inner = (count, x.shape[2] * channels) if axis == 1 else (count * x.shape[1], channels)
        out = np.empty((*x.shape[:axis], rows, *x.shape[axis + 1 :]), x.dtype)
        if out.size:
            start, index, weight = _triangles(x.shape[axis], rows)
            _kernels.resample(np.ascontiguousarray(x), out, outer, inner, start, index, weight, x.shape[axis])
        x = out
    return x.transpose(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def _triangles(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The weights of n pixels in each of m as a sparse matrix: row starts, columns, values."""
    scale = n / m
    reach = max(scale, 1.0)
    centre = (np.arange(m) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + reach + 0.5).astype(np.int64), n)
    start = np.concatenate([[0], np.cumsum(last - first)])
    row = np.repeat(np.arange(m), last - first)
    index = np.arange(start[-1]) - start[row] + first[row]
    weight = np.maximum(1 - np.abs(index + 0.5 - centre[row]) / reach, 0)
    return start, index, weight / np.bincount(row, weight)[row]
