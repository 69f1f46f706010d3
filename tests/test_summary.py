"""Summaries: what layers hold, cost and remember."""

import json

import numpy as np
import pytest

import fastconv
from fastconv.errors import ShapeError
from fastconv.graph import trace
from fastconv.graph._table import amount
from fastconv.graph.cost import peak_bytes
from fastconv.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential
from fastconv.models import lenet5

VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")


class Blank(Linear):
    """A fully connected layer whose weights cost no time."""

    def __init__(self, inputs, outputs):
        self.weight = fastconv.Parameter(np.zeros((outputs, inputs), np.float32))
        self.bias = fastconv.Parameter(np.zeros(outputs, np.float32))


@pytest.fixture(scope="module")
def vgg16():
    layers, channels = [], 3
    for width in VGG16:
        layers.append(MaxPool2d(2) if width == "pool" else Conv2d(channels, width, 3, padding=1, rng=0))
        channels = channels if width == "pool" else width
        if width != "pool":
            layers.append(ReLU())
    classifier = [Flatten(), Blank(25088, 4096), ReLU(), Blank(4096, 4096), ReLU(), Blank(4096, 1000)]
    return Sequential(*layers, *classifier)


def test_the_classical_table_of_vgg16(vgg16):
    found = fastconv.summary(vgg16, (3, 224, 224))
    conv1, fc1 = found.rows[0], next(row for row in found.rows if row.kind == "Blank")
    assert conv1.output_shape == (1, 64, 224, 224)
    assert np.prod(conv1.output_shape) == 3_211_264
    assert fc1.parameters - 4096 == 102_760_448
    assert found.totals.parameters == 138_357_544
    assert found.totals.macs == 15_470_264_320  # as torchvision publishes it
    pools = [row for row in found.rows if row.kind == "MaxPool2d"]
    assert [row.output_shape[1:] for row in pools] == [
        (64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7),
    ]  # fmt: skip
    assert pools[-1].receptive_field.size == (212, 212)
    assert found.totals.parameter_bytes == 4 * 138_357_544


def test_lenet_of_1998_has_the_parameters_of_the_paper():
    rows = {row.path: (row.kind, row.parameters) for row in fastconv.summary(lenet5("1998", rng=0)).rows}
    assert rows["features.0"] == ("Conv2d", 156)
    assert rows["features.2"] == ("TrainablePool2d", 12)
    assert rows["features.3"] == ("TableConv2d", 1516)
    assert rows["features.5"] == ("TrainablePool2d", 32)
    assert rows["classifier.1"] == ("Linear", 48_120)
    assert rows["classifier.3"] == ("Linear", 10_164)


def test_a_row_for_each_layer():
    found = fastconv.summary(lenet5(rng=0), (1, 1, 28, 28))
    assert [row.path for row in found.rows] == [
        *(f"features.{i}" for i in range(6)),
        *(f"classifier.{i}" for i in range(6)),
    ]
    conv = found.rows[3]
    assert (conv.kind, conv.output_shape, conv.parameters, conv.macs) == ("Conv2d", (1, 16, 10, 10), 2416, 240_000)
    assert conv.activation_bytes == 6400
    assert (conv.receptive_field.size, conv.receptive_field.jump, conv.receptive_field.start) == (
        (14, 14),
        (2, 2),
        (5, 5),
    )
    flatten = found.rows[6]
    assert (flatten.kind, flatten.activation_bytes) == ("Flatten", 0)
    assert found.totals.parameters == found.totals.trainable == 61_706
    assert found.totals.unused == 0


def test_a_batch_costs_its_images():
    model = lenet5(rng=0)
    one, four = fastconv.summary(model, (1, 28, 28)).totals, fastconv.summary(model, (4, 1, 28, 28)).totals
    assert four.macs == 4 * one.macs
    assert four.activation_bytes == 4 * one.activation_bytes
    assert four.parameters == one.parameters


class Tied(Module):
    """One layer called twice, one never, one frozen, a sum by itself."""

    def __init__(self):
        self.layer = Linear(4, 4, rng=0)
        self.aside = Linear(4, 2, rng=0)
        self.frozen = Linear(4, 4, bias=False, rng=0).requires_grad_(False)

    def forward(self, x):
        return self.frozen(self.layer(self.layer(x)) + x)


