"""Convolutions that write to a given place, and modules side by side that use it."""

import numpy as np
import pytest

from fastconv import Tensor, _kernels, models, no_grad
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.functional._conv2d import geometry
from fastconv.functional._sizes import Axis
from fastconv.layers import (
    BatchNorm2d,
    Branches,
    Conv2d,
    DepthwiseSeparableConv2d,
    Hardswish,
    Identity,
    MaxPool2d,
    ReLU,
    Sequential,
    SiLU,
)
from tests.helpers import DTYPES, randn


def _place(shape, dtype=np.float32, before=3, after=2):
    """A wider image of ones, and the channels of it that hold a result."""
    n, c, h, w = shape
    whole = _kernels.empty_channels_last((n, before + c + after, h, w), np.dtype(dtype))
    whole[...] = 1
    return whole, whole[:, before : before + c]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 5, 16, 40])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col", "winograd", "fft"])
def test_a_result_among_others(each_isa, algorithm, channels, dtype):
    x, weight = randn(2, 32, 18, 19, dtype=dtype), randn(channels, 32, 3, 3, dtype=dtype)
    bias, added = randn(channels, dtype=dtype), randn(2, channels, 18, 19, dtype=dtype)
    for more in ({}, {"residual": added, "activation": "relu"}):
        expected = F.conv2d(x, weight, bias, padding=1, algorithm=algorithm, **more).numpy()
        whole, place = _place(expected.shape, dtype)
        with no_grad():
            found = F.conv2d(x, weight, bias, padding=1, algorithm=algorithm, out=place, **more)
        assert found.numpy() is place
        np.testing.assert_array_equal(place, expected)
        np.testing.assert_array_equal(whole[:, :3], 1)
        np.testing.assert_array_equal(whole[:, 3 + channels :], 1)


def test_groups_and_a_place_in_the_input():
    x, weight = randn(1, 32, 9, 9, dtype=np.float32), randn(32, 1, 3, 3, dtype=np.float32)
    expected = F.conv2d(x, weight, padding=1, groups=32).numpy()
    np.testing.assert_array_equal(F.conv2d(x, weight, padding=1, groups=32, out=_place(x.shape)[1]), expected)
    own, dense = _kernels.channels_last(x), randn(32, 32, 1, 1, dtype=np.float32)
    expected = F.conv2d(own, dense).numpy()
    np.testing.assert_array_equal(F.conv2d(own, dense, out=own), expected)


def test_places_that_do_not_serve():
    x, weight = randn(1, 16, 6, 6, dtype=np.float32), Tensor(randn(20, 16, 1, 1, dtype=np.float32), requires_grad=True)
    good = _place((1, 20, 6, 6))[1]
    with pytest.raises(ValueError, match=r"conv2d: out takes no result whose gradient is wanted; use no_grad\(\)"):
        F.conv2d(x, weight, out=good)
    np.testing.assert_array_equal(good, 1)
    fixed = good.copy()
    fixed.flags.writeable = False
    with no_grad():
        for error, wrong in [
            (ShapeError, _place((1, 21, 6, 6))[1]),
            (TypeError, good.astype(np.float64)),
            (TypeError, Tensor(good)),
            (TypeError, fixed),
            (ValueError, np.zeros((1, 20, 6, 6), np.float32)),
        ]:
            with pytest.raises(error, match="conv2d: out must"):
                F.conv2d(x, weight, out=wrong)
        with pytest.raises(ValueError, match="a batch"):
            F.conv2d(x[0], weight, out=np.zeros((20, 6, 6), np.float32))


def test_nothing_is_added_to_nothing():
    x, weight = _kernels.channels_last(randn(1, 16, 6, 6)), randn(20, 16, 1, 1)
    conv = geometry([Axis(6, 6, 1, 1, 1, 0, 0)] * 2, 1, (16, 20), 1)
    with pytest.raises(TypeError, match="no out to add to"):
        _kernels.conv2d(conv, x, _kernels.conv2d_pack(conv, weight), None, None, True)


def _rows():
    return {
        "narrow": Sequential(Conv2d(24, 16, 1, rng=0), BatchNorm2d(16), ReLU()),
        "plain": Conv2d(24, 40, 3, padding=1, rng=1),
        "deep": Sequential(Conv2d(24, 12, 1, rng=2), SiLU(), Conv2d(12, 20, 5, padding=2, rng=3), ReLU()),
        "few": Sequential(MaxPool2d(3, 1, 1), Sequential(Conv2d(24, 6, 1, rng=4), BatchNorm2d(6), Hardswish())),
        "apart": Sequential(DepthwiseSeparableConv2d(24, 32, 3, padding=1, rng=5), BatchNorm2d(32), ReLU()),
    }


