"""Activations as layers."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["LogSoftmax", "ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    """``max(input, 0)``, element by element.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> ReLU()([-1.0, 2.0])
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, input: Any) -> Tensor:
        """Return the positive part of `input`."""
        return F.relu(input)


class Sigmoid(Module):
    """``1 / (1 + exp(-input))``, element by element.

    Examples
    --------
    >>> Sigmoid()([0.0])
    tensor([0.5])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the logistic function of `input`."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, element by element.

    Examples
    --------
    >>> Tanh()([0.0])
    tensor([0.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the hyperbolic tangent of `input`."""
        return F.tanh(input)


class Softmax(Module):
    """``exp(input)`` divided by its sum along one axis.

    Parameters
    ----------
    dim : int
        The axis; negative ones count from the end.

    Examples
    --------
    >>> Softmax()([2.0, 2.0])
    tensor([0.5, 0.5])
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Any) -> Tensor:
        """Return probabilities along the axis."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of :class:`Softmax`.

    Examples
    --------
    >>> LogSoftmax()([2.0, 2.0])
    tensor([-0.6931, -0.6931])
    """

    def forward(self, input: Any) -> Tensor:
        """Return logarithms of probabilities along the axis."""
        return F.log_softmax(input, self.dim)
