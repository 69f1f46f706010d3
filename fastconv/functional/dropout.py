"""What is left out at random while training: elements, channels, whole images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _kernels, checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional.shape import squeeze, unsqueeze
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import traced, tracing

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "stochastic_depth",
]

Rng = np.random.Generator | int | None

_LAYOUTS = {
    None: ((2, 3, 4, 5), "(N, C, ...)"),
    3: ((3, 2), "(N, C, L) or (C, L)"),
    4: ((4, 3), "(N, C, H, W) or (N, C, L)"),
    5: ((5, 4), "(N, C, D, H, W) or (C, D, H, W)"),
}
"""Which arrays channels are dropped of."""

_SELU_FLOOR = -1.7580993408473766
"""SELU's value at minus infinity, minus its scale times its alpha."""


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None) -> Tensor:
    """Set each element to 0 with probability `p` and multiply the others by ``1 / (1 - p)``.

    Parameters
    ----------
    input : Tensor or array_like
        Any shape, float32 or float64.
    p : float
        Probability in [0, 1].
    training : bool
        False returns `input` unchanged.
    inplace : bool
        Ignored.
    rng : numpy.random.Generator, int or None
        Where the random numbers come from: one number is drawn, the key of a hash that has one for every element. Which
        elements are dropped depends on the key and the shape, not on strides, dtype or threads.

    Returns
    -------
    Tensor
        Same shape and dtype. What is dropped is 0, also where `input` is NaN.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014. The hash: Steele,
    Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Examples
    --------
    >>> dropout([1.0, 1.0, 1.0, 1.0], 0.5, rng=10)
    tensor([2., 0., 0., 2.])
    """
    return _dropped("dropout", input, p, training, rng)


def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Rng = None
) -> Tensor:
    """Set each element to SELU's lowest value with probability `p`, then scale and shift all of them.

    Inputs of mean 0 and variance 1, as networks of SELU have them, keep both. The arguments are :func:`dropout`'s.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.

    Examples
    --------
    >>> alpha_dropout([0.0, 0.0, 1.0], 0.5, training=True, rng=10).numpy().round(3)
    array([ 0.779, -0.779, -0.779], dtype=float32)
    """
    return _dropped("alpha_dropout", input, p, training, rng, floor=_SELU_FLOOR)


def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Rng = None
) -> Tensor:
    """Like :func:`alpha_dropout`, for whole channels of (N, C, ...)."""
    return _dropped("feature_alpha_dropout", input, p, training, rng, by_channel=True, floor=_SELU_FLOOR)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None) -> Tensor:
    """Set each channel of sequences (N, C, L), or of one (C, L), to 0 with probability `p`; see :func:`dropout2d`."""
    return _dropped("dropout1d", input, p, training, rng, by_channel=True, ndim=3)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None) -> Tensor:
    """Set each channel of images (N, C, H, W) to 0 with probability `p` and multiply the others by ``1 / (1 - p)``.

    Neighbouring pixels tell so much of each other that dropping single ones hides little.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64; (N, C, L) as well, as in PyTorch: three axes are never a single image.
    p, training, inplace, rng
        As for :func:`dropout`.

    References
    ----------
    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.

    Examples
    --------
    >>> dropout2d(np.ones((1, 4, 1, 2), np.float32), rng=10)[0, :, 0]
    tensor([[2., 2.],
            [0., 0.],
            [0., 0.],
            [2., 2.]])
    """
    return _dropped("dropout2d", input, p, training, rng, by_channel=True, ndim=4)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Rng = None) -> Tensor:
    """Set each channel of volumes (N, C, D, H, W) or (C, D, H, W) to 0; see :func:`dropout2d`."""
    return _dropped("dropout3d", input, p, training, rng, by_channel=True, ndim=5)


