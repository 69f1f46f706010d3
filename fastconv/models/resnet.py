"""ResNet and its kin: layers learn what to add to their input.

K. He et al., "Deep residual learning for image recognition", CVPR 2016, and "Identity mappings in deep residual
networks", ECCV 2016 (pre-activation); S. Xie et al., "Aggregated residual transformations for deep neural networks",
CVPR 2017 (ResNeXt); S. Zagoruyko and N. Komodakis, "Wide residual networks", BMVC 2016.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models._blocks import normalised, normed
from fastconv.models._network import Staged
from fastconv.models._registry import register

__all__ = [
    "ResNet",
    "plain18",
    "plain34",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]


class Row(NamedTuple):
    """Blocks in the four stages, and the groups and width of their 3x3 convolutions."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool = False
    groups: int = 1
    width: int = 64
    shortcut: bool = True


TABLE = {
    "resnet18": Row((2, 2, 2, 2)),
    "resnet34": Row((3, 4, 6, 3)),
    "resnet50": Row((3, 4, 6, 3), bottleneck=True),
    "resnet101": Row((3, 4, 23, 3), bottleneck=True),
    "resnet152": Row((3, 8, 36, 3), bottleneck=True),
    "resnext50_32x4d": Row((3, 4, 6, 3), bottleneck=True, groups=32, width=4),
    "resnext101_32x8d": Row((3, 4, 23, 3), bottleneck=True, groups=32, width=8),
    "wide_resnet50_2": Row((3, 4, 6, 3), bottleneck=True, width=128),
    "wide_resnet101_2": Row((3, 4, 23, 3), bottleneck=True, width=128),
    "plain18": Row((2, 2, 2, 2), shortcut=False),
    "plain34": Row((3, 4, 6, 3), shortcut=False),
}
VARIANTS = ("torchvision", "paper", "preact")


