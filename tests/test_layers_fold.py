"""Convolution and batch norm as one."""

import numpy as np
import pytest

from fastconv import models, no_grad
from fastconv.layers import BatchNorm2d, Conv2d, Hardswish, ReLU, ReLU6, Sequential
from fastconv.layers._fold import folded, normed
from tests.helpers import randn


def trained(channels, **options):
    norm = BatchNorm2d(channels, **options)
    rng = np.random.default_rng(0)
    norm.running_mean.data[...] = rng.standard_normal(channels)
    norm.running_var.data[...] = rng.uniform(0.5, 2, channels)
    if norm.weight is not None:
        norm.weight.assign(rng.uniform(0.5, 2, channels).astype(np.float32))
        norm.bias.assign(rng.standard_normal(channels).astype(np.float32))
    return norm.eval()


def close(found, expected):
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("act", [None, ReLU(), ReLU6(), Hardswish()])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"groups": 8}, {"stride": 2, "padding": 1}])
@pytest.mark.parametrize("affine", [True, False])
def test_one_convolution_does_it_all(act, options, affine):
    conv, norm = Conv2d(8, 16, 3, rng=0, **options), trained(16, affine=affine)
    x = randn(2, 8, 9, 9, dtype=np.float32)
    plain = norm(conv(x))
    added = randn(*plain.shape, dtype=np.float32)
    with no_grad():
        close(normed(conv, norm, x, act), act(plain) if act else plain)
        close(normed(conv, norm, x, act, added), act(plain + added) if act else plain + added)
        close(Sequential(conv, norm, *([act] if act else []))(x), act(plain) if act else plain)


def test_it_follows_every_change():
    conv, norm = Conv2d(3, 4, 3, rng=0), trained(4)
    x = randn(1, 3, 6, 6, dtype=np.float32)

    def check():
        expected = norm(conv(x))
        with no_grad():
            close(normed(conv, norm, x), expected)

    check()
    first = folded(conv, norm)
    assert folded(conv, norm) is first
    for change in (norm.running_mean, norm.running_var):
        change.data[1] += 1
        check()
    for parameter in (norm.weight, norm.bias, conv.bias, conv.weight):
        parameter.assign(parameter.numpy() * 2)
        check()
    assert folded(conv, norm) is not first


def test_nothing_is_folded_where_it_would_be_seen():
    conv, norm = Conv2d(3, 4, 3, rng=0), trained(4)
    x = randn(1, 3, 6, 6, dtype=np.float32)
    model, seen = Sequential(conv, norm, ReLU()), []
    assert normed(conv, norm, x).requires_grad
    assert not any(isinstance(key, tuple) and key[0] == "folded" for key in conv.weight.cache)
    with no_grad():
        norm.train()
        model(x)
        assert norm.num_batches_tracked.item() == 1
        norm.eval()
        handle = conv.register_forward_hook(lambda module, args, out: seen.append(out.shape))
        model(x)
        handle.remove()
    assert seen == [(1, 4, 4, 4)]
    assert not any(isinstance(key, tuple) and key[0] == "folded" for key in conv.weight.cache)


def test_a_scale_that_overflows_is_not_folded():
    conv, norm = Conv2d(3, 4, 3, rng=0), trained(4, eps=0.0)
    norm.running_var.data[2] = 0
    assert folded(conv, norm) is None
    x = randn(1, 3, 6, 6, dtype=np.float32)
    expected = norm(conv(x))
    with no_grad():
        np.testing.assert_array_equal(normed(conv, norm, x), expected.detach())


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v1", "efficientnet_lite0", "shufflenet_v2_x1_0"])
def test_networks_score_the_same(name):
    model = models.create(name, 10, rng=0).eval()
    x = randn(1, 3, 32, 32, dtype=np.float32)
    expected = model(x).detach().numpy()
    with no_grad():
        np.testing.assert_allclose(model(x), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
