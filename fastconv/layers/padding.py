"""Padding as layers."""

from __future__ import annotations

from typing import Any

from fastconv import checks
from fastconv import functional as F
from fastconv.autograd import as_array
from fastconv.layers.module import Module
from fastconv.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """Pad the last `_axes` axes; see :func:`fastconv.functional.pad`.

    Parameters
    ----------
    padding : int or sequence of int
        Elements on all sides, or before and after the last axis, then the last but one: ``(left, right, top, bottom)``.
        Negative numbers take elements away.
    """

    _axes: int
    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        self.padding = checks.integers(padding, 2 * self._axes, type(self).__name__, "padding", -checks.LARGEST)

    def forward(self, input: Any) -> Tensor:
        """Return the padded input, (N, C, ...) as it is given."""
        layout = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[self._axes - 1]
        allowed = (self._axes + 2, self._axes + 1)
        checks.ndim(as_array(input, type(self).__name__, "input"), allowed, type(self).__name__, "input", layout)
        return F.pad(input, self.padding, self._mode, self._value())

    def _value(self) -> float | None:
        return None

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_Pad):
    """Pad (N, C, L) with a constant; see :func:`fastconv.functional.pad`.

    Parameters
    ----------
    padding : int or sequence of int
        Elements on both sides, or ``(left, right)``.
    value : float
        What the new elements are.
    """

    _axes = 1

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def _value(self) -> float | None:
        return self.value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """Pad (N, C, H, W) with a constant: all sides, or ``(left, right, top, bottom)``."""

    _axes = 2


class ConstantPad3d(ConstantPad1d):
    """Pad (N, C, D, H, W) with a constant: all sides, or ``(left, right, top, bottom, front, back)``."""

    _axes = 3


class ZeroPad1d(_Pad):
    """Pad (N, C, L) with zeros: both sides, or ``(left, right)``."""

    _axes = 1


class ZeroPad2d(_Pad):
    """Pad (N, C, H, W) with zeros: all sides, or ``(left, right, top, bottom)``.

    Older texts pad the right and lower edge of odd images before they pool by 2. That is not what `ceil_mode` does,
    whose last windows see the image alone: with zeros the maximum of a negative edge is 0, and its mean is of four.

    Examples
    --------
    >>> from fastconv import functional as F
    >>> edge = [[[-3.0]]]
    >>> F.max_pool2d(ZeroPad2d((0, 1, 0, 1))(edge), 2), F.max_pool2d(edge, 2, ceil_mode=True)
    (tensor([[[0.]]]), tensor([[[-3.]]]))
    >>> F.avg_pool2d(ZeroPad2d((0, 1, 0, 1))(edge), 2), F.avg_pool2d(edge, 2, ceil_mode=True)
    (tensor([[[-0.75]]]), tensor([[[-3.]]]))
    """

    _axes = 2


class ZeroPad3d(_Pad):
    """Pad (N, C, D, H, W) with zeros: all sides, or ``(left, right, top, bottom, front, back)``."""

    _axes = 3


class ReflectionPad1d(_Pad):
    """Pad (N, C, L) with its mirror image, without its outermost elements: both sides, or ``(left, right)``."""

    _axes, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Pad (N, C, H, W) with its mirror image: all sides, or ``(left, right, top, bottom)``."""

    _axes, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Pad (N, C, D, H, W) with its mirror image: all sides, or six numbers from left to back."""

    _axes, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Pad (N, C, L) with its outermost elements: both sides, or ``(left, right)``."""

    _axes, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Pad (N, C, H, W) with its outermost pixels: all sides, or ``(left, right, top, bottom)``."""

    _axes, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Pad (N, C, D, H, W) with its outermost voxels: all sides, or six numbers from left to back."""

    _axes, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Pad (N, C, L) with its other end: both sides, or ``(left, right)``."""

    _axes, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """Pad (N, C, H, W) with its other end: all sides, or ``(left, right, top, bottom)``."""

    _axes, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """Pad (N, C, D, H, W) with its other end: all sides, or six numbers from left to back."""

    _axes, _mode = 3, "circular"
