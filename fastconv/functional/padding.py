"""Padding: what stands around an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional._resample import Matrix, pick, resample
from fastconv.functional.shape import getitem, squeeze, unsqueeze
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["center_crop", "pad"]

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add elements before and after the last axes.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, any shape for ``mode="constant"``. The other modes take images, (N, C, ...) or (C, ...) with
        as many further axes as are padded: one, two or three.
    pad : sequence of int
        Elements before and after the last axis, then those of the last but one, and so on: ``(left, right, top,
        bottom)``. Negative numbers take elements away.
    mode : {"constant", "reflect", "replicate", "circular"}
        What the new elements are: `value`; the image mirrored at its outermost pixels, which are not repeated; the
        outermost pixel; the image's other end.
    value : float, optional
        Of constant padding; 0 by default.

    Returns
    -------
    Tensor
        The padded input; images of four axes are stored channels last.

    Raises
    ------
    ShapeError
        If `pad` has an odd length or one that does not fit the input, takes away a whole axis, or is too large for the
        mode: a mirror image has ``size - 1`` pixels to offer, a circle ``size``.
    TypeError
        If the input holds no floats or `pad` no ints.

    Examples
    --------
    >>> pad([[[1.0, 2.0, 3.0]]], (2, 1), "reflect")
    tensor([[[3., 2., 1., 2., 3., 2.]]])
    >>> pad([1.0, 2.0], (1, 0), value=5.0)
    tensor([5., 1., 2.])
    """
    x = as_array(input, "pad", "input")
    if mode not in _MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
    sides = _sides(x, pad)
    if mode == "constant":
        fill = _value(value)
        if tracing():
            return traced("pad", locals(), _padded(x, sides), x.dtype)
        return _constant(input, x, sides, fill)
    if value is not None:
        raise ValueError(f"pad: value is for mode='constant', not for {mode!r}")
    axes = len(pad) // 2
    if not 1 <= axes <= 3 or x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"pad: mode {mode!r} pads one, two or three axes of (N, C, ...) or (C, ...), "
            f"got {axes} of an input of shape {x.shape}"
        )
    matrices = [_mirror(size, *sides[-axes + i], mode) for i, size in enumerate(x.shape[-axes:])]
    if tracing():
        return traced("pad", locals(), _padded(x, sides), x.dtype)
    if x.ndim == axes + 1:
        return squeeze(resample(unsqueeze(input, 0), x[None], matrices), 0)
    return resample(input, x, matrices)


def center_crop(input: Any, output_size: int | tuple[int, int]) -> Tensor:
    """Return the middle of an image; a view.

    Parameters
    ----------
    input : Tensor or array_like
        (..., H, W).
    output_size : int or pair of int
        Height and width of the result, at most H and W. Where the margin is odd, the pixel more is at the bottom and
        on the right.

    Raises
    ------
    ShapeError
        If the image is smaller.

    Examples
    --------
    >>> center_crop([[1.0, 2.0, 3.0, 4.0]], (1, 2))
    tensor([[2., 3.]])
    """
    x = as_array(input, "center_crop", "input")
    height, width = checks.pair(output_size, "center_crop", "output_size")
    if x.ndim < 2 or x.shape[-2] < height or x.shape[-1] < width:
        raise ShapeError(
            f"center_crop: output_size {(height, width)} does not fit into an input of shape {x.shape}; "
            f"at most {x.shape[-2:]} would fit, or pad in front"
        )
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return getitem(input, (..., slice(top, top + height), slice(left, left + width)))


def _sides(x: np.ndarray, pad: Any) -> list[tuple[int, int]]:
    """Elements before and after each axis of x."""
    if not isinstance(pad, (tuple, list)) or len(pad) % 2:
        raise ShapeError(f"pad: pad must be a sequence of an even number of ints, got {pad!r}")
    if len(pad) > 2 * x.ndim:
        raise ShapeError(f"pad: pad names {len(pad) // 2} axes, but input has shape {x.shape}")
    numbers = [checks.integer(n, "pad", "pad", minimum=-checks.LARGEST) for n in pad]
    sides = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(numbers[-2::-2], numbers[::-2], strict=True))
    for axis, (size, (before, after)) in enumerate(zip(x.shape, sides, strict=True)):
        if size + before + after < 0 or -before > size or -after > size:
            raise ShapeError(
                f"pad: {before} and {after} elements at axis {axis} leave nothing of shape {x.shape}; take less away"
            )
    return sides


def _value(value: Any) -> float:
    return value if isinstance(value, float) else checks.number(0 if value is None else value, "pad", "value")


def _padded(x: np.ndarray, sides: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(size + before + after for size, (before, after) in zip(x.shape, sides, strict=True))


def _constant(input: Any, x: np.ndarray, sides: Sequence[tuple[int, int]], value: float) -> Tensor:
    shape = _padded(x, sides)
    kept = tuple(
        slice(max(before, 0), length - max(after, 0)) for length, (before, after) in zip(shape, sides, strict=True)
    )
    taken = tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape, sides, strict=True))
    out = _kernels.empty_channels_last(shape, x.dtype) if x.ndim == 4 else _kernels.empty(shape, x.dtype)
    for axis, inner in enumerate(kept):
        along = out.swapaxes(0, axis)
        along[: inner.start] = along[inner.stop :] = value
    if x.ndim == 4:
        _kernels.copy_channels(_kernels.channels_last(x[taken]), out[kept])
    else:
        out[kept] = x[taken]
    whole = all(part == slice(0, n) for part, n in zip(taken, x.shape, strict=True))
    x_shape = x.shape

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        if whole:
            return (grad[kept],)
        grad_x = np.zeros(x_shape, grad.dtype)
        grad_x[taken] = grad[kept]
        return (grad_x,)

    return record(out, backward, (input,))


def _mirror(size: int, before: int, after: int, mode: str) -> Matrix | None:
    """The matrix that pads one axis."""
    if before == after == 0:
        return None
    first, last = max(-before, 0), size + min(after, 0)
    room = {"reflect": size - 1, "replicate": checks.LARGEST if size else 0, "circular": last - first}[mode]
    if size + before + after < 1:
        raise ShapeError(f"pad: {before}, {after} leave nothing of {size} for mode {mode!r}; take less away")
    if max(before, after) > room:
        raise ShapeError(
            f"pad: mode {mode!r} has at most {room} pixels to offer on either side of {size}, got {before}, {after}; "
            "pad less, or use larger images or another mode"
        )
    place = np.arange(-before, size + after)
    if mode == "reflect":
        place = size - 1 - np.abs(size - 1 - np.abs(place))
    elif mode == "replicate":
        place = np.clip(place, 0, size - 1)
    else:
        place = first + (place - first) % (last - first)
    return pick(place, size)
