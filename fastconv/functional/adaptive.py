"""Adaptive pooling: the number of windows is given, and their sizes follow from the image's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional._pool import averages, averages_grad, maxima, maxima_grad, positions
from fastconv.functional._resample import Matrix, adaptive_bins, apply, mean_matrix, pick, resample
from fastconv.functional._window import LAYOUTS, windows
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

_INDEX = np.dtype(np.int64)
_Size = int | Sequence[int | None]


def adaptive_avg_pool1d(input: Any, output_size: _Size) -> Tensor:
    """Return the means of `output_size` windows that cover (N, C, L) or (C, L); see :func:`adaptive_avg_pool2d`.

    Examples
    --------
    >>> adaptive_avg_pool1d([[1.0, 2.0, 3.0]], 2)
    tensor([[1.5, 2.5]])
    """
    return _avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: _Size) -> Tensor:
    """Return the means of `output_size` windows that cover the image; 1 makes global average pooling.

    Window i of n along an axis of m pixels goes from floor(i m / n) to ceil((i + 1) m / n): all are equal where n
    divides m, else neighbours overlap.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W); C, H and W at least 1.
    output_size : int or pair
        Height and width of the result; None leaves an axis as it is.

    Returns
    -------
    Tensor
        (N, C, *output_size), stored channels last; where that is the input's size, the input's own memory.

    Raises
    ------
    ShapeError
        If a size is below 1 or the input has not three or four axes.
    TypeError
        If the input holds no floats or a size is no int.

    Examples
    --------
    >>> adaptive_avg_pool2d([[[1.0, 2.0], [3.0, 4.0]]], (1, 2))
    tensor([[[2., 3.]]])
    """
    return _avg("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: _Size) -> Tensor:
    """Return the means of `output_size` windows that cover (N, C, D, H, W); see :func:`adaptive_avg_pool2d`."""
    return _avg("adaptive_avg_pool3d", 3, input, output_size)


def _avg(op: str, axes: int, input: Any, output_size: Any) -> Tensor:
    x = as_array(input, op, "input")
    bins = _bins(op, axes, x, output_size)
    if x.ndim == axes + 1:
        return squeeze(_avg(op, axes, unsqueeze(input, 0), bins), 0)
    size = x.shape[2:]
    if tracing():
        return traced(op, locals(), (*x.shape[:2], *bins), x.dtype)
    if any(n % m for n, m in zip(size, bins, strict=True)):
        return resample(input, x, [mean_matrix(n, m) for n, m in zip(size, bins, strict=True)])
    where = windows(op, axes, x.shape, tuple(n // m for n, m in zip(size, bins, strict=True)), None, 0)
    if bins == size:
        return record(x, lambda grad: (grad,), (input,))
    return record(averages(where, x), lambda grad: (averages_grad(where, grad),), (input,))


def adaptive_max_pool1d(input: Any, output_size: _Size, return_indices: bool = False) -> Any:
    """Return the largest values of `output_size` windows that cover (N, C, L); see :func:`adaptive_max_pool2d`.

    Examples
    --------
    >>> adaptive_max_pool1d([[1.0, 2.0, 3.0]], 2)
    tensor([[2., 3.]])
    """
    return _max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: _Size, return_indices: bool = False) -> Any:
    """Return the largest values of `output_size` windows that cover the image.

    Parameters
    ----------
    input, output_size
        As for :func:`adaptive_avg_pool2d`, which also says where the windows lie.
    return_indices : bool
        Whether to return as well where the maxima are: int64, ``y * W + x`` in their channel.

    Returns
    -------
    Tensor, or pair of Tensor
        (N, C, *output_size), stored channels last.

    Raises
    ------
    ShapeError, TypeError
        As :func:`adaptive_avg_pool2d`.

    Examples
    --------
    >>> adaptive_max_pool2d([[[1.0, 2.0], [3.0, 4.0]]], (1, 2), return_indices=True)
    (tensor([[[3., 4.]]]), tensor([[[2, 3]]]))
    """
    return _max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: _Size, return_indices: bool = False) -> Any:
    """Return the largest values of `output_size` windows over (N, C, D, H, W); see :func:`adaptive_max_pool2d`."""
    return _max("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _max(op: str, axes: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x = as_array(input, op, "input")
    bins = _bins(op, axes, x, output_size)
    if not isinstance(return_indices, bool):
        raise TypeError(f"{op}: return_indices must be True or False, got {return_indices!r}")
    if x.ndim == axes + 1:
        found = _max(op, axes, unsqueeze(input, 0), bins, return_indices)
        return (squeeze(found[0], 0), squeeze(found[1], 0)) if return_indices else squeeze(found, 0)
    shape, dtype, size = (*x.shape[:2], *bins), x.dtype, x.shape[2:]
    if tracing():
        if return_indices:
            return traced(op, locals(), (shape, shape), (dtype, _INDEX))
        return traced(op, locals(), shape, dtype)
    kernel, apart = zip(*(_apart(n, m) for n, m in zip(size, bins, strict=True)), strict=True)
    laid = apply(x, apart)
    where = windows(op, axes, laid.shape, kernel, None, 0)
    out, winners = maxima(where, laid, return_indices or needs_grad(input))
    back = [None if matrix is None else matrix.T for matrix in apart]
    result = record(out, lambda grad: (apply(maxima_grad(where, winners, grad), back),), (input,))
    if not return_indices:
        return result
    places = np.unravel_index(positions(where, winners), laid.shape[2:])
    found = [at if m is None else m.index[at] for at, m in zip(places, apart, strict=True)]
    return result, wrap(np.ravel_multi_index(tuple(found), size))


def _apart(size: int, bins: int) -> tuple[int, Matrix | None]:
    """How long windows are, and the matrix that lays them side by side where they overlap.

    A shorter window repeats its last element, which changes neither maximum nor winner.
    """
    if size % bins == 0:
        return size // bins, None
    first, last = adaptive_bins(size, bins)
    longest = int(np.max(last - first))
    return longest, pick(np.minimum(first[:, None] + np.arange(longest), last[:, None] - 1).ravel(), size)


def _bins(op: str, axes: int, x: np.ndarray, output_size: Any) -> tuple[int, ...]:
    """The number of windows along each axis."""
    checks.ndim(x, (axes + 1, axes + 2), op, "input", LAYOUTS[axes])
    if min(x.shape[-axes - 1 :]) < 1:
        raise ShapeError(f"{op}: input must have channels and an image of at least 1 pixel, got shape {x.shape}")
    if isinstance(output_size, (tuple, list)) and len(output_size) == axes:
        output_size = tuple(
            size if wanted is None else wanted for size, wanted in zip(x.shape[-axes:], output_size, strict=True)
        )
    return checks.integers(output_size, axes, op, "output_size")
