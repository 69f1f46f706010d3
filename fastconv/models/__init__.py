"""The classic networks, one file a family: a table plus blocks.

In torchvision's form, and where torchvision has none in timm's, parameters have the names that theirs have, so that
their weights load and their outputs come out. Where the paper's form differs there is ``variant="paper"``.
"""

from __future__ import annotations

from fastconv.layers.convert import linear_to_conv2d
from fastconv.models._extract import FeatureExtractor, create_feature_extractor
from fastconv.models._network import Network
from fastconv.models._registry import MODELS, create, input_shape, names, variants
from fastconv.models.alexnet import *  # noqa: F403
from fastconv.models.densenet import *  # noqa: F403
from fastconv.models.efficientnet import *  # noqa: F403
from fastconv.models.fcn import *  # noqa: F403
from fastconv.models.googlenet import *  # noqa: F403
from fastconv.models.inception_resnet import *  # noqa: F403
from fastconv.models.inception_v2 import *  # noqa: F403
from fastconv.models.inception_v3 import *  # noqa: F403
from fastconv.models.inception_v4 import *  # noqa: F403
from fastconv.models.lenet import *  # noqa: F403
from fastconv.models.mobilenet import *  # noqa: F403
from fastconv.models.mobilenet_v3 import *  # noqa: F403
from fastconv.models.pattern import from_pattern
from fastconv.models.preprocessing import Preprocessing, preprocessing_of
from fastconv.models.recipes import RECIPES, Recipe
from fastconv.models.resnet import *  # noqa: F403
from fastconv.models.resnet_cifar import *  # noqa: F403
from fastconv.models.shufflenet import *  # noqa: F403
from fastconv.models.squeezenet import *  # noqa: F403
from fastconv.models.unet import *  # noqa: F403
from fastconv.models.vgg import *  # noqa: F403
from fastconv.models.weights import Pretrained, imagenet_classes, load, save
from fastconv.models.xception import *  # noqa: F403

__all__ = [
    "MODELS",
    "RECIPES",
    "FeatureExtractor",
    "Network",
    "Preprocessing",
    "Pretrained",
    "Recipe",
    "create",
    "create_feature_extractor",
    "from_pattern",
    "imagenet_classes",
    "input_shape",
    "linear_to_conv2d",
    "load",
    "names",
    "preprocessing_of",
    "save",
    "variants",
    *MODELS,
]
