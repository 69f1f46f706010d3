"""Argument checks shared by every operation and layer.

Each takes the name of the operation and of the argument, so that a message says what was given and what is allowed:
``max_pool2d: kernel_size must be an int or a pair of ints >= 1, got 0``. Wrong types raise :class:`TypeError`, sizes
out of range :class:`~fastconv.errors.ShapeError`, other values out of range :class:`ValueError`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.errors import ShapeError

__all__ = [
    "LARGEST",
    "axes",
    "axes_remedy",
    "axis",
    "dtype",
    "generator",
    "integer",
    "integers",
    "ndim",
    "number",
    "pair",
    "probability",
    "same_dtype",
]

LARGEST = 2**31 - 1
"""Largest size, stride or padding accepted: the product of any two fits a 64-bit integer."""


def integer(value: Any, op: str, argument: str, minimum: int = 1) -> int:
    """Return `value` as an int in ``[minimum, LARGEST]``; NumPy ints are fine, bools and floats are not.

    Examples
    --------
    >>> integer(3, "conv2d", "groups")
    3
    """
    if type(value) is int and minimum <= value <= LARGEST:
        return value
    wanted = f"an int >= {minimum}"
    return _in_range(_index(value, op, argument, wanted, value), op, argument, minimum, wanted, value)


def pair(value: Any, op: str, argument: str, minimum: int = 1) -> tuple[int, int]:
    """Return `value`, an int or a pair of ints for the vertical and horizontal axis, as a pair.

    Examples
    --------
    >>> pair(2, "conv2d", "stride"), pair((2, 1), "conv2d", "stride")
    ((2, 2), (2, 1))
    """
    if type(value) is int and minimum <= value <= LARGEST:
        return value, value
    wanted = f"an int or a pair of ints >= {minimum}"
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ShapeError(f"{op}: {argument} must be {wanted}, got {value!r}")
        first, second = value
    else:
        first = second = value
    return (
        _in_range(_index(first, op, argument, wanted, value), op, argument, minimum, wanted, value),
        _in_range(_index(second, op, argument, wanted, value), op, argument, minimum, wanted, value),
    )


def integers(value: Any, count: int, op: str, argument: str, minimum: int = 1) -> tuple[int, ...]:
    """Return `value`, an int or a sequence of `count` ints, one for each axis, as a tuple of `count` ints.

    Examples
    --------
    >>> integers(2, 3, "max_pool3d", "stride"), integers((2, 1, 1), 3, "max_pool3d", "stride")
    ((2, 2, 2), (2, 1, 1))
    """
    wanted = f"an int{f' or {count} ints' if count > 1 else ''} >= {minimum}"
    given = value if isinstance(value, (tuple, list)) else (value,) * count
    if len(given) != count:
        raise ShapeError(f"{op}: {argument} must be {wanted}, got {value!r}")
    return tuple(
        _in_range(_index(each, op, argument, wanted, value), op, argument, minimum, wanted, value) for each in given
    )


def _index(value: Any, op: str, argument: str, wanted: str, given: Any) -> int:
    """The int behind one number; `given` is the whole argument, for the message."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{op}: {argument} must be {wanted}, got {_show(given)}") from None


def _in_range(value: int, op: str, argument: str, minimum: int, wanted: str, given: Any) -> int:
    if value < minimum:
        raise ShapeError(f"{op}: {argument} must be {wanted}, got {given!r}")
    if value > LARGEST:
        raise ShapeError(f"{op}: {argument} must be at most {LARGEST}, got {given!r}")
    return value


def _show(value: Any) -> str:
    """A value as a message shows it: short, and with its type where that is what is wrong."""
    text = repr(value)
    return f"{text} of type {type(value).__name__}" if len(text) <= 60 else f"a value of type {type(value).__name__}"


def number(
    value: Any,
    op: str,
    argument: str,
    minimum: float = -math.inf,
    maximum: float = math.inf,
) -> float:
    """Return `value` as a finite float in ``[minimum, maximum]``.

    Examples
    --------
    >>> number(1, "SGD", "lr", minimum=0)
    1.0
    """
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{op}: {argument} must be a number, got {_show(value)}")
        value = float(value)
    if not math.isfinite(value) or not minimum <= value <= maximum:
        if maximum != math.inf:
            allowed = f"a number from {minimum:g} to {maximum:g}"
        else:
            allowed = "a finite number" if minimum == -math.inf else f"a finite number >= {minimum:g}"
        raise ValueError(f"{op}: {argument} must be {allowed}, got {value!r}")
    return value


