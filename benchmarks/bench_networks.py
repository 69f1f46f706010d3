"""One image through a network of each family, at small size, and a training step of a small ResNet."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conftest import Race, randn, tensor
from benchmarks.twin_network import TwinNetwork
from fastconv import functional as F
from fastconv import init, models, no_grad
from fastconv.optim import SGD
from tests.networks import thin

# Names, options, pixels a side, and which part: of AlexNet and VGG the maps, without the fully connected layers, which
# would be most of the time and nothing new. The fully convolutional network, 230 pixels wide inside, has an eighth of
# its channels.
FAMILIES = [
    ("alexnet", {}, 63, "features"),
    ("densenet121", {}, 64, ""),
    ("efficientnet_b0", {}, 64, ""),
    ("efficientnet_lite0", {}, 64, ""),
    ("fcn8s", {"num_classes": 4}, 32, "thin"),
    ("googlenet", {"aux_logits": False}, 64, ""),
    ("inception_resnet_v1", {}, 75, ""),
    ("inception_v2", {}, 64, ""),
    ("inception_v3", {"aux_logits": False}, 75, ""),
    ("inception_v4", {}, 75, ""),
    ("lenet5", {}, 28, ""),
    ("lenet5", {"variant": "1998"}, 32, ""),
    ("mobilenet_v1", {}, 64, ""),
    ("mobilenet_v2", {}, 64, ""),
    ("mobilenet_v3_large", {}, 64, ""),
    ("resnet18", {}, 64, ""),
    ("resnet20", {}, 32, ""),
    ("resnext50_32x4d", {}, 64, ""),
    ("shufflenet_v2_x1_0", {}, 64, ""),
    ("squeezenet1_1", {}, 64, ""),
    ("unet", {"variant": "padded", "width": 8}, 32, ""),
    ("vgg11", {}, 32, "features"),
    ("xception", {}, 71, ""),
    ("zfnet", {}, 64, "features"),
]


@pytest.mark.parametrize(
    ("name", "options", "side", "part"), FAMILIES, ids=[f"{family[0]}-{family[2]}" for family in FAMILIES]
)
def test_forward(race: Race, name: str, options: dict, side: int, part: str) -> None:
    if part == "thin":
        with init.skipped():
            whole = models.create(name, **options)
        model = thin(whole, 8).eval()
        for parameter in model.parameters():  # its scores begin as zeros, whatever came before
            init.normal_(parameter, std=0.05, rng=0)
    else:
        model = models.create(name, rng=0, **options).eval()
    channels = model.image_shape[0]
    model = getattr(model, part) if part == "features" else model
    images = randn(1, channels, side, side)
    twin, ours = TwinNetwork(model, images), tensor(images)
    with no_grad():
        race.run(f"{name} {side}²", lambda: model(ours), lambda: twin.forward(images))


def test_training_step(race: Race) -> None:
    model = models.resnet20(rng=0)
    images, labels = randn(16, 3, 32, 32), np.arange(16) % 10
    twin, ours = TwinNetwork(model, images), tensor(images)
    sgd = SGD(model.parameters(), 0.01, momentum=0.9)

    def step() -> object:
        sgd.zero_grad()
        loss = F.cross_entropy(model(ours), labels)
        loss.backward()
        sgd.step()
        return loss

    race.run("resnet20 step, 16 images of 32²", step, lambda: twin.step(images, labels, 0.01, 0.9))
