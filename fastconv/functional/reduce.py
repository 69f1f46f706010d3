"""Sums, means, extrema and the matrix product."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional._broadcast import sum_to
from fastconv.tensor import Tensor, array_of, wrap
from fastconv.tracing import traced, tracing

__all__ = ["Extrema", "amax", "amin", "argmax", "argmin", "matmul", "max", "mean", "min", "sum"]

_INT64 = np.dtype(np.int64)

Dims = int | tuple[int, ...] | list[int] | None


class Extrema(NamedTuple):
    """What ``max`` and ``min`` along an axis return."""

    values: Tensor
    indices: Tensor


def sum(input: Any, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the sum over `dim`: an axis, several, or all of them.

    Integers and bools sum to int64.

    Examples
    --------
    >>> sum([[1.0, 2.0], [3.0, 4.0]], dim=1)
    tensor([3., 7.])
    """
    x = array_of(input, "sum: input")
    axes = checks.axes(dim, x.ndim, "sum")
    shape, dtype = x.shape, x.dtype if x.dtype.kind == "f" else _INT64
    if tracing():
        return traced("sum", locals(), _reduced(shape, axes, keepdim), dtype)
    with np.errstate(all="ignore"):
        out = np.sum(x, axis=axes, keepdims=bool(keepdim), dtype=dtype)
    return record(out, lambda grad: (_spread(grad, shape, axes, keepdim),), (input,))


