"""Pooling with learned weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.functional import conv, elementwise, pool
from fastconv.functional._window import LAYOUTS
from fastconv.functional.shape import reshape, unsqueeze
from fastconv.tensor import Tensor

__all__ = [
    "trainable_pool1d",
    "trainable_pool2d",
    "trainable_pool3d",
    "weighted_pool1d",
    "weighted_pool2d",
    "weighted_pool3d",
]

_Size = int | tuple[int, ...]


def trainable_pool1d(
    input: Any,
    weight: Any,
    bias: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
) -> Tensor:
    """Return what :func:`trainable_pool2d` does, for (N, C, L) or (C, L)."""
    return _trainable("trainable_pool1d", 1, pool.avg_pool1d, input, weight, bias, kernel_size, stride, padding)


def trainable_pool2d(
    input: Any,
    weight: Any,
    bias: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
) -> Tensor:
    """Return the sum of each window times a coefficient plus a bias of its channel: LeNet-5's subsampling.

    An activation follows (LeCun, Bottou, Bengio and Haffner, 1998, section II.B).

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W).
    weight, bias : Tensor or array_like
        (C,) each.
    kernel_size, stride, padding
        As for :func:`avg_pool2d`.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out).

    Raises
    ------
    ShapeError, TypeError
        As :func:`avg_pool2d`, and if `weight` or `bias` do not have one number for each channel.

    Examples
    --------
    >>> trainable_pool2d([[[1.0, 2.0], [3.0, 4.0]]], [0.5], [1.0], 2)
    tensor([[[6.]]])
    """
    return _trainable("trainable_pool2d", 2, pool.avg_pool2d, input, weight, bias, kernel_size, stride, padding)


def trainable_pool3d(
    input: Any,
    weight: Any,
    bias: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
) -> Tensor:
    """Return what :func:`trainable_pool2d` does, for (N, C, D, H, W) or (C, D, H, W)."""
    return _trainable("trainable_pool3d", 3, pool.avg_pool3d, input, weight, bias, kernel_size, stride, padding)


def _trainable(
    op: str,
    axes: int,
    average: Any,
    input: Any,
    weight: Any,
    bias: Any,
    kernel_size: _Size,
    stride: _Size | None,
    padding: _Size,
) -> Tensor:
    x = as_array(input, op, "input")
    checks.ndim(x, (axes + 1, axes + 2), op, "input", LAYOUTS[axes])
    channels = x.shape[-axes - 1]
    for name, given in (("weight", weight), ("bias", bias)):
        array = as_array(given, op, name)
        if array.shape != (channels,):
            raise ShapeError(
                f"{op}: {name} must have shape ({channels},), one for each channel, got {array.shape}; "
                f"a layer with channels={channels} would fit"
            )
        checks.same_dtype(op, x, "input", array, name)
    taps = math.prod(checks.integers(kernel_size, axes, op, "kernel_size"))
    means = average(input, kernel_size, stride, padding)
    column = (channels, *(1,) * axes)
    return elementwise.add(means * reshape(elementwise.mul(weight, taps), column), reshape(bias, column))


def weighted_pool1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: _Size | None = None,
    padding: _Size = 0,
) -> Tensor:
    """Return what :func:`weighted_pool2d` does, for (N, C, L) or (C, L)."""
    return _weighted("weighted_pool1d", 1, conv.conv1d, input, weight, bias, stride, padding)


def weighted_pool2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: _Size | None = None,
    padding: _Size = 0,
) -> Tensor:
    """Return the sum of each window with a weight of its own for each position: pooling that can be learned.

    Every channel is pooled by itself: a convolution with as many groups as channels, of which the average and the
    Gaussian mean are special cases.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W).
    weight : Tensor or array_like
        (C, kernel height, kernel width), or (1, ...) for all channels alike.
    bias : Tensor or array_like, optional
        (C,).
    stride : int or pair of int, optional
        Steps from window to window; by default as large as the window.
    padding : int or pair of int
        Rows and columns of zeros added on either side.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out), stored channels last.

    Raises
    ------
    ShapeError
        If `weight` does not fit the input; else as :func:`conv2d`.

    Examples
    --------
    >>> weighted_pool2d([[[1.0, 2.0], [3.0, 4.0]]], [[[0.5, 0.0], [0.0, 0.5]]])
    tensor([[[2.5]]])
    """
    return _weighted("weighted_pool2d", 2, conv.conv2d, input, weight, bias, stride, padding)


def weighted_pool3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: _Size | None = None,
    padding: _Size = 0,
) -> Tensor:
    """Return what :func:`weighted_pool2d` does, for (N, C, D, H, W) or (C, D, H, W)."""
    return _weighted("weighted_pool3d", 3, conv.conv3d, input, weight, bias, stride, padding)


def _weighted(
    op: str, axes: int, convolve: Any, input: Any, weight: Any, bias: Any, stride: _Size | None, padding: _Size
) -> Tensor:
    x, w = as_array(input, op, "input"), as_array(weight, op, "weight")
    checks.ndim(x, (axes + 1, axes + 2), op, "input", LAYOUTS[axes])
    channels = x.shape[-axes - 1]
    if w.ndim != axes + 1 or w.shape[0] not in (1, channels):
        raise ShapeError(
            f"{op}: weight must be ({channels}, ...) or (1, ...) with {axes} axes more, got shape {w.shape}; "
            f"a layer with channels={channels}, or without, would fit"
        )
    checks.same_dtype(op, x, "input", w, "weight")
    each = unsqueeze(weight, 1)
    if w.shape[0] != channels:
        each = elementwise.mul(each, np.ones((channels, *(1,) * (axes + 1)), x.dtype))
    return convolve(input, each, bias, w.shape[1:] if stride is None else stride, padding, groups=channels)
