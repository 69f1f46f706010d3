"""What all convolutions share, transposed or not, along any number of axes: arrays, checks, the tape."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import keep_convolution, known_convolution
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional import _conv2d, _conv3d, _im2col
from fastconv.functional._epilogue import clamp_grad, clamp_of, finish, residual_of
from fastconv.functional._fft import FFT, serves
from fastconv.functional._sizes import UNIT, check_shapes, convolution_axes, transposed_axes
from fastconv.functional._weights import check_unwritten, stamp
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = ["ALGORITHMS", "convolve"]

ALGORITHMS = ("auto", "direct", "im2col", "winograd", "fft")
_INPUTS = ("input", "weight", "bias")
_OPTIONS = ("stride", "padding", "dilation", "groups", "padding_mode", "algorithm")
_TRANSPOSED = ("stride", "padding", "output_padding", "groups", "dilation", "algorithm")


def convolve(
    op: str,
    count: int,
    inputs: tuple,
    options: tuple,
    algorithm: str,
    transposed: bool = False,
    residual: Any = None,
    activation: Any = None,
) -> Tensor:
    """Convolve along the last `count` axes.

    `inputs` and `options` are in the order of the public functions. A transposed convolution is the adjoint of the
    convolution whose sizes `_geometry` returns: its input has that one's output's shape.
    """
    input, weight, bias = inputs
    x = as_array(input, op, "input")
    w = as_array(weight, op, "weight")
    b = None if bias is None else as_array(bias, op, "bias")
    shape, weight_shape = x.shape, w.shape
    arguments = (op, shape, weight_shape, options)
    conv = known_convolution(arguments)
    if conv is None:
        conv = _geometry(op, count, shape, weight_shape, options, transposed)
        keep_convolution(arguments, conv)
    if x.dtype is not w.dtype:
        checks.same_dtype(op, x, "input", w, "weight")
    in_shape, out_shape = (conv.out_shape, conv.shape) if transposed else (conv.shape, conv.out_shape)
    if b is not None and (b.shape != out_shape[1:2] or b.dtype is not w.dtype or not b.flags.c_contiguous):
        b = _bias(op, b, w, out_shape[1])
    clamp = None if activation is None else clamp_of(op, activation)
    tile = conv.winograd_tile if algorithm == "auto" else _choose(op, conv, algorithm, transposed)
    lifted = shape != in_shape  # by unit axes
    result = (*shape[: -count - 1], out_shape[1], *out_shape[-count:]) if lifted else out_shape
    r = None if residual is None else residual_of(op, residual, result, x)
    if tracing():
        names = (*_INPUTS, *(_TRANSPOSED if transposed else _OPTIONS))
        given = dict(zip(names, (*inputs, *options, algorithm), strict=True))
        if op == "conv2d":
            given |= {"residual": residual, "activation": activation}
        return traced(op, given, result, x.dtype)
    if lifted:
        x, w = x.reshape(in_shape), w.reshape(conv.weight_shape)
        r = None if r is None else r.reshape(out_shape)
    engine = _conv2d if count < 3 else _conv3d
    wants = (needs_grad(input), needs_grad(weight), needs_grad(bias))
    by_columns = None
    if tile < 0:
        out, by_columns = _im2col.convolve(conv, x, w, b, wants)
        finish(out, r, clamp)
    elif r is not None or clamp is not None:
        out = _conv2d.product(conv, tile, x, w, b, weight, r, clamp)
    else:
        forward = engine.adjoint if transposed else engine.product
        out = forward(conv, tile, x, w, b, weight)
    held = out if clamp is not None else None
    if lifted:
        out = out.reshape(result)
    if not any(wants) and not needs_grad(residual):
        return wrap(out)
    mark = stamp(weight) if wants[0] else None
    w = np.ascontiguousarray(w)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        check_unwritten(op, mark)
        if lifted:
            grad = grad.reshape(out_shape)
        if held is not None and clamp is not None:
            grad = clamp_grad(held, clamp, grad)
        grad_r = grad
        if by_columns is not None:
            grad_x, grad_w, grad_b = by_columns(grad)
        else:
            grad_x = grad_w = None
            if wants[0] and transposed:
                grad_x = engine.product(conv, tile, grad, w, None, None)
            elif wants[0]:
                grad_x = engine.grad_input(conv, tile, grad, w)
            if wants[1]:
                grad_w = engine.grad_weight(conv, tile, *((grad, x) if transposed else (x, grad)))
            grad_b = engine.channel_sum(grad) if wants[2] else None
        if lifted:
            grad_x = None if grad_x is None else grad_x.reshape(shape)
            grad_w = None if grad_w is None else grad_w.reshape(weight_shape)
            grad_r = grad_r.reshape(result)
        return (grad_x, grad_w, grad_b) if residual is None else (grad_x, grad_w, grad_b, grad_r)

    return record(out, backward, inputs if residual is None else (*inputs, residual))


def _geometry(
    op: str, count: int, shape: tuple[int, ...], weight: tuple[int, ...], options: tuple, transposed: bool
) -> Any:
    """Sizes of a convolution, checked."""
    mode = "zeros"
    if transposed:
        stride, padding, output_padding, groups, dilation = options
        groups = check_shapes(op, count, shape, weight, groups, transposed)
        axes = transposed_axes(op, count, shape, weight, stride, padding, output_padding, groups, dilation)
        channels = (weight[1] * groups, weight[0])
    else:
        stride, padding, dilation, groups, mode = options
        groups = check_shapes(op, count, shape, weight, groups)
        axes = convolution_axes(op, count, shape, weight, stride, padding, dilation, mode)
        channels = (weight[1] * groups, weight[0])
    if not any(axis.before or axis.after for axis in axes):
        mode = "zeros"
    batch = shape[0] if len(shape) == count + 2 else 1
    make = _conv2d.geometry if count < 3 else _conv3d.Conv3d
    return make([UNIT] * (2 - count) + axes, batch, channels, groups, mode)


def _bias(op: str, b: np.ndarray, w: np.ndarray, channels: int) -> np.ndarray:
    """Return a bias of one value for each of `channels` output channels, of the dtype of w, in C order."""
    if b.shape != (channels,):
        raise ShapeError(f"{op}: bias must have shape ({channels},), one value for each output channel, got {b.shape}")
    if b.dtype is not w.dtype:
        checks.same_dtype(op, b, "bias", w, "weight")
    return np.ascontiguousarray(b)


def _choose(op: str, conv: Any, algorithm: str, transposed: bool) -> int:
    """Outputs an axis of a Winograd tile for an algorithm named by the caller, 0 for direct, -1 for im2col, or FFT."""
    if algorithm == "direct":
        return 0
    if algorithm == "im2col":
        if conv.groups != 1 or len(conv.shape) != 4 or transposed:
            raise ValueError(f'{op}: algorithm "im2col" serves conv1d and conv2d of groups=1 only')
        return -1
    if algorithm == "fft":
        if len(conv.shape) != 4 or not serves(conv):
            raise ValueError(f'{op}: algorithm "fft" serves stride and dilation 1, one or two axes, at most 65536 taps')
        return FFT
    if algorithm != "winograd":
        raise ValueError(f"{op}: algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    for tile in (4, 2):
        if _kernels.winograd_serves(conv if len(conv.shape) == 4 else conv.of(1), tile):
            return tile
    raise ValueError(f'{op}: algorithm "winograd" serves 3x3 and 5x5 kernels of stride 1 only')
