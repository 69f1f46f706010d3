"""LeNet-5, the network that read cheques: two convolutions, three fully connected layers.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
Proc. IEEE 86(11), 1998.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv import init
from fastconv.layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Tanh
from fastconv.models._network import Network
from fastconv.models._registry import register

__all__ = ["LeNet", "lenet5"]

# Convolutions as (filters, padding), kernels 5x5, each followed by a 2x2 pool: 28 -> 28 -> 14 -> 10 -> 5 pixels.
CONVOLUTIONS = ((6, 2), (16, 0))
HIDDEN = (120, 84)

# What follows a convolution or a hidden layer, how maps are halved, and the initialisation that goes with it.
VARIANTS: dict[str, tuple[Callable[[], Module], Callable[[int], Module], Callable[..., Any]]] = {
    "modern": (ReLU, MaxPool2d, partial(init.kaiming_normal_, nonlinearity="relu")),
    "classic": (Tanh, AvgPool2d, init.xavier_normal_),
}


class LeNet(Network):
    """Two parts in a row: `features`, from images to maps, and `classifier`, from maps to a score for each class.

    Parameters
    ----------
    features, classifier : Sequential
        The parts.
    """

    heads = ("classifier.5",)

    def __init__(self, features: Sequential, classifier: Sequential, draw: Callable[..., Any]) -> None:
        self.features = features
        self.classifier = classifier
        self.draw = draw

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, 1, 28, 28)."""
        return self.classifier(self.features(input))

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw new weights that suit the activation: normal, with He's deviation or Glorot's; biases of 0."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(parameter)
            else:
                self.draw(parameter, rng=rng)


@register((1, 28, 28), variants=("modern", "classic"))
def lenet5(variant: str = "modern", num_classes: int = 10, *, in_channels: int = 1) -> LeNet:
    """Make LeNet-5 for 28 x 28 grey images, 61,706 parameters with 10 classes.

    Parameters
    ----------
    variant : {"modern", "classic"}
        "modern" has ReLU and maximum pooling. "classic" has tanh and average pooling, closer to the network of
        1998, whose pools had weights and whose second convolution saw only some of the maps.
    num_classes : int
        Length of the output.
    in_channels : int
        Channels of the images.

    Returns
    -------
    LeNet
        Images (N, in_channels, 28, 28) in, scores (N, num_classes) out; softmax turns them into probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> model = lenet5(rng=0)
    >>> model(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    >>> sum(p.numel() for p in model.parameters())
    61706
    """
    activation, pool, draw = VARIANTS[variant]
    features, channels = Sequential(), in_channels
    for filters, padding in CONVOLUTIONS:
        for layer in (Conv2d(channels, filters, 5, padding=padding), activation(), pool(2)):
            features.append(layer)
        channels = filters
    classifier, length = Sequential(Flatten()), channels * 5 * 5
    for width in HIDDEN:
        classifier.append(Linear(length, width)).append(activation())
        length = width
    return LeNet(features, classifier.append(Linear(length, num_classes)), draw)
