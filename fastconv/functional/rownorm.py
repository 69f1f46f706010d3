"""Layer normalisation: every row by its own mean and variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional.norm import parameters_of
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["layer_norm"]


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Return ``(input - mean) / sqrt(var + eps) * weight + bias`` with a mean and variance over the last axes.

    Images are channels last in memory: to normalise every pixel over its channels, ``permute(0, 2, 3, 1)``, normalise
    over (C,) and permute back, which copies nothing.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, its last axes of the lengths `normalized_shape`.
    normalized_shape : int or sequence of int
        Lengths of the axes that share a mean and a variance.
    weight, bias : Tensor or array_like, optional
        Of the shape `normalized_shape` and the dtype of `input`; 1 and 0 if left out.
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        If shapes do not fit.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> layer_norm([[1.0, 3.0], [10.0, 30.0]], 2, eps=0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    x = as_array(input, "layer_norm", "input")
    inner = shape_of(normalized_shape, "layer_norm")
    eps = checks.number(eps, "layer_norm", "eps")
    if x.shape[x.ndim - len(inner) :] != inner or x.ndim < len(inner):
        found = x.shape[-len(inner) :]
        remedy = f"normalized_shape={found} would fit" if len(found) == len(inner) else "it has fewer axes than that"
        raise ShapeError(f"layer_norm: the last axes of input must have the shape {inner}, got {x.shape}; {remedy}")
    w, b = parameters_of("layer_norm", x, inner, weight, bias)
    if tracing():
        return traced("layer_norm", locals(), x.shape, x.dtype)
    shape, n = x.shape, math.prod(inner)
    rows = np.ascontiguousarray(x).reshape(-1 if x.size else 0, n)
    out = _kernels.empty(rows.shape, x.dtype)
    mean, deviation = np.empty((2, len(rows)))
    if rows.size:
        _kernels.layer_norm(rows, w, b, out, mean, deviation, eps)
    needed = [needs_grad(each) for each in (input, weight, bias)]

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad_x = _kernels.empty(rows.shape, rows.dtype) if needed[0] else None
        grad_w, grad_b = (np.zeros(inner, rows.dtype) if need else None for need in needed[1:])
        if rows.size:
            given = np.ascontiguousarray(grad).reshape(rows.shape)
            _kernels.layer_norm_grad(rows, given, w, mean, deviation, grad_x, grad_w, grad_b)
        return None if grad_x is None else grad_x.reshape(shape), grad_w, grad_b

    return record(out.reshape(shape), backward, (input, weight, bias))


def shape_of(value: Any, op: str) -> tuple[int, ...]:
    """Return `normalized_shape` as a tuple of at least one length."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not given:
        raise ShapeError(f"{op}: normalized_shape must name at least one axis, got {value!r}")
    return tuple(checks.integer(size, op, "normalized_shape") for size in given)
