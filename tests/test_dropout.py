import numpy as np
import pytest

from fastconv import Tensor, _kernels, layers, reference
from fastconv import functional as F
from fastconv.data.draws import derive
from fastconv.errors import ShapeError
from fastconv.reference.dropout import splitmix64
from tests.guard import guarded
from tests.helpers import DTYPES, channels_last, check_op, randn, thread_counts

BY_CHANNEL = {"dropout1d": (3, 5, 7), "dropout2d": (2, 3, 4, 5), "dropout3d": (2, 5, 2, 3, 2)}


def plain(function):
    """With the options that the twins have."""
    return lambda x, p, seed: function(x, p, True, rng=seed)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 7), (2, 3, 4, 5), (2, 3, 2, 2, 3)])
@pytest.mark.parametrize("p", [0.3, 0.9])
def test_dropout_is_the_twin(shape, p):
    x = np.abs(randn(*shape)) + 0.5
    check_op(plain(F.dropout), reference.dropout, [x], reference.dropout_grad, p=p, seed=3)
    check_op(plain(F.alpha_dropout), reference.alpha_dropout, [x], reference.alpha_dropout_grad, p=p, seed=3)


@pytest.mark.parametrize("name", BY_CHANNEL)
def test_channels_go_together(name):
    shape = BY_CHANNEL[name]
    x = np.abs(randn(*shape)) + 0.5
    for op in (name, "feature_alpha_dropout"):
        twin, twin_grad = getattr(reference, op), getattr(reference, f"{op}_grad")
        check_op(plain(getattr(F, op)), twin, [x], twin_grad, p=0.4, seed=5)
    out = getattr(F, name)(np.ones((50, 20, *shape[2:])), 0.3, rng=0).numpy().reshape(1000, -1)
    assert (out == out[:, :1]).all()
    assert (out[:, 0] == 0).mean() == pytest.approx(0.3, abs=0.05)
    floor = F.feature_alpha_dropout(np.ones((50, 20, *shape[2:])), 0.3, True, rng=0).numpy().reshape(1000, -1)
    assert (floor == floor[:, :1]).all()
    assert len(np.unique(floor)) == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_tails_blocks_and_threads(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for n in (*range(1, 2 * length + 2), 511, 512, 513, 1025, 16_383, 16_385, 40_001):
        x = randn(n, dtype=dtype)
        np.testing.assert_allclose(F.dropout(x, 0.25, rng=n), reference.dropout(x, 0.25, n), rtol=1e-6)
        if n < 100:
            F.dropout(guarded(x, "end"), rng=0)
            F.dropout(guarded(x, "start"), rng=0)
    for shape in ((3, 513, 2, 1), (2, 1023, 1, 3), (1, 16_385, 2, 1)):  # channels that begin in the middle of a hash
        x = randn(*shape, dtype=dtype)
        np.testing.assert_allclose(F.dropout2d(x, rng=1), reference.channel_dropout(x, 0.5, 1), rtol=1e-6)
    found = set()
    x = randn(100_003, dtype=dtype)
    for _ in thread_counts():
        found.add(F.dropout(x, rng=7).numpy().tobytes())
    assert len(found) == 1


def test_the_hash_is_that_of_the_data_loader():
    key = np.array([2**63 + 12345], np.uint64)
    assert np.array_equal(splitmix64(int(key[0]), 10), derive(key, np.arange(5)).view("<u4"))


@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.97])
def test_shares_and_mean(p):
    ones = np.ones(200_000, np.float32)
    out = F.dropout(ones, p, rng=0).numpy()
    assert set(np.unique(out)) == {0, np.float32(1 / (1 - p))}
    assert (out == 0).mean() == pytest.approx(p, abs=0.005)
    pairs = (out[:-1] == 0) & (out[1:] == 0)  # neighbours know nothing of each other
    assert pairs.mean() == pytest.approx(p**2, abs=0.005)


def test_alpha_dropout_keeps_mean_and_variance():
    x = randn(200_000)
    for p in (0.1, 0.5):
        out = F.alpha_dropout(x, p, True, rng=1).numpy()
        assert out.mean() == pytest.approx(0, abs=0.01)
        assert out.std() == pytest.approx(1, abs=0.01)


