"""Random weights that keep the variance of what passes through: Xavier, Kaiming, LeCun."""

from __future__ import annotations

import math
from typing import Any

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.init.fill import Rng, T, array_to_fill, normal_, uniform_

__all__ = [
    "calculate_gain",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "xavier_normal_",
    "xavier_uniform_",
]

_LINEAR = ("linear", *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)))
_GAINS = {**dict.fromkeys(_LINEAR, 1.0), "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}


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
    >>> import numpy as np
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


def lecun_uniform_(tensor: T, *, rng: Rng = None) -> T:
    """Fill uniformly over ±sqrt(3 / fan_in), which keeps the variance where nothing or SELU follows.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient backprop", 1998; Klambauer et al., "Self-normalizing neural networks",
    NeurIPS 2017.
    """
    bound = math.sqrt(3 / _fans("lecun_uniform_", tensor)[0])
    return uniform_(tensor, -bound, bound, rng=rng)


def lecun_normal_(tensor: T, *, rng: Rng = None) -> T:
    """Fill normally with the standard deviation 1 / sqrt(fan_in); see :func:`lecun_uniform_`.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(lecun_normal_(np.empty((64, 25, 2, 2)), rng=0).std()), 2)
    0.1
    """
    return normal_(tensor, 0.0, 1 / math.sqrt(_fans("lecun_normal_", tensor)[0]), rng=rng)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which weights grow to keep the variance through an activation.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv2d" and the other convolutions, "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
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
    shape = array_to_fill(op, tensor).shape
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(f"{op}: tensor must have at least 2 axes, none of length 0, got shape {shape}")
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps
