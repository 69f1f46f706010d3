"""Changes of shape, slices and joins. NumPy does the work: a view where it can be one, else a copy.

A channels-last array has no flat view in logical order, so that `reshape` and `flatten` of one copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv._kernels import planes
from fastconv.autograd import record
from fastconv.errors import ShapeError
from fastconv.functional._join import joined
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced, tracing

__all__ = [
    "cat",
    "clone",
    "concat",
    "flatten",
    "getitem",
    "permute",
    "reshape",
    "squeeze",
    "stack",
    "to",
    "transpose",
    "unflatten",
    "unsqueeze",
]


def reshape(input: Any, shape: int | Sequence[int]) -> Tensor:
    """Return the elements, in logical (C) order, in another shape; one length may be -1.

    Examples
    --------
    >>> reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
    tensor([[1., 2.],
            [3., 4.]])
    """
    x = array_of(input, "reshape: input")
    given = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    wanted = tuple(checks.integer(n, "reshape", "shape", minimum=-1) for n in given)
    known = math.prod(n for n in wanted if n != -1)
    free = wanted.count(-1)
    if free > 1 or (known != x.size if not free else not known or x.size % known):
        raise ShapeError(f"reshape: {x.size} elements of shape {x.shape} do not fit shape {wanted}; -1 is what fits")
    if tracing():
        return traced("reshape", locals(), x.reshape(wanted).shape, x.dtype)
    before = x.shape
    return record(x.reshape(wanted), lambda grad: (grad.reshape(before),), (input,))


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the axes `start_dim` to `end_dim` to one.

    Parameters
    ----------
    input : Tensor or array_like
        Any shape.
    start_dim, end_dim : int
        First and last axis to join; negative ones count from the end.

    Examples
    --------
    >>> flatten(np.zeros((2, 3, 4, 4), np.float32), 1).shape
    (2, 48)
    """
    x = array_of(input, "flatten: input")
    start = checks.axis(start_dim, x.ndim, "flatten", "start_dim")
    end = checks.axis(end_dim, x.ndim, "flatten", "end_dim")
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {x.shape}")
    before = x.shape
    shape = (*before[:start], math.prod(before[start : end + 1]), *before[end + 1 :])
    if tracing():
        return traced("flatten", locals(), shape, x.dtype)
    rows = planes(x) if start <= 1 < end else x
    return record(rows.reshape(shape), lambda grad: (grad.reshape(before),), (input,))


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split an axis into several; one of their lengths may be -1.

    Examples
    --------
    >>> unflatten(np.zeros((2, 48), np.float32), 1, (3, 4, -1)).shape
    (2, 3, 4, 4)
    """
    x = array_of(input, "unflatten: input")
    axis = checks.axis(dim, x.ndim, "unflatten")
    if not x.ndim or not isinstance(sizes, (tuple, list)) or not sizes:
        raise ShapeError(f"unflatten: sizes must be a sequence of ints for an axis of {x.shape}, got {sizes!r}")
    before = x.shape
    shape = (*before[:axis], *_completed(before[axis], sizes), *before[axis + 1 :])
    if tracing():
        return traced("unflatten", locals(), shape, x.dtype)
    return record(x.reshape(shape), lambda grad: (grad.reshape(before),), (input,))


def _completed(length: int, sizes: Sequence[int]) -> list[int]:
    wanted = [checks.integer(n, "unflatten", "sizes", minimum=-1) for n in sizes]
    known = math.prod(n for n in wanted if n != -1)
    free = wanted.count(-1)
    if free > 1 or (known != length if not free else not known or length % known):
        raise ShapeError(f"unflatten: sizes {tuple(sizes)} do not make up an axis of length {length}; -1 is what fits")
    return [length // known if n == -1 else n for n in wanted]


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Swap two axes; a view.

    Examples
    --------
    >>> transpose(np.zeros((2, 3), np.float32), 0, 1).shape
    (3, 2)
    """
    x = array_of(input, "transpose: input")
    first = checks.axis(dim0, x.ndim, "transpose", "dim0")
    second = checks.axis(dim1, x.ndim, "transpose", "dim1")
    out = x.swapaxes(first, second) if x.ndim else x
    if tracing():
        return traced("transpose", locals(), out.shape, x.dtype)
    if not x.ndim:
        return record(x, lambda grad: (grad,), (input,))
    return record(out, lambda grad: (grad.swapaxes(first, second),), (input,))


