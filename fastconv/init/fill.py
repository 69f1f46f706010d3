"""Single values and distributions; how values get into a parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from fastconv import checks
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["constant_", "normal_", "ones_", "skipped", "trunc_normal_", "uniform_", "zeros_"]

Rng = np.random.Generator | int | None
T = TypeVar("T", Parameter, Tensor, np.ndarray)


_BLOCK = 2**16
_skipping: ContextVar[bool] = ContextVar("skipping", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Draw no random numbers inside the block: for layers whose weights are written afterwards anyway.

    Examples
    --------
    >>> with skipped():
    ...     uniform_(np.zeros(2))
    array([0., 0.])
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def skipping() -> bool:
    """Whether this is inside a block of :func:`skipped`."""
    return _skipping.get()


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with the uniform distribution over [a, b).

    Examples
    --------
    >>> uniform_(np.zeros(2), rng=0).round(3)
    array([0.637, 0.27 ])
    """
    low, high = checks.number(a, "uniform_", "a"), checks.number(b, "uniform_", "b")
    if low > high:
        raise ValueError(f"uniform_: a must not be above b, got {a} and {b}")
    return _draw("uniform_", tensor, rng, "uniform", low, high)


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with the normal distribution of this mean and standard deviation."""
    centre, width = checks.number(mean, "normal_", "mean"), checks.number(std, "normal_", "std", minimum=0.0)
    return _draw("normal_", tensor, rng, "normal", centre, width)


def trunc_normal_(
    tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, *, rng: Rng = None
) -> T:
    """Fill with the normal distribution of this mean and standard deviation, cut off outside [a, b].

    Parameters
    ----------
    tensor : Parameter, Tensor or numpy.ndarray
        Of any shape.
    mean, std : float
        Of the whole distribution; std > 0.
    a, b : float
        The smallest and the largest value (not multiples of `std`).
    rng : numpy.random.Generator, int or None
        Where the random numbers come from.

    Examples
    --------
    >>> weight = trunc_normal_(np.empty(1000), std=0.1, a=-0.2, b=0.2, rng=0)
    >>> bool(abs(weight).max() <= 0.2), round(float(weight.std()), 2)
    (True, 0.09)
    """
    op = "trunc_normal_"
    centre, width = checks.number(mean, op, "mean"), checks.number(std, op, "std", minimum=0.0)
    low, high = checks.number(a, op, "a"), checks.number(b, op, "b")
    if not low < high or width == 0:
        raise ValueError(f"{op}: std must be above 0 and a below b, got std={std}, a={a}, b={b}")
    generator, shape = checks.generator(rng, op), array_to_fill(op, tensor).shape

    if skipping():
        return tensor

    def share_below(x: float) -> float:
        return (1 + math.erf((x - centre) / width / math.sqrt(2))) / 2

    if share_below(high) - share_below(low) > 0.3:

        def draw(count: int) -> np.ndarray:
            found = generator.normal(centre, width, count)
            return found[(found >= low) & (found <= high)]

    else:
        # Uniform proposals, kept with the probability of their density. Far out in a tail the density falls to e^-40
        # within a stretch that `b` may exceed by any amount.
        top = min(max(centre, low), high)
        distance = abs(top - centre)
        reach = min(9 * width, 40 * width**2 / distance if distance else math.inf)
        low, high = max(low, top - reach), min(high, top + reach)

        def draw(count: int) -> np.ndarray:
            found = generator.uniform(low, high, count)
            exponent = ((top - centre) ** 2 - (found - centre) ** 2) / (2 * width**2)
            return found[np.log1p(-generator.random(count)) < exponent]

    values = np.empty(math.prod(shape))
    done = 0
    while done < values.size:
        found = draw(2 * (values.size - done) + 16)[: values.size - done]
        values[done : done + len(found)] = found
        done += len(found)
    return fill(op, tensor, values.reshape(shape))


def constant_(tensor: T, val: float) -> T:
    """Fill with one value."""
    return fill("constant_", tensor, checks.number(val, "constant_", "val"))


def zeros_(tensor: T) -> T:
    """Fill with 0."""
    return fill("zeros_", tensor, 0.0)


def ones_(tensor: T) -> T:
    """Fill with 1."""
    return fill("ones_", tensor, 1.0)


def array_to_fill(op: str, tensor: Any) -> np.ndarray:
    array = tensor.data if isinstance(tensor, Tensor) else tensor
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise TypeError(f"{op}: tensor must be a float Parameter, Tensor or ndarray, got {type(tensor).__name__}")
    return array


def _draw(op: str, tensor: T, rng: Rng, distribution: str, *numbers: float) -> T:
    """Fill with random numbers, unless they are `skipped`; in blocks, for they come as float64."""
    array, generator = array_to_fill(op, tensor), checks.generator(rng, op)
    if skipping():
        return tensor
    draw = getattr(generator, distribution)
    if array.size <= _BLOCK or not array.flags.c_contiguous:
        return fill(op, tensor, draw(*numbers, array.shape))
    with tensor.writing() if isinstance(tensor, Parameter) else nullcontext(array) as storage:
        flat = storage.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            part = flat[start : start + _BLOCK]
            part[...] = draw(*numbers, part.size)
    return tensor


def fill(op: str, tensor: T, values: Any) -> T:
    array = array_to_fill(op, tensor)
    if isinstance(tensor, Parameter):
        with tensor.writing() as storage:
            storage[...] = values
    else:
        array[...] = values
    return tensor
