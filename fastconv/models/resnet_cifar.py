"""The small ResNets of section 4.2, for images of 32 x 32, and their plain twins.

K. He et al., "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, Module, ReLU, Sequential
from fastconv.models._blocks import normed
from fastconv.models._network import Staged
from fastconv.models._registry import register

__all__ = ["CifarResNet", "plain20", "plain56", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]

WIDTHS = (16, 32, 64)


class Shortcut(Module):
    """Option A: every second pixel, and channels of zeros for those that are new; nothing to learn."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        self.zeros, self.stride = width - channels, stride

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        x = input[:, :, :: self.stride, :: self.stride]
        batch, _, height, width = x.shape
        return F.cat([x, np.zeros((batch, self.zeros, height, width), x.dtype)], 1)

    def extra_repr(self) -> str:
        return f"zeros={self.zeros}, stride={self.stride}"


class Block(Module):
    """Two 3x3 convolutions with batch norm; the input is added, in plain networks it is not."""

    def __init__(self, channels: int, width: int, stride: int, residual: bool) -> None:
        self.conv1 = Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.relu = ReLU()
        self.conv2 = Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.residual = residual
        if residual and (stride != 1 or channels != width):
            self.downsample = Shortcut(channels, width, stride)

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        shortcut = None
        if self.residual:
            shortcut = self.downsample(input) if hasattr(self, "downsample") else input
        x = normed(self.conv1, self.bn1, input, self.relu)
        return normed(self.conv2, self.bn2, x, self.relu, shortcut)


class CifarResNet(Staged):
    """A 3x3 convolution; three stages of 16, 32 and 64 channels with n blocks each; `fc`: 6 n + 2 layers.

    The last maps are (N, 64, H / 4, W / 4).
    """

    def __init__(self, depth: int, num_classes: int, in_channels: int, residual: bool = True) -> None:
        self.conv1 = Conv2d(in_channels, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = BatchNorm2d(WIDTHS[0])
        self.relu = ReLU()
        channels = WIDTHS[0]
        for stage, width in enumerate(WIDTHS, 1):
            layer = Sequential()
            for number in range((depth - 2) // 6):
                layer.append(Block(channels, width, 2 if stage > 1 and number == 0 else 1, residual))
                channels = width
            setattr(self, f"layer{stage}", layer)
        self.stages = [name for name, _ in self.named_children()]
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(channels, num_classes)


@register((3, 32, 32), variants=("paper",))
def resnet20(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-20 for CIFAR: 269,722 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.

    Returns
    -------
    CifarResNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out. The shortcuts have no parameters: where a stage
        begins they take every second pixel and pad with channels of zeros (option A).
    """
    return CifarResNet(20, num_classes, in_channels)


@register((3, 32, 32), variants=("paper",))
def resnet32(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-32 for CIFAR: 464,154 parameters; see :func:`resnet20`."""
    return CifarResNet(32, num_classes, in_channels)


@register((3, 32, 32), variants=("paper",))
def resnet44(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-44 for CIFAR: 658,586 parameters; see :func:`resnet20`."""
    return CifarResNet(44, num_classes, in_channels)


@register((3, 32, 32), variants=("paper",))
def resnet56(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-56 for CIFAR: 853,018 parameters; see :func:`resnet20`."""
    return CifarResNet(56, num_classes, in_channels)


@register((3, 32, 32), variants=("paper",))
def resnet110(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-110 for CIFAR: 1,727,962 parameters; see :func:`resnet20`."""
    return CifarResNet(110, num_classes, in_channels)


@register((3, 32, 32), variants=("paper",))
def plain20(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-20 for CIFAR without its shortcuts, the paper's control: 269,722 parameters."""
    return CifarResNet(20, num_classes, in_channels, residual=False)


@register((3, 32, 32), variants=("paper",))
def plain56(num_classes: int = 10, *, in_channels: int = 3) -> CifarResNet:
    """ResNet-56 for CIFAR without its shortcuts, the paper's control: 853,018 parameters."""
    return CifarResNet(56, num_classes, in_channels, residual=False)
