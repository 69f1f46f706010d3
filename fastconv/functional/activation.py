"""Activations: element by element, and softmax along an axis. Channels-last arrays are worked on as they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import dense, dense_like
from fastconv.autograd import as_array, record
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["log_softmax", "relu", "sigmoid", "softmax", "tanh"]


def relu(input: Any) -> Tensor:
    """Return ``max(input, 0)``, element by element; NaN stays NaN.

    The gradient passes where the result is above 0, and where it is NaN.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.

    Examples
    --------
    >>> relu([-1.0, 0.0, 2.0])
    tensor([0., 0., 2.])
    """
    x = as_array(input, "relu", "input")
    if tracing():
        return traced("relu", locals(), x.shape, x.dtype)
    x = dense(x)
    out = _kernels.empty_like(x)
    _kernels.relu(x, out)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = _kernels.empty_like(out)
        _kernels.relu_grad(out, dense_like(grad, out), grad_x)
        return (grad_x,)

    return record(out, backward, (input,))


def sigmoid(input: Any) -> Tensor:
    """Return ``1 / (1 + exp(-input))``, element by element, within 4 units in the last place.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    tensor([0. , 0.5, 1. ])
    """
    x = as_array(input, "sigmoid", "input")
    if tracing():
        return traced("sigmoid", locals(), x.shape, x.dtype)
    x = dense(x)
    out = _kernels.empty_like(x)
    _kernels.sigmoid(x, out)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = _kernels.empty_like(out)
        _kernels.sigmoid_grad(out, dense_like(grad, out), grad_x)
        return (grad_x,)

    return record(out, backward, (input,))


def tanh(input: Any) -> Tensor:
    """Return the hyperbolic tangent, element by element, within 4 units in the last place.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.

    Examples
    --------
    >>> tanh([-100.0, 0.0, 0.5])
    tensor([-1.    ,  0.    ,  0.4621])
    """
    x = as_array(input, "tanh", "input")
    if tracing():
        return traced("tanh", locals(), x.shape, x.dtype)
    x = dense(x)
    out = _kernels.empty_like(x)
    _kernels.tanh(x, out)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = _kernels.empty_like(out)
        _kernels.tanh_grad(out, dense_like(grad, out), grad_x)
        return (grad_x,)

    return record(out, backward, (input,))


def softmax(input: Any, dim: int = -1) -> Tensor:
    """Return ``exp(input)`` divided by its sum along one axis: positive numbers that add up to 1.

    The largest element is subtracted first, so that nothing overflows. Fastest along an axis whose elements are
    adjacent (the last of a plain array, the channels of a channels-last image); along any other the array is copied.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    dim : int
        The axis; negative ones count from the end. PyTorch has no default here.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> softmax([1.0, 1.0, -1000.0])
    tensor([0.5, 0.5, 0. ])
    """
    return _along("softmax", input, dim, _kernels.softmax, _kernels.softmax_grad)


def log_softmax(input: Any, dim: int = -1) -> Tensor:
    """Return the logarithm of :func:`softmax`, accurate also where that is 0.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    dim : int
        The axis; negative ones count from the end. PyTorch has no default here.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> log_softmax([1.0, 1.0, -1000.0])
    tensor([-6.9315e-01, -6.9315e-01, -1.0017e+03])
    """
    return _along("log_softmax", input, dim, _kernels.log_softmax, _kernels.log_softmax_grad)


def _along(op: str, input: Any, dim: int, kernel: Callable[..., None], kernel_grad: Callable[..., None]) -> Tensor:
    x = as_array(input, op, "input")
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
