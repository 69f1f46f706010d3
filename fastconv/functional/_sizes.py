"""Where the window of a convolution goes along each axis: the arguments of all convolutions, checked."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastconv import checks
from fastconv._kernels import PADDING_MODES
from fastconv.errors import ShapeError
from fastconv.functional._window import too_large

__all__ = [
    "UNIT",
    "Axis",
    "Padding",
    "Size",
    "check_mode",
    "check_padding",
    "check_shapes",
    "convolution_axes",
    "transposed_axes",
]

Size = int | tuple[int, ...]
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]

_MOST_ELEMENTS = 2**59  # of up to eight bytes: a size in bytes fits 62 bits
_LAYOUTS = {1: "L", 2: "H, W", 3: "D, H, W"}
_KERNELS = {1: "k", 2: "kh, kw", 3: "kd, kh, kw"}
_NAMED = ("valid", "same", "same_lower", "full")


class Axis(NamedTuple):
    """One axis of a convolution: its input's and output's size, the window's, and the padding before and after."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def span(self) -> int:
        """How far a window reaches."""
        return self.dilation * (self.kernel - 1) + 1


UNIT = Axis(1, 1, 1, 1, 1, 0, 0)
"""An axis that is not there."""


def check_padding(op: str, padding: Any, count: int) -> Any:
    """Return the name of a padding, or numbers of pixels, or (before, after) pairs, for `count` axes."""
    if isinstance(padding, str):
        if padding not in _NAMED:
            raise ValueError(f"{op}: padding must be numbers or one of {', '.join(_NAMED)}, got {padding!r}")
        return padding
    if isinstance(padding, (tuple, list)) and any(isinstance(each, (tuple, list)) for each in padding):
        if len(padding) != count:
            raise ShapeError(f"{op}: padding must have {count} (before, after) pairs, got {padding!r}")
        return tuple(checks.pair(each, op, "padding", 0) for each in padding)
    return checks.integers(padding, count, op, "padding", 0)


