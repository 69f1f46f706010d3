"""Pooling by chance, and between the maximum and the mean, as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = [
    "MixedPool1d",
    "MixedPool2d",
    "MixedPool3d",
    "StochasticPool1d",
    "StochasticPool2d",
    "StochasticPool3d",
]

_Size = int | tuple[int, ...]


class MixedPool1d(Module):
    """What :class:`MixedPool2d` is, for (N, C, L); the parameters are the same."""

    _function: Callable[..., Tensor] = staticmethod(F.mixed_pool1d)

    def __init__(
        self,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        ceil_mode: bool = False,
        *,
        channels: int | None = None,
        alpha: float = 0.5,
    ) -> None:
        name = type(self).__name__
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        count = 1 if channels is None else checks.integer(channels, name, "channels")
        self.alpha = Parameter(np.full(count, checks.number(alpha, name, "alpha"), np.float32))

    def forward(self, input: Any) -> Tensor:
        """Return the mixtures."""
        return type(self)._function(input, self.kernel_size, self.alpha, self.stride, self.padding, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MixedPool2d(MixedPool1d):
    """A learned mixture of the maximum and the mean of each window; see :func:`fastconv.functional.mixed_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As those of :class:`MaxPool2d`.
    channels : int, optional
        For a mixture of its own in each channel; by default there is one.
    alpha : float
        The share of the maximum at the start.

    Attributes
    ----------
    alpha : Parameter
        (1,) or (channels,): the shares.
    """

    _function = staticmethod(F.mixed_pool2d)


class MixedPool3d(MixedPool1d):
    """What :class:`MixedPool2d` is, for (N, C, D, H, W); the parameters are the same."""

    _function = staticmethod(F.mixed_pool3d)


class StochasticPool1d(Module):
    """What :class:`StochasticPool2d` is, for (N, C, L); the parameters are the same."""

    _function: Callable[..., Tensor] = staticmethod(F.stochastic_pool1d)

    def __init__(
        self,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        ceil_mode: bool = False,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.rng = checks.generator(rng, type(self).__name__)

    def forward(self, input: Any) -> Tensor:
        """Return the chosen activations."""
        return type(self)._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.training, self.rng
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class StochasticPool2d(StochasticPool1d):
    """A randomly chosen activation of each window; see :func:`fastconv.functional.stochastic_pool2d`.

    In evaluation, what is to be expected.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As those of :class:`MaxPool2d`.
    rng : numpy.random.Generator, int or None
        Where chance comes from.
    """

    _function = staticmethod(F.stochastic_pool2d)


class StochasticPool3d(StochasticPool1d):
    """What :class:`StochasticPool2d` is, for (N, C, D, H, W); the parameters are the same."""

    _function = staticmethod(F.stochastic_pool3d)
