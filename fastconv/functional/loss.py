"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional.activation import from_rows, rows_along
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced, tracing

__all__ = ["cross_entropy"]

_INT64 = np.dtype(np.int64)
_REDUCTIONS = ("mean", "sum", "none")


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return how improbable the labels are under ``softmax(input)``: the mean of ``-log softmax(input)[label]``.

    With smoothing s over K classes the label counts 1 - s + s / K and each other class s / K. Loss and gradient are
    computed in one pass.

    Parameters
    ----------
    input : Tensor or array_like
        Scores before softmax, (N, C), (N, C, d1, d2, ...) or (C,).
    target : Tensor or array_like of int
        Class numbers from 0 to C - 1, of the shape of `input` without C.
    weight : Tensor or array_like, optional
        What each class counts, (C,), of the dtype of `input`. The mean is a weighted one.
    ignore_index : int
        A label that counts nothing and has no gradient.
    reduction : {"mean", "sum", "none"}
        What to do with the losses; "none" returns them in the shape of `target`.
    label_smoothing : float
        From 0 to 1.

    Returns
    -------
    Tensor
        One number, or one for each label. The mean over no labels is NaN.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    TypeError
        If labels are no integers or dtypes differ.
    ValueError
        If a label is out of range, or an option.

    Examples
    --------
    >>> cross_entropy([[0.0, 0.0], [0.0, 1000.0]], [0, 1], reduction="none")
    tensor([0.6931, 0.    ])
    """
    x = as_array(input, "cross_entropy", "input")
    labels = target if type(target) is np.ndarray and target.dtype is _INT64 else _int_labels(target)
    shape = x.shape
    axis = 1 if x.ndim > 1 else 0
    if not shape or not shape[axis] or labels.shape != shape[:axis] + shape[axis + 1 :]:
        raise ShapeError(
            f"cross_entropy: input must be (N, C, ...) or (C,) with C >= 1 and target the same without C, "
            f"got {shape} and {labels.shape}"
        )
    weights = None if weight is None else _class_weights(weight, x, axis)
    if reduction not in _REDUCTIONS:
        raise ValueError(f"cross_entropy: reduction must be one of {_REDUCTIONS}, got {reduction!r}")
    smoothing = checks.probability(label_smoothing, "cross_entropy", "label_smoothing")
    ignore_index = checks.integer(ignore_index, "cross_entropy", "ignore_index", -checks.LARGEST)

    if tracing():
        return traced("cross_entropy", locals(), labels.shape if reduction == "none" else (), x.dtype)

    rows = rows_along(x, axis)
    if labels.ndim != 1 or not labels.flags.carray:
        labels = np.require(labels, None, ["C", "A"])
    flat = labels if labels.ndim == 1 else labels.reshape(-1)
    total, bad = _kernels.check_target(rows, flat, weights, ignore_index)
    if bad >= 0:
        raise ValueError(
            f"cross_entropy: target must hold class numbers from 0 to {shape[axis] - 1} or ignore_index "
            f"{ignore_index}, got {flat[bad]} at position {bad}"
        )
    scale = 1.0 if reduction != "mean" else 1 / total if total else np.nan
    losses = np.empty(flat.shape, x.dtype)
    grad_rows: Any = _kernels.empty_like(rows) if needs_grad(input) else None
    loss = _kernels.cross_entropy(rows, flat, weights, ignore_index, smoothing, scale, losses, grad_rows)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        if reduction == "none":
            found = grad_rows * grad.reshape(-1, 1)
        elif grad == 1:  # as a rule
            found = grad_rows
        else:
            found = grad_rows * grad
        return (from_rows(found, shape, axis),)

    out = losses.reshape(labels.shape) if reduction == "none" else np.array(loss * scale, x.dtype)
    return record(out, backward, (input,))


def _int_labels(target: Any) -> np.ndarray:
    """Labels as int64, from other integers and from lists of ints, which `array_of` makes float32."""
    labels = array_of(target, "cross_entropy: target")
    if isinstance(target, (int, list, tuple)) and not isinstance(target, bool):
        labels = np.asarray(target) if labels.size else labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: target must hold integer class numbers, got {labels.dtype}")
    if labels.dtype == np.uint64 and labels.size and labels.max() > np.iinfo(np.int64).max:
        raise ValueError(f"cross_entropy: target holds {labels.max()}, which is no class number")
    return labels.astype(np.int64, copy=False)


def _class_weights(weight: Any, x: np.ndarray, axis: int) -> np.ndarray:
    weights = as_array(weight, "cross_entropy", "weight")
    if weights.shape != (x.shape[axis],):
        raise ShapeError(
            f"cross_entropy: weight must be ({x.shape[axis]},), one number a class, got shape {weights.shape}"
        )
    checks.same_dtype("cross_entropy", x, "input", weights, "weight")
    return np.ascontiguousarray(weights)
