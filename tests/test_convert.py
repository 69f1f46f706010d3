"""Layers as others that compute the same."""

import copy
import sys

import numpy as np
import pytest

from fastconv import layers as L
from fastconv import no_grad
from fastconv.errors import MissingExtraError, ShapeError
from fastconv.layers import (
    Sequential,
    conv2d_to_linear,
    conv2d_to_matrix,
    linear_to_conv2d,
    pool2d_to_matrix,
    to_convolutional,
    to_fully_connected,
)
from fastconv.models import alexnet, lenet5, vgg11
from tests.helpers import randn


def close(found, expected, limit=1e-5):
    found, expected = (np.asarray(x.detach() if hasattr(x, "detach") else x) for x in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=limit, atol=limit)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_to_conv2d_and_back(bias):
    linear = L.Linear(48, 5, bias=bias, rng=0)
    conv = linear_to_conv2d(linear, (3, 4, 4))
    x = randn(2, 3, 4, 4, dtype=np.float32)
    close(conv(x).flatten(1), linear(x.reshape(2, -1)))
    again = conv2d_to_linear(conv)
    for name, parameter in linear.state_dict().items():
        assert np.array_equal(again.state_dict()[name], parameter)
    assert conv(randn(1, 3, 6, 9, dtype=np.float32)).shape == (1, 5, 3, 6)
    point = linear_to_conv2d(linear)
    close(point(x.reshape(2, 48, 1, 1)).flatten(1), linear(x.reshape(2, -1)))


def test_what_has_no_such_form():
    with pytest.raises(ShapeError, match="do not have the 48 elements"):
        linear_to_conv2d(L.Linear(48, 5, rng=0), (3, 4, 5))
    for conv in (L.Conv2d(2, 2, 3, padding=1, rng=0), L.Conv2d(2, 2, 3, groups=2, rng=0)):
        with pytest.raises(ValueError, match="without padding and groups"):
            conv2d_to_linear(conv)
    with pytest.raises(TypeError, match="no convolutional form"):
        to_convolutional(Sequential(L.Flatten(), L.Softmax(dim=1)), (1, 4, 4))
    with pytest.raises(TypeError, match="no convolutional form"):
        to_convolutional(Sequential(L.AdaptiveAvgPool2d(2)), (1, 5, 5))
    with pytest.raises(TypeError, match="does not compute sums"):
        to_fully_connected(Sequential(L.LPPool2d(2, 2)), (1, 4, 4))


@pytest.mark.parametrize("variant", ["modern", "classic"])
def test_lenet_slides_over_a_larger_image(variant):
    network = lenet5(variant=variant, rng=0).eval()
    sliding = to_convolutional(network, (1, 28, 28)).eval()
    assert not any(isinstance(layer, (L.Linear, L.Flatten)) for layer in sliding)
    x = randn(2, 1, 28, 40, dtype=np.float32)
    out = sliding(x)
    assert out.shape == (2, 10, 1, 4)
    # The first layer pads: at the left border as the network did, further on it sees the image itself.
    inner = Sequential(*list(sliding)[1:])
    features = sliding[0](x)
    for step in range(4):
        here = np.ascontiguousarray(features.detach().numpy()[..., 4 * step : 4 * step + 28])
        close(out.detach().numpy()[..., step], inner(here).detach().numpy()[..., 0])
    close(sliding(x[..., :28]).flatten(1), network(x[..., :28]))


def test_a_global_average_becomes_a_window():
    network = Sequential(L.Conv2d(1, 4, 3, rng=0), L.ReLU(), L.AdaptiveAvgPool2d(1), L.Flatten(), L.Linear(4, 3, rng=0))
    sliding = to_convolutional(network, (1, 8, 8))
    x = randn(1, 1, 10, 9, dtype=np.float32)
    out = sliding(x).detach().numpy()
    assert out.shape == (1, 3, 3, 2)
    for y in range(3):
        for i in range(2):
            close(out[..., y, i], network(np.ascontiguousarray(x[..., y : y + 8, i : i + 8])))


