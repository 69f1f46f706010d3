"""Adaptive pooling: the number of windows is given, and their sizes follow from the image's."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.functional._resample import adaptive_bins, mean_matrix, pick, resample
from fastconv.functional.pool import avg_pool2d, max_pool2d
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["adaptive_avg_pool2d", "adaptive_max_pool2d"]


def adaptive_avg_pool2d(input: Any, output_size: int | tuple[int | None, int | None]) -> Tensor:
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
        (N, C, *output_size), stored channels last.

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
    op = "adaptive_avg_pool2d"
    x = as_array(input, op, "input")
    out = _output_size(op, x, output_size, 2)
    if x.ndim == 3:
        return squeeze(adaptive_avg_pool2d(unsqueeze(input, 0), out), 0)
    if tracing():
        return traced(op, locals(), (*x.shape[:2], *out), x.dtype)
    h, w = x.shape[2:]
    if h % out[0] == w % out[1] == 0:
        return avg_pool2d(input, (h // out[0], w // out[1]))
    return resample(input, x, [mean_matrix(size, bins) for size, bins in zip(x.shape[2:], out, strict=True)])


def adaptive_max_pool2d(input: Any, output_size: int | tuple[int | None, int | None]) -> Tensor:
    """Return the largest values of `output_size` windows that cover the image.

    Parameters
    ----------
    input, output_size
        As for :func:`adaptive_avg_pool2d`, which also says where the windows lie.

    Returns
    -------
    Tensor
        (N, C, *output_size), stored channels last.

    Raises
    ------
    ShapeError, TypeError
        As :func:`adaptive_avg_pool2d`.

    Examples
    --------
    >>> adaptive_max_pool2d([[[1.0, 2.0], [3.0, 4.0]]], (1, 2))
    tensor([[[3., 4.]]])
    """
    op = "adaptive_max_pool2d"
    x = as_array(input, op, "input")
    out = _output_size(op, x, output_size, 2)
    if x.ndim == 3:
        return squeeze(adaptive_max_pool2d(unsqueeze(input, 0), out), 0)
    if tracing():
        return traced(op, locals(), (*x.shape[:2], *out), x.dtype)
    h, w = x.shape[2:]
    if h % out[0] == w % out[1] == 0:
        return max_pool2d(input, (h // out[0], w // out[1]))
    # The windows laid side by side; a shorter one repeats its last pixel, which changes neither maximum nor winner.
    apart, kernel = [], []
    for size, bins in zip(x.shape[2:], out, strict=True):
        first, last = adaptive_bins(size, bins)
        kernel.append(int(np.max(last - first)))
        taps = np.minimum(first[:, None] + np.arange(kernel[-1]), last[:, None] - 1)
        apart.append(pick(taps.ravel(), size))
    return max_pool2d(resample(input, x, apart), (kernel[0], kernel[1]))


def _output_size(op: str, x: np.ndarray, output_size: Any, axes: int) -> Any:
    """The checked output size of all spatial axes."""
    checks.ndim(x, (axes + 1, axes + 2), op, "input")
    if min(x.shape[-axes - 1 :]) < 1:
        raise ShapeError(f"{op}: input must have channels and an image of at least 1 pixel, got shape {x.shape}")
    if isinstance(output_size, (tuple, list)) and len(output_size) == axes:
        output_size = tuple(
            size if wanted is None else wanted for size, wanted in zip(x.shape[-axes:], output_size, strict=True)
        )
    return checks.integers(output_size, axes, op, "output_size")
