"""What counts as an array: every array-like becomes a plain, native, aligned ndarray or a TypeError."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["F32", "F64", "python_dtype", "standardize"]

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
# Looked up by equality, so that every Tensor holds NumPy's own dtype objects and hot paths may compare with `is`.
_KEPT = {np.dtype(t): np.dtype(t) for t in ("f4", "f8", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")}


def _refuse(what: str, given: str) -> TypeError:
    return TypeError(f"{what} must be an array of float32, float64, integers or bools, got {given}")


def python_dtype(value: Any) -> np.dtype | None:
    """float32 for (nested lists of) Python numbers; None for arrays and NumPy scalars, which keep their own dtype."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return F32 if isinstance(value, (list, tuple)) or type(value) in (int, float, bool) else None


def standardize(value: Any, what: str) -> np.ndarray:
    """Return anything array-like as a plain, native, aligned ndarray; without a copy where it is one.

    `what` starts the message of the TypeError raised for anything that holds no real numbers: ``conv2d: input``.
    """
    if type(value) is not np.ndarray:
        ma = sys.modules.get("numpy.ma")
        if ma is not None and isinstance(value, ma.MaskedArray):
            raise _refuse(what, "a masked array")
        wanted = python_dtype(value)
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise _refuse(what, f"a {type(value).__name__} ({error})") from None
        if array.dtype.kind == "O":
            raise _refuse(what, f"a {type(value).__name__}")
        if wanted is not None and array.dtype.kind in "iuf":
            array = array.astype(wanted)
        value = array
    kept = _KEPT.get(value.dtype if value.dtype.isnative else value.dtype.newbyteorder("="))
    if kept is None:
        raise _refuse(what, f"dtype {value.dtype}")
    if not value.dtype.isnative or not value.flags.aligned:
        return value.astype(kept)
    return value if value.dtype is kept else value.view(kept)
