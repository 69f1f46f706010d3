"""The table of networks, what all have in common, and LeNet-5."""

import numpy as np
import pytest

import fastconv
from fastconv import functional as F
from fastconv import init, layers, models
from fastconv.errors import ShapeError
from fastconv.models import MODELS, lenet5
from fastconv.models.alexnet import PaperNorm

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
    with pytest.raises(ValueError, match="variant must be one of modern, classic, 1998, paper, got 'new'"):
        lenet5("new")
    with pytest.raises(ShapeError, match="num_classes must be an int >= 1"):
        lenet5(num_classes=0)
    with pytest.raises(ShapeError, match=r"classifier\.1: linear"):
        lenet5()(np.zeros((1, 1, 32, 32), np.float32))


def test_models_are_listed_by_name():
    assert MODELS["lenet5"] is lenet5


def test_names_that_do_not_exist_are_answered_with_those_that_do():
    with pytest.raises(ValueError, match="no network is named 'resnet5', did you mean resnet56 or resnet50"):
        models.create("resnet5")
    with pytest.raises(ValueError, match="resnet18: variant must be one of torchvision, paper, preact, got 'v2'"):
        models.create("resnet18", variant="v2")
    with pytest.raises(TypeError, match="resnet18: num_classes must be an int >= 1, got '10'"):
        models.create("resnet18", "10")


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_made_for_other_classes_and_channels(name):
    for variant in models.variants(name):
        with init.skipped():
            model = models.create(name, 7, variant=variant, in_channels=2)
        assert (model.name, model.variant) == (name, variant)
        modules = dict(model.named_modules())
        outputs = [modules[path].weight.shape[0] for path in model.heads]
        assert outputs == [7] * len(outputs)
        assert next(p for p in model.parameters() if p.ndim == 4).shape[1] == 2


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet20", "densenet_bc_100_12"])
def test_another_head_leaves_the_rest_as_it_is(name):
    model = models.create(name, 10, rng=0).requires_grad_(False)
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    keys = list(before)
    assert model.replace_head(4, rng=1) is model
    after = model.state_dict()
    assert list(after) == keys
    head = model.heads[0]
    assert [key for key in keys if not np.array_equal(before[key], after[key])] == [f"{head}.weight", f"{head}.bias"]
    assert after[f"{head}.weight"].shape[0] == 4
    assert [key for key, p in model.named_parameters() if p.requires_grad] == [f"{head}.weight", f"{head}.bias"]
    x = np.zeros((1, *models.input_shape(name)), np.float32)
    assert model.eval()(x).shape == (1, 4)


def test_googlenet_trains_with_its_auxiliary_heads():
    for variant in models.variants("googlenet"):
        with init.skipped():
            model = models.create("googlenet", 3, variant=variant)
        x = np.zeros((2, 3, 224 if variant == "paper" else 64, 224 if variant == "paper" else 64), np.float32)
        model.initialise(np.random.default_rng(0))
        outputs = model(x)
        assert type(outputs) is models.GoogLeNetOutputs
        assert [scores.shape for scores in outputs] == [(2, 3)] * 3
        assert model.eval()(x[:1]).shape == (1, 3)


@pytest.mark.parametrize(
    ("variant", "side", "maps"), [("torchvision", 224, 6), ("paper", 227, 6), ("textbook", 224, 5)]
)
def test_alexnets_maps(variant, side, maps):
    with init.skipped():
        model = models.create("alexnet", variant=variant)
    channels = model.features[0].in_channels
    assert model.features(np.zeros((1, channels, side, side), np.float32)).shape == (1, 256, maps, maps)


def test_local_response_normalisation_is_the_papers():
    x = np.random.default_rng(0).standard_normal((2, 7, 3, 4))
    expected = np.empty_like(x)
    for i in range(7):
        squares = (x[:, max(0, i - 2) : i + 3] ** 2).sum(axis=1)
        expected[:, i] = x[:, i] / (2 + 1e-4 * squares) ** 0.75
    np.testing.assert_allclose(PaperNorm()(x), expected, rtol=1e-12)


