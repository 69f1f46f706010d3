"""EfficientNet B0 and its lite form, without squeeze-and-excitation and with ReLU6.

M. Tan and Q. V. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019; R. Liu,
"Higher accuracy on vision models with EfficientNet-Lite", 2020.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastconv import functional as F
from fastconv.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    Module,
    ReLU6,
    Sequential,
    SiLU,
    StochasticDepth,
)
from fastconv.layers._steps import with_shortcut
from fastconv.models._blocks import SqueezeExcitation, conv_norm_act, normed
from fastconv.models._network import Classifier, Network
from fastconv.models._registry import register

__all__ = ["EfficientNet", "EfficientNetLite", "efficientnet_b0", "efficientnet_lite0"]

# Table 1 of the paper: expansion, kernel, stride, output channels, blocks.
TABLE = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
BLOCKS = sum(row[4] for row in TABLE)


class MBConv(Module):
    """An inverted residual with squeeze-and-excitation, which is left out now and then while training."""

    def __init__(self, channels: int, width: int, expansion: int, kernel: int, stride: int, drop: float) -> None:
        hidden = channels * expansion
        layers: list[Module] = [conv_norm_act(channels, hidden, 1, activation=SiLU)] if expansion != 1 else []
        layers += [
            conv_norm_act(hidden, hidden, kernel, stride, hidden, SiLU),
            SqueezeExcitation(hidden, max(1, channels // 4), activation=SiLU),
            conv_norm_act(hidden, width, 1, activation=None),
        ]
        self.block = Sequential(*layers)
        if stride == 1 and channels == width:
            self.stochastic_depth = StochasticDepth(drop)

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        depth = getattr(self, "stochastic_depth", None)
        if depth is None:
            return self.block(input)
        if depth.training or depth._is_hooked():
            return depth(self.block(input)) + input
        return with_shortcut(self.block, input, input)


class EfficientNet(Classifier):
    """`features` in nine stages; `classifier`."""

    heads = ("classifier.1",)


@register()
def efficientnet_b0(
    num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.2, stochastic_depth: float = 0.2
) -> EfficientNet:
    """EfficientNet B0: 5,288,548 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer.
    stochastic_depth : float
        Probability of leaving out the last block while training; those before it go linearly from 0.

    Returns
    -------
    EfficientNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    stages: list[Module] = [conv_norm_act(in_channels, 32, 3, 2, activation=SiLU)]
    channels, done = 32, 0
    for expansion, kernel, stride, width, count in TABLE:
        stage = Sequential()
        for number in range(count):
            step = stride if number == 0 else 1
            stage.append(MBConv(channels, width, expansion, kernel, step, stochastic_depth * done / BLOCKS))
            channels, done = width, done + 1
        stages.append(stage)
    stages.append(conv_norm_act(channels, 4 * channels, 1, activation=SiLU))
    classifier = Sequential(Dropout(dropout), Linear(4 * channels, num_classes))
    return EfficientNet(Sequential(*stages), classifier, AdaptiveAvgPool2d(1))


class LiteBlock(Module):
    """An inverted residual under timm's names; the first has nothing to expand."""

    def __init__(
        self,
        channels: int,
        width: int,
        expansion: int,
        kernel: int,
        stride: int,
        norm: partial[BatchNorm2d],
        same: bool,
    ) -> None:
        hidden = channels * expansion
        padding = "same" if same else kernel // 2
        depthwise = Conv2d(hidden, hidden, kernel, stride, padding, groups=hidden, bias=False)
        if expansion == 1:
            self.names = ["conv_dw", "conv_pw"]
            layers = [depthwise, Conv2d(hidden, width, 1, bias=False)]
        else:
            self.names = ["conv_pw", "conv_dw", "conv_pwl"]
            layers = [Conv2d(channels, hidden, 1, bias=False), depthwise, Conv2d(hidden, width, 1, bias=False)]
        for number, (name, layer) in enumerate(zip(self.names, layers, strict=True), 1):
            setattr(self, name, layer)
            setattr(self, f"bn{number}", norm(layer.out_channels))
        self.act = ReLU6()
        self.residual = stride == 1 and channels == width

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        x = input
        for number, name in enumerate(self.names, 1):
            last = number == len(self.names)
            added = input if last and self.residual else None
            x = normed(getattr(self, name), getattr(self, f"bn{number}"), x, None if last else self.act, added)
        return x


class EfficientNetLite(Network):
    """A 3x3 convolution, `blocks` in seven stages, a 1x1 convolution, `classifier`."""

    heads = ("classifier",)

    def __init__(self, num_classes: int, in_channels: int, dropout: float, eps: float, same: bool) -> None:
        norm = partial(BatchNorm2d, eps=eps)
        self.conv_stem = Conv2d(in_channels, 32, 3, 2, "same" if same else 1, bias=False)
        self.bn1 = norm(32)
        self.act1 = ReLU6()
        stages, channels = [], 32
        for expansion, kernel, stride, width, count in TABLE:
            stage = Sequential()
            for number in range(count):
                stage.append(LiteBlock(channels, width, expansion, kernel, stride if number == 0 else 1, norm, same))
                channels = width
            stages.append(stage)
        self.blocks = Sequential(*stages)
        self.conv_head = Conv2d(channels, 1280, 1, bias=False)
        self.bn2 = norm(1280)
        self.act2 = ReLU6()
        self.global_pool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.classifier = Linear(1280, num_classes)

    def features(self, input: Any) -> Any:
        """Return the last maps, (N, 1280, H / 32, W / 32)."""
        x = self.blocks(normed(self.conv_stem, self.bn1, input, self.act1))
        return normed(self.conv_head, self.bn2, x, self.act2)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.classifier(self.dropout(F.flatten(self.global_pool(self.features(input)), 1)))


@register(variants=("timm",))
def efficientnet_lite0(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.2,
    eps: float = 1e-5,
    padding: str = "symmetric",
) -> EfficientNetLite:
    """EfficientNet-Lite0: 4,652,008 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer.
    eps : float
        What batch norm adds to variances; 0.001 for weights from TensorFlow.
    padding : {"symmetric", "same"}
        Whether convolutions pad as much before as after, or as TensorFlow, which puts an odd pixel after.

    Returns
    -------
    EfficientNetLite
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    if padding not in ("symmetric", "same"):
        raise ValueError(f"efficientnet_lite0: padding must be symmetric or same, got {padding!r}")
    return EfficientNetLite(num_classes, in_channels, dropout, eps, padding == "same")
