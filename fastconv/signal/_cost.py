"""What a convolution costs directly and by FFT: rules of thumb, by measurement.

In nanoseconds of one thread for float32 with AVX-512; other instruction sets are slower in like proportion. Nothing
here depends on the number of threads, so that results do not.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from fastconv import _kernels

__all__ = ["direct_cost", "fft_plan"]

_OUTPUT = 0.5
_TAP = 0.03
_TRANSFORM = 6.6  # an element of a pair of tiles in the second-level cache, there and back,
_FAR = 2.4  # and for each doubling beyond
_NEAR_BYTES = 512 << 10
_MOST_ELEMENTS = 2**27  # of a tile: a gigabyte
_ONE_WAY = 0.55  # the part of it where only rows are transformed


def direct_cost(outputs: int, taps: tuple[int, ...], dtype: np.dtype) -> float:
    """Cost of so many outputs with taps of this shape."""
    per_tap = _TAP if taps[-2] >= 3 else 2 * _TAP  # with less rows, few loads are shared
    return outputs * (_OUTPUT + math.prod(taps) * per_tap) * dtype.itemsize / 4


def fft_plan(planes: int, out: tuple[int, ...], span: tuple[int, ...], dtype: np.dtype) -> tuple[float, int, int]:
    """Return cost, height and width of the tiles that serve best; `span` is the size of the dilated taps.

    The cost is infinite where the taps span more than any tile may.
    """
    return _plan(planes, out, span, dtype.itemsize, _kernels.vector_length(dtype.name))


@lru_cache(maxsize=1024)
def _plan(
    planes: int, out: tuple[int, int], span: tuple[int, int], itemsize: int, lanes: int
) -> tuple[float, int, int]:
    best = (math.inf, 0, 0)
    heights, widths = (_sizes(count, taps, lanes) for count, taps in zip(out, span, strict=True))
    for height in heights if span[0] > 1 else [lanes]:
        for width in widths:
            if height * width > _MOST_ELEMENTS:
                break
            tiles = math.ceil(out[0] / (height - span[0] + 1)) * math.ceil(out[1] / (width - span[1] + 1))
            element = _TRANSFORM + _FAR * max(0.0, math.log2(2 * height * width * itemsize / _NEAR_BYTES))
            element *= itemsize / 4 * (1 if span[0] > 1 else _ONE_WAY)
            pairs = planes * math.ceil(tiles / 2) + 0.5  # half a pair for the taps
            best = min(best, (pairs * height * width * element, height, width))
    return best


def _sizes(count: int, span: int, lanes: int) -> list[int]:
    """Powers of two from the least that holds the taps to the least that holds all."""
    least, most = (max(lanes, 1 << (n - 1).bit_length()) for n in (span, count + span - 1))
    return [1 << i for i in range(least.bit_length() - 1, most.bit_length())]
