"""Pooling with learned weights as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = [
    "TrainablePool1d",
    "TrainablePool2d",
    "TrainablePool3d",
    "WeightedPool1d",
    "WeightedPool2d",
    "WeightedPool3d",
]

_Size = int | tuple[int, ...]


class TrainablePool1d(Module):
    """What :class:`TrainablePool2d` is, for (N, C, L); the parameters are the same."""

    _function: Callable[..., Tensor] = staticmethod(F.trainable_pool1d)
    _axes = 1
    _one_step = True

    def __init__(
        self,
        channels: int,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        activation: Module | None = None,
    ) -> None:
        name = type(self).__name__
        channels = checks.integer(channels, name, "channels")
        taps = math.prod(checks.integers(kernel_size, self._axes, name, "kernel_size"))
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.weight = Parameter(np.full(channels, 1 / taps, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.activation = activation

    def forward(self, input: Any) -> Tensor:
        """Return the weighted sums."""
        out = type(self)._function(input, self.weight, self.bias, self.kernel_size, self.stride, self.padding)
        return out if self.activation is None else self.activation(out)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class TrainablePool2d(TrainablePool1d):
    """LeNet-5's subsampling: the sum of each window times a learned coefficient plus a learned bias of its channel.

    An activation follows; see :func:`fastconv.functional.trainable_pool2d`.

    Parameters
    ----------
    channels : int
        Of the input.
    kernel_size, stride, padding
        As those of :class:`AvgPool2d`.
    activation : Module, optional
        What follows, so that the layer is the whole of LeNet-5's.

    Attributes
    ----------
    weight, bias : Parameter
        (channels,). At the start the layer gives the mean.

    Examples
    --------
    >>> TrainablePool2d(1, 2)([[[1.0, 2.0], [3.0, 4.0]]]).detach()
    tensor([[[2.5]]])
    """

    _function = staticmethod(F.trainable_pool2d)
    _axes = 2


class TrainablePool3d(TrainablePool1d):
    """What :class:`TrainablePool2d` is, for (N, C, D, H, W); the parameters are the same."""

    _function = staticmethod(F.trainable_pool3d)
    _axes = 3


class WeightedPool1d(Module):
    """What :class:`WeightedPool2d` is, for (N, C, L); the parameters are the same."""

    _function: Callable[..., Tensor] = staticmethod(F.weighted_pool1d)
    _axes = 1

    def __init__(
        self,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        *,
        channels: int | None = None,
    ) -> None:
        name = type(self).__name__
        kernel = checks.integers(kernel_size, self._axes, name, "kernel_size")
        count = 1 if channels is None else checks.integer(channels, name, "channels")
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.weight = Parameter(np.full((count, *kernel), 1 / math.prod(kernel), np.float32))

    def forward(self, input: Any) -> Tensor:
        """Return the weighted sums."""
        return type(self)._function(input, self.weight, None, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class WeightedPool2d(WeightedPool1d):
    """The sum of each window with a learned weight for each position; see :func:`fastconv.functional.weighted_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Steps from window to window; by default `kernel_size`.
    padding : int or pair of int
        Rows and columns of zeros added on either side.
    channels : int, optional
        For weights of its own in each channel; by default all share theirs.

    Attributes
    ----------
    weight : Parameter
        (1, *kernel_size) or (channels, *kernel_size). At the start the layer gives the mean.
    """

    _function = staticmethod(F.weighted_pool2d)
    _axes = 2


class WeightedPool3d(WeightedPool1d):
    """What :class:`WeightedPool2d` is, for (N, C, D, H, W); the parameters are the same."""

    _function = staticmethod(F.weighted_pool3d)
    _axes = 3
