"""Relatives of ReLU as layers; derivatives and when to choose which stand at the functions of the same name."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["LeakyReLU", "Maxout", "PReLU", "RReLU"]


class LeakyReLU(Module):
    """`input` above 0, ``negative_slope * input`` elsewhere. See :func:`fastconv.functional.leaky_relu`.

    Parameters
    ----------
    negative_slope : float
        Below 0.
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.

    Examples
    --------
    >>> LeakyReLU(0.1)([-1.0, 2.0])
    tensor([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope
        self.inplace = bool(inplace)

    def forward(self, input: Any) -> Tensor:
        """Return `input`, its negative elements scaled."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{', inplace=True' * self.inplace}"


class PReLU(Module):
    """`input` above 0, elsewhere `input` times a learned slope. See :func:`fastconv.functional.prelu`.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels, which then have a slope each.
    init : float
        What slopes are at first.

    Attributes
    ----------
    weight : Parameter
        (num_parameters,).

    Examples
    --------
    >>> PReLU()([-1.0, 2.0]).detach()
    tensor([-0.25,  2.  ])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters = checks.integer(num_parameters, "PReLU", "num_parameters")
        value = checks.number(init, "PReLU", "init")
        self.weight = Parameter(np.full(self.num_parameters, value, np.float32))

    def forward(self, input: Any) -> Tensor:
        """Return `input`, its negative elements scaled."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """`input` above 0, elsewhere `input` times a slope, random while training. See :func:`fastconv.functional.rrelu`.

    Parameters
    ----------
    lower, upper : float
        Range of the slopes; in evaluation all are ``(lower + upper) / 2``.
    inplace : bool
        Accepted for networks written for PyTorch; the input is never overwritten.
    distribution : {"uniform", "normal"}
        "normal" draws slopes of the same mean and standard deviation.
    rng : numpy.random.Generator, int or None
        Where the random numbers come from: one stream for the life of the layer.

    Examples
    --------
    >>> RReLU(0.25, 0.75).eval()([-8.0, 2.0])
    tensor([-4.,  2.])
    """

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        inplace: bool = False,
        *,
        distribution: str = "uniform",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.lower = lower
        self.upper = upper
        self.inplace = bool(inplace)
        self.distribution = distribution
        self.rng = checks.generator(rng, "RReLU")

    def forward(self, input: Any) -> Tensor:
        """Return `input`, its negative elements scaled."""
        return F.rrelu(input, self.lower, self.upper, self.training, distribution=self.distribution, rng=self.rng)

    def extra_repr(self) -> str:
        text = f"lower={self.lower}, upper={self.upper}{', inplace=True' * self.inplace}"
        return text if self.distribution == "uniform" else f"{text}, distribution={self.distribution!r}"


class Maxout(Module):
    """The largest of several results of a layer, for each output. See :func:`fastconv.functional.maxout`.

    Parameters
    ----------
    layer : Module
        Linear or convolutional, with `pieces` times as many outputs as are wanted.
    pieces : int
        Results an output is the largest of.
    dim : int
        The axis of the outputs.

    Examples
    --------
    >>> from fastconv.layers import Conv2d, Linear
    >>> Maxout(Linear(8, 2 * 5), pieces=2)(np.zeros((3, 8), np.float32)).shape
    (3, 5)
    >>> Maxout(Conv2d(3, 4 * 16, 3, padding=1), pieces=4)(np.zeros((1, 3, 8, 8), np.float32)).shape
    (1, 16, 8, 8)
    """

    def __init__(self, layer: Module, pieces: int, dim: int = 1) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"Maxout: layer must be a Module, got {type(layer).__name__}")
        self.layer = layer
        self.pieces = checks.integer(pieces, "Maxout", "pieces")
        self.dim = dim

    def forward(self, input: Any) -> Tensor:
        """Return the largest of the layer's results."""
        return F.maxout(self.layer(input), self.pieces, self.dim)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}, dim={self.dim}"
