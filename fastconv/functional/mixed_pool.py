"""Pooling by chance, and between the maximum and the mean."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.autograd import as_array, record
from fastconv.errors import ShapeError
from fastconv.functional import pool
from fastconv.functional._pool import averages, averages_grad
from fastconv.functional._window import LAYOUTS, Windows, windows
from fastconv.functional.shape import reshape, squeeze, unsqueeze
from fastconv.tensor import Tensor, array_of
from fastconv.tracing import traced, tracing

__all__ = [
    "mixed_pool1d",
    "mixed_pool2d",
    "mixed_pool3d",
    "stochastic_pool1d",
    "stochastic_pool2d",
    "stochastic_pool3d",
]

_Size = int | tuple[int, ...]


def mixed_pool1d(
    input: Any,
    kernel_size: _Size,
    alpha: Any = 0.5,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Return what :func:`mixed_pool2d` does, for (N, C, L) or (C, L)."""
    return _mixed("mixed_pool1d", 1, input, kernel_size, alpha, stride, padding, ceil_mode)


def mixed_pool2d(
    input: Any,
    kernel_size: _Size,
    alpha: Any = 0.5,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Return ``alpha * maximum + (1 - alpha) * mean`` of each window (Lee, Gallagher and Tu, 2016).

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W).
    kernel_size, stride, padding, ceil_mode
        As for :func:`max_pool2d`; padding counts as minus infinity in the maximum and as 0 in the mean.
    alpha : float, Tensor or array_like
        One number, or one for each channel: (C,). A Tensor gets a gradient.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out), stored channels last.

    Raises
    ------
    ShapeError, TypeError
        As :func:`max_pool2d`, and if `alpha` is neither of these.

    Examples
    --------
    >>> mixed_pool2d([[[1.0, 2.0], [3.0, 4.0]]], 2, 0.5)
    tensor([[[3.25]]])
    """
    return _mixed("mixed_pool2d", 2, input, kernel_size, alpha, stride, padding, ceil_mode)


def mixed_pool3d(
    input: Any,
    kernel_size: _Size,
    alpha: Any = 0.5,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
) -> Tensor:
    """Return what :func:`mixed_pool2d` does, for (N, C, D, H, W) or (C, D, H, W)."""
    return _mixed("mixed_pool3d", 3, input, kernel_size, alpha, stride, padding, ceil_mode)


def _mixed(
    op: str,
    axes: int,
    input: Any,
    kernel_size: _Size,
    alpha: Any,
    stride: _Size | None,
    padding: _Size,
    ceil_mode: bool,
) -> Tensor:
    x = as_array(input, op, "input")
    checks.ndim(x, (axes + 1, axes + 2), op, "input", LAYOUTS[axes])
    channels = x.shape[-axes - 1]
    if isinstance(alpha, (int, float, np.integer, np.floating)):
        alpha = checks.number(alpha, op, "alpha")
    else:
        shape = array_of(alpha, f"{op}: alpha").shape
        if shape not in ((), (1,), (channels,)):
            raise ShapeError(f"{op}: alpha must be one number or {channels}, one for each channel, got shape {shape}")
        alpha = reshape(alpha, (-1, *(1,) * axes))
    largest = getattr(pool, f"max_pool{axes}d")(input, kernel_size, stride, padding, 1, ceil_mode)
    mean = getattr(pool, f"avg_pool{axes}d")(input, kernel_size, stride, padding, ceil_mode)
    return mean + (largest - mean) * alpha


def stochastic_pool1d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    training: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Return what :func:`stochastic_pool2d` does, for (N, C, L) or (C, L)."""
    return _stochastic("stochastic_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, training, rng)


def stochastic_pool2d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    training: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Return a randomly chosen activation of each window: large ones more often (Zeiler and Fergus, 2013).

    In training the activation a_i is chosen with probability a_i / sum of a, and gets the gradient; otherwise the
    result is what is to be expected, sum of a_i**2 / sum of a. Activations are what ReLU leaves: negative ones count as
    0, and a window without a positive one gives 0.

    Parameters
    ----------
    input : Tensor or array_like
        float32 or float64 images, (N, C, H, W) or (C, H, W).
    kernel_size, stride, padding, ceil_mode
        As for :func:`max_pool2d`; padding is never chosen.
    training : bool
        Whether to choose.
    rng : numpy.random.Generator, int or None
        Where chance comes from.

    Returns
    -------
    Tensor
        (N, C, H_out, W_out).

    Raises
    ------
    ShapeError, TypeError
        As :func:`max_pool2d`.

    Examples
    --------
    >>> stochastic_pool2d([[[1.0, 3.0]]], (1, 2))
    tensor([[[2.5]]])
    >>> stochastic_pool2d([[[1.0, 3.0]]], (1, 2), training=True, rng=0)
    tensor([[[3.]]])
    """
    return _stochastic("stochastic_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, training, rng)


def stochastic_pool3d(
    input: Any,
    kernel_size: _Size,
    stride: _Size | None = None,
    padding: _Size = 0,
    ceil_mode: bool = False,
    training: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Return what :func:`stochastic_pool2d` does, for (N, C, D, H, W) or (C, D, H, W)."""
    return _stochastic("stochastic_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, training, rng)


def _stochastic(
    op: str,
    axes: int,
    input: Any,
    kernel_size: _Size,
    stride: _Size | None,
    padding: _Size,
    ceil_mode: bool,
    training: bool,
    rng: np.random.Generator | int | None,
) -> Tensor:
    x = as_array(input, op, "input")
    if x.ndim == axes + 1:
        one = unsqueeze(input, 0)
        return squeeze(_stochastic(op, axes, one, kernel_size, stride, padding, ceil_mode, training, rng), 0)
    where = windows(op, axes, x.shape, kernel_size, stride, padding, 1, ceil_mode)
    generator = checks.generator(rng, op)
    if tracing():
        return traced(op, locals(), where.out_shape, x.dtype)
    a = np.maximum(x, 0)
    return _chosen(input, a, where, generator) if training else _expected(input, a, where)


def _expected(input: Any, a: np.ndarray, where: Windows) -> Tensor:
    sums, squares = averages(where, a, True, 1), averages(where, a * a, True, 1)
    with np.errstate(invalid="ignore"):
        out = np.where(sums == 0, 0, squares / sums).astype(a.dtype, copy=False)

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        with np.errstate(all="ignore"):
            share = np.where(sums == 0, 0, grad / sums).astype(grad.dtype, copy=False)
        to_squares, to_sums = averages_grad(where, share, True, 1), averages_grad(where, share * out, True, 1)
        return (np.where(a > 0, 2 * a * to_squares - to_sums, 0).astype(grad.dtype, copy=False),)

    return record(out, backward, (input,))


def _chosen(input: Any, a: np.ndarray, where: Windows, rng: np.random.Generator) -> Tensor:
    """Walk through the taps of all windows at once; the one in which the running sum passes a random level is it."""
    padded = np.pad(a, _room(where))
    total = np.zeros(where.out_shape, a.dtype)
    for tap in _taps(where, padded):
        total += tap
    level = total * rng.random(where.out_shape, a.dtype)
    running, out, chosen = np.zeros_like(total), np.zeros_like(total), np.full(total.shape, -1, np.int32)
    for number, tap in enumerate(_taps(where, padded)):
        here = (running <= level) & (level < running + tap)
        running += tap
        out[here] = tap[here]
        chosen[here] = number
    out[np.isnan(total)] = np.nan

    def backward(grad: np.ndarray) -> tuple[np.ndarray]:
        wide = np.zeros(padded.shape, grad.dtype)
        for number, tap in enumerate(_taps(where, wide)):
            tap += np.where(chosen == number, grad, 0)
        inner = (slice(p, p + n) for p, n in zip(where.padding, where.shape[2:], strict=True))
        whole = (slice(None), slice(None), *inner)
        return (wide[whole],)

    return record(out, backward, (input,))


def _room(where: Windows) -> list[tuple[int, int]]:
    """What to add around the input so that all windows lie inside."""
    geometry = zip(where.shape[2:], where.out_shape[2:], where.kernel, where.stride, where.padding, strict=True)
    return [(0, 0), (0, 0), *((p, max(0, (out - 1) * s + k - n - p)) for n, out, k, s, p in geometry)]


def _taps(where: Windows, padded: np.ndarray) -> Any:
    """Yield for each tap the view (N, C, ...) of what all windows see there."""
    for tap in product(*map(range, where.kernel)):
        each = zip(tap, where.out_shape[2:], where.stride, strict=True)
        inner = (slice(first, first + (out - 1) * s + 1, s) for first, out, s in each)
        seen = (slice(None), slice(None), *inner)
        yield padded[seen]
