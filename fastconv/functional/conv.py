"""Convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import Conv2d, Window, active_isa, channels_last, empty_channels_last, keep_conv2d, known_conv2d
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional._weights import check_unwritten, stamp
from fastconv.functional._window import window
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = ["conv2d"]

ALGORITHMS = ("auto", "direct", "im2col", "winograd")


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    *,
    algorithm: str = "auto",
) -> Tensor:
    """Correlate images with a bank of filters: what neural networks call a convolution.

    ``out[n, o, y, x] = bias[o] + sum over i, ky, kx of weight[o, i, ky, kx] *
    input[n, i, y * stride - padding + ky * dilation, x * stride - padding + kx * dilation]``, zeros outside the input;
    with `groups`, i runs over the input channels of o's group.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, H, W), float32 or float64. Channels-last memory is used as it is, any other is converted.
    weight : Tensor or array_like
        (C_out, C / groups, kh, kw), of the input's dtype. What the kernels make of a Parameter's values is kept until
        the next write to it.
    bias : Tensor or array_like, optional
        (C_out,).
    stride, padding, dilation : int or pair of int
        Vertical and horizontal step of the window, zeros on each side, distance of the taps.
    groups : int
        Number of independent convolutions the channels are divided into.
    algorithm : {"auto", "direct", "im2col", "winograd"}
        "direct" needs no memory beside the result. "im2col" writes all taps of all pixels to a matrix first, kh * kw
        times the input's memory; it serves groups=1 only. "winograd" multiplies up to four times less, at two to
        three times the rounding error, for the value and the input's gradient; it serves 3x3 and 5x5 kernels of
        stride and dilation 1. "auto" is "winograd" for 3x3 with at least 32 channels on both sides of a group and a
        map of about 14x14, else "direct".

    Returns
    -------
    Tensor
        (N, C_out, H_out, W_out), channels last; H_out = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1.

    Raises
    ------
    ShapeError
        If shapes do not fit, or an option is out of range.
    TypeError
        If a dtype or the type of an option is wrong.

    Examples
    --------
    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.ones((1, 1, 2, 2))).numpy()[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    x = as_array(input, "conv2d", "input")
    w = as_array(weight, "conv2d", "weight")
    b = None if bias is None else as_array(bias, "conv2d", "bias")
    shape = x.shape
    conv = known_conv2d(shape, w.shape, stride, padding, dilation, groups)
    if conv is None:
        conv = _geometry(shape, w.shape, stride, padding, dilation, groups)
    if x.dtype is not w.dtype:
        checks.same_dtype("conv2d", x, "input", w, "weight")
    if b is not None and (b.shape != conv.bias_shape or b.dtype is not w.dtype or not b.flags.c_contiguous):
        b = _bias(b, w)
    if tracing():
        return traced("conv2d", locals(), conv.out_shape, x.dtype)
    if algorithm == "im2col":
        return _im2col(conv, x, w, b, (input, weight, bias))
    tile = conv.winograd_tile if algorithm == "auto" else _tile(conv, algorithm)
    x = channels_last(x)
    out = empty_channels_last(conv.out_shape, x.dtype)
    packed = _packed(conv, tile, False, w, weight)
    if tile:
        _kernels.winograd(conv, tile, x, np.ascontiguousarray(w), packed, b, out)
    else:
        _kernels.conv2d(conv, x, packed, b, out)
    if not needs_grad(input, weight, bias):
        return wrap(out)
    wants_x, wants_w, wants_b = needs_grad(input), needs_grad(weight), needs_grad(bias)
    mark = stamp(weight) if wants_x else None
    w = np.ascontiguousarray(w)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        check_unwritten("conv2d", mark)
        grad = channels_last(grad)
        grad_x = grad_w = grad_b = None
        if wants_x:
            grad_x = empty_channels_last(shape, x.dtype)
            flipped = _packed(conv, tile, True, w, None)
            if tile:
                _kernels.winograd_grad_input(conv, tile, grad, w, flipped, grad_x)
            else:
                _kernels.conv2d_grad_input(conv, grad, flipped, grad_x)
        if wants_w:
            grad_w = _kernels.empty(w.shape, w.dtype)
            _kernels.conv2d_grad_weight(conv, x, grad, grad_w)
        if wants_b:
            grad_b = _channel_sum(grad)
        return grad_x, grad_w, grad_b

    return record(out, backward, (input, weight, bias))


def _geometry(shape: tuple, weight: tuple, stride: Any, padding: Any, dilation: Any, groups: Any) -> Conv2d:
    """Sizes of a convolution, checked, and kept for the next call with the same arguments."""
    if len(weight) != 4 or min(weight) < 1:
        raise ShapeError(f"conv2d: weight must be (C_out, C_in / groups, kh, kw), each at least 1, got shape {weight}")
    where = window("conv2d", shape, weight[2:], stride, padding, dilation)
    groups = checks.integer(groups, "conv2d", "groups")
    if weight[0] % groups:
        raise ShapeError(f"conv2d: groups must divide the {weight[0]} output channels of weight, got {groups}")
    if shape[1] != weight[1] * groups:
        raise ShapeError(
            f"conv2d: weight of shape {weight} takes {weight[1] * groups} input channels (groups={groups}), "
            f"but input of shape {shape} has {shape[1]}"
        )
    batch, _, h, w = where.out_shape
    if max(batch, 1) * weight[0] * h * w >= 2**59:
        raise ShapeError(f"conv2d: the output {(batch, weight[0], h, w)} would have more than 2**59 elements")
    conv = Conv2d(where, weight[0], groups, 4 if _winograd_pays(where, weight, groups) else 0)
    keep_conv2d(conv, shape, weight, stride, padding, dilation, groups)
    return conv


def _winograd_pays(where: Window, weight: tuple, groups: int) -> bool:
    """Rule of thumb, by measurement: 3x3, stride and dilation 1, enough channels and at least 16 tiles of 4x4."""
    batch, _, h, w = where.out_shape
    return (
        weight[2:] == (3, 3)
        and where.plain
        and min(weight[0] // groups, weight[1]) >= 32
        and batch * -(-h // 4) * -(-w // 4) >= 16
    )


def _bias(b: np.ndarray, w: np.ndarray) -> np.ndarray:
    if b.shape != w.shape[:1]:
        raise ShapeError(
            f"conv2d: bias must have shape {w.shape[:1]}, one value for each output channel, got {b.shape}"
        )
    if b.dtype is not w.dtype:
        checks.same_dtype("conv2d", b, "bias", w, "weight")
    return np.ascontiguousarray(b)


def _tile(conv: Conv2d, algorithm: str) -> int:
    """Outputs an axis of a Winograd tile for an algorithm named by the caller, 0 for direct convolution."""
    if algorithm == "direct":
        return 0
    if algorithm != "winograd":
        raise ValueError(f"conv2d: algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    for tile in (4, 2):
        if _kernels.winograd_serves(conv, tile):
            return tile
    raise ValueError('conv2d: algorithm "winograd" serves 3x3 and 5x5 kernels of stride and dilation 1 only')


def _packed(conv: Conv2d, tile: int, backward: bool, w: np.ndarray, weight: Any) -> np.ndarray:
    """Weights as the kernels want them; a Parameter's, for the forward pass, are kept until it is written to."""
    if type(weight) is not Parameter:
        w = np.ascontiguousarray(w)
        return _kernels.winograd_pack(conv, tile, w, backward) if tile else _kernels.conv2d_pack(conv, w, backward)
    key = (tile, active_isa(), conv.packing)
    packed = weight.cache.get(key)
    if packed is None:
        packed = weight.cache[key] = _packed(conv, tile, backward, w, None)
    return packed


def _channel_sum(grad: np.ndarray) -> np.ndarray:
    sums = _kernels.empty((grad.shape[1],), grad.dtype)
    _kernels.channel_sum(grad, sums)
    return sums


def _im2col(conv: Conv2d, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, inputs: tuple) -> Tensor:
    """Convolution as one matrix product with the weights (C_out, kh * kw * C), by way of all columns."""
    if conv.groups != 1:
        raise ValueError(f'conv2d: algorithm "im2col" serves groups=1 only, got groups={conv.groups}')
    where = conv.window
    batch, c_out, h, wide = conv.out_shape
    columns = _kernels.empty((batch * h * wide, w[0].size), x.dtype)
    _kernels.im2col(where, channels_last(x), columns)
    matrix = np.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(c_out, -1)
    out = _kernels.empty((batch, h, wide, c_out), x.dtype)
    _kernels.linear(columns, matrix, b, out.reshape(-1, c_out))
    wants_x, wants_w, wants_b = (needs_grad(each) for each in inputs)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad = channels_last(grad)
        rows = np.ascontiguousarray(grad.transpose(0, 2, 3, 1)).reshape(-1, c_out)
        grad_x = grad_w = None
        if wants_w:
            product = _kernels.empty_like(matrix)
            _kernels.linear_grad_weight(columns, rows, product)
            grad_w = np.ascontiguousarray(product.reshape(c_out, *w.shape[2:], -1).transpose(0, 3, 1, 2))
        if wants_x:
            grad_columns = _kernels.empty_like(columns)
            _kernels.linear_grad_input(rows, matrix, grad_columns)
            grad_x = empty_channels_last(x.shape, x.dtype)
            _kernels.col2im(where, grad_columns, grad_x)
        return grad_x, grad_w, _channel_sum(grad) if wants_b else None

    return record(out.transpose(0, 3, 1, 2), backward, inputs)
