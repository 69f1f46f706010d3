"""MobileNet v3: a searched network with squeeze-and-excitation and hard swish.

A. Howard et al., "Searching for MobileNetV3", ICCV 2019.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastconv.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Dropout,
    Hardsigmoid,
    Hardswish,
    Linear,
    Module,
    ReLU,
    Sequential,
)
from fastconv.layers._steps import with_shortcut
from fastconv.models._blocks import SqueezeExcitation, conv_norm_act, make_divisible
from fastconv.models._network import Classifier
from fastconv.models._registry import register

__all__ = ["MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]

# Tables 1 and 2 of the paper: kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride.
TABLE: dict[str, tuple[tuple[int, int, int, bool, type[Module], int], ...]] = {
    "large": (
        (3, 16, 16, False, ReLU, 1),
        (3, 64, 24, False, ReLU, 2),
        (3, 72, 24, False, ReLU, 1),
        (5, 72, 40, True, ReLU, 2),
        (5, 120, 40, True, ReLU, 1),
        (5, 120, 40, True, ReLU, 1),
        (3, 240, 80, False, Hardswish, 2),
        (3, 200, 80, False, Hardswish, 1),
        (3, 184, 80, False, Hardswish, 1),
        (3, 184, 80, False, Hardswish, 1),
        (3, 480, 112, True, Hardswish, 1),
        (3, 672, 112, True, Hardswish, 1),
        (5, 672, 160, True, Hardswish, 2),
        (5, 960, 160, True, Hardswish, 1),
        (5, 960, 160, True, Hardswish, 1),
    ),
    "small": (
        (3, 16, 16, True, ReLU, 2),
        (3, 72, 24, False, ReLU, 2),
        (3, 88, 24, False, ReLU, 1),
        (5, 96, 40, True, Hardswish, 2),
        (5, 240, 40, True, Hardswish, 1),
        (5, 240, 40, True, Hardswish, 1),
        (5, 120, 48, True, Hardswish, 1),
        (5, 144, 48, True, Hardswish, 1),
        (5, 288, 96, True, Hardswish, 2),
        (5, 576, 96, True, Hardswish, 1),
        (5, 576, 96, True, Hardswish, 1),
    ),
}
LAST = {"large": 1280, "small": 1024}

_Norm = partial(BatchNorm2d, eps=1e-3, momentum=0.01)


class InvertedResidual(Module):
    """1x1 to many channels, a convolution of each by itself, perhaps squeeze-and-excitation, 1x1 to few."""

    def __init__(
        self, channels: int, kernel: int, hidden: int, width: int, squeeze: bool, act: type[Module], stride: int
    ) -> None:
        layers: list[Module] = []
        if hidden != channels:
            layers.append(conv_norm_act(channels, hidden, 1, activation=act, norm=_Norm))
        layers.append(conv_norm_act(hidden, hidden, kernel, stride, hidden, act, _Norm))
        if squeeze:
            layers.append(SqueezeExcitation(hidden, make_divisible(hidden // 4), scale=Hardsigmoid))
        layers.append(conv_norm_act(hidden, width, 1, activation=None, norm=_Norm))
        self.block = Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, input: Any) -> Any:
        """Return maps of `width` channels."""
        return with_shortcut(self.block, input, input) if self.residual else self.block(input)


class MobileNetV3(Classifier):
    """`features`, inverted residuals between two convolutions; `classifier` of two layers."""

    heads = ("classifier.3",)


def _mobilenet_v3(size: str, num_classes: int, in_channels: int, dropout: float) -> MobileNetV3:
    features, channels = Sequential(conv_norm_act(in_channels, 16, 3, 2, activation=Hardswish, norm=_Norm)), 16
    for row in TABLE[size]:
        features.append(InvertedResidual(channels, *row))
        channels = row[2]
    features.append(conv_norm_act(channels, 6 * channels, 1, activation=Hardswish, norm=_Norm))
    hidden = LAST[size]
    classifier = Sequential(Linear(6 * channels, hidden), Hardswish(), Dropout(dropout), Linear(hidden, num_classes))
    return MobileNetV3(features, classifier, AdaptiveAvgPool2d(1))


@register()
def mobilenet_v3_large(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.2) -> MobileNetV3:
    """MobileNet v3, large: 5,483,032 parameters.

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
    MobileNetV3
        Images (N, in_channels, H, W) in, scores (N, num_classes) out.
    """
    return _mobilenet_v3("large", num_classes, in_channels, dropout)


@register()
def mobilenet_v3_small(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.2) -> MobileNetV3:
    """MobileNet v3, small: 2,542,856 parameters; see :func:`mobilenet_v3_large`."""
    return _mobilenet_v3("small", num_classes, in_channels, dropout)
