"""Windows of images as columns and back, zeros between pixels, and filters that differ from place to place."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import channels_last
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional import _conv2d
from fastconv.functional._sizes import UNIT
from fastconv.functional._weights import check_unwritten, stamp
from fastconv.functional._window import window
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["fold", "locally_connected2d", "unfold", "zero_insert"]

Pair = int | tuple[int, int]


def unfold(input: Any, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> Tensor:
    """Return the windows of images as columns.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, H, W) or (C, H, W), float32 or float64.
    kernel_size, dilation, padding, stride : int or pair of int
        The window, as in :func:`conv2d`; zeros are added.

    Returns
    -------
    Tensor
        (N, C * kh * kw, windows), or without N: the taps of each channel follow each other. A convolution is the
        product of its weights, (C_out, C * kh * kw), with this.

    Raises
    ------
    ShapeError
        If shapes do not fit or an option is out of range.
    TypeError
        If a dtype or the type of an option is wrong.

    Examples
    --------
    >>> unfold(np.arange(6.0).reshape(1, 1, 2, 3), (2, 2)).numpy()[0]
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x = as_array(input, "unfold", "input")
    if x.ndim == 3:
        return squeeze(unfold(unsqueeze(input, 0), kernel_size, dilation, padding, stride), 0)
    where = window("unfold", x.shape, kernel_size, stride, padding, dilation)
    n, c, h, w = where.out_shape
    taps = where.kernel[0] * where.kernel[1]
    if tracing():
        return traced("unfold", locals(), (n, c * taps, h * w), x.dtype)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        return (_from_columns(where, grad),)

    return record(_to_columns(where, x), backward, (input,))


