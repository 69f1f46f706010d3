"""Inception v4: the same ideas, made uniform.

C. Szegedy, S. Ioffe, V. Vanhoucke and A. Alemi, "Inception-v4, Inception-ResNet and the impact of residual connections
on learning", AAAI 2017.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, AvgPool2d, Dropout, Linear, MaxPool2d, Module, Sequential
from fastconv.models._blocks import ConvNorm, Mixed, branches, chain
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["InceptionV4", "inception_v4"]

WIDE, HIGH = (1, 7), (7, 1)
ROW, COLUMN = (1, 3), (3, 1)


def _pooled(channels: int, width: int) -> Module:
    return chain(channels, AvgPool2d(3, 1, 1, count_include_pad=False), (width, 1))


def _stem(in_channels: int) -> list[Module]:
    return [
        ConvNorm(in_channels, 32, 3, 2),
        ConvNorm(32, 32, 3, padding=0),
        ConvNorm(32, 64, 3),
        branches(maxpool=MaxPool2d(3, 2), conv=ConvNorm(64, 96, 3, 2)),
        branches(
            branch0=chain(160, (64, 1), (96, 3, 1, 0)),
            branch1=chain(160, (64, 1), (64, WIDE), (64, HIGH), (96, 3, 1, 0)),
        ),
        branches(conv=ConvNorm(192, 192, 3, 2), maxpool=MaxPool2d(3, 2)),
    ]


def _a() -> Module:
    return branches(
        branch0=chain(384, (96, 1)),
        branch1=chain(384, (64, 1), (96, 3)),
        branch2=chain(384, (64, 1), (96, 3), (96, 3)),
        branch3=_pooled(384, 96),
    )


def _reduction_a() -> Module:
    return branches(
        branch0=chain(384, (384, 3, 2)), branch1=chain(384, (192, 1), (224, 3), (256, 3, 2)), branch2=MaxPool2d(3, 2)
    )


def _b() -> Module:
    return branches(
        branch0=chain(1024, (384, 1)),
        branch1=chain(1024, (192, 1), (224, WIDE), (256, HIGH)),
        branch2=chain(1024, (192, 1), (192, HIGH), (224, WIDE), (224, HIGH), (256, WIDE)),
        branch3=_pooled(1024, 128),
    )


def _reduction_b() -> Module:
    return branches(
        branch0=chain(1024, (192, 1), (192, 3, 2)),
        branch1=chain(1024, (256, 1), (256, WIDE), (320, HIGH), (320, 3, 2)),
        branch2=MaxPool2d(3, 2),
    )


def _c() -> Module:
    return Mixed(
        1536,
        first=0,
        branch0=[(256, 1)],
        branch1=[(384, 1), [(256, ROW), (256, COLUMN)]],
        branch2=[(384, 1), (448, COLUMN), (512, ROW), [(256, ROW), (256, COLUMN)]],
        branch3=[_pooled(1536, 256)],
    )


class InceptionV4(Network):
    """`features`, a stem and 4 + 7 + 3 inception modules with two reductions between; `last_linear`."""

    heads = ("last_linear",)

    def __init__(self, num_classes: int, in_channels: int, dropout: float) -> None:
        blocks = [_a() for _ in range(4)], [_b() for _ in range(7)], [_c() for _ in range(3)]
        self.features = Sequential(
            *_stem(in_channels), *blocks[0], _reduction_a(), *blocks[1], _reduction_b(), *blocks[2]
        )
        self.global_pool = AdaptiveAvgPool2d(1)
        self.head_drop = Dropout(dropout)
        self.last_linear = Linear(1536, num_classes)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.last_linear(self.head_drop(F.flatten(self.global_pool(self.features(input)), 1)))


@register((3, 299, 299), variants=("timm",))
def inception_v4(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0) -> InceptionV4:
    """Inception v4: 42,679,816 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last layer; 0.2 in the paper.

    Returns
    -------
    InceptionV4
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return InceptionV4(num_classes, in_channels, dropout)