def test_shared_frozen_and_unused_parameters():
    found = fastconv.summary(Tied(), (8, 4))
    assert [(row.path, row.kind, row.parameters, row.macs) for row in found.rows] == [
        ("layer", "Linear", 20, 128),
        ("layer", "Linear", 0, 128),
        ("", "add", 0, 0),
        ("frozen", "Linear", 16, 128),
    ]
    totals = found.totals
    assert (totals.parameters, totals.trainable, totals.unused) == (46, 30, 10)
    text = str(found)
    assert "30 of the parameters are trained" in text
    assert "10 of the parameters are in layers that were not called" in text


def test_memory():
    """Ten values, a view, a branch: what lives at the same time, counted by hand."""

    class Net(Module):
        def forward(self, x):  # 40 bytes
            y = x.exp()  # 80 with x
            z = y.reshape(2, 5).exp()  # 80: x is gone, y lives on through its view
            return z.reshape(10) + y  # 120

    graph = trace(Net(), (10,))
    assert peak_bytes(graph) == 120
    totals = fastconv.summary(Net(), (10,)).totals
    assert totals.forward_bytes == 120
    assert totals.activation_bytes == 4 * 40  # the input, y, z and the sum
    assert totals.training_bytes == 4 * 40 + 3 * 40  # gradients of the sum and of both its operands


def test_the_mode_is_left_as_it_was():
    model = Sequential(Dropout(0.5), Sequential(Dropout(0.5).eval()))
    found = fastconv.summary(model, (2, 3))
    assert [row.activation_bytes for row in found.rows] == [0, 0]
    assert model.training
    assert model[0].training
    assert not model[1][0].training


def test_other_dtypes():
    single, double = lenet5(rng=0), lenet5(rng=0).double()
    ours, theirs = (fastconv.summary(model, (1, 28, 28)).totals for model in (single, double))
    assert theirs.forward_bytes == 2 * ours.forward_bytes


def test_depth_joins_blocks():
    model = lenet5(rng=0)
    whole, joined = fastconv.summary(model, (1, 28, 28)), fastconv.summary(model, (1, 28, 28), depth=1)
    assert [(row.path, row.kind) for row in joined.rows] == [("features", "Sequential"), ("classifier", "Sequential")]
    assert joined.rows[0].output_shape == (1, 16, 5, 5)
    assert joined.totals == whole.totals
    assert sum(row.parameters for row in joined.rows) == 61_706
    with pytest.raises(ShapeError, match="summary: depth"):
        fastconv.summary(model, (1, 28, 28), depth=0)


def test_json_has_everything():
    found = fastconv.summary(lenet5(rng=0), (1, 28, 28))
    again = json.loads(json.dumps(found.to_dict()))
    assert again["input_shape"] == [1, 1, 28, 28]
    assert again["totals"]["parameters"] == 61_706
    assert again["rows"][0] == {
        "path": "features.0",
        "kind": "Conv2d",
        "output_shape": [1, 6, 28, 28],
        "parameters": 156,
        "macs": 117_600,
        "activation_bytes": 18_816,
        "receptive_field": {"size": [5, 5], "jump": [1.0, 1.0], "start": [0.5, 0.5]},
    }


def test_the_table():
    text = str(fastconv.summary(lenet5(rng=0), (1, 28, 28)))
    lines = text.splitlines()
    assert lines[0] == "lenet5, input 1 x 1 x 28 x 28"
    assert lines[4].split() == [
        "features.0",
        "Conv2d",
        "6",
        "x",
        "28",
        "x",
        "28",
        "156",
        "118",
        "k",
        "18.8",
        "kB",
        *"51",
        "0.5",
    ]
    assert "61,706 parameters (247 kB), 417 k multiply-adds" in text
    assert "all" in lines[10]


def test_amounts():
    shown = [amount(n) for n in (0, 999, 1000, 9994, 99_960, 999_600, 1_234_567, 12e9, 1e18)]
    assert shown == ["0", "999", "1.00 k", "9.99 k", "100 k", "1.00 M", "1.23 M", "12.0 G", "1000 P"]


def test_wrong_shapes_name_the_layer():
    with pytest.raises(ShapeError, match=r"^features\.0: conv2d: "):
        fastconv.summary(lenet5(rng=0), (3, 28, 28))
    with pytest.raises(ShapeError, match=r"^classifier\.1: linear: "):
        fastconv.summary(lenet5(rng=0), (1, 32, 32))
    with pytest.raises(TypeError, match="input must be a shape"):
        fastconv.summary(lenet5(rng=0), 28)
