"""GoogLeNet, Inception v1: convolutions of several sizes side by side, wide where it is cheap.

C. Szegedy et al., "Going deeper with convolutions", CVPR 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, AvgPool2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models._blocks import ConvNorm, Size, branches, conv
from fastconv.models._network import Network, rescaled
from fastconv.models._registry import register
from fastconv.models.alexnet import PaperNorm

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet"]

# Channels of the four branches: 1x1; 1x1 to 3x3; 1x1 to the largest; 1x1 after a pool.
TABLE = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"inception4a": "aux1", "inception4d": "aux2"}


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns while training: its scores, and those of the later and of the earlier auxiliary head."""

    logits: Any
    aux_logits2: Any
    aux_logits1: Any


class ConvReLU(Module):
    """Convolution with a bias, and ReLU: the paper is older than batch norm."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: int = 1, padding: Size | None = None
    ) -> None:
        self.conv = conv(in_channels, out_channels, kernel_size, stride, padding)
        self.relu = ReLU()

    def forward(self, input: Any) -> Any:
        """Return maps of `out_channels` channels, none below 0."""
        return self.relu(self.conv(input))


class Auxiliary(Module):
    """A small classifier on early maps, whose loss helps the layers below it to learn."""

    def __init__(self, channels: int, num_classes: int, block: Callable[..., Module], pool: Module) -> None:
        self.pool = pool
        self.conv = block(channels, 128, 1)
        self.fc1 = Linear(2048, 1024)
        self.relu = ReLU()
        self.dropout = Dropout(0.7)
        self.fc2 = Linear(1024, num_classes)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes)."""
        x = F.flatten(self.conv(self.pool(input)), 1)
        return self.fc2(self.dropout(self.relu(self.fc1(x))))


def inception(channels: int, widths: tuple[int, ...], block: Callable[..., Module], largest: int) -> Module:
    """Return the four branches of a row of the table."""
    narrow, reduce3, wide3, reduce5, wide5, pooled = widths
    return branches(
        branch1=block(channels, narrow, 1),
        branch2=Sequential(block(channels, reduce3, 1), block(reduce3, wide3, 3)),
        branch3=Sequential(block(channels, reduce5, 1), block(reduce5, wide5, largest)),
        branch4=Sequential(MaxPool2d(3, 1, 1, ceil_mode=True), block(channels, pooled, 1)),
    )


class GoogLeNet(Network):
    """A stem, nine inception modules and, while training, two auxiliary heads."""

    heads = ("fc", "aux1.fc2", "aux2.fc2")
    aux_weight = 0.3

    def __init__(
        self, num_classes: int, in_channels: int, aux_logits: bool, transform_input: bool, dropout: float, paper: bool
    ) -> None:
        block = ConvReLU if paper else ConvNorm
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = block(in_channels, 64, 7, 2, 3)
        self.maxpool1 = MaxPool2d(3, 2, ceil_mode=True)
        if paper:
            self.norm1 = PaperNorm()
        self.conv2 = block(64, 64, 1)
        self.conv3 = block(64, 192, 3)
        if paper:
            self.norm2 = PaperNorm()
        self.maxpool2 = MaxPool2d(3, 2, ceil_mode=True)
        channels, widths = 192, {}
        for name, row in TABLE.items():
            if name in ("inception4a", "inception5a"):
                stage = int(name[9]) - 1
                setattr(self, f"maxpool{stage}", MaxPool2d(3 if paper or stage == 3 else 2, 2, ceil_mode=True))
            setattr(self, name, inception(channels, row, block, largest=5 if paper else 3))
            channels = widths[name] = row[0] + row[2] + row[4] + row[5]
        self.stages = [name for name, _ in self.named_children()]
        if aux_logits:
            for name, head in AUXILIARY.items():
                pool = AvgPool2d(5, 3) if paper else AdaptiveAvgPool2d(4)
                setattr(self, head, Auxiliary(widths[name], num_classes, block, pool))
        self.avgpool = AdaptiveAvgPool2d(1)
        self.dropout = Dropout(dropout)
        self.fc = Linear(channels, num_classes)

    def _maps(self, input: Any) -> tuple[Any, list[Any]]:
        """Return the last maps and, while training, the auxiliary scores, the earlier head's first."""
        x, auxiliary = rescaled(input) if self.transform_input else input, []
        for name in self.stages:
            x = getattr(self, name)(x)
            if self.training and self.aux_logits and name in AUXILIARY:
                auxiliary.append(getattr(self, AUXILIARY[name])(x))
        return x, auxiliary

    def features(self, input: Any) -> Any:
        """Return the last maps, (N, 1024, H / 32, W / 32)."""
        return self._maps(input)[0]

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W); while training those of all heads."""
        x, auxiliary = self._maps(input)
        scores = self.fc(self.dropout(F.flatten(self.avgpool(x), 1)))
        return GoogLeNetOutputs(scores, auxiliary[1], auxiliary[0]) if auxiliary else scores


@register(variants=("torchvision", "paper"))
def googlenet(
    num_classes: int = 1000,
    *,
    variant: str = "torchvision",
    in_channels: int = 3,
    aux_logits: bool = True,
    transform_input: bool = False,
    dropout: float | None = None,
) -> GoogLeNet:
    """GoogLeNet: 13,004,888 parameters, 6,624,904 without auxiliary heads.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    variant : {"torchvision", "paper"}
        "torchvision" has batch norm, and 3x3 convolutions where the paper has 5x5 ones. "paper" has biases and local
        response normalisation: 13,378,280 parameters, 6,998,552 without auxiliary heads.
    in_channels : int
        Channels of the images.
    aux_logits : bool
        Whether to have auxiliary heads. Their losses count 0.3 each.
    transform_input : bool
        Whether to turn ImageNet's normalisation into the range -1 .. 1, which torchvision's weights were trained with.
    dropout : float
        Probability of losing an input of the last layer; by default 0.2, in the paper 0.4.

    Returns
    -------
    GoogLeNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out; while training a :class:`GoogLeNetOutputs`.
    """
    paper = variant == "paper"
    if dropout is None:
        dropout = 0.4 if paper else 0.2
    return GoogLeNet(num_classes, in_channels, aux_logits, transform_input, dropout, paper)
