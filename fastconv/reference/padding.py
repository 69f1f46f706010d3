"""Padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["pad", "pad_grad"]

_MODES: dict[str, Any] = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x: np.ndarray, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> np.ndarray:
    return _padded(x, pad, mode, value)


def _padded(x: np.ndarray, pad: Sequence[int], mode: str, value: float) -> np.ndarray:
    """Take elements away where `pad` is negative, and add some around the last axes where it is positive."""
    sides = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    less = tuple(slice(max(-before, 0), min(after, 0) or None) for before, after in sides)
    more = [(max(before, 0), max(after, 0)) for before, after in sides]
    if mode == "constant":
        return np.pad(x[less], more, constant_values=value)
    return np.pad(x, more, _MODES[mode])[less] if mode == "reflect" else np.pad(x[less], more, _MODES[mode])


def pad_grad(
    grad: np.ndarray, x: np.ndarray, pad: Sequence[int], mode: str = "constant", value: float = 0.0
) -> np.ndarray:
    """Number the elements, pad the numbers, and add each gradient where its number says; -1 is nowhere."""
    numbers = _padded(np.arange(x.size).reshape(x.shape), pad, mode, -1)
    return np.bincount(numbers.ravel() + 1, grad.ravel(), minlength=x.size + 1)[1:].reshape(x.shape)
