"""Every family of networks learns: each gets one batch by heart, at small size."""

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import init, models
from fastconv.layers import Dropout, Linear, Module
from fastconv.optim import SGD, Adam
from fastconv.training import fit
from tests.networks import thin

# Name, options, pixels a side, and how many times fewer channels will do: the smallest networks of each family, on the
# smallest images that they take.
FAMILIES = [
    ("alexnet", {}, 63, 4),
    ("alexnet", {"variant": "paper"}, 227, 8),
    ("alexnet", {"variant": "textbook"}, 224, 8),
    ("densenet_bc_16_24", {}, 16, 1),
    ("densenet121", {}, 32, 4),
    ("efficientnet_b0", {"stochastic_depth": 0.0}, 32, 1),
    ("efficientnet_lite0", {}, 32, 1),
    ("googlenet", {}, 64, 4),
    ("googlenet", {"variant": "paper"}, 224, 8),
    ("inception_resnet_v1", {}, 75, 4),
    ("inception_resnet_v2", {}, 75, 4),
    ("inception_v2", {}, 32, 4),
    ("inception_v3", {}, 299, 8),
    ("inception_v4", {}, 75, 4),
    ("lenet5", {}, 28, 1),
    ("lenet5", {"variant": "classic"}, 28, 1),
    ("mobilenet_v1", {}, 32, 1),
    ("mobilenet_v2", {}, 32, 1),
    ("mobilenet_v3_large", {}, 32, 1),
    ("mobilenet_v3_small", {}, 32, 1),
    ("plain20", {}, 16, 1),
    ("resnet18", {}, 32, 1),
    ("resnet18", {"variant": "preact"}, 32, 1),
    ("resnet20", {}, 16, 1),
    ("resnet50", {"variant": "paper"}, 32, 4),
    ("resnext50_32x4d", {}, 32, 4),
    ("shufflenet_v2_x1_0", {}, 32, 1),
    ("squeezenet1_1", {}, 48, 1),
    ("vgg11", {}, 32, 8),
    ("vgg11_bn", {}, 32, 8),
    ("vgg16_c", {}, 32, 8),
    ("xception", {}, 71, 4),
    ("zfnet", {}, 224, 8),
]
RATES = {"googlenet, paper": 0.001, "squeezenet1_1, torchvision": 0.0005}


def learns_by_heart(model, images, labels, rate=0.002, loss=F.cross_entropy, aim=0.1):
    """Go through one batch until the loss is as low as that, 60 times at most."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    optimizer = Adam(model.parameters(), rate)
    losses = []
    while len(losses) < 60 and (not losses or losses[-1] > aim):
        optimizer.zero_grad()
        main, *others = scores if isinstance(scores := model(images), tuple) else (scores,)
        found = sum((loss(each, labels) * model.aux_weight for each in others), loss(main, labels))
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert losses[-1] <= aim, losses


def batch(*shape):
    return np.random.default_rng(0).standard_normal((4, *shape), np.float32), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(("name", "options", "side", "factor"), FAMILIES)
def test_a_batch_is_learnt_by_heart(name, options, side, factor):
    with init.skipped():
        model = models.create(name, 2, **options)
    channels = 1 if model.variant == "textbook" else models.input_shape(name)[0]
    learns_by_heart(thin(model, factor), *batch(channels, side, side), RATES.get(f"{name}, {model.variant}", 0.002))


def test_the_lenet5_of_1998_learns_a_batch_by_heart():
    """By the loss of its radial basis functions, whose distances begin near 84."""
    model = models.lenet5("1998", rng=0)
    learns_by_heart(model, *batch(1, 32, 32), 0.005, lambda scores, y: F.map_loss(-scores, y), aim=8)


@pytest.mark.parametrize("name", ["fcn32s", "fcn8s"])
def test_a_fully_convolutional_network_learns_a_batch_by_heart(name):
    with init.skipped():
        model = models.create(name, 2)
    images, labels = batch(3, 16, 16)
    learns_by_heart(thin(model, 16), images[:2], np.broadcast_to(labels[:2, None, None], (2, 16, 16)))


def test_a_unet_learns_a_batch_by_heart():
    images, _ = batch(1, 16, 16)
    learns_by_heart(models.unet(variant="padded", width=8, rng=0), images, (images[:, 0] > 0).astype(np.int64), 0.005)


def test_a_pattern_learns_a_batch_by_heart():
    pattern = "[[conv-relu]*2-pool]*3-[fc-relu]*2-fc"
    learns_by_heart(models.from_pattern(pattern, 2, input_shape=(3, 16, 16), rng=0), *batch(3, 16, 16))


class Headed(Module):
    """A network with an auxiliary head, which it leaves out when it is used."""

    aux_weight = 0.25

    def __init__(self):
        self.body, self.main, self.side = Linear(4, 4, rng=0), Linear(4, 2, rng=1), Linear(4, 2, rng=2)

    def forward(self, x):
        x = self.body(F.flatten(x, 1))
        return (self.main(x), self.side(x)) if self.training else self.main(x)


def test_auxiliary_heads_count_in_the_loss():
    rng = np.random.default_rng(0)
    images, labels = rng.random((8, 1, 2, 2), np.float32), rng.integers(2, size=8)
    ours, theirs = Headed(), Headed()
    history = fit(ours, [(images, labels)], [(images, labels)], optimizer=SGD(ours.parameters(), 0.1))
    main, side = theirs(images)
    loss = F.cross_entropy(main, labels) + 0.25 * F.cross_entropy(side, labels)
    loss.backward()
    SGD(theirs.parameters(), 0.1).step()
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-6)
    assert history[0].train_loss == pytest.approx(loss.item())


def test_the_inceptions_have_auxiliary_heads_to_train():
    assert models.create("inception_v3", 3, rng=0).aux_weight == 0.4
