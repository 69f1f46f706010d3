"""Weights that follow from their names, to compare networks with others' without shipping weights; thin networks."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import Tensor
from fastconv.layers import BatchNorm2d, Conv2d
from fastconv.models import Network


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


def thin(model: Network, factor: int) -> Network:
    """Give all layers so many times fewer channels, the images and the classes aside, and draw new weights."""
    first = next(path for path, module in model.named_modules() if isinstance(module, Conv2d))
    for path, module in model.named_modules():
        for name, values in list(vars(module).items()):
            if isinstance(values, Tensor) and values.ndim:
                keep = [n // factor for n in values.shape[:2]] + list(values.shape[2:])
                if path in model.heads or "score" in path:
                    keep[0] = values.shape[0]
                if path == first or "upscore" in path:
                    keep[1:2] = values.shape[1:2]
                elif keep[1:2] == [0]:  # depthwise
                    keep[1], module.groups = 1, keep[0]
                setattr(module, name, type(values)(values.numpy()[tuple(slice(n) for n in keep)]))
        if isinstance(module, BatchNorm2d):
            module.num_features //= factor
    model.initialise(np.random.default_rng(0))
    return model
