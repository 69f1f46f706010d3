"""Activations with a gate, and a gate, as layers; more is said at the functions of the same name."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers.activation import Inplace
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["GELU", "Hardsigmoid", "Hardswish", "Mish", "SiLU"]


class GELU(Module):
    """`input` times the probability that a normal number is below it. See :func:`fastconv.functional.gelu`.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "tanh" computes the probability by a hyperbolic tangent, with an error of up to 5e-4.

    Examples
    --------
    >>> GELU()([-1.0, 0.0, 1.0])
    tensor([-0.1587,  0.    ,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Any) -> Tensor:
        """Return `input`, gated."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Hardsigmoid(Inplace):
    """``min(max(input + 3, 0), 6) / 6``. See :func:`fastconv.functional.hardsigmoid`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> Hardsigmoid()([-3.0, 0.0, 1.5])
    tensor([0.  , 0.5 , 0.75])
    """

    def forward(self, input: Any) -> Tensor:
        """Return a line from 0 at -3 to 1 at 3."""
        return F.hardsigmoid(input)


class SiLU(Inplace):
    """``input * sigmoid(input)``, also called swish. See :func:`fastconv.functional.silu`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> SiLU()([-1.0, 0.0, 1.0])
    tensor([-0.2689,  0.    ,  0.7311])
    """

    def forward(self, input: Any) -> Tensor:
        """Return `input`, gated."""
        return F.silu(input)


class Hardswish(Inplace):
    """``input * min(max(input + 3, 0), 6) / 6``. See :func:`fastconv.functional.hardswish`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> Hardswish()([-3.0, -1.5, 3.0])
    tensor([-0.   , -0.375,  3.   ])
    """

    def forward(self, input: Any) -> Tensor:
        """Return `input`, gated."""
        return F.hardswish(input)


class Mish(Inplace):
    """``input * tanh(softplus(input))``. See :func:`fastconv.functional.mish`.

    Parameters
    ----------
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> Mish()([-1.0, 0.0, 1.0])
    tensor([-0.3034,  0.    ,  0.8651])
    """

    def forward(self, input: Any) -> Tensor:
        """Return `input`, gated."""
        return F.mish(input)
