"""Dropout: draws that a key and a count decide, and what is done with what they keep."""

from __future__ import annotations

import numpy as np

__all__ = ["alpha_dropout", "alpha_dropout_grad", "channel_dropout", "channel_dropout_grad", "dropout", "dropout_grad"]

SELU_FLOOR = -1.7580993408473766


def splitmix64(key: int, count: int) -> np.ndarray:
    """The first `count` draws of a key: halves of 64-bit hashes, the low one first (Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        z = np.uint64(key) + np.uint64(0x9E3779B97F4A7C15) * np.arange(1, count // 2 + 2, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).astype("<u8").view("<u4")[:count]


def kept(shape: tuple[int, ...], p: float, seed: int) -> np.ndarray:
    """Which elements stay. They are counted with the channels, axis 1, innermost."""
    key = int(np.random.default_rng(seed).integers(2**64, dtype=np.uint64))
    order = (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape
    draws = splitmix64(key, int(np.prod(shape))).reshape(order)
    keep = draws >= min(round(p * 2**32), 2**32 - 1)
    return np.moveaxis(keep, -1, 1) if len(shape) > 2 else keep


def dropout(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    return np.where(kept(x.shape, p, seed), x / (1 - p), 0)


def dropout_grad(grad: np.ndarray, x: np.ndarray, p: float, seed: int) -> np.ndarray:
    return np.where(kept(x.shape, p, seed), grad / (1 - p), 0)


def channel_dropout(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    """Of (N, C, ...) whole channels, as ``dropout2d`` and its kin do."""
    keep = kept(x.shape[:2], p, seed).reshape(x.shape[:2] + (1,) * (x.ndim - 2))
    return np.where(keep, x / (1 - p), 0)


def channel_dropout_grad(grad: np.ndarray, x: np.ndarray, p: float, seed: int) -> np.ndarray:
    return channel_dropout(grad, p, seed)


def alpha_dropout(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    """Klambauer et al., NeurIPS 2017: dropped elements become SELU's floor, then mean 0 and variance 1 are restored."""
    scale = 1 / np.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    return scale * np.where(kept(x.shape, p, seed), x, SELU_FLOOR) - scale * p * SELU_FLOOR


def alpha_dropout_grad(grad: np.ndarray, x: np.ndarray, p: float, seed: int) -> np.ndarray:
    scale = 1 / np.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    return np.where(kept(x.shape, p, seed), scale * grad, 0)
