"""Relatives of ReLU that are bent by an exponential."""

from __future__ import annotations

from typing import Any

from fastconv import checks
from fastconv.autograd import as_array
from fastconv.functional.activation import elementwise
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["celu", "elu", "selu", "softplus"]

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return `input` where it is above 0 and ``alpha * (exp(input) - 1)`` elsewhere.

    Derivative: 1 above 0, else alpha exp(input). Outputs are nearer to mean 0 than those of ReLU, and settle at -alpha.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    alpha : float
        What the result tends to, negated, far below 0.
    inplace : bool
        Ignored.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units", ICLR
    2016.

    Examples
    --------
    >>> elu([-1000.0, 2.0])
    tensor([-1.,  2.])
    """
    x, alpha = as_array(input, "elu", "input"), checks.number(alpha, "elu", "alpha")
    if tracing():
        return traced("elu", locals(), x.shape, x.dtype)
    return elementwise("elu", input, x, alpha, 1.0, 1.0)


def selu(input: Any, inplace: bool = False) -> Tensor:
    """Return 1.0507 times :func:`elu` with alpha = 1.6733.

    Derivative: that of ELU, scaled. With weights of variance 1 / fan_in (LeCun's initialisation) and alpha dropout,
    deep fully connected networks keep mean 0 and variance 1 by themselves, without normalisation.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    inplace : bool
        Ignored.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.

    Examples
    --------
    >>> selu([-1000.0, 1.0])
    tensor([-1.7581,  1.0507])
    """
    x = as_array(input, "selu", "input")
    if tracing():
        return traced("selu", locals(), x.shape, x.dtype)
    return elementwise("elu", input, x, _SELU_ALPHA, _SELU_SCALE, 1.0)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return `input` where it is above 0 and ``alpha * (exp(input / alpha) - 1)`` elsewhere.

    Derivative: 1 above 0, else exp(input / alpha): unlike :func:`elu`'s it has no jump at 0 for any alpha.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    alpha : float
        Not 0.
    inplace : bool
        Ignored.

    References
    ----------
    Barron, "Continuously differentiable exponential linear units", 2017.

    Examples
    --------
    >>> celu([-1000.0, 2.0], alpha=0.5)
    tensor([-0.5,  2. ])
    """
    x, alpha = as_array(input, "celu", "input"), checks.number(alpha, "celu", "alpha")
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")
    if tracing():
        return traced("celu", locals(), x.shape, x.dtype)
    return elementwise("elu", input, x, alpha, 1.0, 1 / alpha)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return ``log(1 + exp(beta * input)) / beta``, a smooth ReLU.

    Derivative: sigmoid(beta input). To keep a quantity positive (a variance, a rate); as an activation rarely better.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape.
    beta : float
        Above 0; the larger, the nearer to ReLU.
    threshold : float
        Where ``beta * input`` is above, the result is `input`.

    References
    ----------
    Dugas et al., "Incorporating second-order functional knowledge for better option pricing", NeurIPS 2000.

    Examples
    --------
    >>> softplus([-10.0, 0.0, 100.0])
    tensor([4.5399e-05, 6.9315e-01, 1.0000e+02])
    """
    x, beta = as_array(input, "softplus", "input"), checks.number(beta, "softplus", "beta")
    threshold = checks.number(threshold, "softplus", "threshold")
    if beta <= 0:
        raise ValueError(f"softplus: beta must be above 0, got {beta!r}")
    if tracing():
        return traced("softplus", locals(), x.shape, x.dtype)
    return elementwise("softplus", input, x, beta, threshold, 1 / beta)
