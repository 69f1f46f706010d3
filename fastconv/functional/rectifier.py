"""Relatives of ReLU, which let something through below 0 as well."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv._kernels import dense, dense_like
from fastconv.autograd import as_array, needs_grad, record
from fastconv.errors import ShapeError
from fastconv.functional.activation import elementwise
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["leaky_relu", "maxout", "prelu", "rrelu"]


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return `input` where it is above 0 and ``negative_slope * input`` elsewhere.

    Derivative: 1 above 0, else `negative_slope`. When units of a network with :func:`relu` die.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    negative_slope : float
        Below 0.
    inplace : bool
        Ignored.

    References
    ----------
    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.

    Examples
    --------
    >>> leaky_relu([-1.0, 2.0], 0.1)
    tensor([-0.1,  2. ])
    """
    x = as_array(input, "leaky_relu", "input")
    slope = checks.number(negative_slope, "leaky_relu", "negative_slope")
    if tracing():
        return traced("leaky_relu", locals(), x.shape, x.dtype)
    return elementwise("leaky_relu", input, x, slope)


def prelu(input: Any, weight: Any) -> Tensor:
    """Return `input` where it is above 0 and ``weight * input`` elsewhere, with learned slopes.

    Derivative: 1 above 0, else `weight`; with respect to a slope, the sum of `input` where it is not above 0. For large
    training sets: one number more a channel, hardly any cost. Weight decay would pull the slopes to 0.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, (N, C, ...); any shape for a single slope.
    weight : Tensor or array_like
        (1,) or (C,), of the dtype of `input`.

    References
    ----------
    He et al., "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> prelu([[-1.0, -1.0], [2.0, 2.0]], [0.5, 0.1])
    tensor([[-0.5, -0.1],
            [ 2. ,  2. ]])
    """
    x, slopes = as_array(input, "prelu", "input"), as_array(weight, "prelu", "weight")
    channels = x.shape[1] if x.ndim > 1 else 1
    if slopes.ndim > 1 or slopes.size not in (1, channels):
        raise ShapeError(
            f"prelu: weight must have shape (1,) or ({channels},) for an input of shape {x.shape}, got {slopes.shape}; "
            f"a layer with num_parameters={channels}, or 1, would fit"
        )
    checks.same_dtype("prelu", x, "input", slopes, "weight")
    if tracing():
        return traced("prelu", locals(), x.shape, x.dtype)
    shape = slopes.shape
    slopes = np.ascontiguousarray(slopes).reshape(-1)
    shared = slopes.size == 1
    # The kernel wants channels innermost; where all share a slope any dense order will do.
    x = dense(x) if shared else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    out = _kernels.empty_like(x)
    _kernels.prelu(x, slopes, out)
    need_x, need_weight = needs_grad(input), needs_grad(weight)
    moved = not shared

    def backward(grad: np.ndarray) -> tuple[np.ndarray | None, ...]:
        grad_x = _kernels.empty_like(x) if need_x else None
        grad_slopes = np.zeros_like(slopes) if need_weight else None
        given = dense_like(np.moveaxis(grad, 1, -1) if moved else grad, x)
        _kernels.prelu_grad(x, slopes, given, grad_x, grad_slopes)
        found = np.moveaxis(grad_x, -1, 1) if moved and grad_x is not None else grad_x
        return found, None if grad_slopes is None else grad_slopes.reshape(shape)

    return record(np.moveaxis(out, -1, 1) if moved else out, backward, (input, weight))


