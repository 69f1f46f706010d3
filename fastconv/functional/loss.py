"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional._reduction import REDUCTIONS, reduction_of
from fastconv.functional.probability import from_rows, rows_along
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced, tracing

__all__ = ["cross_entropy", "nll_loss"]

_INT64 = np.dtype(np.int64)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
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
    target : Tensor or array_like
        Class numbers from 0 to C - 1, of the shape of `input` without C; or float probabilities of all classes, of the
        shape of `input` (soft targets): then the mean is one over N d1 d2 ..., whatever the weights.
    weight : Tensor or array_like, optional
        What each class counts, (C,), of the dtype of `input`. The mean is a weighted one.
    ignore_index : int
        A label that counts nothing and has no gradient.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
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
    reduction = reduction_of("cross_entropy", size_average, reduce, reduction)
    x = as_array(input, "cross_entropy", "input")
    if _is_soft(target, x):
        return _soft_cross_entropy(input, x, target, weight, reduction, label_smoothing)
    labels = target if type(target) is np.ndarray and target.dtype is _INT64 else int_labels("cross_entropy", target)
    shape = x.shape
    axis = 1 if x.ndim > 1 else 0
    if not shape or not shape[axis] or labels.shape != shape[:axis] + shape[axis + 1 :]:
        raise ShapeError(
            f"cross_entropy: input must be (N, C, ...) or (C,) with C >= 1 and target the same without C, "
            f"got {shape} and {labels.shape}"
        )
    weights = None if weight is None else class_weights("cross_entropy", weight, x, axis)
    _check_reduction("cross_entropy", reduction)
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


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean of ``-input[label]``: what is left of :func:`cross_entropy` after :func:`log_softmax`.

    Parameters
    ----------
    input : Tensor or array_like
        Logarithms of probabilities, (N, C), (N, C, d1, d2, ...) or (C,).
    target : Tensor or array_like of int
        Class numbers from 0 to C - 1, of the shape of `input` without C.
    weight : Tensor or array_like, optional
        What each class counts, (C,), of the dtype of `input`. The mean is a weighted one.
    ignore_index : int
        A label that counts nothing and has no gradient.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "sum", "none"}
        What to do with the losses; "none" returns them in the shape of `target`.

    Raises
    ------
    ShapeError, TypeError, ValueError
        As for :func:`cross_entropy`.

    Examples
    --------
    >>> nll_loss([[-0.5, -2.0], [-3.0, -1.0]], [0, 0])
    tensor(1.75)
    """
    reduction = reduction_of("nll_loss", size_average, reduce, reduction)
    x, labels = as_array(input, "nll_loss", "input"), int_labels("nll_loss", target)
    shape = x.shape
    axis = 1 if x.ndim > 1 else 0
    if not shape or not shape[axis] or labels.shape != shape[:axis] + shape[axis + 1 :]:
        raise ShapeError(
            f"nll_loss: input must be (N, C, ...) or (C,) with C >= 1 and target the same without C, "
            f"got {shape} and {labels.shape}"
        )
    weights = None if weight is None else class_weights("nll_loss", weight, x, axis)
    _check_reduction("nll_loss", reduction)
    ignore_index = checks.integer(ignore_index, "nll_loss", "ignore_index", -checks.LARGEST)
    if tracing():
        return traced("nll_loss", locals(), labels.shape if reduction == "none" else (), x.dtype)
    counted = labels != ignore_index
    wrong = counted & ((labels < 0) | (labels >= shape[axis]))
    if np.any(wrong):
        raise ValueError(
            f"nll_loss: target must hold class numbers from 0 to {shape[axis] - 1} or ignore_index {ignore_index}, "
            f"got {labels[wrong].flat[0]}"
        )
    index = np.expand_dims(np.where(counted, labels, 0), axis)
    counts = counted.astype(x.dtype) if weights is None else np.where(counted, weights[index.squeeze(axis)], 0)
    losses = np.where(counted, -np.take_along_axis(x, index, axis).squeeze(axis) * counts, x.dtype.type(0))
    total = counts.sum(dtype=np.float64) if reduction == "mean" else np.float64(1)
    with np.errstate(all="ignore"):
        out = losses if reduction == "none" else np.asarray(losses.sum(dtype=np.float64) / total, x.dtype)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        found = np.zeros(shape, x.dtype)
        with np.errstate(all="ignore"):
            share = grad if reduction == "none" else np.asarray(grad / total, x.dtype)
            np.put_along_axis(found, index, np.expand_dims(np.where(counted, -counts * share, 0), axis), axis)
        return (found,)

    return record(out, backward, (input,))


def _is_soft(target: Any, x: np.ndarray) -> bool:
    """Whether the target is one of probabilities, floats; they must have the shape of the scores."""
    array = target.data if isinstance(target, Tensor) else target
    if isinstance(array, (list, tuple)):
        array_of(array, "cross_entropy: target")  # refuses what is no array
        array = np.asarray(array)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or not array.ndim:
        return False
    if array.shape != x.shape and array.ndim == x.ndim:
        raise ShapeError(
            f"cross_entropy: target of probabilities must have the shape of input, {x.shape}, got {array.shape}"
        )
    return array.shape == x.shape


def _soft_cross_entropy(
    input: Any, x: np.ndarray, target: Any, weight: Any, reduction: str, label_smoothing: float
) -> Tensor:
    """Cross entropy for probabilities q: -sum of w q log softmax(x) over the classes; q is smoothed first."""
    op = "cross_entropy"
    q = np.asarray(target, x.dtype) if isinstance(target, (list, tuple)) else as_array(target, op, "target")
    axis = 1 if x.ndim > 1 else 0
    checks.same_dtype(op, x, "input", q, "target")
    weights = None if weight is None else class_weights(op, weight, x, axis)
    _check_reduction(op, reduction)
    smoothing = x.dtype.type(checks.probability(label_smoothing, op, "label_smoothing"))
    if not x.ndim or not x.shape[axis]:
        raise ShapeError(f"{op}: input must be (N, C, ...) or (C,) with C >= 1, got {x.shape}")
    others = x.shape[:axis] + x.shape[axis + 1 :]
    if tracing():
        arguments = {"input": input, "target": target, "weight": weight, "reduction": reduction}
        arguments |= {"size_average": None, "reduce": None, "ignore_index": -100, "label_smoothing": label_smoothing}
        return traced(op, arguments, others if reduction == "none" else (), x.dtype)
    rows = rows_along(x, axis)
    log = _kernels.empty_like(rows)
    _kernels.log_softmax(rows, log)
    w = x.dtype.type(1) if weights is None else weights
    shares = rows_along(q, axis) * (1 - smoothing) + smoothing / x.dtype.type(x.shape[axis])
    shares = shares * w
    with np.errstate(all="ignore"):
        losses = -(shares * log).sum(axis=1)
        count = np.float64(len(rows) if reduction == "mean" else 1)
        out = (
            losses.reshape(others) if reduction == "none" else np.asarray(losses.sum(dtype=np.float64) / count, x.dtype)
        )
    need_x, need_q = needs_grad(input), needs_grad(target)

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        with np.errstate(all="ignore"):
            scale = grad.reshape(-1, 1) if reduction == "none" else np.asarray(grad / count, x.dtype)
            found = (shares.sum(axis=1, keepdims=True) * np.exp(log) - shares) * scale if need_x else None
            found_q = -log * w * (1 - smoothing) * scale if need_q else None
        return tuple(None if each is None else from_rows(each, x.shape, axis) for each in (found, found_q))

    return record(out, backward, (input, target))


def _check_reduction(op: str, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{op}: reduction must be one of {REDUCTIONS}, got {reduction!r}")


def int_labels(op: str, target: Any) -> np.ndarray:
    """Labels as int64, from other integers and from lists of ints, which `array_of` makes float32."""
    labels = array_of(target, f"{op}: target")
    if isinstance(target, (int, list, tuple)) and not isinstance(target, bool):
        labels = np.asarray(target) if labels.size else labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{op}: target must hold integer class numbers, got {labels.dtype}")
    if labels.dtype == np.uint64 and labels.size and labels.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{op}: target holds {labels.max()}, which is no class number")
    return labels.astype(np.int64, copy=False)


def class_weights(op: str, weight: Any, x: np.ndarray, axis: int) -> np.ndarray:
    """One weight for each class of `x`, in C order."""
    weights = as_array(weight, op, "weight")
    if weights.shape != (x.shape[axis],):
        raise ShapeError(f"{op}: weight must be ({x.shape[axis]},), one number a class, got shape {weights.shape}")
    checks.same_dtype(op, x, "input", weights, "weight")
    return np.ascontiguousarray(weights)