def fold(
    input: Any, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
) -> Tensor:
    """Add the columns of :func:`unfold` back to where their taps came from.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C * kh * kw, windows) or (C * kh * kw, windows), float32 or float64.
    output_size : int or pair of int
        Height and width of the image.
    kernel_size, dilation, padding, stride : int or pair of int
        The window.

    Returns
    -------
    Tensor
        (N, C, H, W), channels last, or (C, H, W); where windows overlap, the sum.

    Raises
    ------
    ShapeError
        If shapes do not fit or an option is out of range.
    TypeError
        If a dtype or the type of an option is wrong.

    Examples
    --------
    >>> fold(np.ones((1, 4, 2)), (2, 3), (2, 2)).numpy()[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    x = as_array(input, "fold", "input")
    if x.ndim == 2:
        return squeeze(fold(unsqueeze(input, 0), output_size, kernel_size, dilation, padding, stride), 0)
    checks.ndim(x, (2, 3), "fold", "input", "(N, C * kh * kw, windows)")
    taps = checks.pair(kernel_size, "fold", "kernel_size")
    channels, rest = divmod(x.shape[1], taps[0] * taps[1])
    if rest or not channels:
        raise ShapeError(
            f"fold: input of shape {x.shape} must have a multiple of {taps[0]} * {taps[1]} rows, that many a channel"
        )
    shape = (x.shape[0], channels, *checks.pair(output_size, "fold", "output_size"))
    where = window("fold", shape, kernel_size, stride, padding, dilation)
    if x.shape[2] != where.out_shape[2] * where.out_shape[3]:
        raise ShapeError(
            f"fold: {where.out_shape[2]}x{where.out_shape[3]} windows fit into output_size {shape[2:]}, "
            f"but input of shape {x.shape} has {x.shape[2]} columns"
        )
    if tracing():
        return traced("fold", locals(), shape, x.dtype)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        return (_to_columns(where, grad),)

    return record(_from_columns(where, x), backward, (input,))


def _to_columns(where: _kernels.Window, x: np.ndarray) -> np.ndarray:
    """The windows of x (N, C, H, W) as (N, C * taps, windows)."""
    n, c, h, w = where.out_shape
    taps = where.kernel[0] * where.kernel[1]
    columns = _kernels.empty((n, h * w, taps, c), x.dtype)
    _kernels.im2col(where, channels_last(x), columns)
    turned = channels_last(columns.transpose(0, 1, 3, 2))  # stored (N, C, taps, windows)
    return turned.transpose(0, 2, 3, 1).reshape(n, c * taps, h * w)


def _from_columns(where: _kernels.Window, columns: np.ndarray) -> np.ndarray:
    """The adjoint of `_to_columns`."""
    n, c, h, w = where.out_shape
    taps = where.kernel[0] * where.kernel[1]
    turned = channels_last(columns.reshape(n, c, taps, h * w).transpose(0, 1, 3, 2))  # stored (N, windows, taps, C)
    out = _kernels.empty_channels_last(where.shape, columns.dtype)
    _kernels.col2im(where, np.ascontiguousarray(turned.transpose(0, 2, 3, 1)), out)
    return out


def zero_insert(input: Any, factors: int | tuple[int, ...]) -> Tensor:
    """Put ``factor - 1`` zeros between neighbours along the last axes.

    Convolution of the result is what a transposed convolution of that stride computes, but with all the zeros
    multiplied.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape; the axes that grow hold at least one element.
    factors : int or tuple of int
        One for each of the last axes; an int is meant for both axes of images, the last two.

    Returns
    -------
    Tensor
        Axes of n elements become ``(n - 1) * factor + 1`` long. Images of four axes are stored channels last.

    Raises
    ------
    ShapeError
        If a factor is below 1, or there are more factors than axes.
    TypeError
        If the input holds no floats or a factor is no int.

    Examples
    --------
    >>> zero_insert([1.0, 2.0, 3.0], (2,))
    tensor([1., 0., 2., 0., 3.])
    """
    x = as_array(input, "zero_insert", "input")
    count = len(factors) if isinstance(factors, (tuple, list)) else 2
    steps = checks.integers(factors, count, "zero_insert", "factors")
    if not 1 <= count <= x.ndim or min(x.shape[-count:]) < 1:
        raise ShapeError(
            f"zero_insert: input must have at least {count} axes for {count} factors, none of the last {count} empty, "
            f"got shape {x.shape}"
        )
    kept = x.ndim - count
    shape = (*x.shape[:kept], *((n - 1) * s + 1 for n, s in zip(x.shape[kept:], steps, strict=True)))
    if np.prod([float(n) for n in shape]) >= 2**59:
        raise ShapeError(f"zero_insert: the output {shape} would have more than 2**59 elements")
    if tracing():
        return traced("zero_insert", locals(), shape, x.dtype)
    places = tuple(slice(None, None, s) for s in (1,) * kept + steps)
    out = _kernels.empty_channels_last(shape, x.dtype) if x.ndim == 4 else _kernels.empty(shape, x.dtype)
    out[...] = 0
    out[places] = x

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        return (grad[places],)

    return record(out, backward, (input,))


def locally_connected2d(
    input: Any, weight: Any, bias: Any = None, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> Tensor:
    """Correlate images with filters of their own at every place: a convolution that shares no weights.

    Parameters
    ----------
    input : Tensor or array_like
        (N, C, H, W) or (C, H, W), float32 or float64.
    weight : Tensor or array_like
        (H_out, W_out, C_out, C, kh, kw), of the input's dtype.
    bias : Tensor or array_like, optional
        (C_out, H_out, W_out).
    stride, padding, dilation : int or pair of int
        As in :func:`conv2d`; zeros are added.

    Returns
    -------
    Tensor
        (N, C_out, H_out, W_out), channels last, or (C_out, H_out, W_out).

    Raises
    ------
    ShapeError
        If shapes do not fit or an option is out of range.
    TypeError
        If a dtype or the type of an option is wrong.

    Examples
    --------
    >>> weight = np.arange(4.0).reshape(2, 2, 1, 1, 1, 1)
    >>> locally_connected2d(np.ones((1, 1, 2, 2)), weight).numpy()[0, 0]
    array([[0., 1.],
           [2., 3.]])
    """
    x = as_array(input, "locally_connected2d", "input")
    if x.ndim == 3:
        return squeeze(locally_connected2d(unsqueeze(input, 0), weight, bias, stride, padding, dilation), 0)
    w = as_array(weight, "locally_connected2d", "weight")
    b = None if bias is None else as_array(bias, "locally_connected2d", "bias")
    checks.ndim(w, (6,), "locally_connected2d", "weight", "(H_out, W_out, C_out, C, kh, kw)")
    where = window("locally_connected2d", x.shape, w.shape[4:], stride, padding, dilation)
    batch, c, height, wide = where.out_shape
    outs, length = w.shape[2], c * where.kernel[0] * where.kernel[1]
    if w.shape[:4] != (height, wide, outs, c) or not outs:
        raise ShapeError(
            f"locally_connected2d: weight must be {(height, wide)} + (C_out, {c}, kh, kw) for an input of shape "
            f"{x.shape}, got {w.shape}"
        )
    checks.same_dtype("locally_connected2d", x, "input", w, "weight")
    if b is not None:
        checks.same_dtype("locally_connected2d", b, "bias", w, "weight")
        if b.shape != (outs, height, wide):
            raise ShapeError(f"locally_connected2d: bias must have shape {(outs, height, wide)}, got {b.shape}")
    if tracing():
        return traced("locally_connected2d", locals(), (batch, outs, height, wide), x.dtype)

    # A product for every place: a 1x1 convolution in as many groups, of a row of pixels, one for each image.
    places = height * wide
    row = UNIT._replace(size=batch, out=batch)
    conv = _conv2d.geometry([UNIT, row], 1, (places * length, places * outs), places)
    columns = _kernels.empty((batch, places * length), x.dtype)
    _kernels.im2col(where, channels_last(x), columns)
    matrix = np.ascontiguousarray(w.transpose(0, 1, 2, 4, 5, 3)).reshape(conv.weight_shape)
    offset = None if b is None else np.ascontiguousarray(b.transpose(1, 2, 0)).reshape(-1)
    pixels = _as_row(columns)
    out = _conv2d.product(conv, 0, pixels, matrix, offset, None)
    wants = (needs_grad(input), needs_grad(weight), needs_grad(bias))
    mark = stamp(weight) if wants[0] else None

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        check_unwritten("locally_connected2d", mark)
        given = _as_row(np.ascontiguousarray(grad.transpose(0, 2, 3, 1)).reshape(batch, places * outs))
        grad_x = grad_w = None
        if wants[0]:
            back = _conv2d.adjoint(conv, 0, given, matrix, None, None)
            grad_x = _kernels.empty_channels_last(where.shape, x.dtype)
            _kernels.col2im(where, np.ascontiguousarray(back.transpose(0, 2, 3, 1)), grad_x)
        if wants[1]:
            product = _conv2d.grad_weight(conv, 0, pixels, given).reshape(height, wide, outs, *where.kernel, c)
            grad_w = np.ascontiguousarray(product.transpose(0, 1, 2, 5, 3, 4))
        return grad_x, grad_w, grad.sum(0) if wants[2] else None

    image = out.transpose(0, 2, 3, 1).reshape(batch, height, wide, outs)
    return record(image.transpose(0, 3, 1, 2), backward, (input, weight, bias))


def _as_row(rows: np.ndarray) -> np.ndarray:
    """Rows of numbers as the pixels of an image one pixel high: (1, numbers, 1, rows)."""
    return rows[None, None].transpose(0, 3, 1, 2)