def mean(input: Any, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the mean over `dim`: an axis, several, or all of them; nan over nothing.

    Examples
    --------
    >>> mean([[1.0, 2.0], [3.0, 4.0]])
    tensor(2.5)
    """
    x = as_array(input, "mean", "input")
    axes = checks.axes(dim, x.ndim, "mean")
    shape = x.shape
    if tracing():
        return traced("mean", locals(), _reduced(shape, axes, keepdim), x.dtype)
    count = x.dtype.type(math.prod(shape[i] for i in axes))
    with np.errstate(all="ignore"):
        out = np.sum(x, axis=axes, keepdims=bool(keepdim)) / count
    return record(out, lambda grad: (_spread(grad / count, shape, axes, keepdim),), (input,))


def max(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the maximum: over everything as a Tensor, or along the axis `dim` as ``(values, indices)``.

    nan is the maximum of anything that holds it. Over everything, equal maxima share the gradient evenly; along an axis
    the first one gets it.

    Examples
    --------
    >>> max([[1.0, 3.0], [4.0, 2.0]], dim=1)
    Extrema(values=tensor([3., 4.]), indices=tensor([1, 0]))
    """
    return amax(input) if dim is None else _along("max", np.argmax, input, dim, keepdim)


def min(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the minimum: over everything as a Tensor, or along the axis `dim` as ``(values, indices)``.

    Ties and nan go as in :func:`max`.
    """
    return amin(input) if dim is None else _along("min", np.argmin, input, dim, keepdim)


def amax(input: Any, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the maximum over `dim`: an axis, several, or all of them; equal maxima share the gradient evenly."""
    return _extremum("amax", np.max, input, dim, keepdim)


def amin(input: Any, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Return the minimum over `dim`: an axis, several, or all of them; equal minima share the gradient evenly."""
    return _extremum("amin", np.min, input, dim, keepdim)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the first maximum, along `dim` or in the flattened (C order) input, as int64.

    Examples
    --------
    >>> argmax([[1.0, 3.0], [4.0, 2.0]], dim=1)
    tensor([1, 0])
    """
    return _argument("argmax", np.argmax, input, dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return the index of the first minimum, along `dim` or in the flattened (C order) input, as int64."""
    return _argument("argmin", np.argmin, input, dim, keepdim)


def matmul(input: Any, other: Any) -> Tensor:
    """Return the matrix product ``input @ other``; leading axes broadcast, 1-d operands are vectors.

    Examples
    --------
    >>> matmul([[1.0, 2.0]], [3.0, 4.0])
    tensor([11.])
    """
    x, y = as_array(input, "matmul", "input"), as_array(other, "matmul", "other")
    checks.same_dtype("matmul", x, "input", y, "other")
    shape = _product_shape(x.shape, y.shape)
    if tracing():
        return traced("matmul", locals(), shape, x.dtype)
    with np.errstate(all="ignore"):
        out = np.matmul(x, y)
    need_x, need_y = needs_grad(input), needs_grad(other)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        rows = x if x.ndim > 1 else x[np.newaxis, :]
        columns = y if y.ndim > 1 else y[:, np.newaxis]
        grad = grad if y.ndim > 1 else grad[..., np.newaxis]
        grad = grad if x.ndim > 1 else grad[..., np.newaxis, :]
        grad_x = grad_y = None
        if need_x:
            grad_x = sum_to(grad @ columns.swapaxes(-1, -2), rows.shape).reshape(x.shape)
        if need_y:
            grad_y = sum_to(rows.swapaxes(-1, -2) @ grad, columns.shape).reshape(y.shape)
        return grad_x, grad_y

    return record(out, backward, (input, other))


def _product_shape(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    if not x or not y:
        raise ShapeError(f"matmul: both operands must be 1-d or more, got shapes {x} and {y}")
    try:
        leading = x[:-2] if x[:-2] == y[:-2] else np.broadcast_shapes(x[:-2], y[:-2])
    except ValueError:
        raise ShapeError(f"matmul: the leading axes of shapes {x} and {y} do not fit") from None
    if x[-1] != y[-2 if len(y) > 1 else -1]:
        raise ShapeError(f"matmul: shapes {x} and {y} do not fit")
    return (*leading, *x[-2:-1], *(y[-1:] if len(y) > 1 else ()))


def _reduced(shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape after a reduction over `axes`."""
    if keepdim:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _restore(array: np.ndarray, axes: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """Put the reduced axes back as axes of length 1."""
    return array if keepdim or not axes else np.expand_dims(array, axes)


def _spread(grad: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...], keepdim: bool) -> np.ndarray:
    return np.broadcast_to(_restore(grad, axes, keepdim), shape)


def _not_empty(op: str, x: np.ndarray, axes: tuple[int, ...]) -> None:
    if any(x.shape[i] == 0 for i in axes):
        raise ShapeError(f"{op}: input of shape {x.shape} has no element along dim {axes}")


def _extremum(op: str, function: Callable[..., np.ndarray], input: Any, dim: Dims, keepdim: bool) -> Tensor:
    x = array_of(input, f"{op}: input")
    axes = checks.axes(dim, x.ndim, op)
    _not_empty(op, x, axes)
    if tracing():
        return traced(op, locals(), _reduced(x.shape, axes, keepdim), x.dtype)
    with np.errstate(all="ignore"):
        out = function(x, axis=axes, keepdims=bool(keepdim))

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        best = _restore(out, axes, keepdim)
        hit = (x == best) | ((x != x) & (best != best))
        share = _restore(grad, axes, keepdim) / np.sum(hit, axis=axes, keepdims=True, dtype=x.dtype)
        return (hit * share,)

    return record(out, backward, (input,))


def _along(op: str, function: Callable[..., np.ndarray], input: Any, dim: int, keepdim: bool) -> Extrema:
    x = array_of(input, f"{op}: input")
    axis = checks.axis(dim, x.ndim, op)
    shape, dtype = x.shape, x.dtype
    if tracing():
        _not_empty(op, x, (axis,))
        reduced = _reduced(shape, (axis,), keepdim)
        return Extrema(*traced(op, locals(), (reduced, reduced), (dtype, _INT64)))
    indices = _indices(op, function, x, axis)
    values = np.take_along_axis(x, indices, axis) if x.ndim else x

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        if not shape:
            return (grad,)
        grad_x = np.zeros(shape, dtype)
        np.put_along_axis(grad_x, indices, grad if keepdim else np.expand_dims(grad, axis), axis)
        return (grad_x,)

    if x.ndim and not keepdim:
        values = values.squeeze(axis)
        return Extrema(record(values, backward, (input,)), wrap(indices.squeeze(axis)))
    return Extrema(record(values, backward, (input,)), wrap(indices))


def _argument(op: str, function: Callable[..., np.ndarray], input: Any, dim: int | None, keepdim: bool) -> Tensor:
    x = array_of(input, f"{op}: input")
    axes = checks.axes(dim, x.ndim, op)
    shape = _reduced(x.shape, axes, keepdim)
    _not_empty(op, x, axes)
    if tracing():
        return traced(op, locals(), shape, _INT64)
    flat, axis = (x.reshape(-1), 0) if dim is None else (x, checks.axis(dim, x.ndim, op))
    return wrap(_indices(op, function, flat, axis).reshape(shape))


def _indices(op: str, function: Callable[..., np.ndarray], x: np.ndarray, axis: int) -> np.ndarray:
    """Where the extrema along one axis are; the axis keeps the length 1."""
    if not x.ndim:
        return np.zeros((), np.int64)
    _not_empty(op, x, (axis,))
    return function(x, axis=axis, keepdims=True).astype(np.int64, copy=False)
