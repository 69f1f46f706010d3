"""Fully connected layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["Linear"]


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

    def forward(self, input: Any) -> Tensor:
        """Return (..., out_features) for an input (..., in_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Arguments."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