def probability(value: Any, op: str, argument: str = "p") -> float:
    """Return `value` as a float in [0, 1]."""
    return number(value, op, argument, 0.0, 1.0)


def axis(dim: Any, ndim: int, op: str, argument: str = "dim") -> int:
    """Return one axis number in ``[0, ndim)``; negative ones count from the end. A 0-d array has the axes 0 and -1.

    Examples
    --------
    >>> axis(-1, 4, "sum")
    3
    """
    size = ndim or 1
    if type(dim) is int and -size <= dim < size:  # what hot paths give
        return dim % size
    index = _index(dim, op, argument, f"an axis of a {ndim}-d array", dim)
    if not -size <= index < size:
        raise ShapeError(
            f"{op}: {argument} must be from {-size} to {size - 1} for a {ndim}-d array, got {dim!r}; "
            "-1 is the last axis"
        )
    return index % size


def axes(dim: Any, ndim: int, op: str, argument: str = "dim") -> tuple[int, ...]:
    """Return axis numbers for an int, a sequence of ints, or None (all axes); repeated ones are an error.

    Examples
    --------
    >>> axes((0, -1), 4, "sum"), axes(None, 2, "sum")
    ((0, 3), (0, 1))
    """
    if dim is None:
        return tuple(range(ndim))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    found = tuple(axis(d, ndim, op, argument) for d in given)
    if len(set(found)) != len(found):
        raise ShapeError(f"{op}: {argument} names an axis twice: {dim!r}")
    return found if ndim else ()


def ndim(array: np.ndarray, allowed: Sequence[int], op: str, argument: str, layout: str = "") -> None:
    """Raise unless `array` has one of the `allowed` numbers of axes; the message shows `layout`: ``(N, C, H, W)``."""
    if array.ndim not in allowed:
        numbers = " or ".join(f"{n}-d" for n in allowed)
        remedy = axes_remedy(array.ndim, allowed)
        raise ShapeError(
            f"{op}: {argument} must be {numbers}{' ' + layout if layout else ''}, got shape {array.shape}; {remedy}"
        )


def axes_remedy(given: int, allowed: Sequence[int]) -> str:
    """Say what most likely makes an array of `given` axes fit.

    Examples
    --------
    >>> axes_remedy(2, (4,))
    'a reshape, an Unflatten or [None] in front must add 2 axes'
    """
    missing = min(allowed) - given
    if missing > 0:
        return f"a reshape, an Unflatten or [None] in front must add {missing} ax{'e' if missing > 1 else 'i'}s"
    return f"a reshape or a Flatten in front must leave {max(allowed)} axes"


def same_dtype(op: str, first: np.ndarray, first_name: str, second: np.ndarray, second_name: str) -> None:
    """Raise TypeError unless both arrays have one dtype. Hot paths compare ``x.dtype is w.dtype`` first."""
    if first.dtype != second.dtype:
        raise TypeError(
            f"{op}: {first_name} is {first.dtype} but {second_name} is {second.dtype}; "
            f"both must have one dtype (convert one with .to() or .astype())"
        )


def dtype(value: Any, op: str, argument: str = "dtype") -> np.dtype:
    """Return the native float32 or float64 dtype that `value` names."""
    try:
        name = "None" if value is None else np.dtype(value).name
    except TypeError:
        name = ""
    if name not in ("float32", "float64"):
        raise TypeError(f"{op}: {argument} must be float32 or float64, got {_show(value)}")
    return np.dtype(name)


def generator(rng: Any, op: str) -> np.random.Generator:
    """Return a random generator: `rng` itself, one seeded by an int, or a fresh one for None.

    Examples
    --------
    >>> bool(generator(0, "dropout").random() == generator(0, "dropout").random())
    True
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    wanted = "a numpy.random.Generator, an int >= 0 or None"
    seed = _index(rng, op, "rng", wanted, rng)
    if seed < 0:
        raise ValueError(f"{op}: rng must be {wanted}, got {rng!r}")
    return np.random.default_rng(seed)
