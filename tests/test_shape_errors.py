"""Shape errors say where, what was expected, what was given and, after a semicolon, what would most likely help."""

import re

import numpy as np
import pytest

from fastconv import layers as L
from fastconv.errors import ShapeError

CASES = [
    ("Conv2d", (3, 4, 3), (1, 4, 5, 5), "in_channels=4"),
    ("Conv2d", (3, 4, 7), (1, 3, 5, 5), "larger images"),
    ("Conv2d", (3, 4, 3), (5, 5), "1 axis"),
    ("MaxPool1d", (9,), (1, 2, 5), "larger images"),
    ("MaxPool2d", (2,), (2, 3), "1 axis"),
    ("MaxPool2d", (5,), (1, 1, 3, 3), "smaller kernel_size"),
    ("AvgPool2d", (2,), (1, 1, 2, 2, 2), "leave 4 axes"),
    ("AvgPool3d", (3,), (1, 1, 2, 4, 4), "larger images"),
    ("AdaptiveAvgPool2d", (2,), (2, 3), "1 axis"),
    ("LPPool2d", (2, 2), (2, 3), "1 axis"),
    ("GaussianPool2d", (3, 1.0), (1, 2, 2), "larger images"),
    ("TrainablePool2d", (4, 2), (1, 3, 4, 4), "channels=3"),
    ("WeightedPool2d", (3,), (1, 3, 2, 2), "larger images"),
    ("StochasticPool2d", (2,), (3,), "2 axes"),
    ("MixedPool2d", (2,), (3,), "2 axes"),
    ("BatchNorm2d", (4,), (1, 3, 4, 4), "num_features=3"),
    ("BatchNorm2d", (4,), (3, 4), "2 axes"),
    ("BatchNorm1d", (4,), (1, 4), "larger batch"),
    ("GroupNorm", (2, 4), (1, 3, 4, 4), "num_channels=3"),
    ("LayerNorm", (4,), (2, 3), r"normalized_shape=\(3,\)"),
    ("LayerNorm", ((3, 4),), (4,), "fewer axes"),
    ("InstanceNorm2d", (3,), (1, 3, 1, 1), "larger images"),
    ("LocalResponseNorm", (5,), (3, 4), "1 axis"),
    ("PReLU", (4,), (1, 3, 4, 4), "num_parameters=3"),
    ("Flatten", (), (3,), "last axis"),
    ("Unflatten", (1, (3, 4)), (2, 10), "-1"),
    ("ReflectionPad2d", (3,), (1, 1, 3, 3), "pad less"),
    ("CircularPad2d", (4,), (1, 1, 3, 3), "pad less"),
    ("ReplicationPad1d", (-2,), (1, 1, 3), "take less away"),
    ("ZeroPad2d", (-2,), (1, 1, 3, 3), "take less away"),
    ("ZeroPad2d", (1,), (3, 3), "1 axis"),
    ("CenterCrop", (5,), (1, 1, 3, 3), r"at most \(3, 3\)"),
    ("ChannelShuffle", (2,), (1, 3, 4, 4), "divide"),
    ("PixelShuffle", (2,), (1, 3, 4, 4), "4 channels"),
    ("PixelUnshuffle", (2,), (1, 3, 3, 4), "pad or crop"),
    ("Upsample", (4, None, "bilinear"), (1, 3, 4), "'linear'"),
    ("Upsample", (None, 0.1), (1, 3, 4), "larger factor"),
    ("Linear", (27, 2), (2, 3, 3, 3), "Flatten"),
    ("RBF", (), (2, 80), "in_features=80"),
    ("Dropout2d", (), (2, 8), "1 axis"),
    ("Softmax", (3,), (2, 3), "last axis"),
]


@pytest.mark.parametrize(("name", "arguments", "shape", "remedy"), CASES)
def test_layers_in_a_network(name, arguments, shape, remedy):
    network = L.Sequential(L.Identity(), L.Sequential(L.Identity(), getattr(L, name)(*arguments)))
    with pytest.raises(ShapeError, match=rf"^1\.1: .*\d.*; .*{remedy}"):
        network(np.zeros(shape, np.float32))


class Merge(L.Module):
    def __init__(self, merge):
        self.merge = merge

    def forward(self, x):
        return self.merge(x, x[:, :, 1:])


@pytest.mark.parametrize(("merge", "remedy"), [(L.Concat(), "one stride"), (L.Add(), "must be equal")])
def test_branches_that_do_not_fit(merge, remedy):
    with pytest.raises(ShapeError, match=rf"^0\.merge: .*{re.escape('(1, 2, 4, 4)')}.*; .*{remedy}"):
        L.Sequential(Merge(merge))(np.zeros((1, 2, 4, 4), np.float32))


def test_a_signal_is_not_said_to_be_an_image():
    with pytest.raises(ShapeError, match=r"max_pool1d: kernel_size \(9,\) with dilation \(1,\) spans 9 pixels"):
        L.MaxPool1d(9)(np.zeros((1, 2, 5), np.float32))
