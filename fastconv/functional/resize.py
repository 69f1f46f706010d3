"""Resizing: interpolation along each axis in turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array
from fastconv.errors import ShapeError
from fastconv.functional._resample import Matrix, mean_matrix, pick, resample
from fastconv.tensor import Tensor
from fastconv.tracing import traced, tracing

__all__ = ["interpolate", "upsample"]

_AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", *_AXES)


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images, signals or volumes.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64, (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    size : int or sequence of int, optional
        The new lengths of the spatial axes.
    scale_factor : float or sequence of float, optional
        In place of `size`: the new length is floor(length * factor).
    mode : str
        "nearest" (the element at floor(place), as older programs have it), "nearest-exact" (the nearest), "linear",
        "bilinear", "trilinear" (for one, two and three axes), "bicubic" (a = -0.75, images only) or "area" (adaptive
        average pooling).
    align_corners : bool, optional
        Of the linear and cubic modes: whether the centres of the outermost elements stay where they are. By default
        their outer edges do.
    recompute_scale_factor : bool, optional
        Whether places are computed from the new size rather than from the given factor, which differ where the factor
        makes no whole number. An axis that keeps its length is copied in the linear modes, whatever the factor.
    antialias : bool
        Of "bilinear" and "bicubic": whether the filter grows when images shrink, so that no pixel is passed over. The
        cubic filter then has a = -0.5.

    Returns
    -------
    Tensor
        (N, C, *size), its channels last in memory.

    Raises
    ------
    ShapeError
        If the input does not suit the mode, or a size is below 1.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `mode` is unknown, both or neither of `size` and `scale_factor` are given, or an option does not belong to
        the mode.

    Examples
    --------
    >>> interpolate([[[1.0, 2.0]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> interpolate([[[1.0, 2.0]]], 4, mode="linear")
    tensor([[[1.  , 1.25, 1.75, 2.  ]]])
    """
    op = "interpolate"
    x = as_array(input, op, "input")
    if mode not in _MODES:
        raise ValueError(f"{op}: mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
    axes = x.ndim - 2
    if axes not in (1, 2, 3) or _AXES.get(mode, axes) != axes:
        wanted = f"{_AXES[mode] + 2}-d for mode {mode!r}" if mode in _AXES else "3-d, 4-d or 5-d"
        fitting = {3: "linear", 4: "bilinear", 5: "trilinear"}.get(x.ndim)
        fit = f"mode {fitting!r} would fit" if fitting else checks.axes_remedy(x.ndim, (3, 4, 5))
        raise ShapeError(f"{op}: input must be (N, C, ...), {wanted}, got shape {x.shape}; {fit}")
    if min(x.shape[1:]) < 1:
        raise ShapeError(f"{op}: input must have channels and at least 1 element along each axis, got shape {x.shape}")
    for name, value in (("align_corners", align_corners), ("recompute_scale_factor", recompute_scale_factor)):
        if value is not None and not isinstance(value, bool):
            raise TypeError(f"{op}: {name} must be True, False or None, got {value!r}")
    if align_corners is not None and mode not in _AXES:
        raise ValueError(f"{op}: align_corners is for the linear and cubic modes, not for {mode!r}")
    if not isinstance(antialias, bool):
        raise TypeError(f"{op}: antialias must be True or False, got {antialias!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"{op}: antialias is for 'bilinear' and 'bicubic', not for {mode!r}")
    out, factors = _sizes(op, x.shape[2:], size, scale_factor, bool(recompute_scale_factor))
    if tracing():
        return traced(op, locals(), (*x.shape[:2], *out), x.dtype)
    # The factor as given where there is one; area looks at sizes alone.
    steps = [n / m if factor is None else 1 / factor for n, m, factor in zip(x.shape[2:], out, factors, strict=True)]
    matrices = [
        _nearest(n, m, step, 0.5 * (mode != "nearest"), axes, x.dtype)
        if mode.startswith("nearest")
        else _matrix(mode, n, m, step, bool(align_corners), antialias)
        for n, m, step in zip(x.shape[2:], out, steps, strict=True)
    ]
    return resample(input, x, matrices)


def upsample(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Return ``interpolate(input, size, scale_factor, mode, align_corners)``, by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def _sizes(
    op: str, shape: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[tuple[int, ...], list[float | None]]:
    """The new sizes, and the factors that places are computed from."""
    axes = len(shape)
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{op}: give either size or scale_factor, got size={size!r}, scale_factor={scale_factor!r}")
    if size is not None:
        if recompute:
            raise ValueError(f"{op}: recompute_scale_factor needs a scale_factor")
        return checks.integers(size, axes, op, "size"), [None] * axes
    given = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * axes
    if len(given) != axes:
        raise ShapeError(f"{op}: scale_factor must be one number or {axes}, got {scale_factor!r}")
    factors = [checks.number(factor, op, "scale_factor", 0.0) for factor in given]
    out = tuple(math.floor(n * factor) for n, factor in zip(shape, factors, strict=True))
    if min(out) < 1 or max(out) > checks.LARGEST:
        raise ShapeError(
            f"{op}: scale_factor {scale_factor!r} makes {out} of an input of {shape}; a larger factor would fit"
        )
    return out, [None] * axes if recompute else list(factors)


@lru_cache(maxsize=128)
def _nearest(size: int, out: int, step: float, shift: float, axes: int, dtype: np.dtype) -> Matrix:
    """The matrix that picks floor((i + shift) * step), rounded where PyTorch rounds: images are float32's affair."""
    if axes == 2 and not shift and out in (size, 2 * size):  # whatever the factor
        return pick(np.arange(out) * size // out, size)
    kind = np.float32 if axes == 2 else dtype.type
    place = (np.arange(out).astype(kind) + kind(shift)) * kind(step)
    return pick(np.minimum(np.floor(place.astype(np.float32)).astype(np.int64), size - 1), size)


@lru_cache(maxsize=128)
def _matrix(mode: str, size: int, out: int, step: float, align: bool, antialias: bool) -> Matrix | None:
    """The matrix that resizes one axis: `step` elements of the input from one of the output to the next."""
    number = np.arange(out)
    if mode == "area":
        return mean_matrix(size, out)
    if size == out and (antialias or mode != "bicubic"):
        return pick(number, size)  # also where a factor says that places are a little apart
    if align:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
    place = number * step if align else (number + 0.5) * step - 0.5
    if antialias:
        return _filtered(mode, size, (number + 0.5) * step - 0.5, step)  # as Pillow has it, whatever the corners
    if mode == "bicubic":
        first = np.floor(place).astype(np.int64)
        taps = first[:, None] + np.arange(-1, 3)
        weight = _cubic(np.abs(taps - place[:, None]), -0.75)
    else:
        place = np.maximum(place, 0)
        first = np.minimum(np.floor(place).astype(np.int64), size - 1)
        taps = first[:, None] + np.arange(2)
        part = place - first
        weight = np.stack((1 - part, part), 1)
    kept = weight != 0  # so that a NaN beside an element that is hit exactly does not spread
    return Matrix(np.clip(taps, 0, size - 1)[kept], weight[kept], kept.sum(1), size)


def _filtered(mode: str, size: int, place: np.ndarray, step: float) -> Matrix:
    """Weights from a filter as wide as a step where images shrink, cut off and normalised at the edges."""
    stretch = max(step, 1.0)
    reach = (2 if mode == "bicubic" else 1) * stretch
    first = np.maximum(np.floor(place - reach + 1).astype(np.int64), 0)
    last = np.minimum(np.floor(place + reach + 1).astype(np.int64), size)
    taps = first[:, None] + np.arange(np.max(last - first))
    distance = np.abs(taps - place[:, None]) / stretch
    weight = _cubic(distance, -0.5) if mode == "bicubic" else np.maximum(1 - distance, 0)
    weight = np.where(taps < last[:, None], weight, 0)
    weight /= weight.sum(1, keepdims=True)
    kept = weight != 0
    return Matrix(taps[kept], weight[kept], kept.sum(1), size)


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic convolution (1981): 1 at 0, 0 at 1 and from 2 on, smooth."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
