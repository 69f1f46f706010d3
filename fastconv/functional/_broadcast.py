"""Two operands of different shapes: their common dtype, their broadcasting, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.arrays import F32
from fastconv.errors import ShapeError
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced

__all__ = ["apply", "operands", "sum_to", "traced_broadcast"]

_BY_KERNEL = (np.add, np.multiply)
_SCALARS = (int, float, np.integer, np.floating, np.bool_)


def sum_to(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum the gradient of a broadcast array over the axes that broadcasting added or stretched."""
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    stretched = tuple(i + added for i, size in enumerate(shape) if size == 1 and grad.shape[i + added] != 1)
    return np.sum(grad, axis=tuple(range(added)) + stretched, keepdims=True).reshape(shape)


def apply(op: str, function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """Call a NumPy function, or a kernel for sums and products of images; shapes that do not fit raise ShapeError."""
    if function in _BY_KERNEL and (out := _kernels.combined(arrays[0], arrays[1], function is np.multiply)) is not None:
        return out
    with np.errstate(all="ignore"):
        try:
            return function(*arrays)
        except ValueError as error:
            shapes = " and ".join(str(x.shape) for x in arrays)
            raise ShapeError(f"{op}: operands of shapes {shapes}: {error}; {_remedy(op)}") from None


def _remedy(op: str) -> str:
    if op == "matmul":
        return "columns of the first must be as many as rows of the second"
    return "lengths must be equal, or 1 where one operand is to be repeated"


def traced_broadcast(op: str, arguments: dict[str, Any], x: np.ndarray, y: np.ndarray, dtype: Any = None) -> Tensor:
    """Record an operation whose operands are broadcast."""
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError as error:
        raise ShapeError(f"{op}: operands of shapes {x.shape} and {y.shape}: {error}; {_remedy(op)}") from None
    return traced(op, arguments, shape, np.result_type(x.dtype, y.dtype) if dtype is None else dtype)


def operands(op: str, input: Any, other: Any, name: str = "other") -> tuple[np.ndarray, np.ndarray]:
    """The arrays of two operands, in one dtype where one of them is a float array."""
    if isinstance(input, _SCALARS) and not isinstance(other, _SCALARS):
        return _scalar(input, array_of(other, f"{op}: {name}"), op, "input")
    x = array_of(input, f"{op}: input")
    if isinstance(other, _SCALARS):
        return _scalar(other, x, op, name)[::-1]
    y = array_of(other, f"{op}: {name}")
    if x.dtype is not y.dtype:
        if x.dtype.kind == "f" and y.dtype.kind == "f":
            checks.same_dtype(op, x, "input", y, name)
        elif x.dtype.kind == "f":
            y = y.astype(x.dtype)
        elif y.dtype.kind == "f":
            x = x.astype(y.dtype)
    return x, y


def _scalar(value: Any, array: np.ndarray, op: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A Python number as a 0-d array beside `array`, which becomes float32 if it is integer and the number is not."""
    if array.dtype.kind != "f":
        if isinstance(value, (float, np.floating)):
            array = array.astype(F32)
        elif array.dtype.kind == "b" and not isinstance(value, (bool, np.bool_)):
            array = array.astype(np.int64)
    try:
        with np.errstate(all="ignore"):
            return np.array(value, dtype=array.dtype), array
    except (OverflowError, TypeError):
        raise TypeError(f"{op}: {name} {value!r} does not fit {array.dtype}") from None
