"""Changes of shape, slices and joins: each gradient undoes the change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["cat", "cat_grad", "getitem", "getitem_grad", "permute", "permute_grad", "reshape", "reshape_grad"]


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