def permute(input: Any, dims: Sequence[int]) -> Tensor:
    """Put the axes in the order `dims`; a view.

    Examples
    --------
    >>> permute(np.zeros((2, 3, 4), np.float32), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = array_of(input, "permute: input")
    order = checks.axes(tuple(dims), x.ndim, "permute", "dims")
    if len(order) != x.ndim:
        raise ShapeError(f"permute: dims must name each of {x.ndim} axes once, got {tuple(dims)}")
    if tracing():
        return traced("permute", locals(), tuple(x.shape[i] for i in order), x.dtype)
    back = tuple(sorted(range(x.ndim), key=order.__getitem__))
    return record(x.transpose(order), lambda grad: (grad.transpose(back),), (input,))


def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Tensor:
    """Drop axes of length 1: all of them, or those of `dim` that have it; a view."""
    x = array_of(input, "squeeze: input")
    axes = tuple(i for i in checks.axes(dim, x.ndim, "squeeze") if x.shape[i] == 1)
    if tracing():
        return traced("squeeze", locals(), x.squeeze(axes).shape, x.dtype)
    before = x.shape
    return record(x.squeeze(axes), lambda grad: (grad.reshape(before),), (input,))


def unsqueeze(input: Any, dim: int) -> Tensor:
    """Insert an axis of length 1 before `dim`; a view.

    Examples
    --------
    >>> unsqueeze([1.0, 2.0], -1).shape
    (2, 1)
    """
    x = array_of(input, "unsqueeze: input")
    before = x.shape
    out = np.expand_dims(x, checks.axis(dim, x.ndim + 1, "unsqueeze"))
    if tracing():
        return traced("unsqueeze", locals(), out.shape, x.dtype)
    return record(out, lambda grad: (grad.reshape(before),), (input,))


def getitem(input: Any, index: Any) -> Tensor:
    """Return ``input[index]``: ints, slices, ``...``, None, bool masks and integer arrays, as in NumPy.

    Without arrays in the index the result shares memory. Elements that integer arrays pick twice get both gradients.
    """
    x = array_of(input, "getitem: input")
    parts = index if isinstance(index, tuple) else (index,)
    index = tuple(p.data if isinstance(p, Tensor) else np.asarray(p) if isinstance(p, list) else p for p in parts)
    index = tuple(p.astype(np.intp) if isinstance(p, np.ndarray) and not p.size else p for p in index)
    if tracing():
        return traced("getitem", locals(), x[index].shape, x.dtype)
    repeats = any(isinstance(p, np.ndarray) and p.dtype.kind != "b" for p in index)
    shape, dtype = x.shape, x.dtype

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = np.zeros(shape, dtype)
        if repeats:
            np.add.at(grad_x, index, grad)
        else:
            grad_x[index] = grad
        return (grad_x,)

    return record(x[index], backward, (input,))


def cat(tensors: Sequence[Any], dim: int = 0, *, out: np.ndarray | None = None) -> Tensor:
    """Join tensors along an axis; the other lengths must agree. Tensors of shape (0,) add nothing and fit anywhere.

    The result is `out` if that is given, and a tensor that lies in its place of `out` already is not copied: who adds
    to ``out[:, :8]`` what belongs into ``out[:, 8:]`` copies that alone. Until the way back `out` is not to be written.

    Examples
    --------
    >>> cat(([1.0], [2.0, 3.0]))
    tensor([1., 2., 3.])
    """
    arrays = _arrays("cat", tensors)
    first = next((x for x in arrays if x.shape != (0,)), arrays[0])
    axis = checks.axis(dim, first.ndim, "cat")
    for i, x in enumerate(arrays):
        found, fitting = ((each.ndim, each.shape[:axis] + each.shape[axis + 1 :]) for each in (x, first))
        if not x.ndim or (found != fitting and x.shape != (0,)):
            raise ShapeError(
                f"cat: tensors[{i}] of shape {x.shape} does not fit {first.shape} along dim {axis}; "
                "all other lengths must be equal: give branches one stride, and padding that keeps sizes"
            )
    ends = np.cumsum([x.shape[axis] if x.ndim == first.ndim else 0 for x in arrays])
    shape, shapes = (*first.shape[:axis], int(ends[-1]), *first.shape[axis + 1 :]), [x.shape for x in arrays]
    if tracing():
        return traced("cat", locals(), shape, first.dtype)
    joint = joined([x for x in arrays if x.ndim == first.ndim], axis, shape, out)

    def backward(grad: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(own) for part, own in zip(np.split(grad, ends[:-1], axis), shapes, strict=True)]

    return record(joint, backward, tensors)


def concat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Another name of :func:`cat`."""
    return cat(tensors, dim)


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis.

    Examples
    --------
    >>> stack(([1.0, 2.0], [3.0, 4.0]), 1)
    tensor([[1., 3.],
            [2., 4.]])
    """
    arrays = _arrays("stack", tensors)
    axis = checks.axis(dim, arrays[0].ndim + 1, "stack")
    for i, x in enumerate(arrays):
        if x.shape != arrays[0].shape:
            raise ShapeError(f"stack: tensors[{i}] has shape {x.shape}, tensors[0] has {arrays[0].shape}")
    if tracing():
        shape = arrays[0].shape
        return traced("stack", locals(), (*shape[:axis], len(arrays), *shape[axis:]), arrays[0].dtype)
    return record(np.stack(arrays, axis), lambda grad: list(np.moveaxis(grad, axis, 0)), tensors)


def clone(input: Any) -> Tensor:
    """Return a copy, of the same order of strides."""
    x = array_of(input, "clone: input")
    if tracing():
        return traced("clone", locals(), x.shape, x.dtype)
    return record(x.copy(order="K"), lambda grad: (grad,), (input,))


def to(input: Any, dtype: Any) -> Tensor:
    """Return the values in another dtype: the Tensor itself where it has it already.

    Gradients pass between float32 and float64.

    Examples
    --------
    >>> to([1.0, 2.0], np.float64)
    tensor([1., 2.], dtype=float64)
    """
    x = array_of(input, "to: input")
    wanted = np.dtype(dtype)
    before = x.dtype
    if tracing():
        return traced("to", locals(), x.shape, wanted)
    if wanted == before and isinstance(input, Tensor):
        return input
    with np.errstate(all="ignore"):
        out = array_of(x.astype(wanted), "to: dtype")
    return record(out, lambda grad: (grad.astype(before),), (input,) if wanted.kind == "f" else ())


def _arrays(op: str, tensors: Sequence[Any]) -> list[np.ndarray]:
    """The arrays of a sequence of tensors, which must have one dtype."""
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise TypeError(f"{op}: tensors must be a non-empty tuple or list, got {type(tensors).__name__}")
    arrays = [array_of(x, f"{op}: tensors[{i}]") for i, x in enumerate(tensors)]
    for i, x in enumerate(arrays):
        checks.same_dtype(op, arrays[0], "tensors[0]", x, f"tensors[{i}]")
    return arrays