def rrelu(
    input: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    distribution: str = "uniform",
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Return `input` where it is above 0 and elsewhere `input` times a slope that is random while training.

    Derivative: 1 above 0, else the slope. For small data sets: the noise works against overfitting.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    lower, upper : float
        Range of the slopes; without training all are ``(lower + upper) / 2``.
    training : bool
        Whether every element gets a slope of its own.
    inplace : bool
        Ignored.
    distribution : {"uniform", "normal"}
        "normal" draws slopes of the mean and the standard deviation that the uniform ones have.
    rng : numpy.random.Generator, int or None
        Where the slopes come from; they are drawn in logical (C) order, whatever the strides.

    References
    ----------
    Xu et al., "Empirical evaluation of rectified activations in convolutional network", 2015.

    Examples
    --------
    >>> rrelu([-8.0, 2.0], 0.25, 0.75)
    tensor([-4.,  2.])
    """
    x = as_array(input, "rrelu", "input")
    lower, upper = checks.number(lower, "rrelu", "lower"), checks.number(upper, "rrelu", "upper")
    if lower > upper:
        raise ValueError(f"rrelu: lower must be at most upper, got {lower!r} and {upper!r}")
    if distribution not in ("uniform", "normal"):
        raise ValueError(f"rrelu: distribution must be 'uniform' or 'normal', got {distribution!r}")
    if training:
        rng = checks.generator(rng, "rrelu")
    if tracing():
        return traced("rrelu", locals(), x.shape, x.dtype)
    middle = (lower + upper) / 2
    if not training:
        return elementwise("leaky_relu", input, x, middle)
    assert isinstance(rng, np.random.Generator)
    if distribution == "uniform":
        slopes = rng.random(x.shape, x.dtype) * x.dtype.type(upper - lower) + x.dtype.type(lower)
    else:
        deviation = (upper - lower) / math.sqrt(12)
        slopes = rng.standard_normal(x.shape, x.dtype) * x.dtype.type(deviation) + x.dtype.type(middle)
    slopes = np.where(x > 0, x.dtype.type(1), slopes)
    with np.errstate(all="ignore"):
        out = np.multiply(x, slopes, out=np.empty_like(x))
    return record(out, lambda grad: (grad * slopes,), (input,))


def maxout(input: Any, pieces: int, dim: int = 1) -> Tensor:
    """Return the largest of `pieces` numbers each: a convex activation that is learned.

    Derivative: 1 for the largest (the first of several), 0 for the others; NaN wins. With dropout, when weights and
    time are plenty: there are `pieces` times as many of both. See :class:`fastconv.layers.Maxout`.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64; the axis `dim` has K * pieces elements, which belong to the outputs 0 ... K - 1, 0 ... K - 1
        and so on.
    pieces : int
        Numbers an output is the largest of.
    dim : int
        The axis, as a rule that of the channels.

    Returns
    -------
    Tensor
        K elements along `dim`.

    References
    ----------
    Goodfellow et al., "Maxout networks", ICML 2013.

    Examples
    --------
    >>> maxout([[1.0, 5.0, 2.0, 4.0]], pieces=2)
    tensor([[2., 5.]])
    """
    x, pieces = as_array(input, "maxout", "input"), checks.integer(pieces, "maxout", "pieces")
    axis = checks.axis(dim, x.ndim, "maxout")
    if x.ndim == 0 or x.shape[axis] % pieces:
        remedy = f"{-(-x.shape[axis] // pieces) * pieces} elements there would fit" if x.ndim else "it needs an axis"
        raise ShapeError(
            f"maxout: axis {dim} of an input of shape {x.shape} cannot be cut into {pieces} equal pieces; {remedy}"
        )
    size = x.shape[axis] // pieces
    if tracing():
        return traced("maxout", locals(), (*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)

    def piece(array: np.ndarray, i: int) -> np.ndarray:
        return array[(slice(None),) * axis + (slice(i * size, (i + 1) * size),)]

    out = piece(x, 0).copy(order="K")
    winner = np.zeros_like(out, np.int32)
    for i in range(1, pieces):
        new = piece(x, i)
        wins = (new > out) | (np.isnan(new) & ~np.isnan(out))
        np.copyto(out, new, where=wins)
        np.copyto(winner, i, where=wins)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        grad_x = np.empty_like(x)
        for i in range(pieces):
            piece(grad_x, i)[...] = np.where(winner == i, grad, x.dtype.type(0))
        return (grad_x,)

    return record(out, backward, (input,))
