"""Layer normalisation as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.functional.rownorm import shape_of
from fastconv.layers.module import Module
from fastconv.layers.norm import affine_repr
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["LayerNorm"]


class LayerNorm(Module):
    """Bring the last axes of every sample to mean 0 and variance 1. See :func:`fastconv.functional.layer_norm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Lengths of these axes.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there is a `weight`, of the shape `normalized_shape`, at first 1.
    bias : bool
        Whether there is a `bias` too, at first 0.

    Examples
    --------
    >>> LayerNorm(4)(np.ones((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        self.normalized_shape = shape_of(normalized_shape, "LayerNorm")
        self.eps = checks.number(eps, "LayerNorm", "eps", 0.0)
        self.weight = Parameter(np.ones(self.normalized_shape, np.float32)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, np.float32)) if elementwise_affine and bias else None

    @property
    def elementwise_affine(self) -> bool:
        """Whether there is a `weight`; to be read, as in PyTorch."""
        return self.weight is not None

    def forward(self, input: Any) -> Tensor:
        """Return `input`, normalised."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps:g}, {affine_repr(self, 'elementwise_affine')}"
