"""Adaptive pooling as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["AdaptiveAvgPool2d", "AdaptiveMaxPool2d"]


class _AdaptivePool(Module):
    _function: Callable[..., Tensor]

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Tensor:
        """Return the pooled images, (N, C, *output_size)."""
        return type(self)._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptivePool):
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


class AdaptiveMaxPool2d(_AdaptivePool):
    """The largest values of a given number of windows, see :func:`fastconv.functional.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or pair
        Height and width of the result; None leaves an axis as it is.

    Examples
    --------
    >>> AdaptiveMaxPool2d((2, None))([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[1., 2.],
             [3., 4.]]])
    """

    _function = staticmethod(F.adaptive_max_pool2d)
