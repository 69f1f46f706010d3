"""AlexNet, which began it, and ZFNet, AlexNet with a finer first look.

A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional neural networks",
NeurIPS 2012; A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (the form of
torchvision); M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fastconv.layers import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from fastconv.models._network import Classifier
from fastconv.models._registry import register

__all__ = ["AlexNet", "PaperNorm", "alexnet", "zfnet"]


class Row(NamedTuple):
    """A convolution, then ReLU, then as asked for local response normalisation and a 3x3 maximum pool of stride 2."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    norm: bool = False
    pool: bool = False


TABLES: dict[str, tuple[Row, ...]] = {
    "torchvision": (
        Row(64, 11, 4, 2, pool=True),
        Row(192, 5, 1, 2, pool=True),
        Row(384, 3, 1, 1),
        Row(256, 3, 1, 1),
        Row(256, 3, 1, 1, pool=True),
    ),
    "paper": (
        Row(96, 11, 4, 0, norm=True, pool=True),
        Row(256, 5, 1, 2, groups=2, norm=True, pool=True),
        Row(384, 3, 1, 1),
        Row(384, 3, 1, 1, groups=2),
        Row(256, 3, 1, 1, groups=2, pool=True),
    ),
    "textbook": (
        Row(96, 11, 4, 0, pool=True),
        Row(256, 5, 1, 2, pool=True),
        Row(384, 3, 1, 1),
        Row(384, 3, 1, 1),
        Row(256, 3, 1, 1, pool=True),
    ),
    "zfnet": (
        Row(96, 7, 2, 1, norm=True, pool=True),
        Row(256, 5, 2, 0, norm=True, pool=True),
        Row(384, 3, 1, 1),
        Row(384, 3, 1, 1),
        Row(256, 3, 1, 1, pool=True),
    ),
}


# alpha is 1e-4 for each of the 5 channels that the paper sums; the layer, like PyTorch's, takes their mean.
PaperNorm = partial(LocalResponseNorm, 5, alpha=5e-4, beta=0.75, k=2.0)


class AlexNet(Classifier):
    """Five convolutions and three fully connected layers."""

    heads = ("classifier.6",)


def _features(rows: tuple[Row, ...], channels: int, ceil_mode: bool = False) -> Sequential:
    layers: list[Module] = []
    for row in rows:
        layers += [Conv2d(channels, row.channels, row.kernel, row.stride, row.padding, groups=row.groups), ReLU()]
        layers += [PaperNorm()] if row.norm else []
        layers += [MaxPool2d(3, 2, ceil_mode=ceil_mode)] if row.pool else []
        channels = row.channels
    return Sequential(*layers)


def _classifier(length: int, num_classes: int, dropout: float, dropout_first: bool) -> Sequential:
    """Return the fully connected layers; torchvision drops what goes into the first two, the paper what comes out."""
    first, last = Dropout(dropout), Dropout(dropout)
    layers: list[Module] = [Linear(length, 4096), ReLU(), first, Linear(4096, 4096), ReLU(), last]
    hidden = [first, *layers[:2], last, *layers[3:5]] if dropout_first else layers
    return Sequential(*hidden, Linear(4096, num_classes))


@register(variants=("torchvision", "paper", "textbook"), shapes={"paper": (3, 227, 227), "textbook": (1, 224, 224)})
def alexnet(
    num_classes: int | None = None,
    *,
    variant: str = "torchvision",
    in_channels: int | None = None,
    dropout: float = 0.5,
) -> AlexNet:
    """AlexNet: 61,100,840 parameters, as in the paper 60,965,224, as in textbooks 46,764,746.

    Parameters
    ----------
    num_classes : int
        Length of the output; by default 1000, 10 in the textbooks.
    variant : {"torchvision", "paper", "textbook"}
        "torchvision" is the form of 2014, for 224 x 224 images. "paper" is the form of 2012, for 227 x 227: two groups,
        as the halves of the network ran on two processors, and local response normalisation. "textbook" is for one
        channel of 224 x 224 and ten classes, without either.
    in_channels : int
        Channels of the images; by default 3, 1 in the textbooks.
    dropout : float
        Probability of losing an input, or an output, of a hidden fully connected layer.

    Returns
    -------
    AlexNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    textbook = variant == "textbook"
    channels = in_channels if in_channels is not None else 1 if textbook else 3
    classes = num_classes if num_classes is not None else 10 if textbook else 1000
    features = _features(TABLES[variant], channels)
    side = 5 if textbook else 6
    classifier = _classifier(256 * side * side, classes, dropout, dropout_first=variant == "torchvision")
    return AlexNet(features, classifier, AdaptiveAvgPool2d((6, 6)) if variant == "torchvision" else None)


@register(variants=("paper",))
def zfnet(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> AlexNet:
    """ZFNet: 62,357,608 parameters, for 224 x 224 images. Arguments as for :func:`alexnet`."""
    features = _features(TABLES["zfnet"], in_channels, ceil_mode=True)
    return AlexNet(features, _classifier(256 * 6 * 6, num_classes, dropout, dropout_first=False))
