"""Drawings of networks and of what they make of images."""

from itertools import pairwise

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import visualize
from fastconv.errors import ShapeError
from fastconv.graph import trace
from fastconv.graph.outline import outline
from fastconv.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from fastconv.models import lenet5
from fastconv.visualize._layout import arrange


class Block(Module):
    def __init__(self, channels=8):
        self.body = Sequential(Conv2d(channels, channels, 3, padding=1, rng=0), BatchNorm2d(channels), ReLU())
        self.last = Conv2d(channels, channels, (1, 3), padding=(0, 1), dilation=1, groups=channels, rng=0)

    def forward(self, x):
        return (self.last(self.body(x)) + x).relu()


class Inception(Module):
    def __init__(self, channels=8):
        self.short = Conv2d(channels, 4, 1, rng=0)
        self.long = Sequential(Conv2d(channels, 4, 1, rng=0), Conv2d(4, 4, 5, padding=2, rng=0))

    def forward(self, x):
        return F.cat((self.short(x), self.long(x)), 1)


def network():
    head = (AdaptiveAvgPool2d(1), Flatten(), Dropout(0.5), Linear(8, 3, rng=0))
    return Sequential(Conv2d(3, 8, 7, 2, 3, rng=0), MaxPool2d(3, 2, 1), Block(), Inception(), *head)


def saved(path):
    from PIL import Image

    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("L"))
    assert len(np.unique(pixels)) > 3  # something was drawn
    return pixels


def test_boxes_and_where_they_come_from():
    model = network()
    boxes = outline(trace(model.eval(), (1, 3, 32, 32)), model)
    found = [(box.lines, box.kind, box.shape[1:], [boxes.index(source) for source in box.sources]) for box in boxes]
    assert found == [
        (["input"], "input", (3, 32, 32), []),
        (["7x7 conv, 8, /2"], "conv", (8, 16, 16), [0]),
        (["3x3 max pool, /2"], "pool", (8, 8, 8), [1]),
        (["3x3 conv, 8", "norm", "ReLU"], "conv", (8, 8, 8), [2]),
        (["1x3 depthwise conv, 8"], "conv", (8, 8, 8), [3]),
        (["+", "ReLU"], "join", (8, 8, 8), [4, 2]),
        (["1x1 conv, 4"], "conv", (4, 8, 8), [5]),
        (["1x1 conv, 4"], "conv", (4, 8, 8), [5]),
        (["5x5 conv, 4"], "conv", (4, 8, 8), [7]),
        (["concatenate"], "join", (8, 8, 8), [6, 8]),
        (["mean over the map", "dropout"], "pool", (8, 1, 1), [9]),
        (["linear, 3"], "linear", (3,), [10]),
    ]
    assert [box.level for box in boxes] == [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10]


def test_lenet_of_1998_as_boxes():
    model = lenet5("1998", rng=0)
    boxes = outline(trace(model.eval(), (1, 1, 32, 32)), model)
    assert [(box.lines[0], box.kind, box.shape[1:]) for box in boxes[2:5]] == [
        ("2x2 trainable pool, /2", "pool", (6, 14, 14)),
        ("5x5 conv, 16", "conv", (16, 10, 10)),
        ("2x2 trainable pool, /2", "pool", (16, 5, 5)),
    ]
    assert (boxes[-1].lines, boxes[-1].kind, boxes[-1].shape) == (["RBF, 10"], "linear", (1, 10))


def test_blocks_as_boxes():
    model = network()
    boxes = outline(trace(model.eval(), (1, 3, 32, 32)), model, depth=1)
    assert [(box.path, box.lines[0], box.kind) for box in boxes if box.kind == "block"] == [
        ("2", "Block", "block"),
        ("3", "Inception", "block"),
    ]
    assert len(boxes) == 7


def test_places_do_not_overlap():
    model = Sequential(*(Sequential(Block(), Inception()) for _ in range(12)))
    levels, edges = arrange(outline(trace(model.eval(), (1, 8, 8, 8)), model))
    assert len(edges) > 1  # more than fits below each other
    assert all(left < right for left, right in edges)
    for row in levels:
        for left, right in pairwise(row):
            assert left.x + left.width / 2 < right.x - right.width / 2
        for place in row:
            assert edges[place.column][0] <= place.x <= edges[place.column][1]
            assert all(source.level == place.level - 1 for source in place.sources)


def test_architecture(tmp_path):
    figure = visualize.architecture(network(), (3, 32, 32), path=tmp_path / "net.png")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0].startswith("Sequential, ")
    assert "7x7 conv, 8, /2" in texts
    assert "8 x 16 x 16" in texts
    saved(tmp_path / "net.png")


def test_a_large_network_is_drawn_by_its_blocks():
    model = Sequential(*(Sequential(*(Conv2d(2, 2, 1, rng=0) for _ in range(30))) for _ in range(4)))
    texts = [text.get_text() for text in visualize.architecture(model, (2, 4, 4)).axes[0].texts]
    assert [text for text in texts if text.startswith("Sequential  ")] == [f"Sequential  {i}" for i in range(4)]


def test_filters(tmp_path):
    model = lenet5(rng=0)
    figure = visualize.filters(model, path=tmp_path / "first.png")
    assert figure.texts[0].get_text() == "features.0: 6 filters of 1 x 5 x 5"
    saved(tmp_path / "first.png")
    figure = visualize.filters(model, "features.3", limit=4)
    assert figure.texts[0].get_text() == "features.3: 16 filters of 6 x 5 x 5, the first 4"
    drawn = figure.axes[0].images[0].get_array()
    assert np.isclose(np.nanmax(np.abs(drawn)), np.abs(model.features[3].weight.numpy()[:4]).max())
    with pytest.raises(
        ValueError, match=r"'features\.1' is no Conv2d of this network; there are features\.0, features\.3"
    ):
        visualize.filters(model, "features.1")
    with pytest.raises(ValueError, match="there are none"):
        visualize.filters(Linear(2, 2))


