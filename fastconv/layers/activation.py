"""Activations as layers; derivatives and when to choose which stand at the functions of the same name."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "Hardtanh",
    "LogSoftmax",
    "ReLU",
    "ReLU6",
    "ScaledTanh",
    "Sigmoid",
    "Softmax",
    "Tanh",
]


class Inplace(Module):
    """Base of the activations whose only argument is PyTorch's `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(Inplace):
    """``max(input, 0)``, element by element. See :func:`fastconv.functional.relu`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> ReLU()([-1.0, 2.0])
    tensor([0., 2.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the positive part of `input`."""
        return F.relu(input)


class Hardtanh(Module):
    """`input` cut off below `min_val` and above `max_val`. See :func:`fastconv.functional.hardtanh`.

    Parameters
    ----------
    min_val, max_val : float
        The range.
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> Hardtanh()([-2.0, 0.5, 2.0])
    tensor([-1. ,  0.5,  1. ])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = bool(inplace)

    def forward(self, input: Any) -> Tensor:
        """Return `input`, cut off."""
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{', inplace=True' * self.inplace}"


class ReLU6(Inplace):
    """``min(max(input, 0), 6)``. See :func:`fastconv.functional.relu6`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> ReLU6()([-1.0, 2.0, 7.0])
    tensor([0., 2., 6.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return `input` between 0 and 6."""
        return F.relu6(input)


class Sigmoid(Module):
    """``1 / (1 + exp(-input))``. See :func:`fastconv.functional.sigmoid`.

    Examples
    --------
    >>> Sigmoid()([0.0])
    tensor([0.5])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the logistic function of `input`."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent. See :func:`fastconv.functional.tanh`.

    Examples
    --------
    >>> Tanh()([0.0])
    tensor([0.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the hyperbolic tangent of `input`."""
        return F.tanh(input)


class ScaledTanh(Module):
    """``1.7159 tanh(2 input / 3)``, LeNet-5's. See :func:`fastconv.functional.scaled_tanh`.

    Examples
    --------
    >>> ScaledTanh()([-1.0, 0.0, 1.0])
    tensor([-1.,  0.,  1.])
    """

    def forward(self, input: Any) -> Tensor:
        """Return the scaled tangent of `input`."""
        return F.scaled_tanh(input)


class Softmax(Module):
    """``exp(input)`` divided by its sum along one axis.

    Parameters
    ----------
    dim : int, optional
        The axis; negative ones count from the end. See :func:`fastconv.functional.softmax` for the default.

    Examples
    --------
    >>> Softmax()([2.0, 2.0])
    tensor([0.5, 0.5])
    """

    def __init__(self, dim: int | None = None) -> None:
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