def convolutions(channels: int, width: int, stride: int, row: Row, stride_first: bool) -> list[Conv2d]:
    """Return the convolutions of a block: two 3x3 ones, or 1x1, 3x3, 1x1."""
    if not row.bottleneck:
        shapes = [(channels, width, 3, stride, 1), (width, width, 3, 1, 1)]
    else:
        inner = width * row.width // 64 * row.groups
        first, second = (stride, 1) if stride_first else (1, stride)
        shapes = [(channels, inner, 1, first, 1), (inner, inner, 3, second, row.groups), (inner, 4 * width, 1, 1, 1)]
    return [Conv2d(i, o, k, s, k // 2, groups=groups, bias=False) for i, o, k, s, groups in shapes]


class Block(Module):
    """Convolutions with batch norm, ReLU between them; the input is added, through `downsample` where shapes differ.

    Plain networks add nothing.
    """

    def __init__(self, channels: int, width: int, stride: int, row: Row, stride_first: bool) -> None:
        layers = convolutions(channels, width, stride, row, stride_first)
        for number, layer in enumerate(layers, 1):
            setattr(self, f"conv{number}", layer)
            setattr(self, f"bn{number}", BatchNorm2d(layer.out_channels))
        self.relu = ReLU()
        self.depth, self.shortcut = len(layers), row.shortcut
        self.out_channels = layers[-1].out_channels
        if row.shortcut and (stride != 1 or channels != self.out_channels):
            projection = Conv2d(channels, self.out_channels, 1, stride, bias=False)
            self.downsample = Sequential(projection, BatchNorm2d(self.out_channels))

    def forward(self, input: Any) -> Any:
        """Return maps of `out_channels` channels."""
        x, shortcut = input, None
        if self.shortcut:
            shortcut = self.downsample(input) if hasattr(self, "downsample") else input
        for number in range(1, self.depth + 1):
            added = shortcut if number == self.depth else None
            x = normed(getattr(self, f"conv{number}"), getattr(self, f"bn{number}"), x, self.relu, added)
        return x


class PreActBlock(Module):
    """Batch norm and ReLU before each convolution, so that the shortcuts are nothing but sums."""

    def __init__(self, channels: int, width: int, stride: int, row: Row, stride_first: bool) -> None:
        layers = convolutions(channels, width, stride, row, stride_first)
        for number, layer in enumerate(layers, 1):
            setattr(self, f"bn{number}", BatchNorm2d(layer.in_channels))
            setattr(self, f"conv{number}", layer)
        self.relu = ReLU()
        self.depth = len(layers)
        self.out_channels = layers[-1].out_channels
        if stride != 1 or channels != self.out_channels:
            self.downsample = Conv2d(channels, self.out_channels, 1, stride, bias=False)

    def forward(self, input: Any) -> Any:
        """Return maps of `out_channels` channels."""
        shortcut = x = input
        for number in range(1, self.depth + 1):
            x = normalised(getattr(self, f"bn{number}"), x, self.relu)
            if number == 1 and hasattr(self, "downsample"):
                shortcut = self.downsample(x)
            x = getattr(self, f"conv{number}")(x)
        return x + shortcut


class ResNet(Staged):
    """A 7x7 convolution and a pool, four stages, each but the first halving the size, and `fc`.

    The last maps are (N, C, H / 32, W / 32).
    """

    def __init__(self, row: Row, num_classes: int, in_channels: int, variant: str) -> None:
        block = PreActBlock if variant == "preact" else Block
        self.conv1 = Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        if block is Block:
            self.bn1 = BatchNorm2d(64)
            self.relu = ReLU()
        self.maxpool = MaxPool2d(3, 2, 1)
        channels = 64
        for stage, count in enumerate(row.blocks, 1):
            layer = Sequential()
            for number in range(count):
                stride = 2 if stage > 1 and number == 0 else 1
                layer.append(block(channels, 32 * 2**stage, stride, row, stride_first=variant == "paper"))
                channels = layer[-1].out_channels
            setattr(self, f"layer{stage}", layer)
        if block is PreActBlock:
            self.bn = BatchNorm2d(channels)
            self.relu = ReLU()
        self.stages = [name for name, _ in self.named_children()]
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(channels, num_classes)


@register(variants=VARIANTS)
def resnet18(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-18: 11,689,512 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    variant : {"torchvision", "paper", "preact"}
        Where a bottleneck block has its stride: at the 3x3 convolution, as torchvision ("v1.5"), or at the first 1x1,
        as the paper; blocks of two 3x3 convolutions are the same in both. "preact" is the paper of ECCV 2016: batch
        norm and ReLU before the convolutions.
    in_channels : int
        Channels of the images.

    Returns
    -------
    ResNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return ResNet(TABLE["resnet18"], num_classes, in_channels, variant)


@register(variants=VARIANTS)
def resnet34(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-34: 21,797,672 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["resnet34"], num_classes, in_channels, variant)


@register(variants=VARIANTS)
def resnet50(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-50: 25,557,032 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["resnet50"], num_classes, in_channels, variant)


@register(variants=VARIANTS)
def resnet101(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-101: 44,549,160 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["resnet101"], num_classes, in_channels, variant)


@register(variants=VARIANTS)
def resnet152(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-152: 60,192,808 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["resnet152"], num_classes, in_channels, variant)


@register()
def resnext50_32x4d(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNeXt-50, 32 groups of 4 channels: 25,028,904 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["resnext50_32x4d"], num_classes, in_channels, variant)


@register()
def resnext101_32x8d(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNeXt-101, 32 groups of 8 channels: 88,791,336 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["resnext101_32x8d"], num_classes, in_channels, variant)


@register()
def wide_resnet50_2(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-50 with bottlenecks of twice the width: 68,883,240 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["wide_resnet50_2"], num_classes, in_channels, variant)


@register()
def wide_resnet101_2(num_classes: int = 1000, *, variant: str = "torchvision", in_channels: int = 3) -> ResNet:
    """ResNet-101 with bottlenecks of twice the width: 126,886,696 parameters; see :func:`resnet18`."""
    return ResNet(TABLE["wide_resnet101_2"], num_classes, in_channels, variant)


@register(variants=("paper",))
def plain18(num_classes: int = 1000, *, variant: str = "paper", in_channels: int = 3) -> ResNet:
    """ResNet-18 without its shortcuts, the paper's control: 11,515,688 parameters."""
    return ResNet(TABLE["plain18"], num_classes, in_channels, variant)


@register(variants=("paper",))
def plain34(num_classes: int = 1000, *, variant: str = "paper", in_channels: int = 3) -> ResNet:
    """ResNet-34 without its shortcuts, the paper's control: 21,623,848 parameters."""
    return ResNet(TABLE["plain34"], num_classes, in_channels, variant)
