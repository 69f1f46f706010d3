"""Arrays that end or begin at a page nobody may touch: one element too far and the process dies.

Address sanitizer misses masked AVX-512 loads and stores; this does not.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from typing import Literal

import numpy as np

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_PROT_NONE = 0


def guarded_empty(
    shape: tuple[int, ...],
    dtype: np.typing.DTypeLike = np.float32,
    edge: Literal["end", "start"] = "end",
    offset: int = 0,
    channels_last: bool = False,
) -> np.ndarray:
    """An array filled with nan (0 for ints) between two forbidden pages.

    Parameters
    ----------
    shape, dtype
        Of the array.
    edge : {"end", "start"}
        Whether its last byte is followed, or its first preceded, by a forbidden page.
    offset : int
        Bytes to leave between the array and that page: 0 .. 63 tries every alignment.
    channels_last : bool
        Physical order (N, H, W, C) for a shape (N, C, H, W).
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    inside = max(1, -(-(size + offset) // PAGE)) * PAGE
    block = mmap.mmap(-1, inside + 2 * PAGE)
    bytes_ = np.frombuffer(block, np.uint8)
    start = bytes_.ctypes.data
    for page in (start, start + PAGE + inside):
        if _libc.mprotect(page, PAGE, _PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect")
    first = PAGE + offset if edge == "start" else PAGE + inside - size - offset
    flat = bytes_[first : first + size].view(dtype)
    flat[...] = np.nan if dtype.kind == "f" else 0
    if channels_last:
        n, c, h, w = shape
        return flat.reshape(n, h, w, c).transpose(0, 3, 1, 2)
    return flat.reshape(shape)


def guarded(array: np.ndarray, edge: Literal["end", "start"] = "end", offset: int = 0) -> np.ndarray:
    """A copy of `array` at a forbidden page, in C order; channels last where `array` is that and not C-contiguous."""
    last = array.ndim == 4 and not array.flags.c_contiguous and array.transpose(0, 2, 3, 1).flags.c_contiguous
    copy = guarded_empty(array.shape, array.dtype, edge, offset, channels_last=last)
    copy[...] = array
    return copy
