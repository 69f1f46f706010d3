"""The functions of `fastconv.signal`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.signal import _operands

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d"]

_ALIASES = {"pad": "fill", "circular": "wrap", "symmetric": "symm"}  # which SciPy takes as well


def convolve(
    in1: Any,
    in2: Any,
    mode: str = "full",
    method: str = "auto",
    *,
    axes: int | Sequence[int] | None = None,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
) -> np.ndarray:
    """Convolve two arrays: ``out[i] = sum over j of in1[i - j] * in2[j]``, zeros outside.

    The arguments and results of :func:`scipy.signal.convolve`, and batches, stride and dilation.

    Parameters
    ----------
    in1, in2 : array_like
        Bools, integers, floats or complex numbers. The result has the type NumPy promotes the two to; integers are
        summed exactly and wrap like NumPy's, of bools any product counts.
    mode : {"full", "same", "valid"}
        Every element the two meet in; the middle ones, as many as `in1` has; those that need nothing from outside
        the larger one.
    method : {"auto", "direct", "fft"}
        "direct" multiplies and adds; "fft" multiplies spectra of tiles, at an error relative to the largest values of
        a tile rather than each element's own; "auto" takes what is quicker. Where a tile's result is not finite, it is
        computed directly, so that an Inf or NaN reaches the same elements by every method.
    axes : int or sequence of int, optional
        The axes to convolve over; default: all, or, where one array has fewer, that one's number of last axes. The
        others are batches and broadcast.
    stride, dilation : int or sequence of int
        Keep every stride-th element of the result; put ``dilation - 1`` zeros between the elements of `in2`.

    Returns
    -------
    ndarray

    Raises
    ------
    ShapeError
        If the shapes do not fit each other or the mode, or one is empty.
    TypeError
        If an array holds anything else, float128 or complex256.
    ValueError
        If `mode` or `method` is none of the above, or "fft" cannot give exact integers.

    Examples
    --------
    >>> convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    >>> convolve([[1, 2, 3], [4, 5, 6]], [1, 1], "valid")
    array([[ 3,  5],
           [ 9, 11]])
    """
    return _any_axes("convolve", in1, in2, axes, mode=mode, method=method, stride=stride, dilation=dilation)


def correlate(
    in1: Any,
    in2: Any,
    mode: str = "full",
    method: str = "auto",
    *,
    axes: int | Sequence[int] | None = None,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
) -> np.ndarray:
    """Correlate two arrays: convolve `in1` with the conjugate of `in2` in reverse.

    The arguments and results of :func:`scipy.signal.correlate`; else as :func:`convolve`.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    options = {"mode": mode, "method": method, "stride": stride, "dilation": dilation}
    return _any_axes("correlate", in1, in2, axes, **options, correlate=True)


def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    *,
    method: str = "auto",
    stride: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
) -> np.ndarray:
    """Convolve the last two axes of two arrays.

    The arguments and results of :func:`scipy.signal.convolve2d`, and batches, stride and dilation: see
    :func:`convolve`.

    Parameters
    ----------
    in1, in2 : array_like
        (..., H, W) and (..., kh, kw); leading axes broadcast.
    mode : {"full", "same", "valid"}
        As for :func:`convolve`.
    boundary : {"fill", "wrap", "symm"}
        What is outside `in1`: `fillvalue`; `in1` again; its mirror image, the edge repeated.
    fillvalue : scalar
        For "fill".
    method : {"auto", "direct", "fft"}
    stride, dilation : int or pair of int

    Examples
    --------
    >>> image = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    >>> convolve2d(image, [[1, 0], [0, -1]], "valid")
    array([[4, 4],
           [4, 4]])
    >>> convolve2d(image, [[1, 1, 1]], "same", boundary="symm")
    array([[ 4,  6,  8],
           [13, 15, 17],
           [22, 24, 26]])
    """
    options = {"mode": mode, "method": method, "stride": stride, "dilation": dilation, "fillvalue": fillvalue}
    return _two_axes("convolve2d", in1, in2, boundary, **options)


def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    *,
    method: str = "auto",
    stride: int | tuple[int, int] = 1,
    dilation: int | tuple[int, int] = 1,
) -> np.ndarray:
    """Correlate the last two axes of two arrays: convolve with the conjugate of `in2` in reverse.

    The arguments and results of :func:`scipy.signal.correlate2d`; else as :func:`convolve2d`. For an even kernel, mode
    "same" begins one element later than that of :func:`correlate`, as scipy's do.

    Examples
    --------
    >>> correlate2d([[1, 2, 3], [4, 5, 6]], [[1, 10]], "same")
    array([[21, 32,  3],
           [54, 65,  6]])
    """
    options = {"mode": mode, "method": method, "stride": stride, "dilation": dilation, "fillvalue": fillvalue}
    return _two_axes("correlate2d", in1, in2, boundary, **options, correlate=True, late=True)


def _any_axes(op: str, in1: Any, in2: Any, axes: Any, **options: Any) -> np.ndarray:
    x, taps = _operands.array(in1, op, "in1"), _operands.array(in2, op, "in2")
    if x.ndim == taps.ndim == 0:  # as scipy: a product
        return x * (taps.conj() if options.get("correlate") else taps)
    if axes is None:
        return _operands.convolve(op, x, taps, min(x.ndim, taps.ndim), **options)
    if x.ndim != taps.ndim:
        raise ShapeError(f"{op}: with axes, in1 and in2 must have as many, got shapes {x.shape} and {taps.shape}")
    chosen = checks.axes(axes, x.ndim, op, "axes")
    if not chosen:
        raise ShapeError(f"{op}: axes must name at least one axis, got {axes!r}")
    last = tuple(range(-len(chosen), 0))
    out = _operands.convolve(op, np.moveaxis(x, chosen, last), np.moveaxis(taps, chosen, last), len(chosen), **options)
    return np.moveaxis(out, last, chosen)


def _two_axes(op: str, in1: Any, in2: Any, boundary: Any, **options: Any) -> np.ndarray:
    x, taps = _operands.array(in1, op, "in1"), _operands.array(in2, op, "in2")
    for argument, each in (("in1", x), ("in2", taps)):
        if each.ndim < 2:
            raise ShapeError(f"{op}: {argument} must have two axes or more, got shape {each.shape}")
    boundary = _ALIASES.get(boundary, boundary) if isinstance(boundary, str) else boundary
    boundary = _operands.choice(boundary, ("fill", "wrap", "symm"), op, "boundary")
    return _operands.convolve(op, x, taps, 2, boundary=boundary, **options)
