"""Losses that ask for a distance: hinge losses, and LeNet-5's criterion for distances from prototypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional._reduction import REDUCTIONS, reduction_of
from fastconv.functional.loss import class_weights, int_labels
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["hinge_loss", "map_loss", "multi_margin_loss"]


def hinge_loss(input: Any, target: Any, squared: bool = False, reduction: str = "mean") -> Tensor:
    """Return the mean of ``max(0, 1 - target * input)``: nothing for what is right by a margin of 1.

    Parameters
    ----------
    input : Tensor or array_like
        Scores, float32 or float64.
    target : Tensor or array_like
        1 for yes, -1 for no, of the shape and dtype of `input`.
    squared : bool
        Whether to square the terms: no jump in the gradient, large mistakes count more.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    References
    ----------
    Tang, "Deep learning using linear support vector machines", 2013.

    Examples
    --------
    >>> hinge_loss([2.0, 0.5, -1.0], [1.0, 1.0, 1.0], reduction="none")
    tensor([0. , 0.5, 2. ])
    """
    x, t = as_array(input, "hinge_loss", "input"), as_array(target, "hinge_loss", "target")
    if x.shape != t.shape:
        raise ShapeError(f"hinge_loss: input and target must have one shape, got {x.shape} and {t.shape}")
    checks.same_dtype("hinge_loss", x, "input", t, "target")
    _check_reduction("hinge_loss", reduction)
    if tracing():
        return traced("hinge_loss", locals(), x.shape if reduction == "none" else (), x.dtype)
    short = np.maximum(1 - t * x, 0)
    slope = -t * (2 * short if squared else np.where(short > 0, x.dtype.type(1), short))
    return _reduced(input, short * short if squared else short, slope, reduction, x.size)


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean of the hinge losses of all classes but the label: ``max(0, margin - score + other) ** p / C``.

    Parameters
    ----------
    input : Tensor or array_like
        Scores, (N, C), (C,) or, of a single class, (); float32 or float64.
    target : Tensor or array_like of int
        Class numbers, (N,) or ().
    p : {1, 2}
        The power.
    margin : float
        By how much the label's score must be above all others.
    weight : Tensor or array_like, optional
        What each class counts, (C,).
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the samples.

    References
    ----------
    Weston and Watkins, "Support vector machines for multi-class pattern recognition", 1999.

    Examples
    --------
    >>> multi_margin_loss([[1.0, 3.0]], [0])
    tensor(1.5)
    """
    reduction = reduction_of("multi_margin_loss", size_average, reduce, reduction)
    op = "multi_margin_loss"
    scores = as_array(input, op, "input")
    x, labels = _scores_and_labels(op, scores if scores.ndim else scores.reshape(1), target)
    margin = checks.number(margin, op, "margin")
    if p not in (1, 2):
        raise ValueError(f"{op}: p must be 1 or 2, got {p!r}")
    weights = None if weight is None else class_weights(op, weight, x, x.ndim - 1)
    _check_reduction(op, reduction)
    if tracing():
        return traced(op, locals(), labels.shape if reduction == "none" else (), x.dtype)
    rows, index = _rows(op, x, labels)
    short = np.maximum(x.dtype.type(margin) - np.take_along_axis(rows, index, 1) + rows, 0)
    np.put_along_axis(short, index, 0, 1)
    each = np.full(len(rows), 1 / rows.shape[1], x.dtype)
    if weights is not None:
        each *= weights[index[:, 0]]
    losses = (short**p).sum(axis=1) * each
    slope = (2 * short if p == 2 else (short > 0).astype(x.dtype)) * each[:, None]
    np.put_along_axis(slope, index, -slope.sum(axis=1, keepdims=True), 1)
    return _reduced(input, losses.reshape(labels.shape), slope.reshape(scores.shape), reduction, len(rows))


def map_loss(input: Any, target: Any, j: float = 0.1, reduction: str = "mean") -> Tensor:
    """Return LeNet-5's criterion: the negative log posterior of the labels, from distances to the classes' prototypes.

    ``y_label + log(exp(-j) + sum of exp(-y))``: a small distance y to the label's prototype, large ones to all others.
    `j` stands for a class of rubbish at that distance: classes further away are not pushed any more.

    Parameters
    ----------
    input : Tensor or array_like
        Squared Euclidean distances, (N, C) or (C,), float32 or float64: what RBF units give.
    target : Tensor or array_like of int
        Class numbers, (N,) or ().
    j : float
        Distance of the rubbish class, above 0.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the samples.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998, equation 9.

    Examples
    --------
    >>> map_loss([[0.0, 1000.0]], [0], j=1000.0)
    tensor(0.)
    """
    x, labels = _scores_and_labels("map_loss", input, target)
    j = checks.number(j, "map_loss", "j", 0.0)
    _check_reduction("map_loss", reduction)
    if tracing():
        return traced("map_loss", locals(), labels.shape if reduction == "none" else (), x.dtype)
    rows, index = _rows("map_loss", x, labels)
    with np.errstate(all="ignore"):
        least = np.minimum(rows.min(axis=1, keepdims=True), x.dtype.type(j))
        shares = np.exp(least - rows)
        total = shares.sum(axis=1, keepdims=True) + np.exp(least - x.dtype.type(j))
        losses = np.take_along_axis(rows, index, 1) - least + np.log(total)
        slope = -shares / total
    np.put_along_axis(slope, index, np.take_along_axis(slope, index, 1) + 1, 1)
    return _reduced(input, losses.reshape(labels.shape), slope.reshape(x.shape), reduction, len(rows))


def _check_reduction(op: str, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{op}: reduction must be one of {REDUCTIONS}, got {reduction!r}")


def _scores_and_labels(op: str, input: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, C) or (C,) and class numbers."""
    x, labels = as_array(input, op, "input"), int_labels(op, target)
    if x.ndim == labels.size == labels.ndim == 1:  # PyTorch takes one label for one sample either way
        labels = labels.reshape(())
    if x.ndim not in (1, 2) or x.shape[-1] == 0 or labels.shape != x.shape[:-1]:
        raise ShapeError(
            f"{op}: input must be (N, C) or (C,) with C >= 1 and target the same without C, "
            f"got {x.shape} and {labels.shape}"
        )
    return x, labels


def _rows(op: str, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores as rows and, as a column, class numbers, all of which exist."""
    wrong = (labels < 0) | (labels >= x.shape[-1])
    if np.any(wrong):
        raise ValueError(
            f"{op}: target must hold class numbers from 0 to {x.shape[-1] - 1}, got {labels[wrong].flat[0]}"
        )
    return x.reshape(-1 if x.size else 0, x.shape[-1]), labels.reshape(-1, 1)


def _reduced(input: Any, losses: np.ndarray, slope: np.ndarray, reduction: str, count: int) -> Tensor:
    """Reduce the losses of samples or elements; `slope` has the derivatives, of the shape of the input."""
    dtype, scale = losses.dtype, np.float64(count if reduction == "mean" else 1)
    with np.errstate(all="ignore"):
        out = losses if reduction == "none" else np.asarray(losses.sum(dtype=np.float64) / scale, dtype)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        with np.errstate(all="ignore"):
            if reduction != "none":
                return (slope * np.asarray(grad / scale, dtype),)
            return (slope * (grad if grad.ndim == slope.ndim else grad[..., None]),)

    return record(out, backward, (input,))
