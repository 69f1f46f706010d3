"""Every family of networks learns: each gets one batch by heart, at small size."""

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import models
from fastconv.layers import Linear, Module
from fastconv.optim import SGD
from fastconv.training import fit

# Name, pixels a side, learning rate: the smallest of each family, on the smallest images that it takes.
FAMILIES = [
    ("lenet5", 28, 0.1),
    ("densenet_bc_100_12", 16, 0.1),
    ("densenet121", 32, 0.05),
    ("inception_resnet_v1", 75, 0.02),
    ("inception_v2", 32, 0.05),
    ("inception_v4", 75, 0.02),
    ("plain20", 16, 0.05),
    ("resnet18", 32, 0.05),
    ("resnet20", 16, 0.1),
    ("resnext50_32x4d", 32, 0.05),
    ("shufflenet_v2_x1_0", 32, 0.2),
    ("squeezenet1_1", 48, 0.001),
    ("vgg11_bn", 32, 0.02),
    ("xception", 71, 0.05),
]


@pytest.mark.parametrize(("name", "side", "rate"), FAMILIES)
def test_a_batch_is_learnt_by_heart(name, side, rate):
    rng = np.random.default_rng(0)
    channels = models.input_shape(name)[0]
    images, labels = rng.standard_normal((4, channels, side, side), np.float32), np.array([0, 1, 0, 1])
    options = {} if name == "lenet5" or name.startswith(("resnet", "plain", "resnext", "shuffle")) else {"dropout": 0.0}
    model = models.create(name, 2, rng=0, **options)
    if name.startswith("vgg"):  # its own head has 120 million weights
        model.classifier = Linear(512 * 7 * 7, 2, rng=0)
    optimizer = SGD(model.parameters(), rate, momentum=0.9)
    losses = []
    while len(losses) < 40 and (not losses or losses[-1] > 0.1):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] <= 0.1, losses


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
