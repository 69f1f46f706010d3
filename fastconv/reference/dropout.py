"""Dropout: draws that a key and a count decide, and what is done with what they keep."""

from __future__ import annotations

import numpy as np

_NAMES = ["alpha_dropout", "channel_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"]
_NAMES += ["feature_alpha_dropout", "stochastic_depth"]
__all__ = [*_NAMES, *(f"{name}_grad" for name in _NAMES)]

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
    return np.where(_channels(x, p, seed), x / (1 - p), 0)


def channel_dropout_grad(grad: np.ndarray, x: np.ndarray, p: float, seed: int) -> np.ndarray:
    return channel_dropout(grad, p, seed)


dropout1d = dropout2d = dropout3d = channel_dropout
dropout1d_grad = dropout2d_grad = dropout3d_grad = channel_dropout_grad


def stochastic_depth(x: np.ndarray, p: float, mode: str, seed: int) -> np.ndarray:
    """Of (N, ...) whole images, or in mode "batch" all of them at once."""
    keep = kept((1, len(x) if mode == "row" else 1), p, seed).reshape(-1, *(1,) * (x.ndim - 1))
    return np.where(keep, x / (1 - p), 0)


def stochastic_depth_grad(grad: np.ndarray, x: np.ndarray, p: float, mode: str, seed: int) -> np.ndarray:
    return stochastic_depth(grad, p, mode, seed)


def alpha_dropout(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    """Klambauer et al., NeurIPS 2017: dropped elements become SELU's floor, then mean 0 and variance 1 are restored."""
    scale = 1 / np.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    return scale * np.where(kept(x.shape, p, seed), x, SELU_FLOOR) - scale * p * SELU_FLOOR


def alpha_dropout_grad(grad: np.ndarray, x: np.ndarray, p: float, seed: int) -> np.ndarray:
    scale = 1 / np.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    return np.where(kept(x.shape, p, seed), scale * grad, 0)


def _channels(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    return kept(x.shape[:2], p, seed).reshape(x.shape[:2] + (1,) * (x.ndim - 2))


def feature_alpha_dropout(x: np.ndarray, p: float, seed: int) -> np.ndarray:
    """:func:`alpha_dropout` of whole channels."""
    scale = 1 / np.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    return scale * np.where(_channels(x, p, seed), x, SELU_FLOOR) - scale * p * SELU_FLOOR


def feature_alpha_dropout_grad(grad: np.ndarray, x: np.ndarray, p: float, seed: int) -> np.ndarray:
    scale = 1 / np.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    return np.where(_channels(x, p, seed), scale * grad, 0)
