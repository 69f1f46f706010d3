"""Weights that follow from their names, to compare networks with others' without shipping weights."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def fill(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array for one key of a state dict, such that activations of deep networks stay in range."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if key.endswith("running_mean") or key.endswith("bias"):
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)
    if key.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) == 1:
        return rng.uniform(0.5, 1.0, shape).astype(np.float32)
    return (rng.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)


def image(shape: tuple[int, ...]) -> np.ndarray:
    """The input."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def filled(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Weights for all keys."""
    return {key: fill(key, tuple(value.shape)) for key, value in state_dict.items()}


def fingerprint(state_dict: Mapping[str, Any]) -> int:
    """A number that tells apart all lists of keys and shapes."""
    return zlib.crc32("\n".join(f"{key} {tuple(value.shape)}" for key, value in state_dict.items()).encode())
