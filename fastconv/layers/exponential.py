"""Relatives of ReLU that are bent by an exponential, as layers; more is said at the function of the same name."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers.activation import Inplace
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["CELU", "ELU", "SELU", "Softplus"]


class ELU(Module):
    """`input` above 0, ``alpha * (exp(input) - 1)`` elsewhere. See :func:`fastconv.functional.elu`.

    Parameters
    ----------
    alpha : float
        What the result tends to, negated, far below 0.
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> ELU()([-1000.0, 2.0])
    tensor([-1.,  2.])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = bool(inplace)

    def forward(self, input: Any) -> Tensor:
        """Return `input`, its negative elements bent."""
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{', inplace=True' * self.inplace}"


class CELU(ELU):
    """`input` above 0, ``alpha * (exp(input / alpha) - 1)`` elsewhere. See :func:`fastconv.functional.celu`.

    Parameters
    ----------
    alpha : float
        What the result tends to, negated, far below 0.
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> CELU(0.5)([-1000.0, 2.0])
    tensor([-0.5,  2. ])
    """

    def forward(self, input: Any) -> Tensor:
        """Return `input`, its negative elements bent."""
        return F.celu(input, self.alpha)


class SELU(Inplace):
    """1.0507 times ELU with alpha = 1.6733, which keeps mean 0 and variance 1. See :func:`fastconv.functional.selu`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> SELU()([-1000.0, 1.0])
    tensor([-1.7581,  1.0507])
    """

    def forward(self, input: Any) -> Tensor:
        """Return `input`, scaled, its negative elements bent."""
        return F.selu(input)


class Softplus(Module):
    """``log(1 + exp(beta * input)) / beta``. See :func:`fastconv.functional.softplus`.

    Parameters
    ----------
    beta : float
        The larger, the nearer to ReLU.
    threshold : float
        Where ``beta * input`` is above, the result is `input`.

    Examples
    --------
    >>> Softplus()([0.0])
    tensor([0.6931])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Tensor:
        """Return a positive, smooth form of `input`."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"
