"""Pooling by powers (the p-norm of a window) and by a Gaussian mean."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional._pool import averages, averages_grad
from fastconv.functional._resample import Matrix, resample
from fastconv.functional._window import windows
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = [
    "gaussian_pool1d",
    "gaussian_pool2d",
    "gaussian_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
]

_Size = int | tuple[int, ...]
_MOST_WEIGHTS = 2**26


def lp_pool1d(
    input: Any,
    norm_type: float,
    kernel_size: _Size,
    stride: _Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return what :func:`lp_pool2d` does, for (N, C, L) or (C, L)."""
    return _lp("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Any,
    norm_type: float,
    kernel_size: _Size,
    stride: _Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the p-norm of each window: ``(sum of x ** p) ** (1 / p)``.

    p = 1 sums and the limit of large p is the maximum. A window that `ceil_mode` lets hang over the edge counts its
    mean for what is missing, as in PyTorch. Where the sum is 0 the gradient is 0.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W); negative ones make NaN where p is no whole number.
    norm_type : float
        p, above 0.
    kernel_size, stride, ceil_mode
        As for :func:`max_pool2d`.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out), stored channels last.

    Raises
    ------
    ShapeError, TypeError
        As :func:`max_pool2d`.
    ValueError
        If p is not above 0.

    Examples
    --------
    >>> lp_pool2d([[[3.0, 4.0]]], 2, (1, 2))
    tensor([[[5.]]])
    """
    return _lp("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Any,
    norm_type: float,
    kernel_size: _Size,
    stride: _Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return what :func:`lp_pool2d` does, for (N, C, D, H, W) or (C, D, H, W)."""
    return _lp("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def _lp(
    op: str, axes: int, input: Any, norm_type: float, kernel_size: _Size, stride: _Size | None, ceil_mode: bool
) -> Tensor:
    x = as_array(input, op, "input")
    p = checks.number(norm_type, op, "norm_type", 0.0)
    if p == 0:
        raise ValueError(f"{op}: norm_type must be above 0, got 0")
    if x.ndim == axes + 1:
        return squeeze(_lp(op, axes, unsqueeze(input, 0), norm_type, kernel_size, stride, ceil_mode), 0)
    where = windows(op, axes, x.shape, kernel_size, stride, 0, 1, ceil_mode)
    if tracing():
        return traced(op, locals(), where.out_shape, x.dtype)
    taps = math.prod(where.kernel)
    with np.errstate(all="ignore"):
        sums = averages(where, x**p) * taps
        out = sums ** (1 / p)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        with np.errstate(all="ignore"):
            slope = np.where(sums == 0, 0, grad * taps * sums ** (1 / p - 1))
            return (averages_grad(where, slope.astype(grad.dtype, copy=False)) * x ** (p - 1),)

    return record(out, backward, (input,))


def gaussian_pool1d(
    input: Any,
    kernel_size: _Size,
    sigma: float | tuple[float, ...],
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return what :func:`gaussian_pool2d` does, for (N, C, L) or (C, L)."""
    return _gaussian("gaussian_pool1d", 1, input, kernel_size, sigma, stride, padding, ceil_mode, count_include_pad)


def gaussian_pool2d(
    input: Any,
    kernel_size: _Size,
    sigma: float | tuple[float, ...],
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return the mean of each window, weighted by a Gaussian around its centre.

    The weight of a tap at distance d from the centre is proportional to ``exp(-d**2 / (2 sigma**2))``, and all of a
    window are 1 together. A small sigma picks the centre, a large one averages. With a stride it is what sampling
    theory asks for: blur, then take every second pixel.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W).
    kernel_size : int or pair of int
        Height and width of the window.
    sigma : float or pair of float
        Standard deviation in pixels, above 0.
    stride, padding, ceil_mode, count_include_pad
        As for :func:`avg_pool2d`.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out), stored channels last.

    Raises
    ------
    ShapeError, TypeError
        As :func:`avg_pool2d`.
    ValueError
        If sigma is not above 0.

    Examples
    --------
    >>> gaussian_pool2d([[[0.0, 1.0, 0.0]]], (1, 3), 0.5)
    tensor([[[0.787]]])
    """
    return _gaussian("gaussian_pool2d", 2, input, kernel_size, sigma, stride, padding, ceil_mode, count_include_pad)


def gaussian_pool3d(
    input: Any,
    kernel_size: _Size,
    sigma: float | tuple[float, ...],
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return what :func:`gaussian_pool2d` does, for (N, C, D, H, W) or (C, D, H, W)."""
    return _gaussian("gaussian_pool3d", 3, input, kernel_size, sigma, stride, padding, ceil_mode, count_include_pad)


def _gaussian(
    op: str,
    axes: int,
    input: Any,
    kernel_size: _Size,
    sigma: float | tuple[float, ...],
    stride: _Size | None,
    padding: _Size,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Tensor:
    x = as_array(input, op, "input")
    if x.ndim == axes + 1:
        one = unsqueeze(input, 0)
        return squeeze(_gaussian(op, axes, one, kernel_size, sigma, stride, padding, ceil_mode, count_include_pad), 0)
    where = windows(op, axes, x.shape, kernel_size, stride, padding, 1, ceil_mode)
    widths = sigma if isinstance(sigma, (tuple, list)) else (sigma,) * axes
    if len(widths) != axes:
        raise ShapeError(f"{op}: sigma must be one number or {axes}, got {sigma!r}")
    widths = tuple(checks.number(each, op, "sigma", 0.0) for each in widths)
    if min(widths) == 0:
        raise ValueError(f"{op}: sigma must be above 0, got {sigma!r}")
    if not isinstance(count_include_pad, bool):
        raise TypeError(f"{op}: count_include_pad must be True or False, got {count_include_pad!r}")
    each_axis = list(zip(where.kernel, where.out_shape[2:], strict=True))
    if max(k * n for k, n in each_axis) > _MOST_WEIGHTS:
        raise ShapeError(f"{op}: kernel_size {where.kernel} makes more than {_MOST_WEIGHTS} weights")
    if tracing():
        return traced(op, locals(), where.out_shape, x.dtype)
    geometry = zip(x.shape[2:], where.kernel, where.stride, where.padding, where.out_shape[2:], widths, strict=True)
    return resample(input, x, [_gaussian_matrix(*axis, count_include_pad) for axis in geometry])


@lru_cache(maxsize=64)
def _gaussian_matrix(size: int, kernel: int, stride: int, pad: int, out: int, sigma: float, count_pad: bool) -> Matrix:
    """The matrix of Gaussian means along one axis: a Gaussian of several is the product of one for each."""
    distance = (np.arange(kernel) - (kernel - 1) / 2) ** 2
    with np.errstate(over="ignore"):  # relative to the nearest, so that the largest is 1 however narrow the Gaussian is
        tap = np.exp(-(distance - distance.min()) / sigma / sigma / 2)
    place = np.arange(out)[:, None] * stride - pad + np.arange(kernel)
    inside = (place >= 0) & (place < size)
    counted = place < size + pad if count_pad else inside
    total = np.sum(tap * counted, 1, keepdims=True)
    share = np.divide(tap, total, out=np.zeros(place.shape), where=total > 0)
    return Matrix(place[inside], share[inside], inside.sum(1), size)
