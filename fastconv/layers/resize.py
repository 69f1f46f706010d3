"""Resizing as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv import functional as F
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """Resize signals, images or volumes; see :func:`fastconv.functional.interpolate`.

    Parameters
    ----------
    size : int or sequence of int, optional
        The new lengths of the spatial axes.
    scale_factor : float or sequence of float, optional
        In place of `size`: what the lengths are multiplied by.
    mode : str
        "nearest", "linear", "bilinear", "bicubic", "trilinear" and others.
    align_corners : bool, optional
        Whether the centres of the outermost elements stay where they are.
    recompute_scale_factor : bool, optional
        Whether places are computed from the new size rather than from the given factor.

    Examples
    --------
    >>> Upsample(scale_factor=2)([[[1.0, 2.0]]])
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Tensor:
        """Return the resized input."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        factor = float(self.scale_factor) if isinstance(self.scale_factor, int) else self.scale_factor
        size = f"size={self.size}" if factor is None else f"scale_factor={factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resize images by taking the nearest pixel.

    Parameters
    ----------
    size, scale_factor
        As those of :class:`Upsample`.
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images bilinearly, their corners aligned.

    Parameters
    ----------
    size, scale_factor
        As those of :class:`Upsample`.
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", True)
