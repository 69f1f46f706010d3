"""Several images one after the other through layers whose results would not stay in a cache together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv._kernels import channels_last, copy_channels, empty_channels_last
from fastconv.autograd import is_grad_enabled
from fastconv.layers.activation import ReLU, ReLU6, Sigmoid
from fastconv.layers.adaptive import AdaptiveAvgPool2d
from fastconv.layers.conv import Conv2d
from fastconv.layers.dropout import Dropout, StochasticDepth
from fastconv.layers.gated import Hardsigmoid, Hardswish, SiLU
from fastconv.layers.module import Module
from fastconv.layers.norm import BatchNorm2d
from fastconv.layers.pool import AvgPool2d, MaxPool2d
from fastconv.layers.response import LocalResponseNorm
from fastconv.tensor import Tensor, wrap
from fastconv.tracing import tracing

__all__ = ["by_images", "is_large", "is_light"]

_LARGE = 128 * 128  # pixels of all images: maps of 16 channels and more exceed a megabyte
_TOGETHER = 112 * 112  # pixels that go through the layers at a time
_LIGHT = 256 << 10  # bytes of a step's weights, which every image reads anew

# Layers that see each image by itself, as all that fastconv.models makes of them do.
_APART: tuple[type, ...] = (Conv2d, BatchNorm2d, LocalResponseNorm, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Dropout)
_APART += (StochasticDepth, ReLU, ReLU6, Sigmoid, SiLU, Hardswish, Hardsigmoid)
_COMPOSED, _SEQUENTIAL = "fastconv.models.", "fastconv.layers.container.Sequential"


def is_large(input: Any) -> bool:
    """Whether these are several images too large to be worked on together, and nobody records what becomes of them."""
    if not isinstance(input, (Tensor, np.ndarray)) or input.ndim != 4 or input.shape[0] < 2:
        return False
    n, _, height, width = input.shape
    return n * height * width >= _LARGE and not (is_grad_enabled() or tracing())


def is_light(modules: Sequence[Module | None]) -> bool:
    """Whether layers treat every image by itself, with few weights, and no hook would see that it is alone."""
    size = 0
    for outer in modules:
        for module in () if outer is None else outer.modules():
            if module.training or module._is_hooked() or not _is_apart(module):
                return False
            size += sum(p.data.nbytes for p in module.parameters(recurse=False))
    return size <= _LIGHT


def _is_apart(module: Module) -> bool:
    kind = type(module)
    if kind not in _APART:
        return kind.__module__.startswith(_COMPOSED) or f"{kind.__module__}.{kind.__name__}" == _SEQUENTIAL
    if isinstance(module, BatchNorm2d):
        return module.running_mean is not None
    return not (getattr(module, "inplace", False) or getattr(module, "return_indices", False))


def by_images(steps: Sequence[Callable[[Any], Any]], input: Any) -> tuple[Any, int]:
    """Give a few images at a time to the first steps; return all results, and how many steps that were.

    Those that follow have what is not large.
    """
    x = input.data if isinstance(input, Tensor) else input
    n, _, height, width = x.shape
    few = min(n, max(1, _TOGETHER // (height * width)))
    part, done = wrap(x[:few]), 0
    while done < len(steps) and (done == 0 or n * part.shape[2] * part.shape[3] >= _LARGE):
        part = steps[done](part)
        done += 1
    whole = empty_channels_last((n, *part.shape[1:]), part.dtype)
    for begin in range(0, n, few):
        if begin:
            part = wrap(x[begin : begin + few])
            for step in steps[:done]:
                part = step(part)
        copy_channels(channels_last(part.data), whole[begin : begin + few])
    return wrap(whole), done
