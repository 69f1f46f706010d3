"""Xception: every inception module taken to its extreme, a depthwise separable convolution.

F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.layers._steps import in_a_row, with_shortcut
from fastconv.models._blocks import normed
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["Xception", "xception"]

# The blocks: output channels, separable convolutions, stride.
TABLE = ((128, 2, 2), (256, 2, 2), (728, 2, 2), *((728, 3, 1),) * 8, (1024, 2, 2))


class SeparableConv2d(Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution across them."""

    _halves = ("conv1", "pointwise")

    def __init__(self, in_channels: int, out_channels: int) -> None:
        self.conv1 = Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, input: Any) -> Any:
        """Return maps of the input's size."""
        return self.pointwise(self.conv1(input))


class Block(Module):
    """Separable convolutions, each after ReLU and before batch norm, a pool for stride 2, and a shortcut."""

    def __init__(self, channels: int, width: int, count: int, stride: int, relu_first: bool, grow_first: bool) -> None:
        layers: list[Module] = []
        before = channels
        for number in range(count):
            after = width if grow_first or number == count - 1 else channels
            layers += [ReLU(), SeparableConv2d(before, after), BatchNorm2d(after)]
            before = after
        if stride != 1:
            layers.append(MaxPool2d(3, stride, 1))
        if width != channels or stride != 1:
            self.skip = Conv2d(channels, width, 1, stride, bias=False)
            self.skipbn = BatchNorm2d(width)
        self.rep = Sequential(*layers[0 if relu_first else 1 :])

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        shortcut = normed(self.skip, self.skipbn, input) if hasattr(self, "skip") else input
        return with_shortcut(self.rep, input, shortcut)


class Xception(Network):
    """Two convolutions, twelve blocks, two separable convolutions, `fc`."""

    def __init__(self, num_classes: int, in_channels: int, dropout: float) -> None:
        self.conv1 = Conv2d(in_channels, 32, 3, 2, bias=False)
        self.bn1 = BatchNorm2d(32)
        self.act1 = ReLU()
        self.conv2 = Conv2d(32, 64, 3, bias=False)
        self.bn2 = BatchNorm2d(64)
        self.act2 = ReLU()
        channels = 64
        for number, (width, count, stride) in enumerate(TABLE, 1):
            block = Block(channels, width, count, stride, relu_first=number > 1, grow_first=number < len(TABLE))
            setattr(self, f"block{number}", block)
            channels = width
        self.conv3 = SeparableConv2d(channels, 1536)
        self.bn3 = BatchNorm2d(1536)
        self.act3 = ReLU()
        self.conv4 = SeparableConv2d(1536, 2048)
        self.bn4 = BatchNorm2d(2048)
        self.act4 = ReLU()
        self.stages = [name for name, _ in self.named_children()]
        self.global_pool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.fc = Linear(2048, num_classes)

    def features(self, input: Any) -> Any:
        """Return the last maps, (N, 2048, 10, 10) for images of 299 x 299."""
        return in_a_row([getattr(self, name) for name in self.stages], input)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.fc(self.dropout(F.flatten(self.global_pool(self.features(input)), 1)))


@register((3, 299, 299), variants=("timm",))
def xception(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0) -> Xception:
    """Xception, timm's ``legacy_xception``: 22,855,952 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer; 0.5 in the paper.

    Returns
    -------
    Xception
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return Xception(num_classes, in_channels, dropout)
