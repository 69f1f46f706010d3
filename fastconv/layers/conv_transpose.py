"""Transposed convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.layers.conv import ConvBase, Padding, Size
from fastconv.tensor import Tensor

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTranspose(ConvBase):
    """A transposed convolution layer; its subclasses say along how many axes."""

    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        *,
        algorithm: str = "auto",
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f'{name}: padding_mode must be "zeros", got {padding_mode!r}')
        if isinstance(padding, str):
            raise TypeError(f"{name}: padding must be numbers or (before, after) pairs, got {padding!r}")
        self._set(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias),
            *(padding_mode, algorithm, rng),
        )
        self.output_padding = checks.integers(output_padding, self._axes, name, "output_padding", 0)

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Tensor:
        """Return (N, out_channels, *output size) for an input (N, in_channels, *size), or both without N.

        `output_size`, one int for each axis, takes the place of `output_padding`: several inputs of a strided
        convolution have outputs of one size, and this says which it was.
        """
        extra = self.output_padding if output_size is None else self._extra(np.shape(input), output_size)
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._axes - 1]
        return function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
            algorithm=self.algorithm,
        )

    def _extra(self, shape: tuple[int, ...], output_size: Sequence[int]) -> tuple[int, ...]:
        name, axes = type(self).__name__, self._axes
        wanted = checks.integers(tuple(output_size)[-axes:], axes, name, "output_size")
        pads = [sum(p) if isinstance(p, tuple) else 2 * p for p in self.padding]
        each = zip(wanted, shape[-axes:], self.kernel_size, self.stride, self.dilation, pads, strict=True)
        extra = tuple(size - ((n - 1) * s + d * (k - 1) + 1 - p) for size, n, k, s, d, p in each)
        if any(not 0 <= e < max(s, d) for e, s, d in zip(extra, self.stride, self.dilation, strict=True)):
            raise ShapeError(f"{name}: no input of shape {shape} makes an output of size {wanted}")
        return extra


class ConvTranspose1d(_ConvTranspose):
    """Transpose the convolution of signals (N, C, L): :class:`ConvTranspose2d` along one axis.

    Examples
    --------
    >>> layer = ConvTranspose1d(8, 2, kernel_size=4, stride=2, padding=1, rng=0)
    >>> layer(np.zeros((4, 8, 50), np.float32)).shape
    (4, 2, 100)
    """

    _axes = 1


class ConvTranspose2d(_ConvTranspose):
    """Make images larger with learned filters; see :func:`fastconv.functional.conv_transpose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or pair of int
        Height and width of a filter.
    stride, padding, output_padding, dilation
        As in :func:`fastconv.functional.conv_transpose2d`.
    groups : int
        Divides both channel counts.
    bias : bool
        Whether to learn an offset for each output channel.
    padding_mode : {"zeros"}
        For PyTorch's sake.
    algorithm : {"auto", "direct", "winograd"}
        As in :func:`fastconv.functional.conv_transpose2d`.
    rng : numpy.random.Generator, int or None
        Where the initial values come from, as those of :class:`Conv2d`.

    Attributes
    ----------
    weight : Parameter
        (in_channels, out_channels / groups, kernel height, kernel width).
    bias : Parameter or None
        (out_channels,).

    Examples
    --------
    >>> layer = ConvTranspose2d(8, 3, kernel_size=3, stride=2, padding=1, rng=0)
    >>> layer(np.zeros((1, 8, 16, 16), np.float32), output_size=(32, 32)).shape
    (1, 3, 32, 32)
    """

    _axes = 2


class ConvTranspose3d(_ConvTranspose):
    """Transpose the convolution of volumes (N, C, D, H, W): :class:`ConvTranspose2d` along three axes.

    Examples
    --------
    >>> layer = ConvTranspose3d(8, 2, kernel_size=2, stride=2, rng=0)
    >>> layer(np.zeros((1, 8, 4, 4, 4), np.float32)).shape
    (1, 2, 8, 8, 8)
    """

    _axes = 3
