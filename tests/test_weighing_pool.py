"""Pooling by powers, by a Gaussian, with learned weights, by chance, and between the maximum and the mean."""

import numpy as np
import pytest

from fastconv import Tensor, gradcheck, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn
from tests.test_pool import distinct

SHAPES = {1: (2, 3, 9), 2: (2, 3, 7, 8), 3: (2, 2, 5, 4, 6)}
AXES = pytest.mark.parametrize("axes", [1, 2, 3])
LIMIT = {np.float32: 4e-6, np.float64: 1e-14}


def _check(name, inputs, *options, grad=True, **more):
    twin_grad = getattr(reference, f"{name}_grad") if grad else None
    check_op(
        lambda *x: getattr(F, name)(*x, *options, **more),
        lambda *x: getattr(reference, name)(*x, *options, **more),
        inputs,
        twin_grad and (lambda g, *x: twin_grad(g, *x, *options, **more)),
        tolerance=LIMIT,
        exact_layouts=False,
    )


@AXES
def test_lp_pool(axes):
    x = np.abs(randn(*SHAPES[axes])) + 0.1
    for p in (1, 2, 3.5):
        _check(f"lp_pool{axes}d", [x], p, 2)
    _check(f"lp_pool{axes}d", [x], 2, 3, 2, True)
    _check(f"lp_pool{axes}d", [x - 1], 2, 2)


def test_lp_pool_of_zeros_has_no_gradient():
    x = Tensor(np.zeros((1, 1, 2, 2)), requires_grad=True)
    out = F.lp_pool2d(x, 2, 2)
    out.backward(np.ones((1, 1, 1, 1)))
    assert out.item() == 0
    assert not x.grad.numpy().any()


@AXES
@pytest.mark.parametrize("more", [(None, 0), (2, 1, True), (1, 1, False, False), (2, 1, True, False)])
def test_gaussian_pool(axes, more):
    _check(f"gaussian_pool{axes}d", [randn(*SHAPES[axes])], 3, 0.8, *more)


def test_gaussian_pool_between_its_limits():
    x = randn(1, 2, 9, 9)
    np.testing.assert_allclose(F.gaussian_pool2d(x, 3, 1e6, 2), F.avg_pool2d(x, 3, 2), rtol=1e-10)
    np.testing.assert_allclose(F.gaussian_pool2d(x, 3, 1e-3, 2), x[:, :, 1:-1:2, 1:-1:2])
    np.testing.assert_allclose(F.gaussian_pool2d(np.ones((1, 1, 8, 8)), 4, (0.5, 2.0)), np.ones((1, 1, 2, 2)))
    even = F.gaussian_pool2d(np.array([[[1.0, 3.0]]]), (1, 2), 1e-200)
    assert even.item() == 2  # both are as near to the centre


@AXES
def test_weighted_pool(axes):
    x, kernel = randn(*SHAPES[axes]), (2,) * axes
    _check(f"weighted_pool{axes}d", [x, randn(SHAPES[axes][1], *kernel, seed=1)])
    _check(f"weighted_pool{axes}d", [x, randn(1, *kernel, seed=1), randn(SHAPES[axes][1], seed=2)], 1, 1)
    one = getattr(F, f"weighted_pool{axes}d")(x[0], np.ones((1, *kernel)))
    np.testing.assert_allclose(one, getattr(F, f"avg_pool{axes}d")(x, 2).numpy()[0] * 2**axes, rtol=1e-12)


@AXES
def test_trainable_pool(axes):
    channels = SHAPES[axes][1]
    inputs = [randn(*SHAPES[axes]), randn(channels, seed=1), randn(channels, seed=2)]
    _check(f"trainable_pool{axes}d", inputs, 2)
    _check(f"trainable_pool{axes}d", inputs, 3, 2, 1)


