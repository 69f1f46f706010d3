"""Inception v2, BN-Inception: GoogLeNet with batch norm, and two 3x3 convolutions for each 5x5.

S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
shift", ICML 2015.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, AvgPool2d, Dropout, Linear, MaxPool2d, Module, Sequential
from fastconv.models._blocks import ConvNorm, branches
from fastconv.models._network import Staged
from fastconv.models._registry import register

__all__ = ["InceptionV2", "inception_v2"]

# Figure 5 of the paper: 1x1; 1x1 to 3x3; 1x1 to two 3x3; the pool and the 1x1 after it. No first and no last 1x1 means
# stride 2.
TABLE = {
    "inception3a": (64, 64, 64, 64, 96, "avg", 32),
    "inception3b": (64, 64, 96, 64, 96, "avg", 64),
    "inception3c": (0, 128, 160, 64, 96, "max", 0),
    "inception4a": (224, 64, 96, 96, 128, "avg", 128),
    "inception4b": (192, 96, 128, 96, 128, "avg", 128),
    "inception4c": (160, 128, 160, 128, 160, "avg", 96),
    "inception4d": (96, 128, 192, 160, 192, "avg", 96),
    "inception4e": (0, 128, 192, 192, 256, "max", 0),
    "inception5a": (352, 192, 320, 160, 224, "avg", 128),
    "inception5b": (352, 192, 320, 192, 224, "max", 128),
}


def _module(channels: int, row: tuple[Any, ...]) -> Module:
    """Return the branches of a row of the table."""
    narrow, reduce3, wide3, reduce5, wide5, pool, pooled = row
    stride = 1 if narrow else 2
    found: dict[str, Module] = {"branch1": ConvNorm(channels, narrow, 1)} if narrow else {}
    found["branch2"] = Sequential(ConvNorm(channels, reduce3, 1), ConvNorm(reduce3, wide3, 3, stride, 1))
    found["branch3"] = Sequential(
        ConvNorm(channels, reduce5, 1), ConvNorm(reduce5, wide5, 3), ConvNorm(wide5, wide5, 3, stride, 1)
    )
    pooling = MaxPool2d(3, stride, 1) if pool == "max" else AvgPool2d(3, stride, 1)
    found["branch4"] = Sequential(pooling, ConvNorm(channels, pooled, 1)) if pooled else pooling
    return branches(**found)


class InceptionV2(Staged):
    """A stem and ten inception modules, the third and the eighth of stride 2.

    The last maps are (N, 1024, H / 32, W / 32).
    """

    def __init__(self, num_classes: int, in_channels: int, dropout: float) -> None:
        self.conv1 = ConvNorm(in_channels, 64, 7, 2, 3)
        self.maxpool1 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = ConvNorm(64, 64, 1)
        self.conv3 = ConvNorm(64, 192, 3)
        self.maxpool2 = MaxPool2d(3, 2, ceil_mode=True)
        channels = 192
        for name, row in TABLE.items():
            setattr(self, name, _module(channels, row))
            channels = row[0] + row[2] + row[4] + (row[6] or channels)
        self.stages = [name for name, _ in self.named_children()]
        self.avgpool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.fc = Linear(channels, num_classes)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.fc(self.dropout(F.flatten(self.avgpool(self.features(input)), 1)))


@register(variants=("paper",))
def inception_v2(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0) -> InceptionV2:
    """BN-Inception, as figure 5 of the paper has it: 11,194,984 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer: batch norm makes it needless, says the paper.

    Returns
    -------
    InceptionV2
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return InceptionV2(num_classes, in_channels, dropout)