def test_certain_loss():
    x = np.full((2, 3, 4, 4), np.nan, np.float32)
    for function in (F.dropout, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout):
        given = Tensor(x, requires_grad=True)
        out = function(given, 1.0, True, rng=0)
        assert not out.data.any()
        out.sum().backward()
        assert not given.grad.data.any()
    assert not F.stochastic_depth(x, 1.0, "row").data.any()


def test_special_values(each_isa):
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45] * 20, np.float32)
    out = F.dropout(x, 0.5, rng=0).numpy()
    gone = F.dropout(np.ones_like(x), 0.5, rng=0).numpy() == 0
    assert not out[gone].any()
    np.testing.assert_array_equal(out[~gone], (x * 2)[~gone])
    assert np.signbit(out[~gone][x[~gone] == 0]).all()


def test_at_rest_it_is_the_identity():
    x = Tensor(randn(2, 3, 4, 4), requires_grad=True)
    for function in (F.dropout, F.dropout2d, F.alpha_dropout, F.feature_alpha_dropout):
        assert function(x, 0.5, training=False) is x
        assert function(x, 0.0, training=True) is x
        assert np.array_equal(function(x.data, 0.5, training=False), x.data)
    assert F.stochastic_depth(x, 0.5, "row", training=False) is x
    assert F.dropout(np.ones((0, 3)), 0.5).shape == (0, 3)


def test_a_single_number():
    out = F.dropout(np.array(3.0, np.float32), 0.5, rng=10)
    assert out.shape == ()
    assert out.dtype == np.float32
    assert out.item() == 6


def test_strides_and_dtype_do_not_matter():
    x = randn(2, 6, 5, 4)
    first = F.dropout(x, rng=4).numpy()
    assert np.array_equal(F.dropout(channels_last(x), rng=4), first)
    assert F.dropout(channels_last(x), rng=4).data.strides == channels_last(x).strides
    assert np.array_equal(F.dropout(x.astype(np.float32), rng=4).numpy() == 0, first == 0)


def test_a_generator_goes_on():
    rng = np.random.default_rng(0)
    x = np.ones(100, np.float32)
    first, second = F.dropout(x, rng=rng), F.dropout(x, rng=rng)
    assert (first != second).data.any()
    assert np.array_equal(first, F.dropout(x, rng=0))


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("seed", [3, 4])
def test_stochastic_depth_is_the_twin(mode, seed):
    twin, twin_grad = reference.stochastic_depth, reference.stochastic_depth_grad
    given = {"p": 0.4, "mode": mode, "seed": seed}
    check_op(
        lambda x, p, mode, seed: F.stochastic_depth(x, p, mode, rng=seed), twin, [randn(7, 3, 2)], twin_grad, **given
    )


def test_stochastic_depth():
    x = Tensor(randn(1000, 2, 3), requires_grad=True)
    out = F.stochastic_depth(x, 0.3, "row", rng=0)
    kept = (out.data != 0).all((1, 2))
    assert kept.mean() == pytest.approx(0.7, abs=0.05)
    np.testing.assert_allclose(out.data[kept], x.data[kept] / 0.7)
    assert not out.data[~kept].any()
    out.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.broadcast_to((kept / 0.7)[:, None, None], x.shape))
    whole = [F.stochastic_depth(np.ones((4, 2)), 0.3, "batch", rng=seed).numpy() for seed in range(300)]
    assert all(len(np.unique(each)) == 1 for each in whole)
    assert np.mean([each.any() for each in whole]) == pytest.approx(0.7, abs=0.08)
    last = F.stochastic_depth(channels_last(randn(4, 3, 2, 2)), 0.5, "row", rng=1)
    assert last.data.strides == channels_last(randn(4, 3, 2, 2)).strides


@pytest.mark.parametrize(
    "name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
)
def test_layers(name):
    layer = getattr(layers, name)(0.4, rng=3)
    x = Tensor(np.ones(BY_CHANNEL.get(name.lower(), (50, 8)), np.float32))
    first, second = layer(x), layer(x)
    assert np.array_equal(getattr(layers, name)(0.4, rng=3)(x), first)
    assert len(np.unique(first)) <= 2
    if name == "Dropout":
        assert (first != second).data.any()
    assert layer.eval()(x) is x
    assert repr(layer) == f"{name}(p=0.4, inplace=False)"
    with pytest.raises(ValueError, match=f"{name}: p must be a number from 0 to 1"):
        getattr(layers, name)(2)
    with pytest.raises(TypeError, match=f"{name}: rng"):
        getattr(layers, name)(rng="a")