@AXES
def test_mixed_pool(axes):
    x = distinct(*SHAPES[axes])
    _check(f"mixed_pool{axes}d", [x], 2, 0.3)
    for alpha in (np.array([0.25]), randn(SHAPES[axes][1])):
        check_op(
            lambda x, alpha: getattr(F, f"mixed_pool{axes}d")(x, 3, alpha, 2, 1, True),
            lambda x, alpha: getattr(reference, f"mixed_pool{axes}d")(x, 3, alpha, 2, 1, True),
            [x, alpha],
            lambda grad, x, alpha: getattr(reference, f"mixed_pool{axes}d_grad")(grad, x, 3, alpha, 2, 1, True),
            tolerance=LIMIT,
            exact_layouts=False,
        )


def test_a_share_of_any_type_of_number():
    x = randn(1, 2, 4, 4)
    for alpha in (np.float32(0.25), np.float64(0.25), 0.25):
        np.testing.assert_allclose(F.mixed_pool2d(x, 2, alpha), reference.mixed_pool2d(x, 2, 0.25), rtol=1e-12)


@AXES
def test_what_stochastic_pool_expects(axes):
    _check(f"stochastic_pool{axes}d", [randn(*SHAPES[axes])], 2)
    _check(f"stochastic_pool{axes}d", [randn(*SHAPES[axes])], 3, 2, 1, True)


@AXES
def test_what_stochastic_pool_chooses(axes):
    x = Tensor(np.maximum(randn(*SHAPES[axes]), 0), requires_grad=True)
    pool = getattr(F, f"stochastic_pool{axes}d")
    out = pool(x, 3, 2, 1, training=True, rng=0)
    assert np.array_equal(out.detach(), pool(x.detach(), 3, 2, 1, training=True, rng=0))
    out.backward(np.ones(out.shape))
    counts = x.grad.numpy()
    assert counts.sum() == (out.detach().numpy() > 0).sum()
    assert not counts[x.data == 0].any()
    assert np.isclose((counts * x.data).sum(), out.detach().numpy().sum())
    gradcheck(lambda x: pool(x, 2, training=True, rng=3), [np.abs(randn(*SHAPES[axes])) + 1])


def test_stochastic_pool_chooses_as_often_as_activations_are_large():
    x = np.broadcast_to(np.array([[1.0, -5.0], [3.0, 6.0]]), (1, 20000, 2, 2))
    out = F.stochastic_pool2d(x, 2, training=True, rng=1).numpy()
    shares = [(out == value).mean() for value in (1, -5, 3, 6)]
    np.testing.assert_allclose(shares, [0.1, 0, 0.3, 0.6], atol=0.01)
    assert F.stochastic_pool2d(x[:, :1], 2).item() == pytest.approx(4.6)
    assert abs(out.mean() - 4.6) < 0.05
    nothing = F.stochastic_pool2d(np.full((1, 1, 2, 2), -1.0), 2, training=True, rng=0)
    assert nothing.item() == 0
    assert np.isnan(F.stochastic_pool2d(np.full((1, 1, 2, 2), np.nan), 2, training=True, rng=0).item())


def test_pools_that_are_convolutions():
    """Average, Gaussian and learned pooling are convolutions with as many groups as channels, and special weights."""
    x, channels = randn(2, 3, 8, 8), 3
    mean = np.full((channels, 1, 3, 3), 1 / 9)
    np.testing.assert_allclose(F.avg_pool2d(x, 3, 2, 1), F.conv2d(x, mean, None, 2, 1, groups=channels), rtol=1e-12)
    row = np.exp(-(np.arange(-1, 2) ** 2) / (2 * 0.7**2))
    gaussian = np.broadcast_to(np.outer(row, row) / row.sum() ** 2, mean.shape)
    found = F.gaussian_pool2d(x[..., 1:-1, 1:-1], 3, 0.7, 2)
    expected = F.conv2d(x[..., 1:-1, 1:-1], gaussian, None, 2, groups=channels)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    weight, bias = randn(channels), randn(channels, seed=1)
    found = F.trainable_pool2d(x, weight, bias, 2)
    expected = F.conv2d(x, weight[:, None, None, None] * np.ones((1, 1, 2, 2)), bias, 2, groups=channels)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    each = randn(channels, 2, 2)
    assert np.array_equal(F.weighted_pool2d(x, each), F.conv2d(x, each[:, None], None, 2, groups=channels))