def test_features_pool_and_classifier():
    class Net(L.Module):
        def __init__(self):
            self.features = Sequential(L.Conv2d(1, 4, 3, rng=0), L.ReLU())
            self.avgpool = L.AdaptiveAvgPool2d(6)
            self.classifier = Sequential(L.Dropout(), L.Linear(144, 8, rng=1), L.ReLU(), L.Linear(8, 3, rng=2))

        def forward(self, x):
            return self.classifier(self.avgpool(self.features(x)).flatten(1))

    network = Net().eval()
    sliding = to_convolutional(network, (1, 8, 8)).eval()
    x = randn(2, 1, 8, 8, dtype=np.float32)
    close(sliding(x).flatten(1), network(x))
    assert sliding(randn(1, 1, 12, 8, dtype=np.float32)).shape == (1, 3, 5, 1)


@pytest.mark.parametrize("make", [alexnet, vgg11])
def test_classifiers_take_larger_images(make):
    network = make(5, rng=0).eval()
    sliding = linear_to_conv2d(network).eval()
    x = randn(1, 3, 288, 224, dtype=np.float32)
    assert sliding(x).shape == (1, 5, 3, 1)
    close(sliding(x[:, :, :224]).flatten(1), network(x[:, :, :224]))


def test_a_network_without_the_size_of_its_images():
    network = Sequential(
        *(L.Conv2d(1, 4, 3, rng=0), L.GELU(), L.Flatten()),
        *(L.Linear(144, 8, rng=1), L.LeakyReLU(), L.Linear(8, 3, rng=2)),
    )
    x = randn(2, 1, 8, 8, dtype=np.float32)
    close(linear_to_conv2d(network)(x).flatten(1), network(x))
    with pytest.raises(ValueError, match="a global average needs input_shape"):
        linear_to_conv2d(Sequential(L.AdaptiveAvgPool2d(1), L.Flatten(), L.Linear(4, 3, rng=0)))
    with pytest.raises(ValueError, match="no square maps of 4 channels; give input_shape"):
        linear_to_conv2d(Sequential(L.Conv2d(1, 4, 3, rng=0), L.Flatten(), L.Linear(24, 3, rng=0)))
    with pytest.raises(TypeError, match="must be a Module, got int"):
        linear_to_conv2d(3)
    with pytest.raises(TypeError, match=r"Softmax.* has no convolutional form"):
        linear_to_conv2d(Sequential(L.Flatten(), L.Linear(4, 3, rng=0), L.Softmax(dim=1)))


