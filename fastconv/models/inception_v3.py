"""Inception v3: 5x5 as two 3x3, 7x7 as 1x7 and 7x1.

C. Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, AvgPool2d, Dropout, Linear, MaxPool2d, Module
from fastconv.models._blocks import ConvNorm, Mixed
from fastconv.models._network import Network, rescaled
from fastconv.models._registry import register

__all__ = ["Inception3", "InceptionOutputs", "inception_v3"]


class InceptionOutputs(NamedTuple):
    """What Inception v3 returns while training: its scores and those of the auxiliary head."""

    logits: Any
    aux_logits: Any


WIDE, HIGH = (1, 7), (7, 1)
ROW, COLUMN = (1, 3), (3, 1)


def _a(channels: int, pooled: int) -> Mixed:
    return Mixed(
        channels,
        branch1x1=[(64, 1)],
        branch5x5=[(48, 1), (64, 5)],
        branch3x3dbl=[(64, 1), (96, 3), (96, 3)],
        branch_pool=[AvgPool2d(3, 1, 1), (pooled, 1)],
    )


def _b(channels: int) -> Mixed:
    return Mixed(
        channels,
        branch3x3=[(384, 3, 2)],
        branch3x3dbl=[(64, 1), (96, 3), (96, 3, 2)],
        branch_pool=[MaxPool2d(3, 2)],
    )


def _c(channels: int, width: int) -> Mixed:
    return Mixed(
        channels,
        branch1x1=[(192, 1)],
        branch7x7=[(width, 1), (width, WIDE), (192, HIGH)],
        branch7x7dbl=[(width, 1), (width, HIGH), (width, WIDE), (width, HIGH), (192, WIDE)],
        branch_pool=[AvgPool2d(3, 1, 1), (192, 1)],
    )


def _d(channels: int) -> Mixed:
    return Mixed(
        channels,
        branch3x3=[(192, 1), (320, 3, 2)],
        branch7x7x3=[(192, 1), (192, WIDE), (192, HIGH), (192, 3, 2)],
        branch_pool=[MaxPool2d(3, 2)],
    )


def _e(channels: int) -> Mixed:
    return Mixed(
        channels,
        branch1x1=[(320, 1)],
        branch3x3=[(384, 1), [(384, ROW), (384, COLUMN)]],
        branch3x3dbl=[(448, 1), (384, 3), [(384, ROW), (384, COLUMN)]],
        branch_pool=[AvgPool2d(3, 1, 1), (192, 1)],
    )


class Auxiliary(Module):
    """A small classifier on the maps of 17 x 17."""

    def __init__(self, channels: int, num_classes: int) -> None:
        self.pool = AvgPool2d(5, 3)
        self.conv0 = ConvNorm(channels, 128, 1)
        self.conv1 = ConvNorm(128, 768, 5, padding=0)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(768, num_classes)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes)."""
        return self.fc(F.flatten(self.avgpool(self.conv1(self.conv0(self.pool(input)))), 1))


class Inception3(Network):
    """A stem, eleven inception modules of five kinds and, while training, an auxiliary head."""

    heads = ("fc", "AuxLogits.fc")
    aux_weight = 0.4

    def __init__(
        self, num_classes: int, in_channels: int, aux_logits: bool, transform_input: bool, dropout: float
    ) -> None:
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = ConvNorm(in_channels, 32, 3, 2)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, 3)
        self.maxpool1 = MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, 3, padding=0)
        self.maxpool2 = MaxPool2d(3, 2)
        self.Mixed_5b = _a(192, 32)
        self.Mixed_5c = _a(256, 64)
        self.Mixed_5d = _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b = _c(768, 128)
        self.Mixed_6c = _c(768, 160)
        self.Mixed_6d = _c(768, 160)
        self.Mixed_6e = _c(768, 192)
        if aux_logits:
            self.AuxLogits = Auxiliary(768, num_classes)
        self.Mixed_7a = _d(768)
        self.Mixed_7b = _e(1280)
        self.Mixed_7c = _e(2048)
        self.stages = [name for name, _ in self.named_children() if name != "AuxLogits"]
        self.avgpool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.fc = Linear(2048, num_classes)

    def _maps(self, input: Any) -> tuple[Any, Any]:
        """Return the last maps and, while training, the auxiliary scores."""
        x, auxiliary = rescaled(input) if self.transform_input else input, None
        for name in self.stages:
            x = getattr(self, name)(x)
            if self.training and self.aux_logits and name == "Mixed_6e":
                auxiliary = self.AuxLogits(x)
        return x, auxiliary

    def features(self, input: Any) -> Any:
        """Return the last maps, (N, 2048, 8, 8) for images of 299 x 299."""
        return self._maps(input)[0]

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W) of at least 75 x 75; while training of both heads."""
        x, auxiliary = self._maps(input)
        scores = self.fc(F.flatten(self.dropout(self.avgpool(x)), 1))
        return scores if auxiliary is None else InceptionOutputs(scores, auxiliary)


@register((3, 299, 299))
def inception_v3(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    aux_logits: bool = True,
    transform_input: bool = False,
    dropout: float = 0.5,
) -> Inception3:
    """Inception v3: 27,161,264 parameters, 23,834,568 without the auxiliary head.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    aux_logits : bool
        Whether to have the auxiliary head. Its loss counts 0.4.
    transform_input : bool
        Whether to turn ImageNet's normalisation into the range -1 .. 1, which torchvision's weights were trained with.
    dropout : float
        Probability of losing an input of the last layer.

    Returns
    -------
    Inception3
        Images (N, in_channels, H, W) in, scores (N, num_classes) out; while training an :class:`InceptionOutputs`.
    """
    return Inception3(num_classes, in_channels, aux_logits, transform_input, dropout)
