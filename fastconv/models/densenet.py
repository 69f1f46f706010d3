"""DenseNet: every layer sees the maps of all layers before it.

G. Huang, Z. Liu, L. van der Maaten and K. Q. Weinberger, "Densely connected convolutional networks", CVPR 2017.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import _kernels
from fastconv import functional as F
from fastconv.autograd import is_grad_enabled
from fastconv.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from fastconv.models._blocks import normalised, normed
from fastconv.models._network import Network
from fastconv.models._registry import register
from fastconv.tensor import wrap
from fastconv.tracing import tracing

__all__ = [
    "DenseNet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet264",
    "densenet_bc_16_24",
    "densenet_bc_100_12",
    "modern_keys",
]

# Growth rate, layers of each dense block, channels of the first convolution.
TABLE: dict[str, tuple[int, tuple[int, ...], int]] = {
    "densenet121": (32, (6, 12, 24, 16), 64),
    "densenet161": (48, (6, 12, 36, 24), 96),
    "densenet169": (32, (6, 12, 32, 32), 64),
    "densenet201": (32, (6, 12, 48, 32), 64),
    "densenet264": (32, (6, 12, 64, 48), 64),
    "densenet_bc_100_12": (12, (16, 16, 16), 24),
    "densenet_bc_16_24": (24, (2, 2, 2), 48),
}
BOTTLENECK = 4


class DenseLayer(Module):
    """1x1 and 3x3 convolution, each after batch norm and ReLU, to `growth` new maps."""

    def __init__(self, channels: int, growth: int, dropout: float, lean: bool) -> None:
        self.norm1 = BatchNorm2d(channels)
        self.relu1 = ReLU()
        self.conv1 = Conv2d(channels, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = BatchNorm2d(BOTTLENECK * growth)
        self.relu2 = ReLU()
        self.conv2 = Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        self.dropout = Dropout(dropout) if dropout else None
        self.lean = lean

    def narrow(self, input: Any) -> Any:
        """Return what the 1x1 convolution makes of all maps."""
        return self.conv1(normalised(self.norm1, input, self.relu1))

    def forward(self, input: Any, out: np.ndarray | None = None) -> Any:
        """Return the new maps, in `out`. Lean training does not keep what batch norm and ReLU make of all maps."""
        if self.lean and self.training:
            learnt = [*self.norm1.parameters(), *self.conv1.parameters()]
            x = F.checkpoint(self.narrow, input, parameters=learnt, buffers=self.norm1.buffers())
            x = normalised(self.norm2, x, self.relu2)
        else:
            x = normed(self.conv1, self.norm2, normalised(self.norm1, input, self.relu1), self.relu2)
        x = self.conv2(x) if out is None else self.conv2(x, out=out)
        return x if self.dropout is None else self.dropout(x)


def beside(place: np.ndarray, x: Any, layer: Any) -> np.ndarray | None:
    """Return the part of `place` after the maps `x` for the layer's, if its last convolution may write there itself."""
    if is_grad_enabled() or type(layer) is not DenseLayer or layer._is_hooked() or layer.dropout is not None:
        return None
    end = x.shape[1] + layer.conv2.out_channels
    return place[:, x.shape[1] : end] if type(layer.conv2) is Conv2d and not layer.conv2._is_hooked() else None


class DenseBlock(Module):
    """Dense layers, each on what came in and all that the layers before it made."""

    def __init__(self, count: int, channels: int, growth: int, dropout: float, lean: bool) -> None:
        self.made = count * growth
        for number in range(count):
            setattr(self, f"denselayer{number + 1}", DenseLayer(channels + number * growth, growth, dropout, lean))

    def forward(self, input: Any) -> Any:
        """Return all maps. They have a place side by side from the start, so that every layer copies its own alone."""
        place = None if tracing() else self._place(input)
        x = input if place is None else F.cat([input], 1, out=place[:, : input.shape[1]])
        for layer in self.children():
            own = None if place is None else beside(place, x, layer)
            new = layer(x) if own is None else layer(x, own)
            width = x.shape[1] + new.shape[1]
            if place is None or own is None:
                x = F.cat([x, new], 1, out=None if place is None else place[:, :width])
            else:  # it wrote beside the others
                x = wrap(place[:, :width])
        return x

    def _place(self, input: Any) -> np.ndarray:
        """Return memory for all maps that this block makes of `input`."""
        batch, channels, height, width = input.shape
        return _kernels.empty_channels_last((batch, channels + self.made, height, width), input.dtype)