def test_stochastic_depth_layer():
    layer = layers.StochasticDepth(0.5, rng=0)
    x = Tensor(np.ones((20, 3), np.float32))
    assert set(np.unique(layer(x))) == {0, 2}
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="StochasticDepth: mode must be row or batch"):
        layers.StochasticDepth(0.5, "image")


def test_wrong_arguments():
    for call, error in [
        *((lambda p=p: F.dropout([1.0], p), ValueError) for p in (-0.1, 1.5, np.nan, np.inf)),
        *((lambda p=p: F.dropout([1.0], p), TypeError) for p in ("0.5", None, True, [0.5])),
        (lambda: F.dropout([1, 2], rng="a"), TypeError),
        (lambda: F.dropout(np.array([1, 2])), TypeError),
        (lambda: F.dropout1d(np.ones(3)), ShapeError),
        (lambda: F.dropout2d(np.ones((2, 3))), ShapeError),
        (lambda: F.dropout3d(np.ones((2, 3, 4))), ShapeError),
        (lambda: F.feature_alpha_dropout(np.ones(3), training=True), ShapeError),
        (lambda: F.stochastic_depth(np.ones(3), 0.5, "image"), ValueError),
        (lambda: F.stochastic_depth(np.ones(3), 2, "row"), ValueError),
        (lambda: F.stochastic_depth(np.ones(()), 0.5, "row"), ShapeError),
    ]:
        with pytest.raises(error, match=r"dropout|stochastic_depth"):
            call()


def test_what_would_crash_is_refused():
    x, out = np.ones((4, 6), np.float32), np.empty((4, 6), np.float32)
    rest = (1, 2**31, 1.0, 0.0, 0.0)
    for arguments in (
        (x, out, 5, 1, *rest),
        (x, out, 0, 1, *rest),
        (x, out[:3].copy(), 1, 1, *rest),
        (x, out.astype(np.float64), 1, 1, *rest),
        (x.T, out, 1, 1, *rest),
    ):
        with pytest.raises((TypeError, ValueError)):
            _kernels.dropout(*arguments)


@pytest.mark.parametrize(("axes", "shape"), [(1, (64, 3)), (2, (8, 8, 3)), (3, (64, 2, 3, 2))])
def test_shapes_that_pytorch_takes_besides_a_batch(axes, shape):
    """One signal (C, L), one volume (C, D, H, W), and for dropout2d a batch of signals (N, C, L)."""
    layer = getattr(layers, f"Dropout{axes}d")(0.5, rng=0)
    x = Tensor(np.ones(shape), requires_grad=True)
    out = layer(x)
    kept = out.detach().numpy()
    channels = kept.reshape(64, -1)
    assert set(np.unique(channels)) == {0.0, 2.0}
    assert (channels == channels[:, :1]).all()  # a channel goes as a whole
    assert 10 < (channels[:, 0] == 0).sum() < 54
    out.backward(np.ones(shape))
    assert np.array_equal(x.grad, kept)
    assert layer.eval()(x) is x


def test_alpha_dropout_of_features_asks_for_channels_only_where_it_drops_them():
    assert F.feature_alpha_dropout([1.0, 2.0], 0.5).shape == (2,)
    assert F.feature_alpha_dropout(1.0, 0.0, training=True).shape == ()
    with pytest.raises(ShapeError, match="feature_alpha_dropout: input must be"):
        F.feature_alpha_dropout([1.0, 2.0], 0.5, training=True)


TWINS = [*((f"dropout{axes}d", ()) for axes in (1, 2, 3)), ("feature_alpha_dropout", ())]
TWINS += [("stochastic_depth", ("row",)), ("stochastic_depth", ("batch",))]


@pytest.mark.parametrize(("name", "mode"), TWINS)
def test_twins_of_what_drops_channels_and_images(name, mode):
    x = Tensor(randn(*BY_CHANNEL.get(name, (6, 5, 4))), requires_grad=True)
    out = getattr(F, name)(x, 0.4, *mode, training=True, rng=3)
    np.testing.assert_allclose(out.detach(), getattr(reference, name)(x.data, 0.4, *mode, 3), rtol=1e-12)
    grad = randn(*x.shape, seed=1)
    out.backward(grad)
    expected = getattr(reference, f"{name}_grad")(grad, x.data, 0.4, *mode, 3)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-12)
