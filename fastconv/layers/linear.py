"""Fully connected layers, and distances in place of products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers._digits import digit_bitmaps
from fastconv.layers.module import Buffer, Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor, array_of

__all__ = ["RBF", "Linear", "digit_bitmaps"]


class Linear(Module):
    """Multiply by a learned matrix and add a learned bias; see :func:`fastconv.functional.linear`.

    Parameters
    ----------
    in_features, out_features : int
        Length of an input and of an output.
    bias : bool
        Whether to learn an offset for each output.
    rng : numpy.random.Generator, int or None
        Where the initial values come from: uniform, weights and bias within 1 / sqrt(in_features), as PyTorch's.

    Attributes
    ----------
    weight : Parameter
        (out_features, in_features).
    bias : Parameter or None
        (out_features,).

    Examples
    --------
    >>> Linear(400, 10, rng=0)(np.zeros((2, 400), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.in_features = checks.integer(in_features, "Linear", "in_features")
        self.out_features = checks.integer(out_features, "Linear", "out_features")
        rng = checks.generator(rng, "Linear")
        self.weight = Parameter(np.empty((self.out_features, self.in_features), np.float32))
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), rng=rng)
        self.bias: Parameter | None = None
        if bias:
            bound = 1 / math.sqrt(self.in_features)
            self.bias = Parameter(np.empty(self.out_features, np.float32))
            init.uniform_(self.bias, -bound, bound, rng=rng)

    def forward(self, input: Any, activation: str | tuple[float, float] | None = None) -> Tensor:
        """Return (..., out_features) for an input (..., in_features); `activation` as in the function."""
        return F.linear(input, self.weight, self.bias, activation=activation)

    def extra_repr(self) -> str:
        """Arguments."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class RBF(Module):
    """Squared distances from a point for each class; see :func:`fastconv.functional.rbf`.

    LeNet-5 ends so: its 84 hidden units are compared with pictures of the digits, 7 pixels wide and 12 high, which stay
    as they are. Classes that look alike have pictures that are alike, so that a doubtful digit names its rivals.

    Parameters
    ----------
    in_features, out_features : int
        Length of an input, and the number of classes.
    weight : array_like, optional
        The points, (out_features, in_features); by default :func:`digit_bitmaps`, which takes 84 and at most 10.
    trainable : bool
        Whether to learn them: a Parameter, or else a Buffer.

    Attributes
    ----------
    weight : Parameter or Buffer
        (out_features, in_features).

    Examples
    --------
    >>> distances = RBF()(digit_bitmaps()[3])
    >>> distances[3].item(), distances.argmin().item()
    (0.0, 3)
    """

    def __init__(
        self, in_features: int = 84, out_features: int = 10, weight: Any = None, *, trainable: bool = False
    ) -> None:
        self.in_features = checks.integer(in_features, "RBF", "in_features")
        self.out_features = checks.integer(out_features, "RBF", "out_features")
        points = digit_bitmaps()[: self.out_features] if weight is None else array_of(weight, "RBF: weight")
        if points.shape != (self.out_features, self.in_features):
            raise ShapeError(
                f"RBF: weight must have shape {(self.out_features, self.in_features)}, got {points.shape}"
                f"{' (the pictures of the digits)' if weight is None else ''}"
            )
        self.weight = Parameter(points) if trainable else Buffer(points)

    def forward(self, input: Any) -> Tensor:
        """Return the distances, (..., out_features), of (..., in_features)."""
        return F.rbf(input, self.weight)

    def extra_repr(self) -> str:
        learned = isinstance(self.weight, Parameter)
        return f"in_features={self.in_features}, out_features={self.out_features}, trainable={learned}"
