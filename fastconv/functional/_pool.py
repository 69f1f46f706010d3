"""Pooling over one, two or three axes, with kernels that know images: what the families of pooling share.

Channels last, planes of a volume are images, and so are its columns: the same memory in another shape. The largest
value of a box is the largest of its planes' largest values, and the first of several is found in the same order; a
box's mean is the mean of its planes' means.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv._kernels import Window, channels_last, empty_channels_last
from fastconv.functional._window import Windows

__all__ = ["as_image", "averages", "averages_grad", "can_rectify", "maxima", "maxima_grad", "positions", "spatial"]

_BYTE = np.dtype(np.uint8)
_FULL = {256**bytes for bytes in range(1, 8)}  # so many taps use all numbers that fit their bytes


def as_image(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return (N, C, ...) as an image of that logical shape whose channels are adjacent in memory."""
    if x.shape == shape:
        return channels_last(x)
    n, c, h, w = shape
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(n, h, w, c).transpose(0, 3, 1, 2)


def spatial(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a dense channels-last image as (N, C, ...) of that shape; the inverse of :func:`as_image`."""
    if image.shape == shape:
        return image
    n, c, *size = shape
    return np.moveaxis(image.transpose(0, 2, 3, 1).reshape(n, *size, c), -1, 1)


def maxima(
    where: Windows, x: np.ndarray, keep: bool, rectify: bool = False
) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """Return the maxima and, if `keep`, which tap won each window in each stage; `rectify`: with a ReLU behind."""
    winners: list[np.ndarray | None] = []
    for stage in where.stages:
        x = as_image(x, stage.shape)
        out = empty_channels_last(stage.out_shape, x.dtype)
        winners.append(_kernels.empty((stage.winner_bytes,), _BYTE) if keep else None)
        _kernels.max_pool2d(stage, x, out, winners[-1], rectify)
        x = out
    return spatial(x, where.out_shape), winners


def can_rectify(where: Windows) -> bool:
    """Whether a ReLU can follow in the same pass: among the winners' numbers one must be free, for none."""
    return len(where.stages) == 1 and math.prod(where.kernel) not in _FULL


def maxima_grad(where: Windows, winners: Any, grad: np.ndarray) -> np.ndarray:
    """Return the gradient of the input."""
    for stage, won in zip(reversed(where.stages), reversed(winners), strict=True):
        grad = as_image(grad, stage.out_shape)
        grad_x = empty_channels_last(stage.shape, grad.dtype)
        _kernels.max_pool2d_grad(stage, grad, won, grad_x)
        grad = grad_x
    return spatial(grad, where.shape)


def averages(where: Windows, x: np.ndarray, count_include_pad: bool = True, divisor: int = 0) -> np.ndarray:
    """Return the sums of the windows over `divisor`, 0 for the number of taps that count."""
    for stage, by in _divisors(where, divisor):
        x = as_image(x, stage.shape)
        out = empty_channels_last(stage.out_shape, x.dtype)
        _kernels.avg_pool2d(stage, x, out, count_include_pad, by)
        x = out
    return spatial(x, where.out_shape)


def averages_grad(where: Windows, grad: np.ndarray, count_include_pad: bool = True, divisor: int = 0) -> np.ndarray:
    """Return the gradient of the input."""
    for stage, by in reversed(_divisors(where, divisor)):
        grad = as_image(grad, stage.out_shape)
        grad_x = empty_channels_last(stage.shape, grad.dtype)
        _kernels.avg_pool2d_grad(stage, grad, grad_x, count_include_pad, by)
        grad = grad_x
    return spatial(grad, where.shape)


def _divisors(where: Windows, divisor: int) -> list[tuple[Window, int]]:
    first = [(stage, 1 if divisor else 0) for stage in where.stages[:-1]]
    return [*first, (where.stages[-1], divisor)]


def positions(where: Windows, winners: Any) -> np.ndarray:
    """Return which element of its channel, counted in C order, won each window: int64, (N, C, ...).

    A window without any element of the input, as dilation and padding can make, names the nearest one.
    """
    first, *rest = (_within(where, stage, won) for stage, won in zip(range(len(winners)), winners, strict=True))
    for depth in rest:  # which plane, and there the winner of the plane
        n, _, pixels, c = depth.shape
        size = where.shape[2] and int(np.prod(where.shape[3:]))
        first = np.take_along_axis(first.reshape(n, where.shape[2], pixels, c), depth, 1) + depth * size
    return spatial(first.transpose(0, 3, 1, 2), where.out_shape)


def _within(where: Windows, number: int, winners: np.ndarray) -> np.ndarray:
    """The winners of one stage as places (y * W + x; the depth alone for the second), (N, H_out, W_out, C)."""
    n, c, out_h, out_w = where.stages[number].out_shape
    planes = winners.reshape(-1 if winners.size else 1, n, out_h, out_w, c)
    tap = planes[0].astype(np.int64)
    for i, plane in enumerate(planes[1:], 1):
        tap += plane.astype(np.int64) << 8 * i
    if number == 1:
        return _along(where, 0, tap, np.arange(out_h)[:, None, None])
    kernel_w, width = (where.kernel[-1], where.shape[-1])
    x = _along(where, -1, tap % kernel_w, np.arange(out_w)[:, None])
    if len(where.kernel) == 1:
        return x
    return _along(where, -2, tap // kernel_w, np.arange(out_h)[:, None, None]) * width + x


def _along(where: Windows, axis: int, tap: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The coordinate of a window's tap along an axis."""
    place = out * where.stride[axis] - where.padding[axis] + tap * where.dilation[axis]
    return place.clip(0, where.shape[2:][axis] - 1)
