"""Pooling by powers and by a Gaussian, as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "GaussianPool1d",
    "GaussianPool2d",
    "GaussianPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
]

_Size = int | tuple[int, ...]


class LPPool1d(Module):
    """What :class:`LPPool2d` is, for (N, C, L); the parameters are the same."""

    _function: Callable[..., Tensor] = staticmethod(F.lp_pool1d)

    def __init__(
        self, norm_type: float, kernel_size: _Size, stride: _Size | None = None, ceil_mode: bool = False
    ) -> None:
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Tensor:
        """Return the norms."""
        return type(self)._function(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool2d(LPPool1d):
    """The p-norm of each window; see :func:`fastconv.functional.lp_pool2d`.

    Parameters
    ----------
    norm_type : float
        p, above 0.
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Steps from window to window; by default `kernel_size`.
    ceil_mode : bool
        Whether the output size is rounded up.
    """

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(LPPool1d):
    """What :class:`LPPool2d` is, for (N, C, D, H, W); the parameters are the same."""

    _function = staticmethod(F.lp_pool3d)


class GaussianPool1d(Module):
    """What :class:`GaussianPool2d` is, for (N, C, L); the parameters are the same."""

    _function: Callable[..., Tensor] = staticmethod(F.gaussian_pool1d)

    def __init__(
        self,
        kernel_size: _Size,
        sigma: float | tuple[float, ...],
        stride: _Size | None = None,
        padding: _Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = kernel_size
        self.sigma = sigma
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Tensor:
        """Return the weighted means."""
        return type(self)._function(
            input, self.kernel_size, self.sigma, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, sigma={self.sigma}, stride={self.stride}, padding={self.padding}"


class GaussianPool2d(GaussianPool1d):
    """The mean of each window, weighted by a Gaussian; see :func:`fastconv.functional.gaussian_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    sigma : float or pair of float
        Standard deviation in pixels.
    stride, padding, ceil_mode, count_include_pad
        As those of :class:`AvgPool2d`.

    Examples
    --------
    >>> GaussianPool2d((1, 3), 0.5)([[[0.0, 1.0, 0.0]]])
    tensor([[[0.787]]])
    """

    _function = staticmethod(F.gaussian_pool2d)


class GaussianPool3d(GaussianPool1d):
    """What :class:`GaussianPool2d` is, for (N, C, D, H, W); the parameters are the same."""

    _function = staticmethod(F.gaussian_pool3d)
