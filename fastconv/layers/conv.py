"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["Conv2d"]


class Conv2d(Module):
    """Convolve images with learned filters; see :func:`fastconv.functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or pair of int
        Height and width of a filter.
    stride, padding, dilation : int or pair of int
        As in :func:`fastconv.functional.conv2d`.
    groups : int
        Divides both channel counts.
    bias : bool
        Whether to learn an offset for each output channel.
    algorithm : {"auto", "direct", "im2col"}
        As in :func:`fastconv.functional.conv2d`.
    rng : numpy.random.Generator, int or None
        Where the initial values come from: uniform, weights and bias within 1 / sqrt(fan_in), as PyTorch's.

    Attributes
    ----------
    weight : Parameter
        (out_channels, in_channels / groups, kernel height, kernel width).
    bias : Parameter or None
        (out_channels,).

    Examples
    --------
    >>> layer = Conv2d(3, 8, kernel_size=3, padding=1, rng=0)
    >>> layer(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 8, 32, 32)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        algorithm: str = "auto",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.in_channels = checks.integer(in_channels, "Conv2d", "in_channels")
        self.out_channels = checks.integer(out_channels, "Conv2d", "out_channels")
        self.kernel_size = checks.pair(kernel_size, "Conv2d", "kernel_size")
        self.stride = checks.pair(stride, "Conv2d", "stride")
        self.padding = checks.pair(padding, "Conv2d", "padding", 0)
        self.dilation = checks.pair(dilation, "Conv2d", "dilation")
        self.groups = checks.integer(groups, "Conv2d", "groups")
        self.algorithm = algorithm
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"Conv2d: groups must divide in_channels and out_channels, "
                f"got groups={groups} with {in_channels} and {out_channels}"
            )
        rng = checks.generator(rng, "Conv2d")
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight = Parameter(np.empty(shape, np.float32))
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), rng=rng)
        self.bias: Parameter | None = None
        if bias:
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            self.bias = Parameter(np.empty(self.out_channels, np.float32))
            init.uniform_(self.bias, -bound, bound, rng=rng)

    def forward(self, input: Any) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for an input (N, in_channels, H, W)."""
        return F.conv2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            algorithm=self.algorithm,
        )

    def extra_repr(self) -> str:
        """Arguments, those of their default value left out."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1), ("algorithm", "auto")):
            if (value := getattr(self, name)) != default:
                text += f", {name}={value}"
        return text if self.bias is not None else f"{text}, bias=False"
