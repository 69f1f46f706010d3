"""Initial values of parameters, under PyTorch's names.

Each function writes into a Parameter, Tensor or array, with random numbers from `rng`, and returns it. The same seed
gives the same float32 and float64 values, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "skipped",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Rng = np.random.Generator | int | None
T = TypeVar("T", Parameter, Tensor, np.ndarray)

_GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}

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


def constant_(tensor: T, val: float) -> T:
    """Fill with one value."""
    return _fill("constant_", tensor, checks.number(val, "constant_", "val"))


def zeros_(tensor: T) -> T:
    """Fill with 0."""
    return _fill("zeros_", tensor, 0.0)


def ones_(tensor: T) -> T:
    """Fill with 1."""
    return _fill("ones_", tensor, 1.0)


def xavier_uniform_(tensor: T, gain: float = 1.0, *, rng: Rng = None) -> T:
    """Fill uniformly over ±gain sqrt(6 / (fan_in + fan_out)).

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    """
    bound = checks.number(gain, "xavier_uniform_", "gain") * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: T, gain: float = 1.0, *, rng: Rng = None) -> T:
    """Fill normally with the standard deviation gain sqrt(2 / (fan_in + fan_out)); see :func:`xavier_uniform_`."""
    std = checks.number(gain, "xavier_normal_", "gain") * math.sqrt(2 / sum(_fans("xavier_normal_", tensor)))
    return normal_(tensor, 0.0, std, rng=rng)


def kaiming_uniform_(
    tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Rng = None
) -> T:
    """Fill uniformly over ±gain sqrt(3 / fan).

    Parameters
    ----------
    tensor : Parameter, Tensor or numpy.ndarray
        A weight of at least 2 axes, output channels first.
    a : float
        Slope of the leaky ReLU for negative numbers.
    mode : {"fan_in", "fan_out"}
        Keep the variance of the values on the way forward, or of the gradients on the way back.
    nonlinearity : str
        What follows; see :func:`calculate_gain`.

    References
    ----------
    He et al., "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> weight = kaiming_uniform_(np.empty((8, 3)), a=5**0.5, rng=0)
    >>> bool(abs(weight).max() <= 3**-0.5)
    True
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(
    tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Rng = None
) -> T:
    """Fill normally with the standard deviation gain / sqrt(fan); see :func:`kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), rng=rng)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which weights grow to keep the variance through an activation.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
    param : float, optional
        The slope of "leaky_relu" for negative numbers, 0.01 if left out.

    Examples
    --------
    >>> round(calculate_gain("relu"), 4), calculate_gain("leaky_relu", 1.0)
    (1.4142, 1.0)
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else checks.number(param, "calculate_gain", "param")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        names = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(f"calculate_gain: nonlinearity must be one of {names}, got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def _kaiming_std(op: str, tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{op}: mode must be fan_in or fan_out, got {mode!r}")
    fan_in, fan_out = _fans(op, tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _fans(op: str, tensor: Any) -> tuple[int, int]:
    """Numbers that each output is summed from, and that each input goes into."""
    shape = _array(op, tensor).shape
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(f"{op}: tensor must have at least 2 axes, none of length 0, got shape {shape}")
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


def _array(op: str, tensor: Any) -> np.ndarray:
    array = tensor.data if isinstance(tensor, Tensor) else tensor
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise TypeError(f"{op}: tensor must be a float Parameter, Tensor or ndarray, got {type(tensor).__name__}")
    return array


def _draw(op: str, tensor: T, rng: Rng, distribution: str, *numbers: float) -> T:
    """Fill with random numbers, unless they are `skipped`; in blocks, for they come as float64."""
    array, generator = _array(op, tensor), checks.generator(rng, op)
    if _skipping.get():
        return tensor
    draw = getattr(generator, distribution)
    if array.size <= _BLOCK or not array.flags.c_contiguous:
        return _fill(op, tensor, draw(*numbers, array.shape))
    with tensor.writing() if isinstance(tensor, Parameter) else nullcontext(array) as storage:
        flat = storage.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            part = flat[start : start + _BLOCK]
            part[...] = draw(*numbers, part.size)
    return tensor


def _fill(op: str, tensor: T, values: Any) -> T:
    array = _array(op, tensor)
    if isinstance(tensor, Parameter):
        with tensor.writing() as storage:
            storage[...] = values
    else:
        array[...] = values
    return tensor
