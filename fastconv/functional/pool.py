"""Pooling: the largest or the mean value of each window that slides over one, two or three axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional._pool import averages, averages_grad, can_rectify, maxima, maxima_grad, positions
from fastconv.functional._window import windows
from fastconv.functional.activation import relu
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]

_INDEX = np.dtype(np.int64)
_Size = int | tuple[int, ...]


def max_pool1d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    dilation: _Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest value of each window over (N, C, L) or (C, L); see :func:`max_pool2d`.

    Examples
    --------
    >>> max_pool1d([[1.0, 3.0, 2.0]], 2, 1)
    tensor([[3., 3.]])
    """
    return _max("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    dilation: _Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    activation: str | None = None,
) -> Any:
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
        Windows at the edge see the image alone. Texts that pad odd images with zeros instead get 0 where the edge is
        negative: :class:`~fastconv.layers.ZeroPad2d` in front does that.
    return_indices : bool
        Whether to return as well where the maxima are: int64, ``y * W + x`` in their channel.
    activation : {"relu"}, optional
        A ReLU of the maxima, with no pass of its own; not together with `return_indices`.

    Returns
    -------
    Tensor, or pair of Tensor
        (N, C, H_out, W_out), stored channels last; see :func:`fastconv.functional.conv2d` for the sizes.

    Raises
    ------
    ShapeError
        If an option is out of range or the window larger than the padded input.
    TypeError
        If the input holds no floats or an option no ints.
    ValueError
        For another activation, or one together with `return_indices`.

    Examples
    --------
    >>> max_pool2d([[[1.0, 2.0], [3.0, 4.0]]], 2, return_indices=True)
    (tensor([[[4.]]]), tensor([[[3]]]))
    >>> from fastconv.layers import ZeroPad2d
    >>> edge = [[[-3.0]]]
    >>> max_pool2d(edge, 2, ceil_mode=True), max_pool2d(ZeroPad2d((0, 1, 0, 1))(edge), 2)
    (tensor([[[-3.]]]), tensor([[[0.]]]))
    """
    if activation is not None and (activation != "relu" or return_indices):
        given = f"got {activation!r}" + (" with return_indices" if return_indices else "")
        raise ValueError(f"max_pool2d: activation must be 'relu' or None, and None with return_indices; {given}")
    return _max("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, activation)


def max_pool3d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    dilation: _Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest value of each window over (N, C, D, H, W) or (C, D, H, W); see :func:`max_pool2d`.

    Indices are ``(z * H + y) * W + x``.

    Examples
    --------
    >>> max_pool3d([[[[1.0, 2.0]], [[4.0, 3.0]]]], (2, 1, 1))
    tensor([[[[4., 3.]]]])
    """
    return _max("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max(
    op: str,
    axes: int,
    input: Any,
    kernel_size: _Size,
    stride: _Size | None,
    padding: _Size,
    dilation: _Size,
    ceil_mode: bool,
    return_indices: bool,
    activation: str | None = None,
) -> Any:
    x = as_array(input, op, "input")
    if x.ndim == axes + 1:
        one = unsqueeze(input, 0)
        found = _max(op, axes, one, kernel_size, stride, padding, dilation, ceil_mode, return_indices, activation)
        return (squeeze(found[0], 0), squeeze(found[1], 0)) if return_indices else squeeze(found, 0)
    where = windows(op, axes, x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    if not isinstance(return_indices, bool):
        raise TypeError(f"{op}: return_indices must be True or False, got {return_indices!r}")
    if tracing():
        shape, dtype = where.out_shape, x.dtype
        if return_indices:
            return traced(op, locals(), (shape, shape), (dtype, _INDEX))
        return traced(op, locals(), shape, dtype)
    if activation is not None and not can_rectify(where):
        return relu(_max(op, axes, input, kernel_size, stride, padding, dilation, ceil_mode, False))
    out, winners = maxima(where, x, return_indices or needs_grad(input), activation is not None)
    result = record(out, lambda grad: (maxima_grad(where, winners, grad),), (input,))
    return (result, wrap(positions(where, winners))) if return_indices else result


def avg_pool1d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return the mean of each window over (N, C, L) or (C, L); see :func:`avg_pool2d`.

    Examples
    --------
    >>> avg_pool1d([[1.0, 3.0, 2.0]], 2, 1)
    tensor([[2. , 2.5]])
    """
    return _avg("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
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
        padding never does: an odd edge has the mean of what is there, where :class:`~fastconv.layers.ZeroPad2d` in
        front gives the mean with zeros.
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
    >>> from fastconv.layers import ZeroPad2d
    >>> edge = [[[-3.0]]]
    >>> avg_pool2d(edge, 2, ceil_mode=True), avg_pool2d(ZeroPad2d((0, 1, 0, 1))(edge), 2)
    (tensor([[[-3.]]]), tensor([[[-0.75]]]))
    """
    return _avg("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of each window over (N, C, D, H, W) or (C, D, H, W); see :func:`avg_pool2d`.

    Examples
    --------
    >>> avg_pool3d([[[[1.0, 2.0]], [[4.0, 3.0]]]], (2, 1, 1))
    tensor([[[[2.5, 2.5]]]])
    """
    return _avg("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg(
    op: str,
    axes: int,
    input: Any,
    kernel_size: _Size,
    stride: _Size | None,
    padding: _Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    x = as_array(input, op, "input")
    if x.ndim == axes + 1:
        one = unsqueeze(input, 0)
        found = _avg(op, axes, one, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return squeeze(found, 0)
    where = windows(op, axes, x.shape, kernel_size, stride, padding, 1, ceil_mode)
    if not isinstance(count_include_pad, bool):
        raise TypeError(f"{op}: count_include_pad must be True or False, got {count_include_pad!r}")
    divisor = 0
    if divisor_override is not None:
        divisor = checks.integer(divisor_override, op, "divisor_override", -checks.LARGEST)
        if not divisor:
            raise ShapeError(f"{op}: divisor_override must not be 0")
    if tracing():
        return traced(op, locals(), where.out_shape, x.dtype)
    out = averages(where, x, count_include_pad, divisor)
    return record(out, lambda grad: (averages_grad(where, grad, count_include_pad, divisor),), (input,))
