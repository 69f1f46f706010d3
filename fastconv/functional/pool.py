"""Pooling: the largest or the mean value of each window that slides over an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import channels_last, empty_channels_last
from fastconv.autograd import as_array, needs_grad, record
from fastconv.functional._window import window
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["avg_pool2d", "max_pool2d"]

_BYTE = np.dtype(np.uint8)


def max_pool2d(
    input: Any,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the largest value of each window.

    Padding counts as minus infinity. The gradient goes to the first of several maxima. NaN counts as larger than
    anything, and the last of several NaN gets the gradient.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W); C, H and W at least 1.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Steps from window to window; by default `kernel_size`.
    padding : int or pair of int
        Rows and columns added on either side, at most half of `kernel_size`.
    dilation : int or pair of int
        Steps from tap to tap inside a window.
    ceil_mode : bool
        Whether the output size is rounded up, as far as every window starts inside the input or its left padding.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out), stored channels last; see :func:`fastconv.functional.conv2d` for the sizes.

    Raises
    ------
    ShapeError
        If an option is out of range or the window larger than the padded input.
    TypeError
        If the input holds no floats or an option no ints.

    Examples
    --------
    >>> max_pool2d([[[1.0, 2.0], [3.0, 4.0]]], 2)
    tensor([[[4.]]])
    """
    x = as_array(input, "max_pool2d", "input")
    if x.ndim == 3:
        return squeeze(max_pool2d(unsqueeze(input, 0), kernel_size, stride, padding, dilation, ceil_mode), 0)
    stride = kernel_size if stride is None else stride
    where = window("max_pool2d", x.shape, kernel_size, stride, padding, dilation, ceil_mode, True)
    if tracing():
        return traced("max_pool2d", locals(), where.out_shape, x.dtype)
    out = empty_channels_last(where.out_shape, x.dtype)
    winners: Any = _kernels.empty((where.winner_bytes,), _BYTE) if needs_grad(input) else None
    _kernels.max_pool2d(where, channels_last(x), out, winners)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = empty_channels_last(where.shape, grad.dtype)
        _kernels.max_pool2d_grad(where, channels_last(grad), winners, grad_x)
        return (grad_x,)

    return record(out, backward, (input,))


def avg_pool2d(
    input: Any,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of each window.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W); C, H and W at least 1.
    kernel_size, stride, padding, ceil_mode
        As for :func:`max_pool2d`; padding counts as 0.
    count_include_pad : bool
        Whether the padding counts in the number that a window's sum is divided by. What `ceil_mode` adds beyond the
        padding never does.
    divisor_override : int, optional
        Divide all sums by this instead.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out), stored channels last.

    Raises
    ------
    ShapeError
        If an option is out of range or the window larger than the padded input.
    TypeError
        If the input holds no floats, or an option is of a wrong type.

    Examples
    --------
    >>> avg_pool2d([[[1.0, 2.0], [3.0, 4.0]]], 2)
    tensor([[[2.5]]])
    """
    x = as_array(input, "avg_pool2d", "input")
    if x.ndim == 3:
        out3 = avg_pool2d(
            unsqueeze(input, 0), kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
        return squeeze(out3, 0)
    stride = kernel_size if stride is None else stride
    where = window("avg_pool2d", x.shape, kernel_size, stride, padding, 1, ceil_mode, True)
    if not isinstance(count_include_pad, bool):
        raise TypeError(f"avg_pool2d: count_include_pad must be True or False, got {count_include_pad!r}")
    divisor = 0 if divisor_override is None else checks.integer(divisor_override, "avg_pool2d", "divisor_override")
    if tracing():
        return traced("avg_pool2d", locals(), where.out_shape, x.dtype)
    out = empty_channels_last(where.out_shape, x.dtype)
    _kernels.avg_pool2d(where, channels_last(x), out, count_include_pad, divisor)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = empty_channels_last(where.shape, grad.dtype)
        _kernels.avg_pool2d_grad(where, channels_last(grad), grad_x, count_include_pad, divisor)
        return (grad_x,)

    return record(out, backward, (input,))
