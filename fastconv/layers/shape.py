"""Layers that change the shape, and that merge several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "Add",
    "CenterCrop",
    "ChannelShuffle",
    "Concat",
    "Flatten",
    "Identity",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unflatten",
]


class Flatten(Module):
    """Join the axes `start_dim` to `end_dim` to one; by default all but the batch axis.

    Parameters
    ----------
    start_dim, end_dim : int
        First and last axis to join; negative ones count from the end.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten()(np.zeros((2, 3, 4, 4), np.float32)).shape
    (2, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Tensor:
        """Return `input` with the axes joined."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split an axis into several; see :func:`fastconv.functional.unflatten`.

    Parameters
    ----------
    dim : int
        The axis.
    unflattened_size : sequence of int
        Its new lengths, one of which may be -1.

    Examples
    --------
    >>> import numpy as np
    >>> Unflatten(1, (3, 4, 4))(np.zeros((2, 48), np.float32)).shape
    (2, 3, 4, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Any) -> Tensor:
        """Return `input` with the axis split."""
        return F.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Nothing: what takes a layer's place when it is cut out. Arguments are ignored, as in PyTorch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return `input` itself."""
        return input


class Concat(Module):
    """Join several inputs along an axis, by default the channels.

    The eager path copies: a layer that has run already wrote its result where it was. Only a plan of the whole network
    knows beforehand that results belong side by side.

    Parameters
    ----------
    dim : int
        The axis.

    Examples
    --------
    >>> Concat()([[1.0]], [[2.0, 3.0]])
    tensor([[1., 2., 3.]])
    """

    def __init__(self, dim: int = 1) -> None:
        self.dim = dim

    def forward(self, *inputs: Any) -> Tensor:
        """Return the inputs side by side."""
        return F.cat(inputs, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Add(Module):
    """The sum of several inputs, from left to right.

    Examples
    --------
    >>> Add()([1.0], [2.0], [3.0])
    tensor([6.])
    """

    def forward(self, *inputs: Any) -> Tensor:
        """Return the sum."""
        if len(inputs) < 2:
            raise TypeError(f"Add: takes two inputs or more, got {len(inputs)}")
        return reduce(F.add, inputs)


class CenterCrop(Module):
    """The middle of an image; see :func:`fastconv.functional.center_crop`.

    Parameters
    ----------
    output_size : int or pair of int
        Height and width of the result.
    """

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Tensor:
        """Return the middle, (..., *output_size)."""
        return F.center_crop(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class ChannelShuffle(Module):
    """Deal out the channels of groups like cards; see :func:`fastconv.functional.channel_shuffle`.

    Parameters
    ----------
    groups : int
        A divisor of the channels.
    """

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def forward(self, input: Any) -> Tensor:
        """Return the channels in their new order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class PixelShuffle(Module):
    """Make every pixel a square of pixels out of its channels; see :func:`fastconv.functional.pixel_shuffle`.

    Parameters
    ----------
    upscale_factor : int
        Side of the square.
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Tensor:
        """Return (..., C, H r, W r) for (..., C r r, H, W)."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Make every square of pixels one with more channels; see :func:`fastconv.functional.pixel_unshuffle`.

    Parameters
    ----------
    downscale_factor : int
        Side of the square.
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Tensor:
        """Return (..., C r r, H, W) for (..., C, H r, W r)."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"
