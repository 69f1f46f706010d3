"""Convolution of signals."""

from __future__ import annotations

import numpy as np

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d"]


def convolve(
    in1: np.ndarray, in2: np.ndarray, mode: str = "full", stride: int = 1, dilation: int = 1, late: bool = False
) -> np.ndarray:
    """Every element of `in2` adds a copy of `in1`, moved to its place and weighted.

    Mode "same" begins at element ``(k - 1) // 2``, or at ``k // 2`` if `late`; k is the size of the dilated `in2`.
    """
    span = [dilation * (k - 1) + 1 for k in in2.shape]
    full = np.zeros([n + k - 1 for n, k in zip(in1.shape, span, strict=True)], np.result_type(in1, in2))
    for tap in np.ndindex(in2.shape):
        full[tuple(slice(t * dilation, t * dilation + n) for t, n in zip(tap, in1.shape, strict=True))] += in1.astype(
            full.dtype
        ) * in2[tap].astype(full.dtype)
    if mode == "same":
        start, count = [k // 2 if late else (k - 1) // 2 for k in span], list(in1.shape)
    elif mode == "valid":
        start = [min(n, k) - 1 for n, k in zip(in1.shape, span, strict=True)]
        count = [abs(n - k) + 1 for n, k in zip(in1.shape, span, strict=True)]
    else:
        start, count = [0] * full.ndim, list(full.shape)
    return full[tuple(slice(s, s + n, stride) for s, n in zip(start, count, strict=True))]


def correlate(
    in1: np.ndarray, in2: np.ndarray, mode: str = "full", stride: int = 1, dilation: int = 1, late: bool = False
) -> np.ndarray:
    """Convolution with the conjugate in reverse."""
    return convolve(in1, np.flip(in2).conj(), mode, stride, dilation, late)


def convolve2d(
    in1: np.ndarray,
    in2: np.ndarray,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
    stride: int = 1,
    dilation: int = 1,
    late: bool = False,
) -> np.ndarray:
    """Convolution of `in1` with what is outside put around it."""
    if mode == "valid":
        return convolve(in1, in2, mode, stride, dilation)
    span = [dilation * (k - 1) + 1 for k in in2.shape]
    kind = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary]
    options = {"constant_values": fillvalue} if kind == "constant" else {}
    wide = np.pad(in1.astype(np.result_type(in1, in2)), [(k - 1, k - 1) for k in span], kind, **options)  # type: ignore[call-overload]
    full = convolve(wide, in2, "full", 1, dilation)[tuple(slice(k - 1, 1 - k or None) for k in span)]
    if mode == "same":
        start = [k // 2 if late else (k - 1) // 2 for k in span]
        full = full[tuple(slice(s, s + n) for s, n in zip(start, in1.shape, strict=True))]
    return full[::stride, ::stride]


def correlate2d(
    in1: np.ndarray,
    in2: np.ndarray,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
    stride: int = 1,
    dilation: int = 1,
) -> np.ndarray:
    """Convolution with the conjugate in reverse; "same" begins a place later for even kernels, as scipy's does."""
    return convolve2d(in1, np.flip(in2).conj(), mode, boundary, fillvalue, stride, dilation, late=True)
