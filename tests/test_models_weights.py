"""Networks with trained weights: files of our own, of PyTorch's users, of recipes."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from fastconv import models, no_grad
from fastconv.errors import DataError, ShapeError
from fastconv.models import Preprocessing
from fastconv.models.efficientnet import TABLE
from fastconv.serialization import read_metadata, save_file

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


def arrays(model):
    return {key: value.numpy() for key, value in model.state_dict().items()}


def pickled(path, value):
    path.write_bytes(pickle.dumps(value, 2))
    return path


def scores(model, x):
    with no_grad():
        return model.eval()(x).numpy()


def test_what_is_saved_comes_back(tmp_path):
    model = models.create("mobilenet_v1", 3, variant="paper", in_channels=1, dropout=0.25, rng=0)
    look = Preprocessing((40, 48), 32, (0.5,), (0.25,), order="L", interpolation="bicubic")
    models.save(model, tmp_path / "w", classes=["cat", "dog", "bird"], preprocessing=look)
    found = models.load(tmp_path / "w")
    assert (found.model.name, found.model.variant) == ("mobilenet_v1", "paper")
    assert found.model.dropout.p == 0.25
    assert not found.model.training
    assert found.preprocessing == look
    assert found.classes == ["cat", "dog", "bird"]
    x = look(PHOTO)
    assert x.shape == (1, 1, 32, 32)
    np.testing.assert_array_equal(scores(found.model, x), scores(model, x))
    shares = found.probabilities(PHOTO)
    best = found.predict(PHOTO, top=2)
    assert [name for name, _ in best] == [found.classes[n] for n in np.argsort(-shares)[:2]]
    assert sum(shares) == pytest.approx(1)
    assert json.loads(read_metadata(tmp_path / "w")["options"]) == {"in_channels": 1, "dropout": 0.25}


@pytest.mark.parametrize("wrap", [None, "state_dict", "model"])
def test_state_dicts_of_others(tmp_path, wrap):
    model = models.create("squeezenet1_1", 1000, rng=0)
    state = {f"module.{key}": value for key, value in arrays(model).items()}
    path = pickled(tmp_path / "w.pth", {wrap: state, "epoch": 90} if wrap else state)
    found = models.load(path, "squeezenet1_1")
    assert found.preprocessing == Preprocessing(256, 224)
    assert found.classes == models.imagenet_classes()
    x = np.ones((1, 3, 64, 64), np.float32)
    np.testing.assert_array_equal(scores(found.model, x), scores(model, x))
    with pytest.raises(ValueError, match="does not say which network it holds"):
        models.load(path)


def test_what_follows_from_the_arrays(tmp_path):
    """Classes, channels, heads, precision; old files count no batches."""
    model = models.create("googlenet", 5, in_channels=4, aux_logits=False, rng=0).double()
    state = {key: value for key, value in arrays(model).items() if not key.endswith("num_batches_tracked")}
    found = models.load(pickled(tmp_path / "w", state), "googlenet").model
    assert not found.aux_logits
    assert found.fc.weight.shape == (5, 1024)
    x = np.random.default_rng(0).standard_normal((1, 4, 64, 64))
    np.testing.assert_array_equal(scores(found, x), scores(model, x))


def test_the_form_may_be_named(tmp_path):
    model = models.create("mobilenet_v1", 3, variant="paper", rng=0)
    path = pickled(tmp_path / "w", arrays(model))
    found = models.load(path, "mobilenet_v1", variant="paper").model
    assert found.variant == "paper"
    x = 9 * np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    np.testing.assert_array_equal(scores(found, x), scores(model, x))


def test_old_densenets_are_renamed(tmp_path):
    model = models.create("densenet_bc_100_12", rng=0)
    old = {re.sub(r"(denselayer\d+\.(norm|relu|conv))(\d)", r"\1.\3", key): v for key, v in arrays(model).items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    found = models.load(pickled(tmp_path / "w", old), "densenet_bc_100_12").model
    x = np.ones((1, 3, 32, 32), np.float32)
    np.testing.assert_array_equal(scores(found, x), scores(model, x))


def test_what_does_not_fit_is_listed(tmp_path):
    state = arrays(models.create("resnet20", rng=0))
    state["extra"] = state.pop("bn1.weight")
    with pytest.raises(DataError, match=r"load: .*w: .* missing: bn1\.weight; unexpected: extra"):
        models.load(pickled(tmp_path / "w", state), "resnet20")
    state = arrays(models.create("resnet20", rng=0))
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"][:3]
    with pytest.raises(ShapeError, match=r"wrong shape: layer1\.0\.conv1\.weight has \(16, 16, 3, 3\), given \(3, 16,"):
        models.load(pickled(tmp_path / "w", state), "resnet20")
    with pytest.raises(DataError, match="conv1 is of type list, not an array"):
        models.load(pickled(tmp_path / "w", {"conv1": [1]}), "resnet20")
    with pytest.raises(DataError, match="holds a list, not weights by name"):
        models.load(pickled(tmp_path / "w", [1]), "resnet20")
    with pytest.raises(FileNotFoundError):
        models.load(tmp_path / "missing", "resnet20")
    with pytest.raises(DataError, match="not a regular file"):
        models.load(tmp_path, "resnet20")


@pytest.mark.parametrize(
    "about",
    [
        {"model": "resnet20", "classes": ["a"]},
        {"model": "resnet20", "classes": ["a\x1b[2J"] * 10},
        {"model": "nothing"},
        {"model": ["resnet20"]},
        {"model": "unet", "options": {"width": 4096}},
        {"model": "resnet20", "options": {"width": 8}},
        {"model": "resnet20", "options": {"num_classes": None}},
        {"model": "resnet20", "variant": 3},
        {"model": "resnet20", "variant": "other"},
        {"model": "resnet20", "preprocessing": {"resize": 10**9}},
        {"model": "resnet20", "preprocessing": {"resize": 32, "command": "rm"}},
        {"model": "resnet20", "preprocessing": {"resize": 32, "std": [0, 0, 0]}},
        {"model": "resnet20", "preprocessing": 3},
    ],
)
def test_files_that_say_what_is_not_allowed(tmp_path, about):
    state = arrays(models.create("resnet20", rng=0))
    save_file(state, tmp_path / "w", {key: json.dumps(value) for key, value in about.items()})
    with pytest.raises(DataError):
        models.load(tmp_path / "w")


def test_recipe_of_efficientnet_lite(tmp_path):
    """EfficientNet-PyTorch's names: blocks are numbered through, and batch norms from 0."""
    model = models.create("efficientnet_lite0", eps=1e-3, padding="same", rng=0)
    flat = [(stage, number) for stage, row in enumerate(TABLE) for number in range(row[4])]
    state = {}
    for key, value in arrays(model).items():
        match = re.match(r"blocks\.(\d)\.(\d)\.(\w+)\.", key)
        if match is None:
            names = {
                "conv_stem": "_conv_stem",
                "bn1": "_bn0",
                "conv_head": "_conv_head",
                "bn2": "_bn1",
                "classifier": "_fc",
            }
            name = names[key.split(".")[0]]
        else:
            first = match[1] == "0"
            layers = ["conv_dw", "conv_pw"] if first else ["conv_pw", "conv_dw", "conv_pwl"]
            number = layers.index(match[3]) if match[3] in layers else int(match[3][2:]) - 1
            kinds = (
                ["_expand_conv", "_depthwise_conv", "_project_conv"] if match[3] in layers else ["_bn0", "_bn1", "_bn2"]
            )
            name = f"_blocks.{flat.index((int(match[1]), int(match[2])))}.{kinds[number + first]}"
        state[f"{name}.{key.split('.')[-1]}"] = value
    found = models.load(pickled(tmp_path / "w", state), "efficientnet_lite0")
    assert found.preprocessing.maximum == 255
    x = np.random.default_rng(0).standard_normal((1, 3, 65, 64)).astype(np.float32)
    np.testing.assert_array_equal(scores(found.model, x), scores(model, x))
    state["_blocks.99._bn1.weight"] = state["_bn0.weight"]
    with pytest.raises(DataError, match=r"load: .*_blocks\.99\._bn1\.weight"):
        models.load(pickled(tmp_path / "w", state), "efficientnet_lite0")


