"""Weights that do something definite: keep lengths, pass channels on, interpolate."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from fastconv import checks
from fastconv.errors import ShapeError
from fastconv.init.fill import Rng, T, array_to_fill, fill, skipping

__all__ = ["bilinear_", "dirac_", "eye_", "orthogonal_"]


def orthogonal_(tensor: T, gain: float = 1.0, *, rng: Rng = None) -> T:
    """Fill with a random matrix whose rows, or columns if there are fewer, are orthogonal and of length `gain`.

    Parameters
    ----------
    tensor : Parameter, Tensor or numpy.ndarray
        Of at least 2 axes; all but the first count as one.
    gain : float
        See :func:`calculate_gain`.
    rng : numpy.random.Generator, int or None
        Where the random numbers come from.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014; Mezzadri, "How to generate random matrices from the classical compact groups", 2007 (signs).

    Examples
    --------
    >>> weight = orthogonal_(np.empty((2, 3)), rng=0)
    >>> (weight @ weight.T).round(6) + 0
    array([[1., 0.],
           [0., 1.]])
    """
    factor = checks.number(gain, "orthogonal_", "gain")
    shape = array_to_fill("orthogonal_", tensor).shape
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: tensor must have at least 2 axes, got shape {shape}")
    generator = checks.generator(rng, "orthogonal_")
    if 0 in shape or skipping():
        return tensor
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -factor, factor)  # else QR would prefer some directions
    return fill("orthogonal_", tensor, (q if rows >= columns else q.T).reshape(shape))


def eye_(tensor: T) -> T:
    """Fill a matrix with the identity: ones on the diagonal, zeros elsewhere.

    Examples
    --------
    >>> eye_(np.empty((2, 3)))
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    shape = array_to_fill("eye_", tensor).shape
    if len(shape) != 2:
        raise ShapeError(f"eye_: tensor must have 2 axes, got shape {shape}")
    return fill("eye_", tensor, np.eye(*shape))


def dirac_(tensor: T, groups: int = 1) -> T:
    """Fill the weight of a convolution so that it passes its input on, channel by channel, as far as these go.

    Parameters
    ----------
    tensor : Parameter, Tensor or numpy.ndarray
        (out, in / groups, ...) with 1 to 3 further axes.
    groups : int
        Groups of the convolution.

    References
    ----------
    Zagoruyko and Komodakis, "DiracNets", 2017.

    Examples
    --------
    >>> dirac_(np.empty((1, 1, 3, 3)))[0, 0]
    array([[0., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]])
    """
    shape = array_to_fill("dirac_", tensor).shape
    impulse = np.zeros(shape[2:])
    if impulse.size:
        impulse[tuple(n // 2 for n in shape[2:])] = 1
    return _channel_by_channel("dirac_", tensor, groups, impulse)


def bilinear_(tensor: T, groups: int = 1) -> T:
    """Fill the weight of a transposed convolution so that it enlarges its input by linear interpolation.

    To enlarge by a factor f, take stride f, kernel size ``2 f - f % 2`` and padding ``(f - 1) // 2`` or, for even f,
    ``f // 2``. With `groups` = channels each channel stands for itself.

    Parameters
    ----------
    tensor : Parameter, Tensor or numpy.ndarray
        (in, out / groups, ...) with 1 to 3 further axes.
    groups : int
        Groups of the convolution.

    References
    ----------
    Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.

    Examples
    --------
    >>> bilinear_(np.empty((1, 1, 4)))
    array([[[0.25, 0.75, 0.75, 0.25]]])
    """
    shape = array_to_fill("bilinear_", tensor).shape
    return _channel_by_channel(
        "bilinear_", tensor, groups, reduce(np.multiply.outer, map(_triangle, shape[2:]), np.ones(()))
    )


def _triangle(size: int) -> np.ndarray:
    """Weights of linear interpolation by the factor ``ceil(size / 2)``."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / max(factor, 1)


def _channel_by_channel(op: str, tensor: T, groups: int, kernel: np.ndarray) -> T:
    """Fill with `kernel` where channel i of a group's first axis meets channel i of the second, with 0 elsewhere."""
    shape = array_to_fill(op, tensor).shape
    count = checks.integer(groups, op, "groups")
    if not 3 <= len(shape) <= 5:
        raise ShapeError(f"{op}: tensor must have 3, 4 or 5 axes, got shape {shape}")
    if shape[0] % count:
        raise ShapeError(f"{op}: groups must divide {shape[0]}, the length of the first axis, got {groups!r}")
    values = np.zeros(shape)
    inside = shape[0] // count
    for start in range(0, shape[0], max(inside, 1)):
        for i in range(min(inside, shape[1])):
            values[start + i, i] = kernel
    return fill(op, tensor, values)
