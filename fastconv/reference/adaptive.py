"""Adaptive pooling: window by window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["adaptive_avg_pool2d", "adaptive_avg_pool2d_grad", "adaptive_max_pool2d", "adaptive_max_pool2d_grad"]


def _windows(size: tuple[int, ...], output_size: int | tuple[int, ...]) -> Iterator[tuple[tuple, tuple]]:
    """Place of every output pixel and the slices of its window."""
    bins = (output_size,) * len(size) if isinstance(output_size, int) else output_size
    for place in np.ndindex(*bins):
        edges = zip(place, size, bins, strict=True)
        yield (..., *place), (..., *(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in edges))


def _pooled(x: np.ndarray, output_size: int | tuple[int, ...], axes: int, reduce) -> np.ndarray:
    size = x.shape[-axes:]
    found = [reduce(x[window], axis=tuple(range(-axes, 0))) for _, window in _windows(size, output_size)]
    bins = (output_size,) * axes if isinstance(output_size, int) else output_size
    return np.stack(found, -1).reshape(*x.shape[:-axes], *bins)


def adaptive_avg_pool2d(x: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    return _pooled(x, output_size, 2, np.mean)


def adaptive_avg_pool2d_grad(grad: np.ndarray, x: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    """Each window's gradient goes to all its pixels, in equal shares."""
    grad_x = np.zeros_like(x)
    for place, window in _windows(x.shape[-2:], output_size):
        grad_x[window] += grad[place][..., None, None] / x[window][0, 0].size
    return grad_x


def adaptive_max_pool2d(x: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    return _pooled(x, output_size, 2, np.max)


def adaptive_max_pool2d_grad(grad: np.ndarray, x: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    """Each window's gradient goes to its first maximum."""
    grad_x = np.zeros_like(x)
    for place, window in _windows(x.shape[-2:], output_size):
        part = x[window]
        flat = part.reshape(*part.shape[:-2], -1)
        winner = flat.argmax(-1)[..., None] == np.arange(flat.shape[-1])
        grad_x[window] += winner.reshape(part.shape) * grad[place][..., None, None]
    return grad_x
