"""ShuffleNet v2: half of the channels pass by, and are then shuffled with the other half.

N. Ma, X. Zhang, H.-T. Zheng and J. Sun, "ShuffleNet V2: practical guidelines for efficient CNN architecture design",
ECCV 2018.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.autograd import is_grad_enabled
from fastconv.functional.rearrange import interleaved
from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models._network import Staged
from fastconv.models._registry import register
from fastconv.tracing import tracing

__all__ = ["ShuffleNetV2", "shufflenet_v2_x1_0"]

# Channels and blocks of stages 2, 3 and 4.
TABLE = ((116, 4), (232, 8), (464, 4))


def _depthwise(channels: int, stride: int) -> list[Module]:
    return [Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), BatchNorm2d(channels)]


def _pointwise(channels: int, width: int) -> list[Module]:
    return [Conv2d(channels, width, 1, bias=False), BatchNorm2d(width), ReLU()]


class InvertedResidual(Module):
    """Two branches: one half of the channels passes by, or for stride 2 all go through both; then a shuffle of two."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        half = width // 2
        if stride > 1:
            self.branch1 = Sequential(*_depthwise(channels, stride), *_pointwise(channels, half))
        inner = channels if stride > 1 else half
        self.branch2 = Sequential(*_pointwise(inner, half), *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        if hasattr(self, "branch1"):
            halves = self.branch1(input), self.branch2(input)
        else:
            half = input.shape[1] // 2
            halves = input[:, :half], self.branch2(input[:, half:])
        return F.channel_shuffle(F.cat(halves, 1), 2) if is_grad_enabled() or tracing() else interleaved(*halves)


class ShuffleNetV2(Staged):
    """A convolution and a pool, `stage2` to `stage4`, `conv5`, `fc`.

    The last maps are (N, 1024, H / 32, W / 32).
    """

    def __init__(self, num_classes: int, in_channels: int) -> None:
        self.conv1 = Sequential(Conv2d(in_channels, 24, 3, 2, 1, bias=False), BatchNorm2d(24), ReLU())
        self.maxpool = MaxPool2d(3, 2, 1)
        channels = 24
        for stage, (width, count) in enumerate(TABLE, 2):
            blocks = [InvertedResidual(channels, width, 2)]
            blocks += [InvertedResidual(width, width, 1) for _ in range(count - 1)]
            setattr(self, f"stage{stage}", Sequential(*blocks))
            channels = width
        self.conv5 = Sequential(*_pointwise(channels, 1024))
        self.stages = [name for name, _ in self.named_children()]
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(1024, num_classes)


@register()
def shufflenet_v2_x1_0(num_classes: int = 1000, *, in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNet v2 of width 1: 2,278,604 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.

    Returns
    -------
    ShuffleNetV2
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return ShuffleNetV2(num_classes, in_channels)
