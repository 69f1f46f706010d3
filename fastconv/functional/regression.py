"""Losses that compare each element with a target of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.functional._reduction import REDUCTIONS, reduced, reduction_of
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = [
    "binary_cross_entropy_with_logits",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
]


def mse_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the mean of ``(input - target) ** 2``.

    Parameters
    ----------
    input, target : Tensor or array_like
        Of one shape and dtype, float32 or float64.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Examples
    --------
    >>> mse_loss([1.0, 2.0], [1.0, 4.0])
    tensor(2.)
    """
    reduction = reduction_of("mse_loss", size_average, reduce, reduction)
    x, t = _pair("mse_loss", input, target, reduction)
    if tracing():
        return traced("mse_loss", locals(), _shape(x, reduction), x.dtype)
    difference = x - t
    return _symmetric(input, target, difference * difference, lambda: difference + difference, reduction)


def l1_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the mean of ``|input - target|``; its gradient is 0 where they are equal.

    Parameters
    ----------
    input, target : Tensor or array_like
        Of one shape and dtype, float32 or float64.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.

    Examples
    --------
    >>> l1_loss([1.0, 2.0], [1.0, 4.0])
    tensor(1.)
    """
    reduction = reduction_of("l1_loss", size_average, reduce, reduction)
    x, t = _pair("l1_loss", input, target, reduction)
    if tracing():
        return traced("l1_loss", locals(), _shape(x, reduction), x.dtype)
    difference = x - t
    return _symmetric(input, target, np.abs(difference), lambda: np.sign(difference), reduction)


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return the mean of d^2 / (2 beta) for a difference abs(d) < beta, else abs(d) - beta / 2.

    Parameters
    ----------
    input, target : Tensor or array_like
        Of one shape and dtype, float32 or float64.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.
    beta : float
        Where the parabola ends; 0 is :func:`l1_loss`.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015.

    Examples
    --------
    >>> smooth_l1_loss([0.0, 0.0], [1.0, 3.0], reduction="none")
    tensor([0.5, 2.5])
    """
    reduction = reduction_of("smooth_l1_loss", size_average, reduce, reduction)
    x, t = _pair("smooth_l1_loss", input, target, reduction)
    beta = checks.number(beta, "smooth_l1_loss", "beta", 0.0)
    if tracing():
        return traced("smooth_l1_loss", locals(), _shape(x, reduction), x.dtype)
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    difference = x - t
    size, inside = np.abs(difference), np.clip(difference, -beta, beta)
    losses = np.where(size < beta, difference * difference / x.dtype.type(2 * beta), size - x.dtype.type(beta / 2))
    return _symmetric(input, target, losses, lambda: inside / x.dtype.type(beta), reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Return the mean of d^2 / 2 for a difference abs(d) <= delta, else delta (abs(d) - delta / 2).

    Parameters
    ----------
    input, target : Tensor or array_like
        Of one shape and dtype, float32 or float64.
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.
    delta : float
        Where the parabola ends; above 0.

    References
    ----------
    Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> huber_loss([0.0, 0.0], [1.0, 3.0], reduction="none", delta=2.0)
    tensor([0.5, 4. ])
    """
    x, t = _pair("huber_loss", input, target, reduction)
    delta = checks.number(delta, "huber_loss", "delta", 0.0)
    if delta == 0:
        raise ValueError("huber_loss: delta must be above 0, got 0")
    if tracing():
        return traced("huber_loss", locals(), _shape(x, reduction), x.dtype)
    difference = x - t
    inside = np.clip(difference, -delta, delta)
    losses = inside * (difference - inside / 2)
    return _symmetric(input, target, losses, lambda: inside, reduction)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """Return how improbable yes-or-no answers are: the mean of ``-log sigmoid(input)`` for yes, of `-input` for no.

    Parameters
    ----------
    input : Tensor or array_like
        Scores, float32 or float64.
    target : Tensor or array_like
        1 for yes, 0 for no, or anything between; of the shape and dtype of `input`.
    weight : Tensor or array_like, optional
        What each element counts; broadcast. The mean is still one over the number of elements.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "sum", "none"}
        What to do with the losses of the elements.
    pos_weight : Tensor or array_like, optional
        What a yes counts, a no being 1; broadcast.

    Examples
    --------
    >>> binary_cross_entropy_with_logits([0.0, 1000.0], [1.0, 1.0], reduction="none")
    tensor([0.6931, 0.    ])
    """
    reduction = reduction_of("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    op = "binary_cross_entropy_with_logits"
    x, t = _pair(op, input, target, reduction)
    scale, positive = (_spread(op, name, value, x) for name, value in (("weight", weight), ("pos_weight", pos_weight)))
    if tracing():
        return traced(op, locals(), _shape(x, reduction), x.dtype)
    one = x.dtype.type(1)
    with np.errstate(all="ignore"):
        e = np.exp(-np.abs(x))
        softplus = np.maximum(-x, 0) + np.log1p(e)  # of -input
        yes = (np.where(x < 0, one, e)) / (one + e)  # 1 - sigmoid(input)
        counts = (positive - one) * t + one
        losses = ((one - t) * x + counts * softplus) * scale
    return reduced(
        (input, target),
        losses,
        (lambda: ((one - t) - counts * yes) * scale, lambda: ((positive - one) * softplus - x) * scale),
        reduction,
    )


def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return the Kullback-Leibler divergence of `input` from `target`: ``target * (log(target) - input)``.

    Parameters
    ----------
    input : Tensor or array_like
        Logarithms of probabilities, float32 or float64.
    target : Tensor or array_like
        Probabilities, or with `log_target` their logarithms; of the shape and dtype of `input`.
    size_average, reduce : bool, optional
        Former names of what `reduction` says: False and None is "sum", None and False "none".
    reduction : {"mean", "batchmean", "sum", "none"}
        What to do with the terms. "batchmean", the sum over the length of the first axis, is the divergence proper.
    log_target : bool
        Whether `target` holds logarithms.

    Examples
    --------
    >>> kl_div([[-0.6931, -0.6931]], [[1.0, 0.0]], reduction="batchmean")
    tensor(0.6931)
    """
    reduction = reduction_of("kl_div", size_average, reduce, reduction)
    x, t = _pair("kl_div", input, target, reduction, (*REDUCTIONS, "batchmean"))
    if tracing():
        return traced("kl_div", locals(), _shape(x, reduction), x.dtype)
    with np.errstate(all="ignore"):
        log = t if log_target else np.log(t)
        p = np.exp(t) if log_target else t
        terms = p * (log - x)
    if not log_target:
        terms = np.where(t == 0, x.dtype.type(0), terms)  # the limit

    def of_target() -> np.ndarray:
        if log_target:
            return terms + p
        return np.where(t == 0, x.dtype.type(0), log + x.dtype.type(1) - x)

    return reduced((input, target), terms, (lambda: -p, of_target), reduction)


