"""Fully convolutional networks: VGG-16 for every pixel, from coarse to fine.

J. Long, E. Shelhamer and T. Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import checks, init
from fastconv.layers import Conv2d, ConvTranspose2d, Dropout, MaxPool2d, ReLU, Sequential
from fastconv.models._network import Network
from fastconv.models._registry import register
from fastconv.models.vgg import vgg_features

__all__ = ["FCN", "fcn8s", "fcn16s", "fcn32s"]

# Where VGG-16's third and fourth pool are in its features, and how many channels they have.
POOL3, POOL4 = (16, 256), (23, 512)


class FCN(Network):
    """`features` of VGG-16, its fully connected layers as convolutions `head`, and scores that are enlarged.

    The first convolution pads by 100 pixels, so that images of any size leave maps that can be cropped to them.
    """

    heads = ("score",)

    def __init__(self, stride: int, num_classes: int, in_channels: int, dropout: float) -> None:
        self.stride = stride
        self.features = vgg_features("D", in_channels)
        self.features[0].padding = (100, 100)
        for layer in self.features:
            if isinstance(layer, MaxPool2d):
                layer.ceil_mode = True  # as Caffe's
        self.head = Sequential(
            Conv2d(512, 4096, 7), ReLU(), Dropout(dropout), Conv2d(4096, 4096, 1), ReLU(), Dropout(dropout)
        )
        self._add_scores(num_classes)

    def _add_scores(self, classes: int) -> None:
        """Make all layers that know how many classes there are."""
        self.score = Conv2d(4096, classes, 1)
        if self.stride <= 16:
            self.upscore2 = ConvTranspose2d(classes, classes, 4, 2, bias=False)
            self.score_pool4 = Conv2d(POOL4[1], classes, 1)
        if self.stride == 8:
            self.upscore_pool4 = ConvTranspose2d(classes, classes, 4, 2, bias=False)
            self.score_pool3 = Conv2d(POOL3[1], classes, 1)
        self.upscore = ConvTranspose2d(classes, classes, 2 * self.stride, self.stride, bias=False)

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw new weights; scores begin at 0 and are enlarged bilinearly, as in the paper."""
        super().initialise(rng)
        self._initialise_scores()

    def _initialise_scores(self) -> None:
        for name, layer in self.named_children():
            if isinstance(layer, ConvTranspose2d):
                init.bilinear_(layer.weight)
            elif name.startswith("score"):
                for parameter in layer.parameters():
                    init.zeros_(parameter)

    def replace_head(self, num_classes: int, *, rng: np.random.Generator | int | None = None) -> FCN:
        """Give the network new layers for another number of classes; returns this network."""
        self._add_scores(checks.integer(num_classes, "replace_head", "num_classes"))
        self._initialise_scores()
        return self

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes, H, W) for images (N, C, H, W)."""
        maps, x = {}, input
        for number, layer in enumerate(self.features):
            x = maps[number] = layer(x)
            if number not in (POOL3[0], POOL4[0]):
                del maps[number]
        x, before = self.score(self.head(x)), 0
        if self.stride <= 16:
            x = self.upscore2(x)
            x = x + _crop(self.score_pool4(maps[POOL4[0]]), 5, x.shape[2:])
            before = 27
        if self.stride == 8:
            x = self.upscore_pool4(x)
            x = x + _crop(self.score_pool3(maps[POOL3[0]]), 9, x.shape[2:])
            before = 31
        return _crop(self.upscore(x), before or 19, input.shape[2:])


def _crop(maps: Any, start: int, size: tuple[int, int]) -> Any:
    """Cut out maps of this size; where they begin follows from the padding by 100."""
    return maps[:, :, start : start + size[0], start : start + size[1]]


@register((3, 224, 224), variants=("paper",))
def fcn32s(num_classes: int = 21, *, in_channels: int = 3, dropout: float = 0.5) -> FCN:
    """FCN-32s, the coarse scores of VGG-16 enlarged 32 times: 136,152,917 parameters.

    Parameters
    ----------
    num_classes : int
        Classes of a pixel; by default those of PASCAL VOC with the background.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an output of the layers of 4096 channels.

    Returns
    -------
    FCN
        Images (N, in_channels, H, W) in, scores (N, num_classes, H, W) out. The keys of `features` are those of
        torchvision's ``vgg16``.
    """
    return FCN(32, num_classes, in_channels, dropout)


@register((3, 224, 224), variants=("paper",))
def fcn16s(num_classes: int = 21, *, in_channels: int = 3, dropout: float = 0.5) -> FCN:
    """FCN-16s, with scores of the fourth pool's maps added: 134,815,994 parameters; see :func:`fcn32s`."""
    return FCN(16, num_classes, in_channels, dropout)


@register((3, 224, 224), variants=("paper",))
def fcn8s(num_classes: int = 21, *, in_channels: int = 3, dropout: float = 0.5) -> FCN:
    """FCN-8s, with scores of the third pool's as well: 134,489,759 parameters; see :func:`fcn32s`."""
    return FCN(8, num_classes, in_channels, dropout)