def test_recipe_of_keras_squeezenet(tmp_path):
    model = models.create("squeezenet1_1", padding="same", ceil_mode=False, last_relu=False, rng=0)
    state = arrays(model)
    fires = iter(range(2, 10))
    numbers = {place: next(fires) for place in (3, 4, 6, 7, 9, 10, 11, 12)}
    weights = {}
    for key, value in state.items():
        path, kind = key.rsplit(".", 1)
        parts = path.split(".")
        name = {"features.0": "conv1", "classifier.1": "conv10"}.get(path) or (
            f"fire{numbers[int(parts[1])]}/{'squeeze1x1' if parts[2] == 'squeeze' else parts[2]}"
        )
        if kind == "weight":
            weights[name] = [np.ascontiguousarray(value.transpose(2, 3, 1, 0)), state[f"{path}.bias"]]
    path = pickled(tmp_path / "w.pkl", weights)
    found = models.load(path, "squeezenet1_1")
    x = found.preprocessing(PHOTO)
    assert x.shape == (1, 3, 227, 227)
    np.testing.assert_array_equal(scores(found.model, x), scores(model, x))
    assert scores(found.model, x).min() < 0
    with pytest.raises(ValueError, match="recipe must be one of"):
        models.load(path, "squeezenet1_1", recipe="none")
    with pytest.raises(ValueError, match="is for squeezenet1_1, not for resnet20"):
        models.load(path, "resnet20", recipe="squeezenet1_1.keras")


