"""Pooling as layers."""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["AvgPool2d", "MaxPool2d"]


class MaxPool2d(Module):
    """The largest value of each window, see :func:`fastconv.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Steps from window to window; by default `kernel_size`.
    padding, dilation : int or pair of int
        Rows and columns added on either side; steps from tap to tap.
    ceil_mode : bool
        Whether the output size is rounded up.

    Examples
    --------
    >>> MaxPool2d(2)([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[4.]]])
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Tensor:
        """Return the maxima, (N, C, H_out, W_out)."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window, see :func:`fastconv.functional.avg_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Steps from window to window; by default `kernel_size`.
    padding : int or pair of int
        Rows and columns of zeros added on either side.
    ceil_mode : bool
        Whether the output size is rounded up.
    count_include_pad : bool
        Whether the padding counts in the number that sums are divided by.
    divisor_override : int, optional
        Divide all sums by this instead.

    Examples
    --------
    >>> AvgPool2d(2)([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[2.5]]])
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Tensor:
        """Return the means, (N, C, H_out, W_out)."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
