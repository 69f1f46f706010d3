"""What all networks have in common: initial weights, a head that can be exchanged, a way to the features."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastconv import checks, init
from fastconv import functional as F
from fastconv.layers import Conv2d, Linear, Module
from fastconv.layers._steps import in_a_row

__all__ = ["Classifier", "Network", "Staged", "rescaled"]


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Network(Module):
    """Base of the networks.

    Attributes
    ----------
    name, variant, options : str, str, dict
        With which :func:`fastconv.models.create` made it.
    image_shape : tuple of int
        Channels, height and width of the images that it was designed for.
    heads : tuple of str
        Paths of the layers whose outputs are the classes, the main one first.
    aux_weight : float
        What the losses of auxiliary heads are multiplied with.
    """

    name: str = ""
    variant: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012
    image_shape: tuple[int, ...] = ()
    heads: tuple[str, ...] = ("fc",)
    aux_weight: ClassVar[float] = 0.0

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw new weights: He's normal distribution, small weights in the heads, biases of 0.

        References
        ----------
        He et al., "Delving deep into rectifiers", ICCV 2015.
        """
        for path, parameter in self.named_parameters():
            if parameter.ndim < 2:
                if path.endswith("bias"):
                    init.zeros_(parameter)
            elif path.rpartition(".")[0] in self.heads:
                init.normal_(parameter, 0.0, 0.01, rng=rng)
            else:
                init.kaiming_normal_(parameter, nonlinearity="relu", rng=rng)
        for module in self.modules():
            if hasattr(module, "rng"):  # dropout and its like
                module.rng = rng

    def replace_head(self, num_classes: int, *, rng: np.random.Generator | int | None = None) -> Network:
        """Give the network new last layers for another number of classes; returns this network.

        Parameters
        ----------
        num_classes : int
            Length of the new output.
        rng : numpy.random.Generator, int or None
            Where the weights of the new layers come from.

        Examples
        --------
        >>> from fastconv.models import squeezenet1_1
        >>> squeezenet1_1(rng=0).requires_grad_(False).replace_head(5, rng=0).classifier[1]
        Conv2d(512, 5, kernel_size=(1, 1), stride=(1, 1))
        """
        num_classes = checks.integer(num_classes, "replace_head", "num_classes")
        generator = checks.generator(rng, "replace_head")
        modules = dict(self.named_modules())
        for path in self.heads:
            if (old := modules.get(path)) is None:
                continue  # an auxiliary head this network was made without
            new: Conv2d | Linear
            if isinstance(old, Conv2d):
                new = Conv2d(old.in_channels, num_classes, old.kernel_size, rng=generator)
            elif isinstance(old, Linear):
                new = Linear(old.in_features, num_classes, rng=generator)
            else:
                raise TypeError(f"replace_head: {path} must be a Conv2d or a Linear, got {type(old).__name__}")
            init.normal_(new.weight, 0.0, 0.01, rng=generator)
            if new.bias is not None:
                init.zeros_(new.bias)
            parent, _, name = path.rpartition(".")
            setattr(modules[parent], name, new.train(old.training).to(old.weight.dtype))
        return self


class Staged(Network):
    """Another common form: parts whose names are in `stages`, from images to maps; `avgpool`; `fc`, to scores."""

    stages: list[str]
    avgpool: Module
    fc: Module

    def features(self, input: Any) -> Any:
        """Return the last maps."""
        return in_a_row([getattr(self, name) for name in self.stages], input)

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        return self.fc(F.flatten(self.avgpool(self.features(input)), 1))


class Classifier(Network):
    """The common form: `features`, from images to maps; `avgpool`, to maps of one size; `classifier`, to scores.

    Parameters
    ----------
    features, classifier : Module
        The parts.
    avgpool : Module, optional
        Left out where the classifier takes the maps as they are.
    """

    heads = ("classifier",)

    def __init__(self, features: Module, classifier: Module, avgpool: Module | None = None) -> None:
        self.features = features
        if avgpool is not None:
            self.avgpool = avgpool
        self.classifier = classifier

    def forward(self, input: Any) -> Any:
        """Return scores (N, num_classes) for images (N, C, H, W)."""
        x = self.features(input)
        if hasattr(self, "avgpool"):
            x = self.avgpool(x)
        return self.classifier(F.flatten(x, 1))


def rescaled(images: Any) -> Any:
    """Turn images normalised by ImageNet's mean and deviation into the range -1 .. 1 that Google's weights expect."""
    mean, std = (np.asarray(row, np.float32).reshape(1, 3, 1, 1) for row in (IMAGENET_MEAN, IMAGENET_STD))
    return images * (std / np.float32(0.5)) + (mean - np.float32(0.5)) / np.float32(0.5)