def test_photographs_are_resized_cropped_and_normalised():
    ramp = np.zeros((10, 20, 3), np.uint8)
    ramp[..., 0], ramp[..., 2] = 255, np.arange(20) * 10
    look = Preprocessing(10, 10, (0.0, 0.0, 100.0), (1.0, 1.0, 2.0), 255.0)
    x = look(ramp)
    assert x.dtype == np.float32
    assert (x[0, 0] == 255).all()
    assert (x[0, 1] == 0).all()
    np.testing.assert_allclose(x[0, 2], np.broadcast_to((np.arange(5, 15) * 10 - 100) / 2, (10, 10)))
    turned = Preprocessing(10, 10, (0.0, 0.0, 100.0), (1.0, 1.0, 2.0), 255.0, order="BGR")(ramp)
    assert (turned[0, 2] == (255 - 100) / 2).all()
    assert Preprocessing(64, 96)(PHOTO).shape == (1, 3, 96, 96)  # what is missing is black
    assert Preprocessing((20, 30))(PHOTO[..., 0]).shape == (1, 3, 20, 30)
    for image, error in ((PHOTO / 255, TypeError), (PHOTO[:0], ShapeError), (PHOTO[..., :2], ShapeError)):
        with pytest.raises(error):
            look(image)
    with pytest.raises(ValueError, match="mean must have 3 numbers"):
        Preprocessing(10, mean=(1.0,))
    with pytest.raises(ValueError, match="order must be one of RGB, BGR, L"):
        Preprocessing(10, order="HSV")


def test_the_names_of_imagenet_are_all_there_and_licensed():
    names = models.imagenet_classes()
    assert len(set(names)) == len(names) == 1000
    assert (names[0], names[285], names[967], names[999]) == ("tench", "Egyptian cat", "espresso", "toilet tissue")
    licence = (Path(models.__file__).parent / "LICENSE-imagenet.md").read_text("utf-8")
    assert "BSD 3-Clause License" in licence