def test_lenet5_of_1998_has_the_papers_connections():
    model = lenet5("1998", rng=0)
    counts = [sum(p.numel() for p in part.parameters()) for part in (*model.features, *model.classifier)]
    assert [n for n in counts if n] == [156, 12, 1516, 32, 48120, 10164]  # C1, S2, C3, S4, C5, F6
    x = np.random.default_rng(0).standard_normal((2, 1, 32, 32)).astype(np.float32)
    scores = model(x)
    hidden = model.classifier[:5](model.features(x)).detach().numpy()
    bitmaps = model.classifier[5].weight.numpy()
    assert set(np.unique(bitmaps)) == {-1.0, 1.0}
    distances = ((hidden[:, None] - bitmaps) ** 2).sum(axis=2)
    np.testing.assert_allclose(scores.detach(), -distances, rtol=1e-5)
    F.map_loss(-scores, [3, 8]).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert lenet5("1998", 20, rng=0)(x).shape == (2, 20)


def test_the_partial_table_is_a_dense_convolution_with_holes():
    layer = lenet5("1998", rng=0).features[3]
    x = np.random.default_rng(0).standard_normal((1, 6, 14, 14)).astype(np.float32)
    found = layer(x).detach().numpy()
    place = 0
    for number, maps in enumerate(layer.table):
        weight = layer.weight.numpy()[place : place + len(maps)][None]
        np.testing.assert_allclose(found[:, number : number + 1], F.conv2d(x[:, maps], weight), rtol=1e-4, atol=1e-5)
        place += len(maps)


@pytest.mark.parametrize(
    ("arguments", "side", "length"),
    [
        ({"variant": "classic", "activation": "sigmoid", "padding": 0}, 28, 256),
        ({"variant": "modern", "padding": 0, "input_size": 32}, 32, 400),
        ({"variant": "1998", "s4": "max", "output": "linear"}, 32, 400),
        ({"variant": "1998", "padding": 2}, 28, 400),
        ({"variant": "paper"}, 32, 400),
        ({"c3": "table", "s2": "avg", "activation": "tanh"}, 28, 400),
    ],
)
def test_mixed_forms_of_lenet5(arguments, side, length):
    model = lenet5(**arguments, rng=0)
    assert model.classifier[1].in_features == length
    assert model(np.zeros((1, 1, side, side), np.float32)).shape == (1, 10)


def test_forms_that_lenet5_does_not_have():
    with pytest.raises(ValueError, match="lenet5: s2 must be one of max, avg, trainable, got 'min'"):
        lenet5(s2="min")
    with pytest.raises(ShapeError, match="images of 10 x 10 are too small"):
        lenet5(input_size=10, padding=0)
    with pytest.raises(ShapeError, match="padding must be an int >= 0"):
        lenet5(padding=-1)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (lenet5("paper", rng=0), (1, 32, 32)),
        (lenet5("paper", padding=2, in_channels=3, rng=0), (3, 28, 28)),
        (models.squeezenet1_1(in_channels=1, rng=0), (1, 224, 224)),
        (models.from_pattern("conv-relu-pool-fc", input_shape=(2, 10, 12), rng=0), (2, 10, 12)),
    ],
)
def test_networks_know_what_images_they_are_for(model, shape):
    assert model.image_shape == shape
    assert fastconv.summary(model).input_shape == (1, *shape)
    assert "features.0" in fastconv.receptive_field(model)


def test_forms_for_other_images():
    assert models.input_shape("alexnet", "paper") == (3, 227, 227)
    assert models.input_shape("alexnet", "textbook") == (1, 224, 224)
    assert models.preprocessing_of("alexnet", "paper").crop == 227
    with pytest.raises(TypeError, match="input_shape is needed"):
        fastconv.summary(layers.Linear(2, 3))
