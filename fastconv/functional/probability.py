"""Softmax along an axis, and its logarithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, record
from fastconv.functional.shape import to
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["log_softmax", "softmax"]


def softmax(input: Any, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """Return ``exp(input)`` divided by its sum along one axis: positive numbers that add up to 1.

    Derivative of p[i] with respect to input[j]: p[i] (1 - p[i]) for i = j, else -p[i] p[j]. For the probabilities of
    classes that exclude each other; for the loss take :func:`cross_entropy` of the scores themselves.

    The largest element is subtracted first, so that nothing overflows. Fastest along an axis whose elements are
    adjacent (the last of a plain array, the channels of a channels-last image); along any other the array is copied.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    dim : int, optional
        The axis; negative ones count from the end. Without one it is, as PyTorch has it, axis 0 of one or three axes,
        otherwise axis 1: the channels of a batch.
    dtype : numpy.dtype or str, optional
        float32 or float64: what `input` is converted to first.

    Raises
    ------
    ShapeError
        If there is no such axis.
    TypeError
        If `dtype` is neither.

    Examples
    --------
    >>> softmax([1.0, 1.0, -1000.0])
    tensor([0.5, 0.5, 0. ])
    """
    return _along("softmax", input, dim, dtype, _kernels.softmax, _kernels.softmax_grad)


def log_softmax(input: Any, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """Return the logarithm of :func:`softmax`, ``input - log(sum(exp(input)))``, accurate also where that is 0.

    Derivative of element i with respect to input[j]: 1 - p[j] for i = j, else -p[j]. For likelihoods, as of
    :func:`nll_loss`, which would lose all digits of small probabilities.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    dim : int, optional
        The axis; negative ones count from the end. Without one it is, as PyTorch has it, axis 0 of one or three axes,
        otherwise axis 1: the channels of a batch.
    dtype : numpy.dtype or str, optional
        float32 or float64: what `input` is converted to first.

    Raises
    ------
    ShapeError
        If there is no such axis.
    TypeError
        If `dtype` is neither.

    Examples
    --------
    >>> log_softmax([1.0, 1.0, -1000.0])
    tensor([-6.9315e-01, -6.9315e-01, -1.0017e+03])
    """
    return _along("log_softmax", input, dim, dtype, _kernels.log_softmax, _kernels.log_softmax_grad)


def _along(
    op: str, input: Any, dim: int | None, dtype: Any, kernel: Callable[..., None], kernel_grad: Callable[..., None]
) -> Tensor:
    if dtype is not None:
        input, dtype = to(input, checks.dtype(dtype, op)), None
    x = as_array(input, op, "input")
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    axis = checks.axis(dim, x.ndim, op)
    if tracing():
        return traced(op, locals(), x.shape, x.dtype)
    shape = x.shape
    rows = rows_along(x, axis)
    out = _kernels.empty_like(rows)
    kernel(rows, out)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = _kernels.empty_like(out)
        kernel_grad(out, rows_along(grad, axis), grad_x)
        return (from_rows(grad_x, shape, axis),)

    return record(from_rows(out, shape, axis), backward, (input,))


def rows_along(x: np.ndarray, axis: int) -> np.ndarray:
    """Return `x` as a C-contiguous matrix whose rows run along one axis; a view where memory is in that order."""
    if x.ndim == 2 and axis == 1 and x.flags.c_contiguous:
        return x
    if x.ndim == 0:
        return x.reshape(1, 1)
    moved = np.moveaxis(x, axis, -1)
    rows = moved.size // moved.shape[-1] if moved.size else 0
    return np.ascontiguousarray(moved).reshape(rows, moved.shape[-1])


def from_rows(rows: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Undo :func:`rows_along`: a view of `rows` in the former shape."""
    if len(shape) == 2 and axis == 1:
        return rows
    if not shape:
        return rows.reshape(shape)
    others = (*shape[:axis], *shape[axis + 1 :], shape[axis])
    return np.moveaxis(rows.reshape(others), -1, axis)
