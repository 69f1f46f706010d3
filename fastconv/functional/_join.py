"""Arrays one after the other, in memory of their own or given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv.errors import ShapeError

__all__ = ["check_place", "joined"]


def joined(arrays: Sequence[np.ndarray], axis: int, shape: tuple[int, ...], out: Any) -> np.ndarray:
    """Return the arrays joined along an axis, `shape` in all; in `out`, where what is in its place already stays."""
    last = axis == 1 and all(x.ndim == 4 and x.dtype.kind == "f" and x.strides[1] == x.itemsize for x in arrays)
    if out is None:
        if not last:
            return np.concatenate(arrays, axis)
        out = _kernels.empty_channels_last(shape, arrays[0].dtype)
    else:
        check_place("cat", out, shape, arrays[0].dtype)
        last = last and out.strides[1] == out.itemsize
    places, end = [], 0
    for x in arrays:
        places.append(out[(slice(None),) * axis + (slice(end, end + x.shape[axis]),)])
        end += x.shape[axis]
    moved = [(x, place) for x, place in zip(arrays, places, strict=True) if not _same(x, place)]
    # What comes from another place of `out` must not be overwritten before it is read.
    for x, place in [(x.copy() if np.may_share_memory(x, out) else x, place) for x, place in moved]:
        if last:
            _kernels.copy_channels(_kernels.channels_last(x), place)
        else:
            place[...] = x
    return out


def check_place(op: str, out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Check what the user gave as memory for a result."""
    if not isinstance(out, np.ndarray) or out.dtype != dtype or not out.flags.writeable:
        given = getattr(out, "dtype", type(out).__name__)
        raise TypeError(f"{op}: out must be a writable array of {dtype}, got {given}")
    if out.shape != shape:
        raise ShapeError(f"{op}: out must have shape {shape}, got {out.shape}")


def _same(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays of one shape are the same memory in the same order."""
    begin, other = (each.__array_interface__["data"][0] for each in (x, y))
    return begin == other and x.strides == y.strides
