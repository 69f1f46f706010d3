"""Convolution in one, two and three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import keep_convolution, known_convolution
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional import _conv2d, _conv3d, _im2col
from fastconv.functional._sizes import UNIT, check_shapes, convolution_axes
from fastconv.functional._weights import check_unwritten, stamp
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = ["conv1d", "conv2d", "conv3d"]

_NAMES = ("input", "weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode", "algorithm")
ALGORITHMS = ("auto", "direct", "im2col", "winograd")
Size = int | tuple[int, ...]
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
) -> Tensor:
    """Correlate signals (N, C, L) or (C, L) with filters (C_out, C / groups, k); see :func:`conv2d`.

    The memory of the result has the channels last, as that of :func:`conv2d`, and an input that has so is not copied.

    Examples
    --------
    >>> conv1d(np.arange(5.0)[None, None], np.ones((1, 1, 3)), padding="same").numpy()[0, 0]
    array([1., 3., 6., 9., 7.])
    """
    options = (stride, padding, dilation, groups, padding_mode)
    return convolve("conv1d", 1, (input, weight, bias), options, algorithm)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
) -> Tensor:
    """Correlate images with a bank of filters: what neural networks call a convolution.

    ``out[n, o, y, x] = bias[o] + sum over i, ky, kx of weight[o, i, ky, kx] *
    input[n, i, y * stride - before + ky * dilation, x * stride - before + kx * dilation]``, zeros outside the input;
    with `groups`, i runs over the input channels of o's group. A window thus begins `before` pixels ahead of the
    pixel ``y * stride``, whatever its size: an even kernel has no middle, and by ``padding="same"`` a 2x2 one covers a
    pixel and the next ones to the right and below, by "same_lower" those to the left and above.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, H, W) or (C, H, W), float32 or float64. Channels-last memory is used as it is, any other is converted.
    weight : Tensor or array_like
        (C_out, C / groups, kh, kw), of the input's dtype. What the kernels make of a Parameter's values is kept until
        the next write to it.
    bias : Tensor or array_like, optional
        (C_out,).
    stride, dilation : int or pair of int
        Vertical and horizontal step of the window, distance of the taps.
    padding : int, pair of int, pair of (before, after) pairs, or str
        Pixels added on every side, on the vertical and the horizontal sides, or before and after along each axis.
        "valid" adds none; "same" makes the output ceil(size / stride), adding as much after as before or one more;
        "same_lower" adds the odd one before; "full" adds all but one pixel of the window on both sides.
    groups : int
        Number of independent convolutions the channels are divided into.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is added: zeros, the image mirrored at its outermost pixels, those pixels, or the image's other side.
    algorithm : {"auto", "direct", "im2col", "winograd"}
        "direct" needs no memory beside the result. "im2col" writes all taps of all pixels to a matrix first, kh * kw
        times the input's memory; it serves groups=1 only. "winograd" multiplies up to four times less, at two to
        three times the rounding error, for the value and the input's gradient; it serves 3x3 and 5x5 kernels of
        stride and dilation 1. "auto" is "winograd" for 3x3 with at least 32 channels on both sides of a group and a
        map of about 14x14, else "direct".

    Returns
    -------
    Tensor
        (N, C_out, H_out, W_out), channels last, or (C_out, H_out, W_out);
        H_out = floor((H + before + after - dilation (kh - 1) - 1) / stride) + 1.

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
    options = (stride, padding, dilation, groups, padding_mode)
    return convolve("conv2d", 2, (input, weight, bias), options, algorithm)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    algorithm: str = "auto",
) -> Tensor:
    """Correlate volumes (N, C, D, H, W) or (C, D, H, W) with filters (C_out, C / groups, kd, kh, kw).

    All else is as in :func:`conv2d`, with three numbers or pairs for three axes. The convolution is a sum over kd of
    those of the planes, by the algorithm named; "im2col" does not serve. A padding other than zeros is a copy.

    Examples
    --------
    >>> conv3d(np.ones((1, 1, 3, 3, 3)), np.ones((1, 1, 3, 3, 3)), padding=1).numpy()[0, 0, 1]
    array([[12., 18., 12.],
           [18., 27., 18.],
           [12., 18., 12.]])
    """
    options = (stride, padding, dilation, groups, padding_mode)
    return convolve("conv3d", 3, (input, weight, bias), options, algorithm)


