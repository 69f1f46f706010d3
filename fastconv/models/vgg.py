"""VGG: nothing but 3x3 convolutions, deeper and deeper.

K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.
"""

from __future__ import annotations

from fastconv.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models._network import Classifier
from fastconv.models._registry import register

__all__ = [
    "VGG",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg16_c",
    "vgg19",
    "vgg19_bn",
    "vgg_features",
]

# The columns of the paper's table 1: channels of 3x3 convolutions, -channels of 1x1 ones, 0 for a pool.
TABLE: dict[str, tuple[int, ...]] = {
    "A": (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "B": (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "C": (64, 64, 0, 128, 128, 0, 256, 256, -256, 0, 512, 512, -512, 0, 512, 512, -512, 0),
    "D": (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0),
    "E": (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0),
}


class VGG(Classifier):
    """`features` of 3x3 convolutions and pools, `avgpool` to 7 x 7, `classifier` of three fully connected layers."""

    heads = ("classifier.6",)


def vgg_features(column: str, in_channels: int = 3, batch_norm: bool = False) -> Sequential:
    """Return the convolutions and pools of a column of the paper's table, "A" to "E"."""
    layers: list[Module] = []
    channels = in_channels
    for width in TABLE[column]:
        if width == 0:
            layers.append(MaxPool2d(2, 2))
            continue
        kernel = 3 if width > 0 else 1
        layers.append(Conv2d(channels, abs(width), kernel, padding=kernel // 2))
        channels = abs(width)
        layers += [BatchNorm2d(channels), ReLU()] if batch_norm else [ReLU()]
    return Sequential(*layers)


def _vgg(column: str, num_classes: int, in_channels: int, dropout: float, batch_norm: bool = False) -> VGG:
    classifier = Sequential(
        Linear(512 * 7 * 7, 4096),
        ReLU(),
        Dropout(dropout),
        Linear(4096, 4096),
        ReLU(),
        Dropout(dropout),
        Linear(4096, num_classes),
    )
    return VGG(vgg_features(column, in_channels, batch_norm), classifier, AdaptiveAvgPool2d((7, 7)))


@register()
def vgg11(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-11, column A of the paper: 132,863,336 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an output of a hidden fully connected layer.

    Returns
    -------
    VGG
        Images (N, in_channels, H, W) of at least 32 x 32 in, scores (N, num_classes) out.
    """
    return _vgg("A", num_classes, in_channels, dropout)


@register()
def vgg13(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-13, column B: 133,047,848 parameters; see :func:`vgg11`."""
    return _vgg("B", num_classes, in_channels, dropout)


@register()
def vgg16(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-16, column D: 138,357,544 parameters; see :func:`vgg11`."""
    return _vgg("D", num_classes, in_channels, dropout)


@register(variants=("paper",))
def vgg16_c(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-16 of column C, whose last convolution before each late pool is 1x1: 133,638,952 parameters."""
    return _vgg("C", num_classes, in_channels, dropout)


@register()
def vgg19(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-19, column E: 143,667,240 parameters; see :func:`vgg11`."""
    return _vgg("E", num_classes, in_channels, dropout)


@register()
def vgg11_bn(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-11 with batch norm after each convolution: 132,868,840 parameters; see :func:`vgg11`."""
    return _vgg("A", num_classes, in_channels, dropout, batch_norm=True)


@register()
def vgg13_bn(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-13 with batch norm: 133,053,736 parameters; see :func:`vgg11`."""
    return _vgg("B", num_classes, in_channels, dropout, batch_norm=True)


@register()
def vgg16_bn(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-16 with batch norm: 138,365,992 parameters; see :func:`vgg11`."""
    return _vgg("D", num_classes, in_channels, dropout, batch_norm=True)


@register()
def vgg19_bn(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> VGG:
    """VGG-19 with batch norm: 143,678,248 parameters; see :func:`vgg11`."""
    return _vgg("E", num_classes, in_channels, dropout, batch_norm=True)
