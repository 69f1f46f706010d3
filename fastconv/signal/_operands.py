"""The arguments of a convolution, checked, and their types: everything becomes convolutions of floats."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.signal import _floats
from fastconv.signal._floats import Job, spans, spread

__all__ = ["array", "choice", "convolve", "sizes"]

# Sums of whole numbers below these are exact: in float32, in float64, and by FFT in float64, where the error of the
# largest tile stays below a half.
_EXACT_32, _EXACT_64, _EXACT_FFT = 2**24, 2**53, 2**32
_FEW_TAPS = 200  # with more, FFT in float64 is quicker than float32 directly


def array(value: Any, op: str, argument: str) -> np.ndarray:
    """Return anything array-like as NumPy has it, if it holds numbers whose type a kernel can serve."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{op}: {argument} must not be a masked array")
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{op}: {argument} must be an array ({error})") from None
    kind, size = found.dtype.kind, found.dtype.itemsize
    if kind not in "biufc" or (kind == "f" and size > 8) or (kind == "c" and size > 16):
        raise TypeError(
            f"{op}: {argument} must be an array of bools, integers, floats of at most 64 bits or complex numbers of "
            f"at most 128, got dtype {found.dtype}"
        )
    return found


def choice(value: Any, allowed: Sequence[str], op: str, argument: str) -> str:
    """Return `value` if it is one of the names allowed."""
    if value not in allowed:
        raise ValueError(f"{op}: {argument} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def sizes(value: Any, axes: int, op: str, argument: str) -> tuple[int, ...]:
    """Return a size for each axis of a convolution from an int or a sequence of so many."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(given) != axes:
        raise ShapeError(f"{op}: {argument} must be an int or {axes} ints, one for each axis, got {value!r}")
    return tuple(checks.integer(each, op, argument) for each in given)


def convolve(
    op: str,
    x: np.ndarray,
    taps: np.ndarray,
    axes: int,
    *,
    mode: Any,
    method: Any,
    stride: Any,
    dilation: Any,
    boundary: str = "fill",
    fillvalue: Any = 0,
    correlate: bool = False,
    late: bool = False,
) -> np.ndarray:
    """Convolve the last `axes` axes; the others broadcast.

    With `correlate`, `taps` are reversed and conjugated first. Mode "same" begins at element ``(span - 1) // 2`` of the
    full convolution or, if `late`, at ``span // 2``: what scipy's functions do differs for even spans.
    """
    mode = choice(mode, ("full", "same", "valid"), op, "mode")
    method = choice(method, ("auto", "direct", "fft"), op, "method")
    strides, dilations = sizes(stride, axes, op, "stride"), sizes(dilation, axes, op, "dilation")
    size, kernel = x.shape[x.ndim - axes :], taps.shape[taps.ndim - axes :]
    for argument, shape in (("in1", size), ("in2", kernel)):
        if not axes or min(shape) < 1:
            raise ShapeError(f"{op}: {argument} must have at least one element on every axis, got shape {shape}")
    try:
        batch = np.broadcast_shapes(x.shape[: x.ndim - axes], taps.shape[: taps.ndim - axes])
    except ValueError:
        raise ShapeError(
            f"{op}: the leading axes of in1 and in2 must broadcast, got shapes {x.shape} and {taps.shape}"
        ) from None
    dtype = np.result_type(x, taps)
    if correlate:
        taps = np.flip(taps, tuple(range(-axes, 0)))
        taps = taps.conj() if taps.dtype.kind == "c" else taps
    span = spans(kernel, dilations)
    job = _job(op, mode, size, span, late, strides, dilations, method)
    if math.prod(batch) * math.prod(n + s for n, s in zip(size, span, strict=True)) >= 2**59:
        raise ShapeError(f"{op}: in1 {x.shape} and in2 {taps.shape} with dilation {dilation} make too large an array")
    if mode != "valid":
        job = replace(job, boundary=boundary)
    fill = _fill(op, fillvalue, dtype) if mode != "valid" else 0
    # Convolution without a boundary commutes: the smaller one for the taps.
    if job.boundary == "fill" and fill == 0 and x.size == math.prod(size) < math.prod(kernel):
        x, taps = _spread_last(taps, dilations), x
        job = replace(job, dilation=(1,) * axes)
    x = np.broadcast_to(x, (*batch, *x.shape[x.ndim - axes :]))
    return _by_type(op, x, taps, axes, job, dtype, fill)


def _job(
    op: str,
    mode: str,
    size: tuple[int, ...],
    span: tuple[int, ...],
    late: bool,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    method: str,
) -> Job:
    if mode == "full":
        start, length = [0] * len(size), [n + s - 1 for n, s in zip(size, span, strict=True)]
    elif mode == "same":
        start, length = [s // 2 if late else (s - 1) // 2 for s in span], list(size)
    else:
        if not (all(map(operator.ge, size, span)) or all(map(operator.le, size, span))):
            raise ShapeError(
                f'{op}: for mode "valid" one of in1 and in2 must be at least as large as the other on every axis, '
                f"got {size} and {span} (with dilation)"
            )
        start = [min(n, s) - 1 for n, s in zip(size, span, strict=True)]
        length = [abs(n - s) + 1 for n, s in zip(size, span, strict=True)]
    count = [(n - 1) // s + 1 for n, s in zip(length, strides, strict=True)]
    return Job(op, tuple(start), tuple(count), strides, dilations, method=method)


def _spread_last(taps: np.ndarray, dilations: tuple[int, ...]) -> np.ndarray:
    return spread(taps, (1,) * (taps.ndim - len(dilations)) + dilations)


def _fill(op: str, value: Any, dtype: np.dtype) -> complex:
    """What lies outside, as a number that the result's type can hold."""
    found = np.asarray(value)
    if found.size != 1 or found.dtype.kind not in "biufc" or (found.dtype.kind == "c" and dtype.kind != "c"):
        raise TypeError(f"{op}: fillvalue must be a number that fits a result of {dtype}, got {value!r}")
    number = found.reshape(()).item()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if number != number or not limits.min <= number <= limits.max or int(number) != number:
            raise ValueError(f"{op}: fillvalue must be an integer that fits a result of {dtype}, got {value!r}")
    return bool(number) if dtype.kind == "b" else number


# --- types -----------------------------------------------------------------------------------------------------


def _by_type(
    op: str, x: np.ndarray, taps: np.ndarray, axes: int, job: Job, dtype: np.dtype, fill: complex
) -> np.ndarray:
    if dtype.kind == "c":
        return _complex(x, taps, axes, job, dtype, fill)
    job = replace(job, fill=float(fill.real))
    if dtype.kind == "f":
        wide = np.dtype(np.float64 if dtype.itemsize == 8 else np.float32)
        return _floating(x, taps, axes, job, wide).astype(dtype, copy=False)
    return _integers(op, x, taps, axes, job, dtype, int(fill.real))


def _complex(x: np.ndarray, taps: np.ndarray, axes: int, job: Job, dtype: np.dtype, fill: complex) -> np.ndarray:
    """By real and imaginary parts, two real convolutions or four."""
    part = np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    out = np.zeros((*x.shape[: x.ndim - axes], *job.count), dtype)
    parts = [(0, x.real, fill.real), (1, x.imag, fill.imag)]
    for i, signal, outside in parts if x.dtype.kind == "c" or fill.imag else parts[:1]:
        for j, weights in ((0, taps.real), (1, taps.imag)) if taps.dtype.kind == "c" else ((0, taps),):
            found = _floating(signal, weights, axes, replace(job, fill=outside), part)
            target = out.imag if i + j == 1 else out.real
            target += -found if i + j == 2 else found
    return out


def _floating(x: np.ndarray, taps: np.ndarray, axes: int, job: Job, dtype: np.dtype) -> np.ndarray:
    """Convolve in one float type; each array of taps with what it belongs to."""
    batch = x.shape[: x.ndim - axes]
    x, taps = x.astype(dtype, copy=False), taps.astype(dtype, copy=False)
    if math.prod(taps.shape[: taps.ndim - axes]) == 1:
        out = _floats.convolve(x.reshape(-1, *x.shape[x.ndim - axes :]), taps.reshape(taps.shape[-axes:]), job)
        return out.reshape(*batch, *job.count)
    taps = np.broadcast_to(taps, (*batch, *taps.shape[taps.ndim - axes :]))
    out = np.empty((*batch, *job.count), dtype)
    for index in np.ndindex(batch):
        out[index] = _floats.convolve(x[index][None], taps[index], job)[0]
    return out


def _integers(op: str, x: np.ndarray, taps: np.ndarray, axes: int, job: Job, dtype: np.dtype, fill: int) -> np.ndarray:
    """Exact sums, which wrap in `dtype` as all of NumPy's do; of bools, whether there is any."""
    if not x.size or not taps.size:
        return np.zeros((*x.shape[: x.ndim - axes], *job.count), dtype)
    largest = max(abs(int(x.max())), abs(int(x.min())), abs(fill))
    total = float(np.abs(taps.astype(np.float64)).sum(tuple(range(taps.ndim - axes, taps.ndim))).max())
    bound = largest * total * (1 + 1e-9)
    if bound >= _EXACT_FFT and job.method == "fft":
        raise ValueError(f'{op}: method "fft" is not exact for integers as large as these, "auto" and "direct" are')
    if bound >= _EXACT_64:
        return _summed(x, taps, axes, job, dtype, fill)
    single = bound < _EXACT_32 and job.method != "fft" and math.prod(taps.shape[taps.ndim - axes :]) < _FEW_TAPS
    if single or bound >= _EXACT_FFT:
        job = replace(job, method="direct")
    out = _floating(x, taps, axes, job, np.dtype(np.float32 if single else np.float64))
    return np.rint(out, out=out).astype(np.int64).astype(dtype)


def _summed(x: np.ndarray, taps: np.ndarray, axes: int, job: Job, dtype: np.dtype, fill: int) -> np.ndarray:
    """Tap by tap in integer arithmetic, for numbers that no float holds."""
    lead = x.ndim - axes
    span = spans(taps.shape[taps.ndim - axes :], job.dilation)
    before = [max(0, s - 1 - start) for s, start in zip(span, job.start, strict=True)]
    after = [max(0, start + extent - n) for start, extent, n in zip(job.start, job.extent, x.shape[lead:], strict=True)]
    widths = [(0, 0)] * lead + list(zip(before, after, strict=True))
    kind = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[job.boundary]
    options = {"constant_values": fill} if kind == "constant" else {}
    padded = np.pad(x.astype(dtype), widths, kind, **options)  # type: ignore[call-overload]
    out = np.zeros((*x.shape[:lead], *job.count), dtype)
    every = (slice(None),) * lead
    for tap in np.ndindex(taps.shape[taps.ndim - axes :]):
        begins = [s + pad - t * d for s, pad, t, d in zip(job.start, before, tap, job.dilation, strict=True)]
        where = every + tuple(slice(b, b + n, s) for b, n, s in zip(begins, job.extent, job.stride, strict=True))
        weight = taps[every[: taps.ndim - axes] + tap].astype(dtype)
        out += padded[where] * weight.reshape(weight.shape + (1,) * axes)
    return out
