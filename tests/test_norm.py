"""Batch normalisation: values, gradients, running statistics, bad input."""

import numpy as np
import pytest

from fastconv import Parameter, Tensor, _kernels, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, channels_last, check_op, randn, thread_counts

LIMIT = {np.float32: 4e-6, np.float64: 2e-14}
SHAPES = [
    (6, 1),
    (5, 3),
    (65, 17),
    (3, 2, 7),
    (2, 4, 3, 5),
    (3, 33, 2, 3),
    (1, 5, 9, 9),
    (2, 3, 2, 3, 2),
    (4, 70, 1, 1),
]
CLASSES = {2: layers.BatchNorm1d, 3: layers.BatchNorm1d, 4: layers.BatchNorm2d, 5: layers.BatchNorm3d}


def running(channels, dtype=np.float64):
    return randn(channels, seed=3, dtype=dtype), np.linspace(0.5, 2, channels).astype(dtype)


def op(training, function):
    """Batch norm as a function of what is differentiated."""

    def call(x, weight=None, bias=None):
        mean, var = running(x.shape[1], x.dtype)
        return function(x, mean, var, weight, bias, training)

    return call


def op_grad(training):
    def call(grad, x, weight=None, bias=None):
        return reference.batch_norm_grad(grad, x, *running(x.shape[1]), weight, bias, training)

    return call


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape, training):
    inputs = [2 * randn(*shape) + 1, randn(shape[1], seed=1), randn(shape[1], seed=2)]
    check_op(op(training, F.batch_norm), op(training, reference.batch_norm), inputs, op_grad(training), tolerance=LIMIT)


@pytest.mark.parametrize("training", [True, False])
def test_without_parameters(training):
    twin = op(training, reference.batch_norm)
    check_op(op(training, F.batch_norm), twin, [randn(3, 5, 4, 4)], op_grad(training), tolerance=LIMIT)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 3, 33, 31), (5, 40, 20, 20), (3000, 10), (2, 300, 9, 8)])
def test_many_pieces(each_isa, shape, dtype):
    x, weight, grad = randn(*shape, dtype=dtype) - 5, np.linspace(0.1, 2, shape[1]), randn(*shape, seed=1, dtype=dtype)
    given, w = Tensor(x, requires_grad=True), Parameter(weight.astype(dtype))
    out = F.batch_norm(given, weight=w, training=True)
    out.backward(grad)
    wide = (x.astype(float), None, None, weight, None, True)
    limit = 50 * LIMIT[dtype]  # the mean is 5 deviations away
    np.testing.assert_allclose(out.detach(), reference.batch_norm(*wide), rtol=0, atol=limit)
    grad_x, grad_w = reference.batch_norm_grad(grad.astype(float), *wide)
    np.testing.assert_allclose(given.grad, grad_x, rtol=0, atol=limit)
    np.testing.assert_allclose(w.grad, grad_w, rtol=0, atol=limit * np.abs(grad_w).max())


@pytest.mark.parametrize("dtype", DTYPES)
def test_variance_far_from_zero(each_isa, dtype):
    """A mean 10,000 deviations away, and a first value that is far from all others."""
    x = (1e4 + randn(4000, 3)).astype(dtype)
    moments = np.empty((2, 3))
    _kernels.norm_moments(x.reshape(4000, 3, 1, 1), *moments, 3, False)
    np.testing.assert_allclose(moments, [x.mean(0, np.float64), x.var(0, np.float64)], rtol=1e-5)
    x[0] = 1e7
    _kernels.norm_moments(x.reshape(4000, 3, 1, 1), *moments, 3, False)
    np.testing.assert_allclose(moments, [x.mean(0, np.float64), x.var(0, np.float64)], rtol=1e-3)