@pytest.mark.parametrize("algorithm", ["im2col", "direct", "winograd", "fft"])
def test_a_gate_overwrites_the_result_of_every_algorithm(algorithm):
    conv, norm = Conv2d(16, 24, 3, padding=1, rng=0), BatchNorm2d(24).eval()
    conv.algorithm = algorithm
    x = randn(1, 16, 20, 20, dtype=np.float32)
    expected = SiLU()(norm(conv(x))).detach().numpy()
    with no_grad():
        np.testing.assert_allclose(Sequential(conv, norm, SiLU()).eval()(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("names", [["narrow", "plain", "deep"], ["plain", "few"], ["apart", "narrow"]])
def test_branches_side_by_side(names, training):
    rows = {name: row for name, row in _rows().items() if name in names}
    branches = Branches(rows).train(training)
    x = randn(2, 24, 14, 15, dtype=np.float32)
    expected = np.concatenate([row(x).detach().numpy() for row in rows.values()], 1)
    with no_grad():
        np.testing.assert_allclose(branches(x), expected, rtol=1e-5, atol=1e-5)
        seen = []
        first = next(iter(rows.values()))
        handle = first.register_forward_hook(lambda module, args, output: seen.append(output.shape))
        np.testing.assert_allclose(branches(x), expected, rtol=1e-5, atol=1e-5)
        handle.remove()
    assert len(seen) == 1
    learnt = branches(x)
    learnt.sum().backward()
    assert all(parameter.grad is not None for parameter in branches.parameters())


def test_branches_of_lists_and_of_one_image():
    branches = Branches({"a": Conv2d(2, 16, 1, rng=0), "b": Conv2d(2, 20, 1, rng=0)})
    x = randn(1, 2, 3, 4, dtype=np.float32)
    with no_grad():
        expected = branches(x).numpy()
        np.testing.assert_array_equal(branches(x.tolist()), expected)
        same = Branches({"a": Conv2d(2, 16, 1, rng=0), "b": Conv2d(2, 16, 1, rng=1)})
        rows = [branch(x[0]).numpy() for branch in same]
        np.testing.assert_array_equal(same(x[0]), np.concatenate(rows, 1))  # axis 1 of (C, H, W)


@pytest.mark.parametrize("dtype", DTYPES)
def test_branches_that_pool_or_pass_are_copied_beside(dtype):
    conv = Conv2d(16, 24, 3, padding=1, rng=0).to(dtype)
    branches = Branches({"pool": MaxPool2d(3, 1, 1), "conv": conv, "same": Identity()})
    x = randn(2, 16, 6, 5, dtype=dtype)
    expected = branches(x).detach().numpy()
    with no_grad():
        np.testing.assert_allclose(branches(x), expected, rtol=1e-6)
        np.testing.assert_array_equal(branches(x)[:, 40:], x)
    with no_grad(), pytest.raises(ShapeError):
        Branches({"pool": MaxPool2d(2), "conv": conv})(x)


def test_branches_that_do_not_fit_are_still_refused():
    branches = Branches({"a": Conv2d(4, 16, 1, rng=0), "b": Conv2d(4, 16, 3, rng=0)})
    with no_grad(), pytest.raises(ShapeError):
        branches(np.zeros((1, 4, 8, 8), np.float32))
    with no_grad(), pytest.raises(TypeError):
        branches(np.zeros((1, 4, 8, 8)))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("squeezenet1_1", 64),
        ("googlenet", 64),
        ("inception_v3", 75),
        ("densenet_bc_16_24", 32),
        ("xception", 71),
        ("efficientnet_b0", 64),
        ("shufflenet_v2_x1_0", 64),
    ],
)
def test_networks_without_gradients_score_the_same(name, size):
    model = getattr(models, name)(10).eval()
    x = randn(2, 3, size, size, dtype=np.float32)
    expected = model(x).detach().numpy()
    with no_grad():
        found = model(x).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.std(expected))


def test_an_own_separable_convolution_is_asked_itself():
    class Twice(DepthwiseSeparableConv2d):
        def forward(self, input):
            return 2 * super().forward(input)

    layer, norm = Twice(4, 8, 3, rng=0), BatchNorm2d(8).eval()
    x = randn(1, 4, 7, 7, dtype=np.float32)
    expected = norm(layer(x)).detach().numpy()
    with no_grad():
        np.testing.assert_allclose(Sequential(layer, norm).eval()(x), expected, rtol=1e-5, atol=1e-6)