def _paddings(
    op: str, padding: Any, size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: Any
) -> list[tuple[int, int]]:
    """Padding before and after along every axis, for all that `padding` may be."""
    count = len(size)
    padding = check_padding(op, padding, count)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if padding == "valid":
        return [(0, 0)] * count
    if padding == "full":
        return [(span - 1, span - 1) for span in spans]
    if isinstance(padding, str):
        total = [max(0, (-(-n // s) - 1) * s + span - n) for n, s, span in zip(size, stride, spans, strict=True)]
        before = [(t + 1) // 2 if padding == "same_lower" else t // 2 for t in total]
        return [(b, t - b) for t, b in zip(total, before, strict=True)]
    return [p if isinstance(p, tuple) else (p, p) for p in padding]


def check_mode(op: str, mode: Any) -> str:
    """Return the name of a padding mode."""
    if not isinstance(mode, str) or mode not in PADDING_MODES:
        raise ValueError(f"{op}: padding_mode must be one of {', '.join(PADDING_MODES)}, got {mode!r}")
    return mode


def _check_fit(op: str, mode: str, axes: list[Axis]) -> None:
    """Raise unless the image has the pixels that its padding is made of."""
    most = {"reflect": 1, "circular": 0}.get(mode)
    if most is not None and any(max(axis.before, axis.after) > axis.size - most for axis in axes):
        needs = "less than" if most else "at most"
        given = [(axis.before, axis.after) for axis in axes]
        raise ShapeError(
            f"{op}: {mode} padding must be {needs} the input's size {tuple(a.size for a in axes)}, got {given}"
        )


def _check_elements(op: str, what: str, batch: int, channels: int, axes: list[int]) -> None:
    if max(batch, 1) * channels * math.prod(axes) >= _MOST_ELEMENTS:
        shape = (batch, channels, *axes)
        raise ShapeError(f"{op}: the {what} {shape} makes arrays of more than {_MOST_ELEMENTS} elements")


def convolution_axes(
    op: str,
    count: int,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    mode: Any,
) -> list[Axis]:
    """Check the options of a convolution whose shapes are checked, and return its `count` axes.

    Raises
    ------
    TypeError
        If an option is not what it must be.
    ShapeError
        If shapes do not fit, an option is out of range, or sizes beyond 2**59 elements arise.
    """
    kernel, size = weight[2:], shape[-count:]
    steps = checks.integers(stride, count, op, "stride")
    distances = checks.integers(dilation, count, op, "dilation")
    pads = _paddings(op, padding, size, kernel, steps, distances)
    axes = []
    for n, k, s, d, (before, after) in zip(size, kernel, steps, distances, pads, strict=True):
        axes.append(Axis(n, (n + before + after - d * (k - 1) - 1) // s + 1, k, s, d, before, after))
    padded = [axis.size + axis.before + axis.after for axis in axes]
    if any(axis.out < 1 for axis in axes):
        raise ShapeError(too_large(op, kernel, distances, [axis.span for axis in axes], padded))
    _check_fit(op, check_mode(op, mode), axes)
    batch = shape[0] if len(shape) == count + 2 else 1
    _check_elements(op, "input with its padding", batch, shape[-count - 1], padded)  # no output map is larger
    _check_elements(op, "output", batch, weight[0], [axis.out for axis in axes])
    return axes


def transposed_axes(
    op: str,
    count: int,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> list[Axis]:
    """Likewise for a transposed convolution: the axes of the convolution whose adjoint it is.

    Its input's size is that convolution's `out`, its output's that one's `size`.
    """
    if isinstance(padding, str):
        raise TypeError(f"{op}: padding must be numbers or (before, after) pairs, got {padding!r}")
    kernel, inputs = weight[2:], shape[-count:]
    steps = checks.integers(stride, count, op, "stride")
    distances = checks.integers(dilation, count, op, "dilation")
    extras = checks.integers(output_padding, count, op, "output_padding", 0)
    pads = _paddings(op, padding, inputs, kernel, steps, distances)
    axes = []
    for n, k, s, d, extra, (before, after) in zip(inputs, kernel, steps, distances, extras, pads, strict=True):
        if extra >= max(s, d):
            raise ShapeError(f"{op}: output_padding must be smaller than stride or dilation, got {output_padding!r}")
        axes.append(Axis((n - 1) * s - before - after + d * (k - 1) + extra + 1, n, k, s, d, before, after))
    if any(axis.size < 1 for axis in axes):
        raise ShapeError(
            f"{op}: an input of shape {shape} with kernel_size {kernel}, stride {steps} and padding {padding!r} makes "
            f"an output of size {'x'.join(str(axis.size) for axis in axes)}"
        )
    batch = shape[0] if len(shape) == count + 2 else 1
    whole = [axis.size + axis.before + axis.after for axis in axes]
    _check_elements(op, "output with its padding", batch, weight[1] * groups, whole)
    return axes


def check_shapes(
    op: str, count: int, shape: tuple[int, ...], weight: tuple[int, ...], groups: Any, transposed: bool = False
) -> int:
    """Return `groups` as an int if the shapes of input and weight fit each other."""
    layout, kernel = _LAYOUTS[count], _KERNELS[count]
    names = "C_in, C_out / groups" if transposed else "C_out, C_in / groups"
    if len(weight) != count + 2 or min(weight) < 1:
        raise ShapeError(f"{op}: weight must be ({names}, {kernel}), each at least 1, got shape {weight}")
    if len(shape) not in (count + 1, count + 2) or min(shape[-count - 1 :]) < 1:
        allowed = (count + 1, count + 2)
        remedy = "an axis is empty" if len(shape) in allowed else checks.axes_remedy(len(shape), allowed)
        raise ShapeError(
            f"{op}: input must be (N, C, {layout}) or (C, {layout}), with all but N at least 1, "
            f"got shape {shape}; {remedy}"
        )
    checked = checks.integer(groups, op, "groups")
    if weight[0] % checked:
        which = "input" if transposed else "output"
        raise ShapeError(f"{op}: groups must divide the {weight[0]} {which} channels of weight, got {groups}")
    takes = weight[0] if transposed else weight[1] * checked
    given = shape[-count - 1]
    if given != takes:
        raise ShapeError(
            f"{op}: weight of shape {weight} takes {takes} input channels (groups={groups}), "
            f"but input of shape {shape} has {given}; " + _remedy(count, shape, takes)
        )
    return checked


def _remedy(count: int, shape: tuple[int, ...], channels: int) -> str:
    """What most likely makes an input of that shape fit."""
    if shape[-1] == channels:
        return f"channels come before {_LAYOUTS[count]}: np.moveaxis(input, -1, {-count - 1}) puts them there"
    if len(shape) == count + 1 and channels == 1:
        return "a batch of images of one channel is input[:, None]"
    return f"a layer with in_channels={shape[-count - 1]} would fit"
