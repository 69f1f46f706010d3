"""Windows as columns and back, and convolution that shares no weights, as layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.functional._window import window
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["Fold", "LocallyConnected2d", "Unfold"]

Pair = int | tuple[int, int]


class Unfold(Module):
    """Return the windows of images as columns; see :func:`fastconv.functional.unfold`, whose arguments it takes.

    Examples
    --------
    >>> Unfold(3)(np.zeros((1, 2, 5, 5), np.float32)).shape
    (1, 18, 9)
    """

    def __init__(self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> None:
        self.options = (kernel_size, dilation, padding, stride)

    def forward(self, input: Any) -> Tensor:
        """Return (N, C * kh * kw, windows) for images (N, C, H, W)."""
        return F.unfold(input, *self.options)

    def extra_repr(self) -> str:
        """The window."""
        kernel_size, dilation, padding, stride = self.options
        return f"kernel_size={kernel_size}, dilation={dilation}, padding={padding}, stride={stride}"


class Fold(Module):
    """Add columns back to images; see :func:`fastconv.functional.fold`, whose arguments it takes.

    Examples
    --------
    >>> Fold((5, 5), 3)(np.zeros((1, 18, 9), np.float32)).shape
    (1, 2, 5, 5)
    """

    def __init__(
        self, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
    ) -> None:
        self.options = (output_size, kernel_size, dilation, padding, stride)

    def forward(self, input: Any) -> Tensor:
        """Return images (N, C, H, W) for columns (N, C * kh * kw, windows)."""
        return F.fold(input, *self.options)

    def extra_repr(self) -> str:
        """The image and the window."""
        output_size, kernel_size, dilation, padding, stride = self.options
        text = f"output_size={output_size}, kernel_size={kernel_size}, dilation={dilation}"
        return f"{text}, padding={padding}, stride={stride}"


class LocallyConnected2d(Module):
    """Convolve with filters of their own at every place; see :func:`fastconv.functional.locally_connected2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    input_size : int or pair of int
        Height and width of the images, which the weights depend on.
    kernel_size, stride, padding, dilation : int or pair of int
        The window.
    bias : bool
        Whether to learn an offset for each output.
    rng : numpy.random.Generator, int or None
        Where the initial values come from, as those of :class:`Conv2d`.

    Attributes
    ----------
    weight : Parameter
        (H_out, W_out, out_channels, in_channels, kernel height, kernel width).
    bias : Parameter or None
        (out_channels, H_out, W_out).

    Examples
    --------
    >>> layer = LocallyConnected2d(3, 8, input_size=12, kernel_size=3, rng=0)
    >>> layer(np.zeros((2, 3, 12, 12), np.float32)).shape, layer.weight.shape
    ((2, 8, 10, 10), (10, 10, 8, 3, 3, 3))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = type(self).__name__
        self.in_channels = checks.integer(in_channels, name, "in_channels")
        self.out_channels = checks.integer(out_channels, name, "out_channels")
        self.input_size = checks.pair(input_size, name, "input_size")
        where = window(name, (1, self.in_channels, *self.input_size), kernel_size, stride, padding, dilation)
        self.options = (stride, padding, dilation)
        rng = checks.generator(rng, name)
        places, filters = where.out_shape[2:], (self.out_channels, self.in_channels, *where.kernel)
        bound = 1 / math.sqrt(math.prod(filters[1:]))
        self.weight = Parameter(np.empty((*places, *filters), np.float32))
        init.uniform_(self.weight, -bound, bound, rng=rng)
        self.bias: Parameter | None = None
        if bias:
            self.bias = Parameter(np.empty((self.out_channels, *places), np.float32))
            init.uniform_(self.bias, -bound, bound, rng=rng)

    def forward(self, input: Any) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for images (N, in_channels, *input_size)."""
        return F.locally_connected2d(input, self.weight, self.bias, *self.options)

    def extra_repr(self) -> str:
        """Sizes and options."""
        stride, padding, dilation = self.options
        text = f"{self.in_channels}, {self.out_channels}, input_size={self.input_size}"
        text += f", kernel_size={self.weight.shape[4:]}, stride={stride}, padding={padding}, dilation={dilation}"
        return text if self.bias is not None else f"{text}, bias=False"
