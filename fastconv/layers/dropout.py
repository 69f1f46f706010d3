"""Dropout: layers that leave something out at random while training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "StochasticDepth",
]


class Dropout(Module):
    """While training, set each element to 0 with probability `p` and multiply the others by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float
        Probability in [0, 1].
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.
    rng : numpy.random.Generator, int or None
        Where the random numbers come from: one stream for the life of the layer.

    Examples
    --------
    >>> Dropout(0.5, rng=10)([1.0, 1.0, 1.0, 1.0])
    tensor([2., 0., 0., 2.])
    """

    function: ClassVar[Callable[..., Tensor]] = staticmethod(F.dropout)

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | int | None = None) -> None:
        self.p = checks.probability(p, type(self).__name__)
        self.inplace = bool(inplace)
        self.rng = checks.generator(rng, type(self).__name__)

    def forward(self, input: Any) -> Tensor:
        """Return `input`, thinned out while training."""
        return self.function(input, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """While training, set whole channels of (N, C, L) or (C, L) to 0; see :func:`~fastconv.functional.dropout2d`."""

    function = staticmethod(F.dropout1d)


class Dropout2d(Dropout):
    """While training, set whole channels of (N, C, H, W) to 0; see :func:`~fastconv.functional.dropout2d`."""

    function = staticmethod(F.dropout2d)


class Dropout3d(Dropout):
    """While training, set whole channels of (N, C, D, H, W) or (C, D, H, W) to 0; see :class:`Dropout2d`."""

    function = staticmethod(F.dropout3d)


class AlphaDropout(Dropout):
    """Dropout for networks of SELU, which keeps mean and variance; see :func:`~fastconv.functional.alpha_dropout`."""

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(Dropout):
    """AlphaDropout of whole channels of (N, C, ...)."""

    function = staticmethod(F.feature_alpha_dropout)


class StochasticDepth(Module):
    """While training, leave a whole branch out at random; see :func:`~fastconv.functional.stochastic_depth`.

    Parameters
    ----------
    p : float
        Probability in [0, 1].
    mode : {"row", "batch"}
        Whether each image is drawn for, or the batch as a whole.
    rng : numpy.random.Generator, int or None
        As for :class:`Dropout`.

    Examples
    --------
    >>> StochasticDepth(0.2, "row")
    StochasticDepth(p=0.2, mode=row)
    """

    def __init__(self, p: float, mode: str = "row", *, rng: np.random.Generator | int | None = None) -> None:
        self.p = checks.probability(p, "StochasticDepth")
        if mode not in ("row", "batch"):
            raise ValueError(f"StochasticDepth: mode must be row or batch, got {mode!r}")
        self.mode = mode
        self.rng = checks.generator(rng, "StochasticDepth")

    def forward(self, input: Any) -> Tensor:
        """Return `input`, or nothing of it, while training."""
        return F.stochastic_depth(input, self.p, self.mode, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p:g}, mode={self.mode}"
