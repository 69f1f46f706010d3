"""Pooling as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

_Size = int | tuple[int, ...]


class MaxPool1d(Module):
    """The largest value of each window over (N, C, L); see :func:`fastconv.functional.max_pool1d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As those of :class:`MaxPool2d`, for one axis.
    """

    _function: Callable[..., Any] = staticmethod(F.max_pool1d)

    def __init__(
        self,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        dilation: _Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Return the maxima, and where they are if `return_indices`."""
        return self._pooled(input)

    def _pooled(self, input: Any, **after: Any) -> Any:
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return type(self)._function(input, *window, self.ceil_mode, self.return_indices, **after)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool2d(MaxPool1d):
    """The largest value of each window, see :func:`fastconv.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window.
    stride : int or pair of int, optional
        Steps from window to window; by default `kernel_size`.
    padding, dilation : int or pair of int
        Rows and columns added on either side; steps from tap to tap.
    return_indices : bool
        Whether to return as well where the maxima are, for :class:`MaxUnpool2d`.
    ceil_mode : bool
        Whether the output size is rounded up.

    Examples
    --------
    >>> MaxPool2d(2)([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[[4.]]])
    """

    _function = staticmethod(F.max_pool2d)

    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Return the maxima, and where they are if `return_indices`; `activation` as in the function."""
        return self._pooled(input, activation=activation)


class MaxPool3d(MaxPool1d):
    """The largest value of each window over (N, C, D, H, W); see :func:`fastconv.functional.max_pool3d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As those of :class:`MaxPool2d`, for three axes.
    """

    _function = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """The mean of each window over (N, C, L); see :func:`fastconv.functional.avg_pool1d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As those of :class:`AvgPool2d`, for one axis.
    """

    def __init__(
        self,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Tensor:
        """Return the means."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(AvgPool1d):
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

    _function: Callable[..., Tensor] = staticmethod(F.avg_pool2d)

    def __init__(
        self,
        kernel_size: _Size,
        stride: _Size | None = None,
        padding: _Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Tensor:
        """Return the means."""
        return type(self)._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(AvgPool2d):
    """The mean of each window over (N, C, D, H, W); see :func:`fastconv.functional.avg_pool3d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As those of :class:`AvgPool2d`, for three axes.
    """

    _function = staticmethod(F.avg_pool3d)


class MaxUnpool1d(Module):
    """Put values (N, C, L) where maximum pooling found them; see :func:`fastconv.functional.max_unpool1d`.

    Parameters
    ----------
    kernel_size, stride, padding
        As those of :class:`MaxUnpool2d`, for one axis.
    """

    _function: Callable[..., Tensor] = staticmethod(F.max_unpool1d)

    def __init__(self, kernel_size: _Size, stride: _Size | None = None, padding: _Size = 0) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Tensor:
        """Return the values at `indices` among zeros."""
        return type(self)._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool2d(MaxUnpool1d):
    """Put values where maximum pooling found them; see :func:`fastconv.functional.max_unpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding : int or pair of int
        Those of the pooling.

    Examples
    --------
    >>> values, indices = MaxPool2d(2, return_indices=True)([[[1.0, 2.0], [3.0, 4.0]]])
    >>> MaxUnpool2d(2)(values, indices)
    tensor([[[0., 0.],
             [0., 4.]]])
    """

    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(MaxUnpool1d):
    """Put values (N, C, D, H, W) where maximum pooling found them; see :func:`fastconv.functional.max_unpool3d`.

    Parameters
    ----------
    kernel_size, stride, padding
        As those of :class:`MaxUnpool2d`, for three axes.
    """

    _function = staticmethod(F.max_unpool3d)
