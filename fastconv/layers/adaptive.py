"""Adaptive pooling as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]


class AdaptiveAvgPool1d(Module):
    """The means of a given number of windows over (N, C, L), see :func:`fastconv.functional.adaptive_avg_pool1d`.

    Parameters
    ----------
    output_size : int
        Length of the result.
    """

    _function: Callable[..., Tensor] = staticmethod(F.adaptive_avg_pool1d)

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Tensor:
        """Return the means, (N, C, *output_size)."""
        return type(self)._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """The means of a given number of windows, see :func:`fastconv.functional.adaptive_avg_pool2d`.

    Parameters
    ----------
    output_size : int or pair
        Height and width of the result; None leaves an axis as it is. 1 makes global average pooling.

    Examples
    --------
    >>> AdaptiveAvgPool2d(1)([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[2.5]]])
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(AdaptiveAvgPool1d):
    """The means of a given number of windows over (N, C, D, H, W).

    Parameters
    ----------
    output_size : int or three ints
        Depth, height and width of the result; None leaves an axis as it is.
    """

    _function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(Module):
    """The largest values of a given number of windows over (N, C, L).

    Parameters
    ----------
    output_size : int
        Length of the result.
    return_indices : bool
        Whether to return as well where they are.
    """

    _function: Callable[..., Any] = staticmethod(F.adaptive_max_pool1d)

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """Return the maxima, (N, C, *output_size), and where they are if `return_indices`."""
        return type(self)._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(AdaptiveMaxPool1d):
    """The largest values of a given number of windows, see :func:`fastconv.functional.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or pair
        Height and width of the result; None leaves an axis as it is.
    return_indices : bool
        Whether to return as well where they are.

    Examples
    --------
    >>> AdaptiveMaxPool2d((2, None))([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[1., 2.],
             [3., 4.]]])
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(AdaptiveMaxPool1d):
    """The largest values of a given number of windows over (N, C, D, H, W).

    Parameters
    ----------
    output_size : int or three ints
        Depth, height and width of the result; None leaves an axis as it is.
    return_indices : bool
        Whether to return as well where they are.
    """

    _function = staticmethod(F.adaptive_max_pool3d)