def convolve(op: str, count: int, inputs: tuple, options: tuple, algorithm: str) -> Tensor:
    """Convolve along the last `count` axes; inputs and options are in the public functions' order."""
    input, weight, bias = inputs
    x = as_array(input, op, "input")
    w = as_array(weight, op, "weight")
    b = None if bias is None else as_array(bias, op, "bias")
    shape, weight_shape = x.shape, w.shape
    arguments = (op, shape, weight_shape, options)
    conv = known_convolution(arguments)
    if conv is None:
        conv = _geometry(op, count, shape, weight_shape, options)
        keep_convolution(arguments, conv)
    if x.dtype is not w.dtype:
        checks.same_dtype(op, x, "input", w, "weight")
    if b is not None and (b.shape != weight_shape[:1] or b.dtype is not w.dtype or not b.flags.c_contiguous):
        b = check_bias(op, b, w, weight_shape[0])
    tile = conv.winograd_tile if algorithm == "auto" else choose(op, conv, algorithm)
    if tracing():
        given = dict(zip(_NAMES, (*inputs, *options, algorithm), strict=True))
        return traced(op, given, _without_unit_axes(conv.out_shape, shape, count), x.dtype)
    engine = _conv2d if count < 3 else _conv3d
    lifted = shape != conv.shape
    if lifted:  # unit axes more
        x, w = x.reshape(conv.shape), w.reshape(conv.weight_shape)
    wants = (needs_grad(input), needs_grad(weight), needs_grad(bias))
    backward_im2col = None
    if tile < 0:
        out, backward_im2col = _im2col.convolve(conv, x, w, b, wants)
    else:
        out = engine.product(conv, tile, x, w, b, weight)
    if lifted:
        out = out.reshape(_without_unit_axes(conv.out_shape, shape, count))
    if not any(wants):
        return wrap(out)
    mark = stamp(weight) if wants[0] else None
    w = np.ascontiguousarray(w)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        check_unwritten(op, mark)
        if lifted:
            grad = grad.reshape(conv.out_shape)
        if backward_im2col is not None:
            grad_x, grad_w, grad_b = backward_im2col(grad)
        else:
            grad_x = engine.grad_input(conv, tile, grad, w) if wants[0] else None
            grad_w = engine.grad_weight(conv, x, grad) if wants[1] else None
            grad_b = engine.channel_sum(grad) if wants[2] else None
        if lifted:
            grad_x = None if grad_x is None else grad_x.reshape(shape)
            grad_w = None if grad_w is None else grad_w.reshape(weight_shape)
        return grad_x, grad_w, grad_b

    return record(out, backward, inputs)


def _without_unit_axes(out_shape: tuple[int, ...], shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape of the output as the caller expects it for an input of `shape`."""
    return (*shape[: -count - 1], out_shape[1], *out_shape[-count:])


def _geometry(op: str, count: int, shape: tuple[int, ...], weight: tuple[int, ...], options: tuple) -> Any:
    """Sizes of a convolution, checked."""
    stride, padding, dilation, groups, mode = options
    groups = check_shapes(op, count, shape, weight, groups)
    axes = convolution_axes(op, count, shape, weight, stride, padding, dilation, mode)
    batch = shape[0] if len(shape) == count + 2 else 1
    if not any(axis.before or axis.after for axis in axes):
        mode = "zeros"
    make = _conv2d.geometry if count < 3 else _conv3d.Conv3d
    return make([UNIT] * (2 - count) + axes, batch, (shape[-count - 1], weight[0]), groups, mode)


def check_bias(op: str, b: np.ndarray, w: np.ndarray, channels: int) -> np.ndarray:
    """Return a bias of one value for each of `channels` output channels, of the dtype of w, in C order."""
    if b.shape != (channels,):
        raise ShapeError(f"{op}: bias must have shape ({channels},), one value for each output channel, got {b.shape}")
    if b.dtype is not w.dtype:
        checks.same_dtype(op, b, "bias", w, "weight")
    return np.ascontiguousarray(b)


def choose(op: str, conv: Any, algorithm: str) -> int:
    """Outputs an axis of a Winograd tile for an algorithm named by the caller, 0 for direct, -1 for im2col."""
    if algorithm == "direct":
        return 0
    if algorithm == "im2col":
        if conv.groups != 1 or len(conv.shape) != 4:
            raise ValueError(f'{op}: algorithm "im2col" serves conv1d and conv2d of groups=1 only')
        return -1
    if algorithm != "winograd":
        raise ValueError(f"{op}: algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    for tile in (4, 2):
        if _kernels.winograd_serves(conv if len(conv.shape) == 4 else conv.of(1), tile):
            return tile
    raise ValueError(f'{op}: algorithm "winograd" serves 3x3 and 5x5 kernels of stride and dilation 1 only')
