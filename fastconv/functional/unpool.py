"""The way back from maximum pooling: every value goes where the maximum was, with zeros around."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional._window import LAYOUTS
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced, tracing

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]

_Size = int | tuple[int, ...]


def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put values (N, C, L) where :func:`max_pool1d` found them; see :func:`max_unpool2d`."""
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put values where :func:`max_pool2d` found them, and zeros everywhere else.

    Where windows overlap, several values may have one index: the last of them stays, and all get its gradient, as in
    PyTorch.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, (N, C, H, W) or (C, H, W).
    indices : Tensor or array_like
        int64, of the input's shape: what ``max_pool2d(..., return_indices=True)`` returned.
    kernel_size, stride, padding : int or pair of int
        Those of the pooling: they say how large the result is, ``(H - 1) * stride - 2 * padding + kernel_size``.
    output_size : sequence of int, optional
        Which of the sizes that pool to H and W the result shall have: (H_out, W_out), or all axes.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out).

    Raises
    ------
    ShapeError
        If shapes do not fit, the output size does not pool to the input's, or an index lies outside.
    TypeError
        If the input holds no floats or `indices` no integers.

    Examples
    --------
    >>> max_unpool2d([[[4.0]]], np.array([[[3]]]), 2)
    tensor([[[0., 0.],
             [0., 4.]]])
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put values (N, C, D, H, W) where :func:`max_pool3d` found them; see :func:`max_unpool2d`."""
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _unpool(
    op: str,
    axes: int,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    x, places = as_array(input, op, "input"), array_of(indices, f"{op}: indices")
    checks.ndim(x, (axes + 1, axes + 2), op, "input", LAYOUTS[axes])
    if places.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices must be integers, got {places.dtype}")
    if places.shape != x.shape:
        raise ShapeError(
            f"{op}: indices must have the input's shape {x.shape}, got {places.shape}; "
            "both are what one max_pool with return_indices gave"
        )
    size = _output_size(op, axes, x.shape, kernel_size, stride, padding, output_size)
    if x.ndim == axes + 1:
        whole = unsqueeze(input, 0), unsqueeze(indices, 0)
        return squeeze(_unpool(op, axes, *whole, kernel_size, stride, padding, size), 0)
    if tracing():
        return traced(op, locals(), (*x.shape[:2], *size), x.dtype)
    count = math.prod(size)
    if places.size and not 0 <= int(places.min()) <= int(places.max()) < count:
        raise ShapeError(f"{op}: indices must be from 0 to {count - 1}, got {places.min()} to {places.max()}")
    n, c = x.shape[:2]
    rows = np.moveaxis(places, 1, -1).reshape(n, -1 if c and n else 0, c)
    flat = np.zeros((n, count, c), x.dtype)
    np.put_along_axis(flat, rows, np.moveaxis(x, 1, -1).reshape(rows.shape), 1)
    shape = x.shape

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        found = np.take_along_axis(np.moveaxis(grad, 1, -1).reshape(n, count, c), rows, 1)
        return (np.moveaxis(found.reshape(n, *shape[2:], c), -1, 1),)

    return record(np.moveaxis(flat.reshape(n, *size, c), -1, 1), backward, (input,))


def _output_size(
    op: str, axes: int, shape: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> tuple[int, ...]:
    kernel = checks.integers(kernel_size, axes, op, "kernel_size")
    steps = kernel if stride is None else checks.integers(stride, axes, op, "stride")
    pads = checks.integers(padding, axes, op, "padding", 0)
    usual = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(shape[-axes:], steps, pads, kernel, strict=True)]
    size = usual
    if output_size is not None:
        given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,)
        size = list(checks.integers(given[-axes:], axes, op, "output_size"))
        most = zip(size, usual, steps, strict=True)
        if len(given) not in (axes, axes + 1, axes + 2) or any(abs(n - m) >= s for n, m, s in most):
            raise ShapeError(
                f"{op}: output_size must differ from {tuple(usual)} by less than the stride {steps}, got {output_size}"
            )
    if min(size) < 1:
        raise ShapeError(f"{op}: kernel_size {kernel} and padding {pads} leave nothing of an input of shape {shape}")
    if math.prod(shape[:-axes]) * math.prod(size) >= 2**59:
        raise ShapeError(f"{op}: output_size {tuple(size)} makes an array of more than 2**59 elements")
    return tuple(size)
