"""Fully connected layers as convolutions, and back.

A convolution is a fully connected layer most of whose weights are zero and whose others repeat; a fully connected one
is a convolution whose kernel is as large as the image. :mod:`fastconv.layers.matrix` has the other way to look at it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.autograd import no_grad
from fastconv.errors import ShapeError
from fastconv.layers.adaptive import AdaptiveAvgPool2d
from fastconv.layers.container import Sequential
from fastconv.layers.conv import Conv2d
from fastconv.layers.dropout import Dropout
from fastconv.layers.linear import Linear
from fastconv.layers.module import Module
from fastconv.layers.pool import AvgPool2d
from fastconv.layers.shape import Flatten, Identity
from fastconv.parameter import Parameter
from fastconv.tensor import Tensor

__all__ = ["conv2d_to_linear", "linear_to_conv2d", "to_convolutional"]

_POINTWISE = {f"fastconv.layers.{stem}" for stem in ("activation", "exponential", "gated", "rectifier")}


def linear_to_conv2d(layer: Module, shape: tuple[int, int, int] | None = None) -> Module:
    """Return the convolution that a fully connected layer is for maps of one size; of a network, of all its layers.

    Parameters
    ----------
    layer : Linear or Module
        A fully connected layer, whose weights are copied, or a network: see :func:`to_convolutional`.
    shape : tuple of int, optional
        (C, H, W) of the maps that were flattened for it; by default (in_features, 1, 1). For a network, of its images.

    Returns
    -------
    Conv2d or Sequential
        Its kernel is as large as a map: (N, C, H, W) gives (N, out_features, 1, 1), and larger images a map of results.

    Raises
    ------
    ShapeError
        If maps of that shape do not have as many elements as the layer takes.

    Examples
    --------
    >>> linear_to_conv2d(Linear(400, 120, rng=0), (16, 5, 5))
    Conv2d(16, 120, kernel_size=(5, 5), stride=(1, 1))
    """
    if not isinstance(layer, Linear):
        return to_convolutional(layer, shape)
    shape = (layer.in_features, 1, 1) if shape is None else shape
    channels, *kernel = checks.integers(tuple(shape), 3, "linear_to_conv2d", "shape")
    if channels * math.prod(kernel) != layer.in_features:
        raise ShapeError(
            f"linear_to_conv2d: maps of shape {tuple(shape)} do not have the {layer.in_features} elements of {layer!r}"
        )
    with init.skipped():
        conv = Conv2d(channels, layer.out_features, tuple(kernel), bias=layer.bias is not None)
    conv.weight = Parameter(layer.weight.numpy().reshape(layer.out_features, channels, *kernel))
    if layer.bias is not None:
        conv.bias = Parameter(layer.bias.numpy())
    return conv


def conv2d_to_linear(layer: Conv2d) -> Linear:
    """Return the fully connected layer that a convolution is for maps as large as its kernel, flattened.

    Raises
    ------
    ValueError
        If the layer pads its input or has groups.

    Examples
    --------
    >>> conv2d_to_linear(Conv2d(16, 120, 5, rng=0))
    Linear(in_features=400, out_features=120, bias=True)
    """
    if layer.groups != 1 or np.any(np.array(layer.padding) != 0):
        raise ValueError(f"conv2d_to_linear: takes a convolution without padding and groups, got {layer!r}")
    weight = layer.weight.numpy().reshape(layer.out_channels, -1)
    return as_linear(weight, None if layer.bias is None else layer.bias.numpy())


def as_linear(weight: np.ndarray, bias: np.ndarray | None) -> Linear:
    with init.skipped():
        layer = Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = Parameter(weight)
    if bias is not None:
        layer.bias = Parameter(bias)
    return layer


def to_convolutional(network: Module, input_shape: tuple[int, int, int] | None = None) -> Sequential:
    """Return a network whose fully connected head slides over larger images as convolutions do.

    Flatten is left out, Linear becomes :class:`Conv2d`, and a global average one over windows as large as the maps are
    now. Every other layer is taken as it is, not copied. (N, C, H, W) of `input_shape` gives (N, classes, 1, 1); larger
    images give a map, one score for each place that the network could have been put at.

    Parameters
    ----------
    network : Module
        A Sequential, which may hold others, or a network of `features`, perhaps `avgpool`, and `classifier`.
    input_shape : tuple of int, optional
        (C, H, W) of the images that the network was made for. Left out, the maps that are flattened are as large as an
        adaptive pool in front makes them, or square.

    Raises
    ------
    TypeError
        If a layer is met that has no convolutional form.
    ValueError
        If `input_shape` is needed.

    Examples
    --------
    >>> to_convolutional(Sequential(Conv2d(1, 4, 3, rng=0), Flatten(), Linear(144, 10, rng=0)))
    Sequential(
      (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
      (1): Conv2d(4, 10, kernel_size=(6, 6), stride=(1, 1))
    )
    """
    op = "to_convolutional"
    if not isinstance(network, Module):
        raise TypeError(f"{op}: network must be a Module, got {type(network).__name__}")
    parts = list(steps(network))
    if input_shape is None:
        return _by_features(parts)
    x = Tensor(np.zeros((1, *checks.integers(tuple(input_shape), 3, op, "input_shape")), dtype_of(network)))
    flat: tuple[int, ...] | None = None  # the shape of the maps before they were flattened
    layers: list[Module] = []
    for layer in parts:
        if isinstance(layer, Flatten):
            flat = x.shape[1:] if x.ndim == 4 else flat
        elif isinstance(layer, Linear):
            channels, *size = flat or (layer.in_features, 1, 1)
            layers.append(linear_to_conv2d(layer, (channels, size[0], size[1])))
            flat = (layer.out_features, 1, 1)
        elif isinstance(layer, AdaptiveAvgPool2d):
            layers += _sliding(layer, x)
        else:
            layers.append(_taken(layer, x.ndim == 4))
        with no_grad():
            x = evaluating(layer)(x)
    return Sequential(*layers)


def _by_features(parts: list[Module]) -> Sequential:
    """:func:`to_convolutional` by the number of features that the first fully connected layer takes."""
    layers: list[Module] = []
    channels, pooled, on_maps = 0, None, True
    for layer in parts:
        if isinstance(layer, Linear):
            layers.append(linear_to_conv2d(layer, _maps(layer, channels, pooled)))
            channels, pooled, on_maps = layer.out_features, (1, 1), False
        elif isinstance(layer, AdaptiveAvgPool2d):
            pooled = checks.pair(layer.output_size, "to_convolutional", "output_size")
            if pooled == (1, 1):
                raise ValueError("to_convolutional: a global average needs input_shape, (C, H, W) of the images")
        elif not isinstance(layer, Flatten):
            layers.append(_taken(layer, on_maps))
            channels = getattr(layer, "out_channels", channels)
    return Sequential(*layers)


def _maps(layer: Linear, channels: int, pooled: tuple[int, int] | None) -> tuple[int, int, int]:
    """The shape of the maps that were flattened for a layer, which have so many channels, if known."""
    features = layer.in_features
    if pooled is not None:
        return features // math.prod(pooled), *pooled
    side = math.isqrt(features // channels) if channels else 1
    if channels and channels * side * side != features:
        raise ValueError(f"to_convolutional: {layer!r} takes no square maps of {channels} channels; give input_shape")
    return channels or features, side, side


def _taken(layer: Module, on_maps: bool) -> Module:
    if on_maps or pointwise(layer):
        return layer
    raise TypeError(f"to_convolutional: {layer!r} has no convolutional form")


def _sliding(layer: AdaptiveAvgPool2d, x: Tensor) -> list[Module]:
    size, wanted = x.shape[2:], F.adaptive_avg_pool2d(x, layer.output_size).shape[2:]
    if wanted == size:
        return []
    if wanted != (1, 1):
        raise TypeError(f"to_convolutional: {layer!r} of maps of {size} has no convolutional form")
    return [AvgPool2d(size, 1)]


def steps(network: Module) -> Iterator[Module]:
    """The layers of a network in the order they are called."""
    parts = dict(network.named_children())
    if isinstance(network, Sequential):
        for layer in network:
            yield from steps(layer)
    elif {"features", "classifier"} <= set(parts) <= {"features", "avgpool", "classifier"}:
        for name in ("features", "avgpool"):
            if name in parts:
                yield from steps(parts[name])
        head = list(steps(parts["classifier"]))
        if not any(isinstance(layer, Flatten) for layer in head):
            yield Flatten()
        yield from head
    else:
        yield network


def pointwise(layer: Module) -> bool:
    """Whether a layer treats every element alike and by itself."""
    if isinstance(layer, (Dropout, Identity)):
        return True
    known = type(layer).__module__ in _POINTWISE
    return known and not hasattr(layer, "dim") and not list(layer.parameters()) and not list(layer.children())


def dtype_of(layer: Module) -> np.dtype:
    """The dtype that a layer computes in."""
    held = next((each for each in (*layer.parameters(), *layer.buffers()) if each.dtype.kind == "f"), None)
    return np.dtype(np.float32) if held is None else held.dtype


def evaluating(layer: Module, **changes: Any) -> Module:
    """A copy of a layer in evaluation, which shares its weights, with some attributes changed."""
    twin = copy.copy(layer)
    twin.training = False
    for name, value in changes.items():
        if hasattr(layer, name):
            setattr(twin, name, value)
    return twin
