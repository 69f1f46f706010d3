"""Keeping gradients short."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.errors import FastconvError
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, wrap

__all__ = ["NonFiniteGradientError", "clip_grad_norm_", "clip_grad_value_", "norm"]


class NonFiniteGradientError(FastconvError, ArithmeticError):
    """A gradient is NaN or infinite; the message names its parameter."""


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = True
) -> Tensor:
    """Shorten all gradients by one factor where together they are longer than `max_norm`.

    Parameters
    ----------
    parameters : iterable of Parameter or of (name, Parameter), or Parameter
        ``model.named_parameters()`` gives errors their names. Those without a gradient are left out.
    max_norm : float
        The largest length, >= 0.
    norm_type : float
        p of the p-norm, > 0; ``math.inf`` for the largest magnitude.
    error_if_nonfinite : bool
        False lets gradients pass that are not finite, as PyTorch does by default: one infinite element makes all
        gradients 0 or NaN.

    Returns
    -------
    Tensor
        The length before, one number.

    Raises
    ------
    NonFiniteGradientError
        If the length is NaN or infinite; no gradient is changed then.

    Notes
    -----
    The factor is ``max_norm / (norm + 1e-6)`` where that is below 1, as in PyTorch.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    Examples
    --------
    >>> weight = Parameter([0.0, 0.0])
    >>> weight.grad = Tensor([3.0, 4.0])
    >>> clip_grad_norm_([weight], max_norm=1.0), weight.grad
    (tensor(5.), tensor([0.6, 0.8]))
    """
    limit = checks.number(max_norm, "clip_grad_norm_", "max_norm", minimum=0.0)
    kind = norm_type if norm_type == math.inf else checks.number(norm_type, "clip_grad_norm_", "norm_type")
    if kind <= 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be > 0, got {norm_type!r}")
    given = _with_gradients("clip_grad_norm_", parameters)
    with np.errstate(all="ignore"):
        norms = [norm(grad, kind) for _, _, grad in given]
        total = norm(np.array(norms), kind)
    if error_if_nonfinite and not math.isfinite(total):
        name = next((name for (name, _, _), each in zip(given, norms, strict=True) if not math.isfinite(each)), "all")
        raise NonFiniteGradientError(f"clip_grad_norm_: the gradient of {name} has the norm {total}")
    factor = limit / (total + 1e-6)
    if not factor >= 1:
        with np.errstate(all="ignore"):
            for _, p, grad in given:
                _replace(p, grad, np.multiply(grad, grad.dtype.type(factor), out=_own(grad)))
    return wrap(np.asarray(total, given[0][2].dtype if given else np.float32))


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Limit every element of the gradients to ``[-clip_value, clip_value]``.

    Parameters
    ----------
    parameters : iterable of Parameter or of (name, Parameter), or Parameter
        As for :func:`clip_grad_norm_`.
    clip_value : float
        The largest magnitude, >= 0.

    Raises
    ------
    NonFiniteGradientError
        If an element is NaN, which no limit mends; no gradient is changed then.

    Examples
    --------
    >>> weight = Parameter([0.0, 0.0])
    >>> weight.grad = Tensor([3.0, -0.5])
    >>> clip_grad_value_([weight], 1.0)
    >>> weight.grad
    tensor([ 1. , -0.5])
    """
    limit = checks.number(clip_value, "clip_grad_value_", "clip_value", minimum=0.0)
    given = _with_gradients("clip_grad_value_", parameters)
    for name, _, grad in given:
        if np.isnan(grad).any():
            raise NonFiniteGradientError(f"clip_grad_value_: the gradient of {name} has elements that are NaN")
    for _, p, grad in given:
        _replace(p, grad, np.clip(grad, -limit, limit, out=_own(grad)))


def norm(array: np.ndarray, kind: float = 2.0) -> float:
    """Return the p-norm of an array's elements; finite where it can be represented, whatever the squares do."""
    if not array.size:
        return 0.0
    if kind == math.inf:
        return float(np.abs(array).max())
    if kind == 2:
        total = _kernels.sum_squares(np.ascontiguousarray(array))
        if 1e-30 < total < math.inf:
            return math.sqrt(total)
    largest = float(np.abs(array).max())
    if not 0 < largest < math.inf:
        return largest
    return largest * float(((np.abs(array) / largest) ** kind).sum(dtype=np.float64)) ** (1 / kind)


def _with_gradients(op: str, parameters: Any) -> list[tuple[str, Parameter, np.ndarray]]:
    """Name, parameter and gradient of those that have one."""
    if isinstance(parameters, Parameter):
        parameters = [parameters]
    if not isinstance(parameters, Iterable):
        raise TypeError(f"{op}: parameters must be an iterable of Parameters, got {type(parameters).__name__}")
    found = []
    for i, item in enumerate(parameters):
        name, p = item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        if not isinstance(p, Parameter):
            raise TypeError(f"{op}: parameters must be Parameters, got {type(p).__name__}")
        if p.grad is not None:
            found.append((name or f"parameter {i} of shape {p.shape}", p, p.grad.data))
    return found


def _own(grad: np.ndarray) -> np.ndarray | None:
    """Where to write: the gradient's own memory, if it can be written to."""
    return grad if grad.flags.writeable else None


def _replace(p: Parameter, before: np.ndarray, after: np.ndarray) -> None:
    if after is not before:
        p.grad = wrap(after)
