"""Inception-ResNet v1 and v2: inception modules that are added to their input, scaled down.

C. Szegedy, S. Ioffe, V. Vanhoucke and A. Alemi, "Inception-v4, Inception-ResNet and the impact of residual connections
on learning", AAAI 2017.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, AvgPool2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models._blocks import ConvNorm, branches, chain
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["InceptionResNet", "inception_resnet_v1", "inception_resnet_v2"]

# The branches of the three residual modules, each a list of (channels, kernel).
BLOCKS: dict[str, dict[str, tuple[tuple[Any, ...], ...]]] = {
    "v1": {
        "a": (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (32, 3), (32, 3))),
        "b": (((128, 1),), ((128, 1), (128, (1, 7)), (128, (7, 1)))),
        "c": (((192, 1),), ((192, 1), (192, (1, 3)), (192, (3, 1)))),
    },
    "v2": {
        "a": (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
        "b": (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
        "c": (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
    },
}
# The same for the reductions, which have a maximum pool beside.
REDUCTIONS: dict[str, dict[str, tuple[tuple[Any, ...], ...]]] = {
    "v1": {
        "a": (((384, 3, 2),), ((192, 1), (192, 3), (256, 3, 2))),
        "b": (((256, 1), (384, 3, 2)), ((256, 1), (256, 3, 2)), ((256, 1), (256, 3), (256, 3, 2))),
    },
    "v2": {
        "a": (((384, 3, 2),), ((256, 1), (256, 3), (384, 3, 2))),
        "b": (((256, 1), (384, 3, 2)), ((256, 1), (288, 3, 2)), ((256, 1), (288, 3), (320, 3, 2))),
    },
}
SCALES = {"a": 0.17, "b": 0.1, "c": 0.2}


def _branches(channels: int, rows: tuple[tuple[Any, ...], ...]) -> dict[str, Module]:
    return {f"branch{number}": chain(channels, *row) for number, row in enumerate(rows)}


class Residual(Module):
    """Branches, a 1x1 convolution back to the channels that came in, the input added; ReLU, but not at the very end."""

    def __init__(self, channels: int, rows: tuple[tuple[Any, ...], ...], scale: float, relu: bool = True) -> None:
        self.scale = scale
        named = _branches(channels, rows)
        self.branches = list(named)
        for name, branch in named.items():
            setattr(self, name, branch)
        self.conv2d = Conv2d(sum(row[-1][0] for row in rows), channels, 1)
        if relu:
            self.relu = ReLU()

    def forward(self, input: Any) -> Any:
        """Return maps of the input's shape."""
        joined = F.cat([getattr(self, name)(input) for name in self.branches], 1)
        x = self.conv2d(joined) * self.scale + input
        return self.relu(x) if hasattr(self, "relu") else x


def _reduction(channels: int, rows: tuple[tuple[Any, ...], ...]) -> Module:
    return branches(**_branches(channels, rows), **{f"branch{len(rows)}": MaxPool2d(3, 2)})


class InceptionResNet(Network):
    """A stem; residual modules of three kinds, `repeat`, `repeat_1`, `repeat_2`, with reductions between; `classif`."""

    heads = ("classif",)

    def __init__(self, version: str, num_classes: int, in_channels: int, dropout: float) -> None:
        blocks, reductions = BLOCKS[version], REDUCTIONS[version]
        self.conv2d_1a = ConvNorm(in_channels, 32, 3, 2)
        self.conv2d_2a = ConvNorm(32, 32, 3, padding=0)
        self.conv2d_2b = ConvNorm(32, 64, 3)
        self.maxpool_3a = MaxPool2d(3, 2)
        self.conv2d_3b = ConvNorm(64, 80, 1)
        self.conv2d_4a = ConvNorm(80, 192, 3, padding=0)
        if version == "v1":
            self.conv2d_4b = ConvNorm(192, 256, 3, 2)
            widths, repeats = (256, 896, 1792), (5, 10, 5)
        else:
            self.maxpool_5a = MaxPool2d(3, 2)
            self.mixed_5b = branches(
                branch0=chain(192, (96, 1)),
                branch1=chain(192, (48, 1), (64, 5)),
                branch2=chain(192, (64, 1), (96, 3), (96, 3)),
                branch3=chain(192, AvgPool2d(3, 1, 1, count_include_pad=False), (64, 1)),
            )
            widths, repeats = (320, 1088, 2080), (10, 20, 9)
        self.repeat = Sequential(*[Residual(widths[0], blocks["a"], SCALES["a"]) for _ in range(repeats[0])])
        self.mixed_6a = _reduction(widths[0], reductions["a"])
        self.repeat_1 = Sequential(*[Residual(widths[1], blocks["b"], SCALES["b"]) for _ in range(repeats[1])])
        self.mixed_7a = _reduction(widths[1], reductions["b"])
        self.repeat_2 = Sequential(*[Residual(widths[2], blocks["c"], SCALES["c"]) for _ in range(repeats[2])])
        length = widths[2]
        if version == "v2":
            self.block8 = Residual(length, blocks["c"], 1.0, relu=False)
            self.conv2d_7b = ConvNorm(length, 1536, 1)
            length = 1536
        self.stages = [name for name, _ in self.named_children()]
        self.global_pool = AdaptiveAvgPool2d(1)
        self.head_drop = Dropout(dropout)
        self.classif = Linear(length, num_classes)

    def features(self, input: Any) -> Any:
        """Return the last maps, 8 x 8 for images of 299 x 299."""
        for name in self.stages:
            input = getattr(self, name)(input)
        return input

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.classif(self.head_drop(F.flatten(self.global_pool(self.features(input)), 1)))


@register((3, 299, 299), variants=("paper",))
def inception_resnet_v1(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.2) -> InceptionResNet:
    """Inception-ResNet v1, of about Inception v3's cost: 22,756,328 parameters.

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
    InceptionResNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return InceptionResNet("v1", num_classes, in_channels, dropout)


@register((3, 299, 299), variants=("timm",))
def inception_resnet_v2(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.0) -> InceptionResNet:
    """Inception-ResNet v2, of about Inception v4's cost: 55,843,464 parameters; see :func:`inception_resnet_v1`."""
    return InceptionResNet("v2", num_classes, in_channels, dropout)
