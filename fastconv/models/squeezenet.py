"""SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters.

F. N. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional as F
from fastconv.layers import AdaptiveAvgPool2d, Conv2d, Dropout, Identity, MaxPool2d, Module, ReLU, Sequential
from fastconv.layers._steps import in_a_row, side_by_side
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["Fire", "SqueezeNet", "squeezenet1_0", "squeezenet1_1"]

# The first convolution (filters, kernel); then fire modules (squeezed, half of the output) and 0 for pools.
TABLE: dict[str, tuple[tuple[int, int], tuple[Any, ...]]] = {
    "1_0": ((96, 7), (0, (16, 64), (16, 64), (32, 128), 0, (32, 128), (48, 192), (48, 192), (64, 256), 0, (64, 256))),
    "1_1": ((64, 3), (0, (16, 64), (16, 64), 0, (32, 128), (32, 128), 0, (48, 192), (48, 192), (64, 256), (64, 256))),
}


class Fire(Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        self.squeeze = Conv2d(channels, squeezed, 1)
        self.squeeze_activation = ReLU()
        self.expand1x1 = Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = ReLU()
        self.expand3x3 = Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = ReLU()

    def forward(self, input: Any) -> Any:
        """Return maps of 2 * expanded channels."""
        x = in_a_row([self.squeeze, self.squeeze_activation], input)
        narrow, wide = [self.expand1x1, self.expand1x1_activation], [self.expand3x3, self.expand3x3_activation]
        return side_by_side([narrow, wide], [x, x])


class SqueezeNet(Network):
    """`features` of fire modules; `classifier`, a 1x1 convolution to the classes and the mean of their maps."""

    heads = ("classifier.1",)

    def __init__(
        self,
        version: str,
        num_classes: int,
        in_channels: int,
        dropout: float,
        padding: int | str = 0,
        ceil_mode: bool = True,
        last_relu: bool = True,
    ) -> None:
        (filters, kernel), rows = TABLE[version]
        layers: list[Module] = [Conv2d(in_channels, filters, kernel, 2, padding), ReLU()]
        channels = filters
        for row in rows:
            if row == 0:
                layers.append(MaxPool2d(3, 2, ceil_mode=ceil_mode))
            else:
                layers.append(Fire(channels, *row))
                channels = 2 * row[1]
        self.features = Sequential(*layers)
        activation = ReLU() if last_relu else Identity()
        self.classifier = Sequential(
            Dropout(dropout), Conv2d(channels, num_classes, 1), activation, AdaptiveAvgPool2d(1)
        )

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W) of at least 21 x 21."""
        return F.flatten(self.classifier(self.features(input)), 1)


@register()
def squeezenet1_0(num_classes: int = 1000, *, in_channels: int = 3, dropout: float = 0.5) -> SqueezeNet:
    """SqueezeNet 1.0, the paper's: 1,248,424 parameters.

    Parameters
    ----------
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.
    dropout : float
        Probability of losing an input of the last convolution.

    Returns
    -------
    SqueezeNet
        Images (N, in_channels, H, W) in, scores (N, num_classes) out, none below 0.
    """
    return SqueezeNet("1_0", num_classes, in_channels, dropout)


@register()
def squeezenet1_1(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    padding: int | str = 0,
    ceil_mode: bool = True,
    last_relu: bool = True,
) -> SqueezeNet:
    """SqueezeNet 1.1, of 2.4 times less computation: 1,235,496 parameters.

    Parameters
    ----------
    num_classes, in_channels, dropout
        As for :func:`squeezenet1_0`.
    padding : int or {"same"}
        Of the first convolution.
    ceil_mode : bool
        Whether pools round sizes up.
    last_relu : bool
        Whether a ReLU follows the last convolution.

    Returns
    -------
    SqueezeNet
        As :func:`squeezenet1_0`.
    """
    return SqueezeNet("1_1", num_classes, in_channels, dropout, padding, ceil_mode, last_relu)
