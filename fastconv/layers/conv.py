"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.functional._convolve import result_shape
from fastconv.functional._sizes import Padding, Size, check_mode, check_padding
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "DepthwiseSeparableConv2d"]


_DEFAULTS = {"padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
_OTHERS = {"padding_mode": "zeros", "algorithm": "auto"}


class ConvBase(Module):
    """What convolution layers of any number of axes share: options, weight and bias, how they are shown."""

    _axes: int
    _transposed = False

    def _set(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Padding,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        algorithm: str,
        rng: np.random.Generator | int | None,
    ) -> None:
        name, axes = type(self).__name__, self._axes
        self.in_channels = checks.integer(in_channels, name, "in_channels")
        self.out_channels = checks.integer(out_channels, name, "out_channels")
        self.kernel_size = checks.integers(kernel_size, axes, name, "kernel_size")
        self.stride = checks.integers(stride, axes, name, "stride")
        self.padding = check_padding(name, padding, axes)
        self.dilation = checks.integers(dilation, axes, name, "dilation")
        self.groups = checks.integer(groups, name, "groups")
        self.padding_mode = check_mode(name, padding_mode)
        self.algorithm = algorithm
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"{name}: groups must divide in_channels and out_channels, "
                f"got groups={groups} with {in_channels} and {out_channels}"
            )
        rng = checks.generator(rng, name)
        first, second = self.out_channels, self.in_channels
        if self._transposed:
            first, second = second, first
        shape = (first, second // self.groups, *self.kernel_size)
        self.weight = Parameter(np.empty(shape, np.float32))
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), rng=rng)
        self.bias: Parameter | None = None
        if bias:
            bound = 1 / math.sqrt(math.prod(shape[1:]))
            self.bias = Parameter(np.empty(self.out_channels, np.float32))
            init.uniform_(self.bias, -bound, bound, rng=rng)

    def extra_repr(self) -> str:
        """Arguments, those of their default value left out."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in _DEFAULTS.items():
            value = getattr(self, name, default)
            if value not in (default, (default,) * self._axes):
                text += f", {name}={value}"
        if self.bias is None:
            text += ", bias=False"
        others = [f", {name}={getattr(self, name)}" for name in _OTHERS if getattr(self, name) != _OTHERS[name]]
        return text + "".join(others)


class _Conv(ConvBase):
    """A convolution layer; its subclasses say along how many axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        algorithm: str = "auto",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self._set(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias),
            *(padding_mode, algorithm, rng),
        )

    def forward(self, input: Any) -> Tensor:
        """Return (N, out_channels, *output size) for an input (N, in_channels, *size), or both without N."""
        function = (F.conv1d, F.conv2d, F.conv3d)[self._axes - 1]
        return function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            padding_mode=self.padding_mode,
            algorithm=self.algorithm,
        )


class Conv1d(_Conv):
    """Convolve signals (N, C, L) with learned filters: :class:`Conv2d` along one axis.

    Examples
    --------
    >>> layer = Conv1d(2, 8, kernel_size=9, padding="same", rng=0)
    >>> layer(np.zeros((4, 2, 100), np.float32)).shape
    (4, 8, 100)
    """

    _axes = 1


class Conv2d(_Conv):
    """Convolve images with learned filters; see :func:`fastconv.functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or pair of int
        Height and width of a filter.
    stride, padding, dilation, padding_mode
        As in :func:`fastconv.functional.conv2d`.
    groups : int
        Divides both channel counts.
    bias : bool
        Whether to learn an offset for each output channel.
    algorithm : {"auto", "direct", "im2col", "winograd"}
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

    _axes = 2

    def forward(
        self,
        input: Any,
        *,
        residual: Any = None,
        activation: str | tuple[float, float] | None = None,
        weights: tuple[Any, Any] | None = None,
        out: np.ndarray | None = None,
    ) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for an input (N, in_channels, H, W), or both without N.

        `residual`, `activation` and `out` as in :func:`fastconv.functional.conv2d`; `weights` are a weight and a bias
        to take in place of the layer's own.
        """
        weight, bias = (self.weight, self.bias) if weights is None else weights
        return F.conv2d(
            input,
            weight,
            bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            padding_mode=self.padding_mode,
            algorithm=self.algorithm,
            residual=residual,
            activation=activation,
            out=out,
        )

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the result for an input of this shape.

        Examples
        --------
        >>> Conv2d(3, 8, kernel_size=3, stride=2).output_shape((1, 3, 224, 224))
        (1, 8, 111, 111)
        """
        options = (self.stride, self.padding, self.dilation, self.groups, self.padding_mode)
        return result_shape("conv2d", 2, shape, self.weight.shape, options, self.algorithm)


class Conv3d(_Conv):
    """Convolve volumes (N, C, D, H, W) with learned filters: :class:`Conv2d` along three axes.

    Examples
    --------
    >>> layer = Conv3d(1, 8, kernel_size=3, padding=1, rng=0)
    >>> layer(np.zeros((1, 1, 4, 16, 16), np.float32)).shape
    (1, 8, 4, 16, 16)
    """

    _axes = 3


class DepthwiseSeparableConv2d(Module):
    """Filter every channel by itself, then mix the channels: a depthwise and a 1x1 convolution.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size, stride, padding, dilation, padding_mode
        Of the depthwise convolution, as in :class:`Conv2d`.
    depth_multiplier : int
        Filters for each channel.
    bias : bool
        Whether both learn offsets.
    rng : numpy.random.Generator, int or None
        Where the initial values come from, as those of :class:`Conv2d`.

    Attributes
    ----------
    depthwise, pointwise : Conv2d

    References
    ----------
    Howard et al., MobileNets, arXiv:1704.04861; Chollet, Xception, arXiv:1610.02357.

    Examples
    --------
    >>> layer = DepthwiseSeparableConv2d(8, 16, kernel_size=3, padding="same", rng=0)
    >>> layer(np.zeros((1, 8, 32, 32), np.float32)).shape
    (1, 16, 32, 32)
    """

    _halves = ("depthwise", "pointwise")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        depth_multiplier: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = type(self).__name__
        channels = checks.integer(in_channels, name, "in_channels")
        middle = channels * checks.integer(depth_multiplier, name, "depth_multiplier")
        rng = checks.generator(rng, name)
        self.depthwise = Conv2d(
            *(channels, middle, kernel_size, stride, padding, dilation, channels, bias, padding_mode), rng=rng
        )
        self.pointwise = Conv2d(middle, out_channels, 1, bias=bias, rng=rng)

    def forward(self, input: Any) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for an input (N, in_channels, H, W), or both without N."""
        return self.pointwise(self.depthwise(input))