@AXES
def test_layers(axes):
    x = np.abs(distinct(*SHAPES[axes])).astype(np.float32) + 1
    name = f"{axes}d"
    one = getattr(layers, f"LPPool{name}")(2, 3, 2)
    assert np.array_equal(one(x), getattr(F, f"lp_pool{name}")(x, 2, 3, 2))
    one = getattr(layers, f"GaussianPool{name}")(3, 0.9, 2, 1, count_include_pad=False)
    expected = getattr(F, f"gaussian_pool{name}")(x, 3, 0.9, 2, 1, False, False)
    assert np.array_equal(one(x), expected)
    mean = getattr(F, f"avg_pool{name}")(x, 2).numpy()
    for made in (
        getattr(layers, f"TrainablePool{name}")(SHAPES[axes][1], 2),
        getattr(layers, f"WeightedPool{name}")(2),
        getattr(layers, f"WeightedPool{name}")(2, channels=SHAPES[axes][1]),
        getattr(layers, f"MixedPool{name}")(2, alpha=0),
    ):
        np.testing.assert_allclose(made(x).detach(), mean, rtol=1e-5)
        assert all(p.requires_grad for p in made.parameters())
        assert "kernel_size=2" in repr(made)
    chance = getattr(layers, f"StochasticPool{name}")(2, rng=5)
    assert np.isin(chance(x).numpy(), x).all()
    assert np.array_equal(chance.eval()(x), getattr(F, f"stochastic_pool{name}")(x, 2))
    squashed = getattr(layers, f"TrainablePool{name}")(SHAPES[axes][1], 2, activation=layers.Tanh())
    np.testing.assert_allclose(squashed(x).detach(), np.tanh(mean), rtol=1e-5)


def test_bad_input():
    x = randn(1, 2, 4, 4)
    for bad in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="lp_pool2d: norm_type"):
            F.lp_pool2d(x, bad, 2)
        with pytest.raises(ValueError, match="gaussian_pool2d: sigma"):
            F.gaussian_pool2d(x, 2, bad)
    with pytest.raises(ShapeError, match="gaussian_pool2d: sigma"):
        F.gaussian_pool2d(x, 2, (1.0, 1.0, 1.0))
    with pytest.raises(ShapeError, match="more than 67108864 weights"):
        F.gaussian_pool2d(x, (1, 2**27), 1.0, padding=(0, 2**26))
    for shape in ((3, 2, 2), (2, 2), (2, 1, 2, 2)):
        with pytest.raises(ShapeError, match="weighted_pool2d: weight"):
            F.weighted_pool2d(x, np.ones(shape))
    with pytest.raises(ShapeError, match=r"trainable_pool2d: bias must have shape \(2,\)"):
        F.trainable_pool2d(x, np.ones(2), np.ones(1), 2)
    with pytest.raises(ShapeError, match="mixed_pool2d: alpha"):
        F.mixed_pool2d(x, 2, np.ones(3))
    with pytest.raises(TypeError, match="stochastic_pool2d: rng"):
        F.stochastic_pool2d(x, 2, rng="no")
    for name in ("lp_pool2d", "gaussian_pool2d"):
        with pytest.raises(ShapeError, match=f"{name}: kernel_size"):
            getattr(F, name)(x, 2 if name == "lp_pool2d" else 5, 5 if name == "lp_pool2d" else 1.0)
    for name in ("stochastic_pool2d", "lp_pool2d", "gaussian_pool2d", "mixed_pool2d"):
        options = (2, 2) if name != "mixed_pool2d" else (2, 0.5)
        with pytest.raises(ShapeError, match=f"{name}: input|max_pool2d: input"):
            getattr(F, name)(randn(4, 4), *options)