def _pair(
    op: str, input: Any, target: Any, reduction: str, reductions: tuple[str, ...] = REDUCTIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Input and target, of one shape and dtype."""
    x, t = as_array(input, op, "input"), as_array(target, op, "target")
    if x.shape != t.shape:
        raise ShapeError(f"{op}: input and target must have one shape, got {x.shape} and {t.shape}")
    checks.same_dtype(op, x, "input", t, "target")
    if reduction not in reductions:
        raise ValueError(f"{op}: reduction must be one of {reductions}, got {reduction!r}")
    return x, t


def _spread(op: str, name: str, value: Any, x: np.ndarray) -> np.ndarray:
    """A weight that can be broadcast to the shape of `x`; 1 for None."""
    if value is None:
        return np.ones((), x.dtype)
    array = as_array(value, op, name)
    checks.same_dtype(op, x, "input", array, name)
    try:
        fits = np.broadcast_shapes(array.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{op}: {name} of shape {array.shape} does not fit an input of shape {x.shape}")
    return array


def _shape(x: np.ndarray, reduction: str) -> tuple[int, ...]:
    return x.shape if reduction == "none" else ()


def _symmetric(input: Any, target: Any, losses: np.ndarray, slope: Callable[[], np.ndarray], reduction: str) -> Tensor:
    """A loss of the difference of input and target."""
    return reduced((input, target), losses, (slope, lambda: -slope()), reduction)
