"""The networks: shapes, names, variants."""

import numpy as np
import pytest

from fastconv import layers
from fastconv.errors import ShapeError
from fastconv.models import MODELS, lenet5

IMAGES = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)


@pytest.mark.parametrize("variant", ["modern", "classic"])
def test_lenet5_maps_images_to_scores(variant):
    model = lenet5(variant, num_classes=7, rng=0)
    scores = model(IMAGES)
    assert scores.shape == (3, 7)
    scores.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_lenet5_has_the_sizes_of_the_paper():
    shapes = {name: value.shape for name, value in lenet5().state_dict().items() if name.endswith("weight")}
    assert shapes == {
        "features.0.weight": (6, 1, 5, 5),
        "features.3.weight": (16, 6, 5, 5),
        "classifier.1.weight": (120, 400),
        "classifier.3.weight": (84, 120),
        "classifier.5.weight": (10, 84),
    }


def test_variants_differ_in_activation_and_pool():
    kinds = [{type(module) for module in lenet5(variant).modules()} for variant in ("modern", "classic")]
    assert kinds[0] - kinds[1] == {layers.ReLU, layers.MaxPool2d}
    assert kinds[1] - kinds[0] == {layers.Tanh, layers.AvgPool2d}


def test_a_seed_gives_the_same_network():
    weights = [lenet5(rng=seed).features[0].weight.numpy() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="variant must be one of modern, classic, got 'new'"):
        lenet5("new")
    with pytest.raises(ShapeError, match="num_classes must be an int >= 1"):
        lenet5(num_classes=0)
    with pytest.raises(ShapeError, match=r"classifier\.1: linear"):
        lenet5()(np.zeros((1, 1, 32, 32), np.float32))


def test_models_are_listed_by_name():
    assert MODELS["lenet5"] is lenet5
