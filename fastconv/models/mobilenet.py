"""MobileNet v1 and v2: depthwise separable convolutions, and between narrow maps ("inverted residuals").

A. G. Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", 2017;
M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, Module, ReLU, ReLU6, Sequential
from fastconv.layers._steps import with_shortcut
from fastconv.models._blocks import conv_norm_act, normed
from fastconv.models._network import Classifier, Network
from fastconv.models._registry import register

__all__ = ["MobileNetV1", "MobileNetV2", "mobilenet_v1", "mobilenet_v2"]

# Version 1: channels of each stage and its number of separable convolutions; all stages but the first halve the size.
TABLE_V1 = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
# Version 2, table 2: expansion, channels, blocks, stride.
TABLE_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class Separable(Module):
    """A 3x3 convolution of each channel by itself and a 1x1 across them, both with batch norm and activation."""

    def __init__(self, channels: int, width: int, stride: int, activation: Callable[[], Module]) -> None:
        self.conv_dw = Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.conv_pw = Conv2d(channels, width, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.act = activation()

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        return normed(self.conv_pw, self.bn2, normed(self.conv_dw, self.bn1, input, self.act), self.act)


class MobileNetV1(Network):
    """A 3x3 convolution of stride 2, `blocks` of separable convolutions, `classifier`."""

    heads = ("classifier",)

    def __init__(self, num_classes: int, in_channels: int, dropout: float, activation: Callable[[], Module]) -> None:
        self.conv_stem = Conv2d(in_channels, 32, 3, 2, 1, bias=False)
        self.bn1 = BatchNorm2d(32)
        self.act1 = activation()
        stages: list[Sequential] = []
        channels = 32
        for width, count in TABLE_V1:
            stage = Sequential()
            for number in range(count):
                stage.append(Separable(channels, width, 2 if stages and number == 0 else 1, activation))
                channels = width
            stages.append(stage)
        self.blocks = Sequential(*stages)
        self.global_pool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.classifier = Linear(channels, num_classes)

    def features(self, input: Any) -> Any:
        """Return the last maps, (N, 1024, H / 32, W / 32)."""
        return self.blocks(normed(self.conv_stem, self.bn1, input, self.act1))

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.dropout(F.flatten(self.global_pool(self.features(input)), 1)))


class InvertedResidual(Module):
    """1x1 to many channels, 3x3 of each by itself, 1x1 to few, linearly; the input is added where shapes agree."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        hidden = channels * expansion
        layers: list[Module] = [conv_norm_act(channels, hidden, 1, activation=ReLU6)] if expansion != 1 else []
        layers += [conv_norm_act(hidden, hidden, 3, stride, hidden, ReLU6)]
        self.conv = Sequential(*layers, Conv2d(hidden, width, 1, bias=False), BatchNorm2d(width))
        self.residual = stride == 1 and channels == width

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        return with_shortcut(self.conv, input, input) if self.residual else self.conv(input)


class MobileNetV2(Classifier):
    """`features`, inverted residuals between two convolutions; `classifier`."""

    heads = ("classifier.1",)


@register(variants=("timm", "paper"))
def mobilenet_v1(
    num_classes: int = 1000, *, variant: str = "timm", in_channels: int = 3, dropout: float = 0.0
) -> MobileNetV1:
    """MobileNet v1, timm's ``mobilenetv1_100``: 4,231,976 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    variant : {"timm", "paper"}
        The activation: ReLU6, as timm and TensorFlow have it, or ReLU.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer.

    Returns
    -------
    MobileNetV1
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return MobileNetV1(num_classes, in_channels, dropout, ReLU if variant == "paper" else ReLU6)


@register()
def mobilenet_v2(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.2) -> MobileNetV2:
    """MobileNet v2: 3,504,872 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer.

    Returns
    -------
    MobileNetV2
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    features, channels = Sequential(conv_norm_act(in_channels, 32, 3, 2, activation=ReLU6)), 32
    for expansion, width, count, stride in TABLE_V2:
        for number in range(count):
            features.append(InvertedResidual(channels, width, stride if number == 0 else 1, expansion))
            channels = width
    features.append(conv_norm_act(channels, 1280, 1, activation=ReLU6))
    return MobileNetV2(features, Sequential(Dropout(dropout), Linear(1280, num_classes)), AdaptiveAvgPool2d(1))
