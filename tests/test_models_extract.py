"""Features from inside networks."""

import numpy as np
import pytest

from fastconv import init, layers, models, no_grad
from fastconv.models import create_feature_extractor

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)


def test_outputs_of_layers_by_path():
    model = models.create("resnet20", rng=0).eval()
    extractor = create_feature_extractor(model, ["layer1", "layer3.0.conv1", "layer2"])
    with no_grad():
        found = extractor(IMAGES)
    assert list(found) == ["layer1", "layer3.0.conv1", "layer2"]
    model.requires_grad_(False)
    x = IMAGES
    for name in ("conv1", "bn1", "relu", "layer1"):
        x = getattr(model, name)(x)
    close = {"rtol": 1e-4, "atol": 1e-4}  # without gradients batch norm is done by the convolution
    np.testing.assert_allclose(found["layer1"], x, **close)
    x = model.layer2(x)
    np.testing.assert_allclose(found["layer2"], x, **close)
    np.testing.assert_allclose(found["layer3.0.conv1"], model.layer3[0].conv1(x), **close)


def test_what_comes_later_is_not_run():
    model = models.create("resnet20", rng=0).eval().requires_grad_(False)
    model.fc = layers.Linear(1, 1)  # would fail
    found = create_feature_extractor(model, {"layer3": "maps"})(IMAGES)
    np.testing.assert_array_equal(found["maps"], model.features(IMAGES))
    assert not any(module._forward_hooks for module in model.modules())


def test_gradients_go_back_through_them():
    model = models.create("squeezenet1_1", 3, rng=0)
    extractor = create_feature_extractor(model, ["features.3.squeeze"])
    extractor(IMAGES)["features.3.squeeze"].sum().backward()
    learnt = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert learnt == ["features.0.weight", "features.0.bias", "features.3.squeeze.weight", "features.3.squeeze.bias"]


def test_wrong_paths_are_named():
    model = models.create("resnet20", rng=0)
    for nodes, error, match in (
        (["layer9"], ValueError, "no layer is at 'layer9'; there are"),
        (["layer1.7"], ValueError, r"no layer is at 'layer1\.7'; there are layer1, layer1\.0"),
        ([""], ValueError, "no layer is at ''"),
        ([], ValueError, "at least one layer"),
        ({"layer1": "a", "layer2": "a"}, ValueError, "no output twice"),
        ("layer1", TypeError, "sequence of paths"),
    ):
        with pytest.raises(error, match=match):
            create_feature_extractor(model, nodes)
    unused = layers.Sequential(layers.ReLU())
    model.unused = unused
    with pytest.raises(ValueError, match="did not run unused"):
        create_feature_extractor(model, ["unused", "layer1"])(IMAGES)


@pytest.mark.parametrize("name", models.names())
def test_every_network_is_a_backbone(name):
    with init.skipped():
        assert callable(models.create(name).features)


def test_maps_of_a_unet_are_what_its_scores_are_made_of():
    model = models.create("unet", variant="padded", width=4, rng=0).eval()
    maps = model.features(IMAGES[:, :1])
    assert maps.shape == (2, 4, 32, 32)
    np.testing.assert_array_equal(model.outc(maps).detach(), model(IMAGES[:, :1]).detach())