def test_constant_channels():
    x = np.full((4, 2, 3, 3), 7.3, np.float32)
    out = F.batch_norm(x, training=True, bias=np.float32([1, 2])).numpy()
    np.testing.assert_array_equal(out[:, 0], 1)
    np.testing.assert_array_equal(out[:, 1], 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_stay_in_their_channel(each_isa, dtype):
    for channels in (3, 16, 19):
        for bad in (np.nan, np.inf):
            x = randn(6, channels, 3, 3, dtype=dtype)
            x[2, channels - 1, 1, 1] = bad
            given = Tensor(x, requires_grad=True)
            out = F.batch_norm(given, training=True)
            out.backward(np.ones_like(x))
            for found in (out.detach().numpy(), given.grad.numpy()):
                assert np.isfinite(found[:, :-1]).all()
                assert np.isnan(found[:, -1]).all()
            fixed = F.batch_norm(given, *running(channels, dtype))
            fixed.backward(np.ones_like(x))
            assert np.isfinite(fixed.detach().numpy()).sum() == x.size - 1
    assert np.isfinite(np.delete(given.grad.numpy(), channels - 1, axis=1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for channels in range(1, 2 * length + 2):
        shape = (3, channels, 1, 5)  # an odd number of rows: nothing is folded
        for edge in ("start", "end"):
            x, grad = (guarded(channels_last(randn(*shape, seed=s, dtype=dtype)), edge) for s in (0, 1))
            out, grad_x = (guarded_empty(shape, dtype, edge, channels_last=True) for _ in range(2))
            w, b, grad_w, grad_b = (guarded(np.ones(channels, dtype), edge) for _ in range(4))
            mean, var = (guarded_empty((channels,), np.float64, edge) for _ in range(2))
            _kernels.norm_moments(x, mean, var, channels, False)
            _kernels.norm(x, mean, var, w, b, out, channels, False, 1e-5)
            _kernels.norm_grad(x, grad, mean, var, w, grad_x, grad_w, grad_b, channels, False, 1e-5, False)
            for array in (out, grad_x, grad_w, grad_b):
                assert np.isfinite(array).all()


def test_slices_of_wider_buffers_are_not_copied():
    wide = channels_last(randn(2, 100, 6, 5, dtype=np.float32))
    part = wide[:, 8:80]
    assert _kernels.pixels(part) is part
    assert _kernels.pixels(wide[:, :, ::2]) is not wide
    np.testing.assert_array_equal(F.batch_norm(part, training=True), F.batch_norm(part.copy(), training=True))
    narrow = wide[:, 8:20]
    np.testing.assert_array_equal(F.batch_norm(narrow, training=True), F.batch_norm(narrow.copy(), training=True))


def test_thread_counts_give_the_same_bits():
    x, grad = randn(4, 24, 61, 64, dtype=np.float32), randn(4, 24, 61, 64, seed=1, dtype=np.float32)
    found = set()
    for _ in thread_counts():
        given, layer = Tensor(x, requires_grad=True), layers.BatchNorm2d(24)
        out = layer(given)
        out.backward(grad)
        arrays = (out.detach(), given.grad, layer.weight.grad, layer.running_var)
        found.add(b"".join(a.numpy().tobytes() for a in arrays))
    assert len(found) == 1


# ---- the layer


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_running_values(momentum):
    layer, batches = (
        layers.BatchNorm2d(3, momentum=momentum),
        [randn(4, 3, 5, 5, seed=s, dtype=np.float32) for s in (1, 2)],
    )
    mean, var = np.zeros(3), np.ones(3)
    for number, x in enumerate(batches, 1):
        layer(x)
        share = 1 / number if momentum is None else momentum
        mean += share * (x.mean((0, 2, 3)) - mean)
        var += share * (x.var((0, 2, 3), ddof=1) - var)
        assert layer.num_batches_tracked.item() == number
    np.testing.assert_allclose(layer.running_mean, mean, atol=1e-6)
    np.testing.assert_allclose(layer.running_var, var, atol=1e-6)
    layer.eval()
    before = {key: value.numpy().copy() for key, value in layer.state_dict().items()}
    expected = (batches[0] - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    np.testing.assert_allclose(layer(batches[0]).detach(), expected, atol=1e-5)
    for key, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    layer.reset_running_stats()
    assert layer.num_batches_tracked.item() == 0
    np.testing.assert_array_equal(layer.running_var, np.ones(3))


def test_state_dict_is_pytorchs():
    layer = layers.BatchNorm2d(3)
    keys = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(layer.state_dict()) == keys
    assert layer.num_batches_tracked.dtype == np.int64
    assert [name for name, _ in layer.named_parameters()] == keys[:2]
    other = layers.BatchNorm2d(3)
    layer(randn(2, 3, 4, 4, dtype=np.float32))
    other.load_state_dict(layer.state_dict())
    assert other.num_batches_tracked.item() == 1
    np.testing.assert_array_equal(other.running_mean, layer.running_mean)
    assert layer.double().running_mean.dtype == np.float64
    assert layer(randn(2, 3, 4, 4)).dtype == np.float64
    assert list(layers.BatchNorm2d(3, affine=False).state_dict()) == keys[2:]
    alone = layers.BatchNorm2d(3, bias=False)
    assert list(alone.state_dict()) == [keys[0], *keys[2:]]
    assert "affine=True, bias=False" in repr(alone)
    assert alone(randn(2, 3, 4, 4, dtype=np.float32)).shape == (2, 3, 4, 4)
    assert list(layers.BatchNorm2d(3, track_running_stats=False).state_dict()) == keys[:2]
    assert repr(other) == "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"


def test_without_running_values_evaluation_normalises_by_the_batch():
    layer = layers.BatchNorm1d(4, track_running_stats=False).eval()
    out = layer(randn(50, 4, dtype=np.float32)).detach().numpy()
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(0), 1, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1)])
def test_a_single_value_per_channel(shape):
    layer = CLASSES[len(shape)](3)
    with pytest.raises(ShapeError, match="more than one value per channel"):
        layer(np.zeros(shape, np.float32))
    assert layer.num_batches_tracked.item() == 0
    np.testing.assert_array_equal(layer.running_mean, np.zeros(3))
    x = Tensor(np.zeros(shape, np.float32), requires_grad=True)
    out = layer.eval()(x)
    assert out.shape == shape
    out.backward(np.ones(shape, np.float32))
    assert layer.weight.grad.shape == (3,)


def test_wrong_input():
    x = randn(2, 3, 4, 4, dtype=np.float32)
    for cls, shape in [(layers.BatchNorm2d, (2, 3)), (layers.BatchNorm1d, x.shape), (layers.BatchNorm3d, x.shape)]:
        with pytest.raises(ShapeError, match=f"{cls.__name__}: input must be"):
            cls(3)(np.zeros(shape, np.float32))
    with pytest.raises(ShapeError, match=r"BatchNorm2d: input must have 4 channels, got shape \(2, 3, 4, 4\)"):
        layers.BatchNorm2d(4)(x)
    with pytest.raises(ShapeError, match="running_mean must have shape"):
        F.batch_norm(x, np.zeros(4, np.float32), np.ones(4, np.float32))
    with pytest.raises(ShapeError, match="weight must have shape"):
        F.batch_norm(x, weight=np.zeros(4, np.float32), training=True)
    with pytest.raises(TypeError, match="bias is float64"):
        F.batch_norm(x, bias=np.zeros(3), training=True)
    with pytest.raises(ValueError, match="needs running_mean"):
        F.batch_norm(x)
    with pytest.raises(ShapeError, match="input must be"):
        F.batch_norm(np.zeros(3))
    with pytest.raises(ValueError, match="eps"):
        F.batch_norm(x, training=True, eps=-1.0)
    with pytest.raises(TypeError, match="momentum"):
        F.batch_norm(x, training=True, momentum="0.1")
    for bad in (0, -1, 2.0, True):
        with pytest.raises((ShapeError, TypeError), match="num_features"):
            layers.BatchNorm2d(bad)


def test_running_values_that_cannot_be_written():
    x, frozen = randn(4, 3, dtype=np.float32), np.ones(3, np.float32)
    frozen.flags.writeable = False
    for bad in ([0.0, 0.0, 0.0], frozen):
        with pytest.raises(TypeError, match="is overwritten"):
            F.batch_norm(x, bad, np.ones(3, np.float32), training=True)
    assert F.batch_norm(x, frozen, frozen).shape == (4, 3)


# ---- oracle


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_as_torch(shape, training):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, f"BatchNorm{max(len(shape) - 2, 1)}d")(shape[1]).train(training)
    ours = CLASSES[len(shape)](shape[1]).train(training)
    for seed in range(3):
        x, grad = 2 * randn(*shape, seed=seed, dtype=np.float32) + 1, randn(*shape, seed=9, dtype=np.float32)
        given, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        ours.zero_grad(), theirs.zero_grad()
        out, expected = ours(given), theirs(other)
        out.backward(grad), expected.backward(torch.tensor(grad))
        pairs = [(out.detach(), expected), (given.grad, other.grad), (ours.bias.grad, theirs.bias.grad)]
        pairs += [(ours.weight.grad, theirs.weight.grad), *zip(ours.buffers(), theirs.buffers(), strict=True)]
        for a, b in pairs:
            np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-4, atol=2e-5)
