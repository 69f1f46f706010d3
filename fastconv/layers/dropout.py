"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["Dropout"]


class Dropout(Module):
    """While training, set each element to 0 with probability `p` and multiply the others by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float
        Probability in [0, 1].
    rng : numpy.random.Generator, int or None
        Where the random numbers come from: one stream for the life of the layer.

    Examples
    --------
    >>> Dropout(0.5, rng=0)([1.0, 1.0, 1.0, 1.0])
    tensor([2., 2., 2., 0.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        self.p = checks.probability(p, "Dropout")
        self.rng = checks.generator(rng, "Dropout")

    def forward(self, input: Any) -> Tensor:
        """Return `input`, thinned out while training."""
        return F.dropout(input, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