def stochastic_depth(input: Any, p: float, mode: str, training: bool = True, *, rng: Rng = None) -> Tensor:
    """Leave whole branches out: "drop path".

    Put at the end of a residual branch, it removes the branch with probability `p`, and multiplies it by
    ``1 / (1 - p)`` where it stays.

    Parameters
    ----------
    input : Tensor or array_like
        (N, ...), float32 or float64.
    p : float
        Probability in [0, 1].
    mode : {"row", "batch"}
        Whether each image of the batch is drawn for, or the batch as a whole.
    training : bool
        False returns `input` unchanged.
    rng : numpy.random.Generator, int or None
        As for :func:`dropout`.

    References
    ----------
    Huang et al., "Deep networks with stochastic depth", ECCV 2016.

    Examples
    --------
    >>> stochastic_depth(np.ones((4, 2), np.float32), 0.5, "row", rng=10)
    tensor([[2., 2.],
            [0., 0.],
            [0., 0.],
            [2., 2.]])
    """
    if mode not in ("row", "batch"):
        raise ValueError(f"stochastic_depth: mode must be row or batch, got {mode!r}")
    x = as_array(input, "stochastic_depth", "input")
    if mode == "row" and not x.ndim:
        raise ShapeError("stochastic_depth: input must be (N, ...) for mode row, got a single number")
    share = checks.probability(p, "stochastic_depth")
    if tracing():
        return traced("stochastic_depth", locals(), x.shape, x.dtype)
    if not training or not share:
        return input if isinstance(input, Tensor) else wrap(x)
    ones = np.ones((1, len(x) if mode == "row" else 1), np.float32)
    kept = np.flatnonzero(_run(ones, 1, 1, _key("stochastic_depth", rng), share, (1.0, -0.0, 0.0)))

    def thin_out(array: np.ndarray) -> np.ndarray:
        out = np.zeros_like(array)
        sources, targets = (array, out) if mode == "row" else (array[None], out[None])
        for i in kept:
            np.multiply(sources[i], 1 / (1 - share), out=targets[i, ...])
        return out

    return record(thin_out(x), lambda grad: (thin_out(grad),), (input,))


def _dropped(
    op: str,
    input: Any,
    p: float,
    training: bool,
    rng: Rng,
    *,
    by_channel: bool = False,
    floor: float = 0.0,
    ndim: int | None = None,
) -> Tensor:
    """Drop elements, or whole channels, to `floor`, then scale and shift so that the mean stays."""
    x = as_array(input, op, "input")
    share = checks.probability(p, op)
    if by_channel and (ndim or (training and share)):
        allowed, layout = _LAYOUTS[ndim]
        checks.ndim(x, allowed, op, "input", layout)
    if tracing():
        return traced(op, {**locals(), "inplace": False}, x.shape, x.dtype)
    if not training or not share:
        return input if isinstance(input, Tensor) else wrap(x)
    if ndim in (3, 5) and x.ndim == ndim - 1:  # one signal or volume
        return squeeze(_dropped(op, unsqueeze(input, 0), p, training, rng, by_channel=True, ndim=ndim), 0)
    key = _key(op, rng)
    matrices, rows = (len(x), math.prod(x.shape[2:])) if by_channel else (1, 1)
    scale, shift = 1 / (1 - share) if share < 1 else 0.0, -0.0  # -0, for adding 0 would change -0
    if floor and share < 1:  # the variance stays as well: before, it is (1 - p) (1 + p floor²), and the mean p floor
        scale = 1 / math.sqrt((1 - share) * (1 + share * floor**2))
        shift = -scale * share * floor
    outward = (0, x.ndim - 1, *range(1, x.ndim - 1)) if x.ndim > 2 else tuple(range(x.ndim))

    def run(array: np.ndarray, shift: float, dropped: float) -> np.ndarray:
        inner = np.asarray(np.moveaxis(array, 1, -1) if array.ndim > 2 else array, order="C")
        return _run(inner, matrices, rows, key, share, (scale, shift, dropped)).transpose(outward)

    out = run(x, shift, scale * floor + shift if floor else 0.0)
    return record(out, lambda grad: (run(grad, -0.0, 0.0),), (input,))


def _run(
    x: np.ndarray, matrices: int, rows: int, key: int, share: float, change: tuple[float, float, float]
) -> np.ndarray:
    """Thin out an array in C order; `change` has scale, shift and what becomes of the dropped."""
    if share == 1 or not x.size:
        return np.zeros(x.shape, x.dtype)
    out = _kernels.empty(x.shape, x.dtype)
    _kernels.dropout(x, out, matrices, rows, key, min(round(share * 2**32), 2**32 - 1), *change)
    return out


def _key(op: str, rng: Rng) -> int:
    """What all draws of a call follow from."""
    return int(checks.generator(rng, op).integers(2**64, dtype=np.uint64))
