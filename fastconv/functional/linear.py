"""Fully connected layers, and distances in place of products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional._epilogue import clamp_grad, clamp_of
from fastconv.functional._weights import check_unwritten, stamp
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["linear", "rbf"]

_TOGETHER = 2**20  # differences of `rbf` held at a time


def linear(input: Any, weight: Any, bias: Any = None, *, activation: str | tuple[float, float] | None = None) -> Tensor:
    """Multiply by a weight matrix and add a bias: ``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor or array_like
        (..., in_features), float32 or float64.
    weight : Tensor or array_like
        (out_features, in_features), of the input's dtype. It is read where it is, never copied.
    bias : Tensor or array_like, optional
        (out_features,).
    activation : {"relu", "relu6"} or (float, float), optional
        Holds the result within these bounds, with no further pass over it; as :func:`conv2d`'s.

    Returns
    -------
    Tensor
        (..., out_features).

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    TypeError
        If a dtype is wrong.
    ValueError
        For an unknown activation.

    Examples
    --------
    >>> linear([1.0, 2.0], [[1.0, 1.0], [0.0, 3.0]], [10.0, 0.0]).numpy()
    array([13.,  6.], dtype=float32)
    """
    x = as_array(input, "linear", "input")
    w = as_array(weight, "linear", "weight")
    b = None if bias is None else as_array(bias, "linear", "bias")
    shape = x.shape
    if w.ndim != 2:
        raise ShapeError(f"linear: weight must be (out_features, in_features), got shape {w.shape}")
    outputs, inputs = w.shape
    if not shape or shape[-1] != inputs:
        raise ShapeError(
            f"linear: weight of shape {w.shape} takes {inputs} features, but input has shape {shape}; "
            + _remedy(shape, inputs)
        )
    if x.dtype is not w.dtype:
        checks.same_dtype("linear", x, "input", w, "weight")
    if b is not None:
        if b.shape != (outputs,):
            raise ShapeError(f"linear: bias must have shape ({outputs},), got {b.shape}")
        if b.dtype is not w.dtype:
            checks.same_dtype("linear", b, "bias", w, "weight")
        b = np.ascontiguousarray(b)
    clamp = None if activation is None else clamp_of("linear", activation)
    if tracing():
        given = {"input": input, "weight": weight, "bias": bias, "activation": activation}
        return traced("linear", given, (*shape[:-1], outputs), x.dtype)
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    rows = x if x.ndim == 2 else x.reshape(math.prod(shape[:-1]), inputs)
    out = _kernels.empty((rows.shape[0], outputs), x.dtype)
    _kernels.linear(rows, w, b, out, clamp)
    wants_x, wants_w, wants_b = needs_grad(input), needs_grad(weight), needs_grad(bias)
    mark = stamp(weight) if wants_x else None
    held = None if clamp is None else (out, clamp)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        check_unwritten("linear", mark)
        grad = np.ascontiguousarray(grad).reshape(rows.shape[0], outputs)
        if held is not None:
            grad = clamp_grad(*held, grad)
        grad_x = grad_w = None
        if wants_x:
            grad_x = _kernels.empty_like(rows)
            _kernels.linear_grad_input(grad, w, grad_x)
            grad_x = grad_x.reshape(shape)
        if wants_w:
            grad_w = _kernels.empty_like(w)
            _kernels.linear_grad_weight(rows, grad, grad_w)
        return grad_x, grad_w, grad.sum(axis=0) if wants_b else None

    return record(out if x.ndim == 2 else out.reshape(*shape[:-1], outputs), backward, (input, weight, bias))


def _remedy(shape: tuple[int, ...], features: int) -> str:
    """What most likely makes an input of that shape fit."""
    if len(shape) > 1 and math.prod(shape[1:]) == features:
        return "put a Flatten in front"
    if len(shape) == 2:
        return f"in_features={shape[1]} would fit, or images of another size in front of the Flatten"
    return f"the last axis must be {features} long"


def rbf(input: Any, weight: Any) -> Tensor:
    """Return the squared Euclidean distance of every input from every centre.

    ``out[i] = sum over j of (input[j] - weight[i, j]) ** 2``: LeNet-5's output layer (LeCun, Bottou, Bengio and
    Haffner, 1998, equation 7). The smaller, the better the input fits the class. Distances are summed as they stand,
    not expanded to squares and a product, which would cancel where they are small.

    Parameters
    ----------
    input : Tensor or array_like
        (..., in_features), float32 or float64.
    weight : Tensor or array_like
        The centres, (out_features, in_features), of the input's dtype.

    Returns
    -------
    Tensor
        (..., out_features).

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    TypeError
        If a dtype is wrong.

    Examples
    --------
    >>> rbf([1.0, 2.0], [[1.0, 2.0], [0.0, 0.0]])
    tensor([0., 5.])
    """
    x, w = as_array(input, "rbf", "input"), as_array(weight, "rbf", "weight")
    if w.ndim != 2 or not x.ndim or x.shape[-1] != w.shape[1]:
        raise ShapeError(
            f"rbf: weight must be (out_features, in_features) with the input's features, "
            f"got {w.shape} for an input of shape {x.shape}"
            + (f"; {_remedy(x.shape, w.shape[1])}" if w.ndim == 2 and x.ndim else "")
        )
    checks.same_dtype("rbf", x, "input", w, "weight")
    shape = x.shape
    if tracing():
        return traced("rbf", locals(), (*shape[:-1], len(w)), x.dtype)
    rows = x.reshape(math.prod(shape[:-1]), shape[-1])
    out = np.empty((len(rows), len(w)), x.dtype)
    step = max(1, _TOGETHER // max(w.size, 1))
    for first in range(0, len(rows), step):
        apart = rows[first : first + step, None] - w
        np.einsum("nij,nij->ni", apart, apart, out=out[first : first + step])
    wants_x, wants_w = needs_grad(input), needs_grad(weight)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        g = 2 * grad.reshape(out.shape)
        grad_x = (rows * g.sum(1, keepdims=True) - g @ w).reshape(shape) if wants_x else None
        grad_w = w * g.sum(0)[:, None] - g.T @ rows if wants_w else None
        return grad_x, grad_w

    return record(out.reshape(*shape[:-1], len(w)), backward, (input, weight))
