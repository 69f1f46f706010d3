"""Changes of shape, slices and joins: each gradient undoes the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_NAMES = ("cat", "center_crop", "flatten", "getitem", "permute", "reshape", "stack", "unflatten")
__all__ = [*_NAMES, *(f"{name}_grad" for name in _NAMES)]


def reshape(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return x.reshape(shape)


def reshape_grad(grad: np.ndarray, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return grad.reshape(x.shape)


def permute(x: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    return x.transpose(dims)


def permute_grad(grad: np.ndarray, x: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    return grad.transpose(np.argsort(np.mod(dims, x.ndim)))


def getitem(x: np.ndarray, index: Any) -> np.ndarray:
    return x[index]


def getitem_grad(grad: np.ndarray, x: np.ndarray, index: Any) -> np.ndarray:
    """Number the elements, take the numbers, and add each gradient where its number says."""
    numbers = np.arange(x.size).reshape(x.shape)[index]
    return np.bincount(numbers.ravel(), grad.ravel(), minlength=x.size).reshape(x.shape)


def cat(*arrays: np.ndarray, dim: int = 0) -> np.ndarray:
    return np.concatenate(arrays, dim)


def cat_grad(grad: np.ndarray, *arrays: np.ndarray, dim: int = 0) -> list[np.ndarray]:
    return np.split(grad, np.cumsum([x.shape[dim] for x in arrays])[:-1], dim)


def stack(*arrays: np.ndarray, dim: int = 0) -> np.ndarray:
    return np.stack(arrays, dim)


def stack_grad(grad: np.ndarray, *arrays: np.ndarray, dim: int = 0) -> list[np.ndarray]:
    return list(np.moveaxis(grad, dim, 0))


def flatten(x: np.ndarray, start_dim: int = 0, end_dim: int = -1) -> np.ndarray:
    sizes = x.shape or (1,)
    first, last = start_dim % len(sizes), end_dim % len(sizes)
    return x.reshape(*sizes[:first], int(np.prod(sizes[first : last + 1])), *sizes[last + 1 :])


def flatten_grad(grad: np.ndarray, x: np.ndarray, start_dim: int = 0, end_dim: int = -1) -> np.ndarray:
    return grad.reshape(x.shape)


def unflatten(x: np.ndarray, dim: int, sizes: Sequence[int]) -> np.ndarray:
    axis = dim % x.ndim
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


def unflatten_grad(grad: np.ndarray, x: np.ndarray, dim: int, sizes: Sequence[int]) -> np.ndarray:
    return grad.reshape(x.shape)


def _middle(x: np.ndarray, output_size: int | tuple[int, int]) -> tuple:
    size = (output_size, output_size) if isinstance(output_size, int) else output_size
    first = [(n - m) // 2 for n, m in zip(x.shape[-2:], size, strict=True)]
    return (..., *(slice(f, f + m) for f, m in zip(first, size, strict=True)))


def center_crop(x: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    return x[_middle(x, output_size)]


def center_crop_grad(grad: np.ndarray, x: np.ndarray, output_size: int | tuple[int, int]) -> np.ndarray:
    out = np.zeros_like(x)
    out[_middle(x, output_size)] = grad
    return out