def transition(channels: int) -> Sequential:
    """Return what halves channels and size between two blocks."""
    return Sequential(
        {
            "norm": BatchNorm2d(channels),
            "relu": ReLU(),
            "conv": Conv2d(channels, channels // 2, 1, bias=False),
            "pool": AvgPool2d(2, 2),
        }
    )


class DenseNet(Network):
    """`features`, dense blocks with transitions between; `classifier`."""

    heads = ("classifier",)

    def __init__(self, name: str, num_classes: int, in_channels: int, dropout: float, lean: bool) -> None:
        growth, blocks, channels = TABLE[name]
        if len(blocks) == 4:
            layers: dict[str, Module] = {
                "conv0": Conv2d(in_channels, channels, 7, 2, 3, bias=False),
                "norm0": BatchNorm2d(channels),
                "relu0": ReLU(),
                "pool0": MaxPool2d(3, 2, 1),
            }
        else:  # for images of 32 x 32
            layers = {"conv0": Conv2d(in_channels, channels, 3, padding=1, bias=False)}
        for number, count in enumerate(blocks, 1):
            layers[f"denseblock{number}"] = DenseBlock(count, channels, growth, dropout, lean)
            channels += count * growth
            if number < len(blocks):
                layers[f"transition{number}"] = transition(channels)
                channels //= 2
        layers["norm5"] = BatchNorm2d(channels)
        self.features = Sequential(layers)
        self.relu = ReLU()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Linear(channels, num_classes)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(F.flatten(self.avgpool(self.relu(self.features(input))), 1))


@register()
def densenet121(
    num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-121: 7,978,856 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing a new map's value, after each dense layer.
    memory_efficient : bool
        Whether to compute batch norms on the way back again instead of keeping them: training takes a little more
        time, and memory grows with the depth, not with its square.

    Returns
    -------
    DenseNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return DenseNet("densenet121", num_classes, in_channels, dropout, memory_efficient)


@register()
def densenet161(
    num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-161, of growth rate 48: 28,681,000 parameters; see :func:`densenet121`."""
    return DenseNet("densenet161", num_classes, in_channels, dropout, memory_efficient)


@register()
def densenet169(
    num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-169: 14,149,480 parameters; see :func:`densenet121`."""
    return DenseNet("densenet169", num_classes, in_channels, dropout, memory_efficient)


@register()
def densenet201(
    num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-201: 20,013,928 parameters; see :func:`densenet121`."""
    return DenseNet("densenet201", num_classes, in_channels, dropout, memory_efficient)


@register(variants=("paper",))
def densenet264(
    num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-264, the largest of the paper: 33,337,704 parameters; see :func:`densenet121`."""
    return DenseNet("densenet264", num_classes, in_channels, dropout, memory_efficient)


@register((3, 32, 32), variants=("paper",))
def densenet_bc_100_12(
    num_classes: int = 10, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-BC of 100 layers and growth rate 12, for CIFAR: 769,162 parameters; see :func:`densenet121`."""
    return DenseNet("densenet_bc_100_12", num_classes, in_channels, dropout, memory_efficient)


@register((3, 32, 32), variants=("paper",))
def densenet_bc_16_24(
    num_classes: int = 10, *, in_channels: int = 3, dropout: float = 0.0, memory_efficient: bool = False
) -> DenseNet:
    """DenseNet-BC of 16 layers and growth rate 24: the paper's form, as small as a processor trains in minutes.

    172,906 parameters; see :func:`densenet121`.
    """
    return DenseNet("densenet_bc_16_24", num_classes, in_channels, dropout, memory_efficient)


def modern_keys(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict with the keys of today for one of torchvision's old files: ``norm1`` for ``norm.1``.

    Examples
    --------
    >>> list(modern_keys({"features.denseblock1.denselayer1.conv.2.weight": 0}))
    ['features.denseblock1.denselayer1.conv2.weight']
    """
    old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
    return {old.sub(r"\1\2", key): value for key, value in state_dict.items()}
