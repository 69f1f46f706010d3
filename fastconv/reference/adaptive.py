"""Adaptive pooling over any number of axes, (N, C, ...): window by window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool1d_grad",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad",
    "adaptive_avg_pool3d",
    "adaptive_avg_pool3d_grad",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_grad",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_grad",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_grad",
]

Size = int | tuple[int, ...]


def _bins(x: np.ndarray, output_size: Size) -> tuple[int, ...]:
    return (output_size,) * (x.ndim - 2) if isinstance(output_size, int) else output_size


def _windows(x: np.ndarray, output_size: Size) -> Iterator[tuple[tuple, tuple]]:
    """Place of every output element and the slices of its window."""
    bins = _bins(x, output_size)
    for place in np.ndindex(*bins):
        edges = zip(place, x.shape[2:], bins, strict=True)
        yield (..., *place), (..., *(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in edges))


def _flat(window: np.ndarray) -> np.ndarray:
    return window.reshape(*window.shape[:2], -1)


def adaptive_avg_pool2d(x: np.ndarray, output_size: Size) -> np.ndarray:
    found = [_flat(x[window]).mean(-1) for _, window in _windows(x, output_size)]
    return np.stack(found, -1).reshape(*x.shape[:2], *_bins(x, output_size))


def adaptive_avg_pool2d_grad(grad: np.ndarray, x: np.ndarray, output_size: Size) -> np.ndarray:
    """Each window's gradient goes to all its elements, in equal shares."""
    grad_x = np.zeros_like(x)
    for place, window in _windows(x, output_size):
        shares = np.broadcast_to(grad[place][..., None], _flat(x[window]).shape)
        grad_x[window] += (shares / shares.shape[-1]).reshape(x[window].shape)
    return grad_x


def adaptive_max_pool2d(x: np.ndarray, output_size: Size) -> np.ndarray:
    found = [_flat(x[window]).max(-1) for _, window in _windows(x, output_size)]
    return np.stack(found, -1).reshape(*x.shape[:2], *_bins(x, output_size))


def adaptive_max_pool2d_grad(grad: np.ndarray, x: np.ndarray, output_size: Size) -> np.ndarray:
    """Each window's gradient goes to its first maximum."""
    grad_x = np.zeros_like(x)
    for place, window in _windows(x, output_size):
        flat = _flat(x[window])
        won = flat.argmax(-1)[..., None] == np.arange(flat.shape[-1])
        grad_x[window] += (won * grad[place][..., None]).reshape(x[window].shape)
    return grad_x


adaptive_avg_pool1d = adaptive_avg_pool3d = adaptive_avg_pool2d
adaptive_avg_pool1d_grad = adaptive_avg_pool3d_grad = adaptive_avg_pool2d_grad
adaptive_max_pool1d = adaptive_max_pool3d = adaptive_max_pool2d
adaptive_max_pool1d_grad = adaptive_max_pool3d_grad = adaptive_max_pool2d_grad
