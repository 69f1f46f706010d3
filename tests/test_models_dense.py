"""Networks that score every pixel, and those of a pattern."""

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import init, layers, models, no_grad
from fastconv.errors import ShapeError
from fastconv.models import from_pattern


def image(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "parameters"), [("fcn32s", 136152917), ("fcn16s", 134815994), ("fcn8s", 134489759)])
def test_fcn_scores_every_pixel(name, parameters):
    with init.skipped():
        model = models.create(name)
        assert count(model) == parameters
        vgg = {key for key in models.create("vgg16").state_dict() if key.startswith("features.")}
    assert vgg == {key for key in model.state_dict() if key.startswith("features.")}
    with no_grad():
        for size in ((37, 52), (64, 21)):
            assert model.eval()(image(1, 3, *size)).shape == (1, 21, *size)
    model.replace_head(3)
    assert model(image(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_crops_are_where_the_pixels_are():
    """One pixel of the pool's maps, enlarged, lies over the pixels it is made of."""
    for stride, before in ((32, 19), (16, 27), (8, 31)):
        layer = layers.ConvTranspose2d(1, 1, 2 * stride, stride, bias=False)
        init.bilinear_(layer.weight)
        # The fully connected layers see 7 x 7 of the maps of stride 32; finer scores begin 5, then 9 of theirs later.
        first = 100 - {32: 96, 16: 80, 8: 72}[stride]
        place = 8
        maps = np.zeros((1, 1, 20, 20), np.float32)
        maps[0, 0, place, place] = 1
        enlarged = layer(maps).detach().numpy()[0, 0]
        centre = (np.arange(enlarged.shape[0]) * enlarged.sum(1)).sum() / enlarged.sum() - before
        field = place * stride + stride / 2 - 0.5 - first  # the middle of the pixels that the pools joined
        assert abs(centre - field) <= stride / 2, stride


def test_unet_has_the_papers_sizes():
    with init.skipped():
        assert count(models.create("unet")) == 31030658
        small = models.create("unet", width=2)
        padded = models.create("unet", 5, variant="padded", in_channels=3, width=2)
    with no_grad():
        assert small(image(1, 1, 572, 572)).shape == (1, 2, 388, 388)
        assert padded(image(2, 3, 48, 32)).shape == (2, 5, 48, 32)


def test_unet_learns_where():
    model = models.create("unet", variant="padded", width=4, rng=0)
    x = image(1, 1, 32, 32)
    labels = (x[:, 0] > 0).astype(np.int64)
    loss = F.cross_entropy(model(x), labels)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_patterns():
    def kinds(pattern, **options):
        model = from_pattern(pattern, rng=0, **options)
        return [type(layer).__name__ for part in (model.features, model.classifier) for layer in part]

    assert kinds("fc") == ["Linear"]
    assert kinds("INPUT -> CONV -> RELU -> FC") == ["Conv2d", "ReLU", "Linear"]
    assert kinds("[conv-norm-relu]*2-pool-[fc-relu-dropout]-fc") == [
        *["Conv2d", "BatchNorm2d", "ReLU"] * 2,
        "MaxPool2d",
        *["Linear", "ReLU", "Dropout", "Linear"],
    ]
    assert kinds("[[conv]*2-pool]*3-fc") == [*["Conv2d", "Conv2d", "MaxPool2d"] * 3, "Linear"]
    model = from_pattern(
        "[conv-pool]*2-fc-fc", 4, input_shape=(1, 28, 28), filters=[6, 16], hidden=[9], kernel_size=5, rng=0
    )
    shapes = [p.shape for p in model.parameters() if p.ndim > 1]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5), (9, 16 * 49), (4, 9)]
    model.replace_head(2)
    assert model(image(3, 1, 28, 28)).shape == (3, 2)


@pytest.mark.parametrize(
    ("pattern", "error", "match"),
    [
        ("conv-relu", ValueError, "must end with fc"),
        ("", ValueError, "must end with fc"),
        ("conv--fc", ValueError, "cannot be read near"),
        ("[conv-fc", ValueError, "cannot be read near"),
        ("conv]-fc", ValueError, "cannot be read near"),
        ("[conv]*x-fc", ValueError, "cannot be read near"),
        ("[]*3-fc", ValueError, "cannot be read near"),
        ("conv fc", ValueError, "cannot be read near 'conv fc'"),
        ("tanh-fc", ValueError, "cannot be read near"),
        ("fc-conv-fc", ValueError, "nothing but fc, relu and dropout"),
        ("[conv]*1000000000-fc", ValueError, "may have 2000 layers"),
        ("[[[[relu]*999]*999]*999]*999-fc", ValueError, "may have 2000 layers"),
        ("[pool]*6-fc", ShapeError, "32 x 32 are too small"),
        (3, TypeError, "must be a string"),
    ],
)
def test_patterns_that_do_not_follow_the_grammar(pattern, error, match):
    with pytest.raises(error, match=match):
        from_pattern(pattern)


def test_widths_must_fit_the_pattern():
    with pytest.raises(ValueError, match="filters must have 2 numbers, one for each conv, got 1"):
        from_pattern("[conv]*2-fc", filters=[3])
    with pytest.raises(ValueError, match="hidden must have 0 numbers, one for each fc, got 1"):
        from_pattern("fc", hidden=[3])
    with pytest.raises(ValueError, match="kernel_size must be odd"):
        from_pattern("conv-fc", kernel_size=2)
    with pytest.raises(TypeError, match="filters must be an int"):
        from_pattern("conv-fc", filters=2.5)
