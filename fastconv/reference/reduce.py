"""Sums, means, extrema and the matrix product. `dim` is an axis, several, or None for all of them."""

from __future__ import annotations

import numpy as np

__all__ = ["amax", "amax_grad", "matmul", "matmul_grad", "max", "max_grad", "mean", "mean_grad", "sum", "sum_grad"]

Dims = int | tuple[int, ...] | None


def _back(array: np.ndarray, x: np.ndarray, dim: Dims) -> np.ndarray:
    """Repeat a reduced array along the axes that are gone, back to the shape of `x`."""
    return np.broadcast_to(array if dim is None else np.expand_dims(array, dim), x.shape)


def sum(x: np.ndarray, dim: Dims = None) -> np.ndarray:
    return x.sum(dim)


def sum_grad(grad: np.ndarray, x: np.ndarray, dim: Dims = None) -> np.ndarray:
    return _back(grad, x, dim)


def mean(x: np.ndarray, dim: Dims = None) -> np.ndarray:
    return x.mean(dim)


def mean_grad(grad: np.ndarray, x: np.ndarray, dim: Dims = None) -> np.ndarray:
    return _back(grad, x, dim) * (grad.size / x.size)


def amax(x: np.ndarray, dim: Dims = None) -> np.ndarray:
    return x.max(dim)


def amax_grad(grad: np.ndarray, x: np.ndarray, dim: Dims = None) -> np.ndarray:
    """Equal maxima share the gradient evenly."""
    hit = x == _back(x.max(dim), x, dim)
    return hit * _back(grad / hit.sum(dim), x, dim)


def max(x: np.ndarray, dim: int) -> np.ndarray:
    return x.max(dim)


def max_grad(grad: np.ndarray, x: np.ndarray, dim: int) -> np.ndarray:
    """The first of equal maxima gets the gradient."""
    grad_x = np.zeros_like(x)
    np.put_along_axis(grad_x, np.expand_dims(x.argmax(dim), dim), np.expand_dims(grad, dim), dim)
    return grad_x


def matmul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("...ik,...kj->...ij", x, y)


def matmul_grad(grad: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For two stacks of matrices of the same length: dX = dZ Y^T, dY = X^T dZ."""
    return np.einsum("...ij,...kj->...ik", grad, y), np.einsum("...ik,...ij->...kj", x, grad)