NETWORKS = {
    "convolutions": [L.Conv2d(2, 3, 3, padding=1, rng=0), L.Tanh(), L.Conv2d(3, 2, 2, stride=2, dilation=2, rng=1)],
    "groups": [L.Conv2d(2, 4, 3, groups=2, padding=2, padding_mode="reflect", bias=False, rng=0), L.Sigmoid()],
    "maxima": [L.Conv2d(2, 3, 3, rng=0), L.MaxPool2d(3, 2, 1, ceil_mode=True), L.ReLU(), L.Flatten()],
    "averages": [L.AvgPool2d(3, 2, 1, count_include_pad=False), L.GaussianPool2d(2, 0.8)],
    "adaptive": [L.ReLU(), L.AdaptiveAvgPool2d(3), L.ZeroPad2d(1), L.Flatten(), L.Linear(50, 4, rng=0)],
    "learned": [L.TrainablePool2d(2, 2), L.Tanh(), L.WeightedPool2d(2), L.Upsample(scale_factor=2)],
    "normalised": [L.Conv2d(2, 3, 3, rng=0), L.BatchNorm2d(3)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_written_out(name):
    network = Sequential(*NETWORKS[name]).eval()
    plain = to_fully_connected(network, (2, 8, 7))
    x = randn(3, 2, 8, 7, dtype=np.float32)
    close(plain(x), network(x).flatten(1))
    close(plain(x.reshape(3, -1)), network(x).flatten(1))
    for layer in plain:
        assert type(layer) in (L.Flatten, L.Linear, L.Tanh, L.Sigmoid, L.ReLU) or layer.count == 9


HEADS = {
    "softmax": [L.Conv2d(2, 3, 3, rng=0), L.ReLU(), L.Flatten(), L.Linear(90, 4, rng=1), L.Softmax(1)],
    "slopes": [L.Conv2d(2, 3, 3, rng=0), L.PReLU(3), L.Flatten(), L.Linear(90, 4, rng=1), L.PReLU(4), L.LogSoftmax(-1)],
    "lenet": [
        *(L.Conv2d(2, 3, 3, rng=0), L.TrainablePool2d(3, 2, activation=L.ScaledTanh()), L.Flatten()),
        *(L.Linear(18, 84, rng=1), L.ScaledTanh(), L.RBF()),
    ],
    "maxout": [L.AvgPool2d(2), L.Flatten(), L.Maxout(L.Linear(24, 8, rng=0), 2), L.LayerNorm(4)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HEADS)
def test_a_network_written_out_with_its_head(name, dtype):
    network = Sequential(*copy.deepcopy(HEADS[name])).to(dtype).eval()
    for layer in network.modules():
        if isinstance(layer, L.PReLU):
            layer.weight.assign(np.linspace(0.1, 0.5, layer.num_parameters).astype(dtype))
    x = randn(3, 2, 8, 7, dtype=dtype)
    with no_grad():
        out, expected = to_fully_connected(network, (2, 8, 7)).eval()(x).numpy(), network(x).numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-5)


def test_conversions_keep_float64():
    conv = L.Conv2d(2, 3, 3, padding=1, rng=0).double()
    x = randn(1, 2, 5, 4)
    network = Sequential(conv, L.ReLU(), L.Flatten(), L.Linear(60, 4, rng=1).double())
    sliding = linear_to_conv2d(network, (2, 5, 4))
    close(sliding(x).flatten(1), network(x), 1e-12)
    pytest.importorskip("scipy")
    matrix, offset = conv2d_to_matrix(conv, (2, 5, 4))
    close(matrix @ x.ravel() + offset, conv(x).detach().numpy().ravel(), 1e-12)


def test_winograd_leaves_no_dust():
    plain = to_fully_connected(
        Sequential(L.Conv2d(32, 32, 3, padding=1, bias=False, algorithm="winograd", rng=0)), (32, 4, 4)
    )
    assert (plain[1].weight.numpy() != 0).mean() < 9 / 16


@pytest.mark.parametrize("bias", [True, False])
def test_conv2d_to_matrix(bias):
    pytest.importorskip("scipy")
    conv = L.Conv2d(3, 4, 3, stride=2, padding=1, bias=bias, rng=0)
    matrix, offset = conv2d_to_matrix(conv, (3, 8, 7))
    x = randn(3, 8, 7, dtype=np.float32)
    close(matrix @ x.ravel() + offset, conv(x).flatten())
    assert set(np.unique(matrix.data)) == set(np.unique(conv.weight.numpy()))
    assert matrix.shape == (4 * 4 * 4, 3 * 8 * 7)
    linear = conv2d_to_linear(linear_to_conv2d(L.Linear(168, 4, rng=0), (3, 8, 7)))
    close(matrix.toarray()[:1] @ x.ravel(), (matrix @ x.ravel())[:1])
    assert linear.weight.shape == (4, 168)


@pytest.mark.parametrize(
    "pool",
    [
        L.MaxPool2d(3, 2, 1),
        L.MaxPool2d(2, ceil_mode=True),
        L.MaxPool2d(2, 1, 1, 2),
        L.AvgPool2d(3, 2, 1),
        L.GaussianPool2d(3, 1.0),
    ],
    ids=repr,
)
def test_pool2d_to_matrix(pool):
    pytest.importorskip("scipy")
    x = randn(2, 8, 7, dtype=np.float32)
    found = pool2d_to_matrix(pool, (2, 8, 7)) @ x.ravel()
    expected = pool(x).flatten()
    if isinstance(pool, L.MaxPool2d):
        found = found.reshape(len(expected), -1).max(1)
    close(found, expected)


def test_scipy_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtraError, match=r"fastconv\[sparse\]"):
        conv2d_to_matrix(L.Conv2d(1, 1, 3, rng=0), (1, 4, 4))
