"""What can be done to a convolution's result while it is in registers: adding, and holding within bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.tensor import Tensor

__all__ = ["ACTIVATIONS", "clamp_grad", "clamp_of", "finish", "overwrite", "residual_of"]

Clamp = tuple[float, float]

ACTIVATIONS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def clamp_of(op: str, activation: Any) -> Clamp:
    """Return the bounds that an activation holds values within."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if not isinstance(activation, tuple) or len(activation) != 2:
        names = ", ".join(map(repr, ACTIVATIONS))
        raise ValueError(f"{op}: activation must be {names} or a pair (least, greatest), got {activation!r}")
    infinite = (-math.inf, math.inf)
    least, greatest = (
        value if type(value) is float and value in infinite else checks.number(value, op, "activation")
        for value in activation
    )
    if not least <= greatest:
        raise ValueError(f"{op}: activation must be a pair (least, greatest), got {activation!r}")
    return least, greatest


def residual_of(op: str, residual: Any, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    """Return the array to be added, of the result's shape and the input's dtype."""
    r = as_array(residual, op, "residual")
    if r.shape != shape:
        raise ShapeError(f"{op}: residual must have the result's shape {shape}, got {r.shape}")
    if r.dtype is not x.dtype:
        checks.same_dtype(op, x, "input", r, "residual")
    return r


def finish(out: np.ndarray, residual: np.ndarray | None, clamp: Clamp | None) -> None:
    """Do the same to a result in memory."""
    if residual is not None:
        out += residual
    if clamp is not None:
        np.clip(out, *clamp, out=out)


def clamp_grad(out: np.ndarray, clamp: Clamp, grad: np.ndarray) -> np.ndarray:
    """Return the gradient of what was held within `clamp`, which gave `out`: 0 where a bound was reached."""
    masked = _kernels.empty_like(out)
    grad = _kernels.dense_like(grad, out)
    if clamp == ACTIVATIONS["relu"]:
        _kernels.activation_grad("relu", out, grad, masked)
    else:
        np.multiply(grad, ~((out <= clamp[0]) | (out >= clamp[1])), out=masked)
    return masked


def overwrite(activation: str, x: Tensor) -> Tensor:
    """Put one of the kernels' activations in the place of a result that nobody else has, and that is not recorded."""
    _kernels.activation(activation, x.data, x.data)
    return x