def test_filters_in_colour():
    model = Conv2d(3, 2, 5, bias=False, rng=0)
    weight = np.zeros((2, 3, 5, 5), np.float32)
    weight[1, 0] = 2
    model.weight.assign(weight)
    drawn = visualize.filters(model).axes[0].images[0].get_array()
    assert np.allclose(drawn[0, 0], 0.5)  # a filter of zeros is grey
    assert np.allclose(drawn[0, -1], (1, 0.5, 0.5))


def test_feature_maps(tmp_path):
    model = lenet5(rng=0)
    image = np.random.default_rng(0).random((1, 28, 28))
    figure = visualize.feature_maps(model, image, ["features.0", "features.5"], path=tmp_path / "maps.png")
    assert [t.get_text() for t in figure.axes[0].texts] == [
        "features.0: Conv2d, 6 x 28 x 28",
        "features.5: MaxPool2d, 16 x 5 x 5",
    ]
    saved(tmp_path / "maps.png")
    assert model.training
    assert not model.features[0]._forward_hooks
    with pytest.raises(ValueError, match="no layer 'nose'"):
        visualize.feature_maps(model, image, ["features.0", "nose"])
    assert not model.features[0]._forward_hooks
    with pytest.raises(ShapeError, match="makes \\(1, 120\\), no maps"):
        visualize.feature_maps(model, image, ["classifier.1"])
    with pytest.raises(ShapeError, match="image must be"):
        visualize.feature_maps(model, np.zeros((28, 28)), ["features.0"])
    with pytest.raises(ValueError, match="layers must be a list"):
        visualize.feature_maps(model, image, "features.0")


def test_receptive_field(tmp_path):
    model = Sequential(Conv2d(1, 2, 3, padding=1, rng=0), MaxPool2d(2), Conv2d(2, 2, 3, padding=1, rng=0))
    image = np.random.default_rng(0).random((1, 20, 30))
    figure = visualize.receptive_field(model, "2", (4, 5), image, path=tmp_path / "field.png")
    assert figure.texts[0].get_text() == "2, element (4, 5): sees 8 x 8 pixels, 2 from one to the next"
    saved(tmp_path / "field.png")
    box = figure.axes[0].patches[0]
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (7, 5, 8, 8)
    assert box.get_linestyle() == "-"
    photograph = np.full((20, 30, 3), (255, 0, 51), np.uint8)
    drawn = visualize.receptive_field(model, "2", (4, 5), image, shown=photograph).axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn[3, 4], (1, 0, 0.2))
    with pytest.raises(ShapeError, match=r"shown must be uint8 of shape \(20, 30, 3\) or \(20, 30\), got float64 of"):
        visualize.receptive_field(model, "2", (4, 5), image, shown=photograph / 255)
    beyond = visualize.receptive_field(model, "2", (0, 0), (1, 20, 30)).axes[0].patches
    assert beyond[0].get_linestyle() == "--"
    assert (beyond[0].get_x(), beyond[1].get_x()) == (-3, 0)


class Corner(Module):
    """Scores that grow with what is in the upper left quarter, and with what is not there."""

    def __init__(self):
        self.pool = AvgPool2d(4)
        self.weight = Linear(4, 2, bias=False)
        self.weight.weight.assign(np.array([[1, 0, 0, 0], [-1, 0, 0, 0]], np.float32))

    def forward(self, x):
        return self.weight(self.pool(x).flatten(1))


def test_grad_cam_finds_the_evidence(tmp_path):
    model = Corner()
    image = np.zeros((1, 8, 8), np.float32)
    image[0, :4, :4] = 1
    heat, target = visualize.activation_map(model, image)
    assert target == 0
    assert heat.argmax() == 0
    assert heat[0, 0] > 0
    assert not visualize.activation_map(model, image, target=1)[0].any()
    assert all(parameter.grad is None for parameter in model.parameters())
    figure = visualize.grad_cam(
        model, image, classes=["there", "not there"], path=tmp_path / "cam.png", shown=np.full((8, 8), 255, np.uint8)
    )
    assert (figure.axes[0].images[0].get_array() == 1).all()
    assert figure.texts[0].get_text() == "Evidence for there"
    saved(tmp_path / "cam.png")
    with pytest.raises(ShapeError, match="target must be below 2"):
        visualize.activation_map(model, image, target=2)
    with pytest.raises(ValueError, match="no layer 'nose'"):
        visualize.activation_map(model, image, layer="nose")
    with pytest.raises(ShapeError, match="must make maps"):
        visualize.activation_map(model, image, layer="weight")


def test_grad_cam_is_the_papers_formula():
    """Against the formula, with gradients by central differences."""
    model = lenet5(rng=0).double().eval()
    image = np.random.default_rng(0).random((1, 1, 28, 28))
    heat, target = visualize.activation_map(model, image, layer="features.4")
    maps = image
    for layer in model.features[:5]:
        maps = layer(maps)
    maps = maps.data
    slopes = np.zeros(16)
    for channel in range(16):
        for sign in (1, -1):
            moved = maps.copy()
            moved[0, channel] += sign * 1e-6
            slopes[channel] += (
                sign * model.classifier(model.features[5](moved)).data[0, target] / 2e-6 / maps[0, 0].size
            )
    expected = np.maximum(np.tensordot(slopes, maps[0], 1), 0)
    np.testing.assert_allclose(heat, expected, rtol=1e-3, atol=1e-6 * expected.max())
