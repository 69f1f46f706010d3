"""Rectifiers with parameters, random slopes or several pieces."""

import numpy as np
import pytest

from fastconv import Tensor, _kernels, layers, no_grad, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, channels_last, check_op, randn

SHAPES = [(6, 3), (2, 17), (3, 5, 7), (2, 3, 5, 4), (2, 70, 3, 3), (2, 3, 2, 3, 2)]


def away_from_zero(*shape):
    x = randn(*shape)
    return np.asarray(x + 0.1 * np.sign(x))


# ---- PReLU


@pytest.mark.parametrize("shape", [(), (1,), (7,), (0, 3), *SHAPES])
def test_a_shared_slope(shape):
    inputs = [away_from_zero(*shape), np.array([0.3])]
    check_op(F.prelu, reference.prelu, inputs, reference.prelu_grad, exact_layouts=False)  # summed in memory's order


@pytest.mark.parametrize("shape", SHAPES)
def test_a_slope_for_each_channel(shape):
    check_op(F.prelu, reference.prelu, [away_from_zero(*shape), randn(shape[1], seed=1)], reference.prelu_grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 20])
def test_many_pieces(each_isa, channels, dtype):
    x, grad = (channels_last(randn(3, 20, 61, 63, seed=s, dtype=dtype)) for s in (0, 1))
    slopes = np.linspace(0.1, 0.5, channels).astype(dtype)
    given, weight = Tensor(x, requires_grad=True), Tensor(slopes, requires_grad=True)
    F.prelu(given, weight).backward(grad)
    expected = reference.prelu_grad(*(a.astype(float) for a in (grad, x, slopes)))
    np.testing.assert_allclose(given.grad, expected[0], rtol=1e-6)
    np.testing.assert_allclose(weight.grad, expected[1], rtol=1e-4 if dtype is np.float32 else 1e-12)
    assert given.grad.numpy().strides == x.strides


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for channels in range(1, 2 * length + 2):
        for edge in ("start", "end"):
            x, grad = (guarded(randn(7, channels, seed=s, dtype=dtype), edge) for s in (0, 1))
            out, grad_x = (guarded_empty((7, channels), dtype, edge) for _ in range(2))
            slope, grad_slope = guarded(np.ones(channels, dtype), edge), guarded_empty((channels,), dtype, edge)
            _kernels.prelu(x, slope, out)
            np.testing.assert_array_equal(out, x)
            _kernels.prelu_grad(x, slope, grad, grad_x, grad_slope)
            np.testing.assert_array_equal(grad_x, grad)
            np.testing.assert_allclose(grad_slope, np.where(x > 0, 0, grad * x).sum(0), rtol=1e-5, atol=1e-6)


def test_prelu_threads_give_the_same_bits():
    x = randn(400, 700, dtype=np.float32)
    before, found = _kernels.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            _kernels.set_num_threads(threads)
            layer = layers.PReLU(700)
            layer(x).backward(x)
            found.add(layer.weight.grad.numpy().tobytes())
    finally:
        _kernels.set_num_threads(before)
    assert len(found) == 1


def test_prelu_layer():
    layer = layers.PReLU(3, init=0.5)
    assert list(layer.state_dict()) == ["weight"]
    np.testing.assert_array_equal(layer(-np.ones((2, 3), np.float32)).detach(), np.full((2, 3), -0.5))
    assert repr(layer) == "PReLU(num_parameters=3)"


@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (2, 3)])
def test_wrong_slopes(shape):
    for weight in (np.zeros(4), np.zeros((3, 1)), np.zeros(0)):
        with pytest.raises(ShapeError, match="prelu: weight must have shape"):
            F.prelu(np.zeros(shape), weight)
    with pytest.raises(TypeError, match="weight is float32"):
        F.prelu(np.zeros(shape), np.zeros(1, np.float32))


# ---- RReLU


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_slopes(distribution, dtype):
    x = Tensor(-np.ones((300, 400), dtype), requires_grad=True)
    out = F.rrelu(x, 0.2, 0.6, training=True, distribution=distribution, rng=0)
    out.backward(np.ones_like(x.data))
    slopes = -out.detach().numpy()
    np.testing.assert_array_equal(x.grad, slopes)
    assert out.dtype == dtype
    np.testing.assert_allclose(slopes.mean(), 0.4, atol=1e-3)
    np.testing.assert_allclose(slopes.std(), 0.4 / np.sqrt(12), atol=1e-3)
    inside = (slopes >= 0.2) & (slopes < 0.6)
    assert inside.all() == (distribution == "uniform")
    again = F.rrelu(channels_last(-np.ones((300, 10, 8, 5), dtype)), 0.2, 0.6, True, distribution=distribution, rng=0)
    np.testing.assert_array_equal(again.numpy().reshape(300, 400), -slopes)


def test_positive_numbers_and_evaluation_are_not_random():
    x = randn(50, 20, dtype=np.float32)
    layer = layers.RReLU(rng=1)
    first, second = layer(x).numpy(), layer(x).numpy()
    np.testing.assert_array_equal(first[x > 0], x[x > 0])
    assert (first[x < 0] != second[x < 0]).all()
    layer.eval()
    np.testing.assert_array_equal(layer(x), F.leaky_relu(x, (1 / 8 + 1 / 3) / 2))
    with pytest.raises(TypeError, match="rng"):
        F.rrelu(x, training=True, rng=1.5)


# ---- maxout


@pytest.mark.parametrize(
    ("shape", "dim"), [((6, 8), 1), ((3, 12, 2), 1), ((2, 4, 3, 5), 1), ((4, 3), 0), ((2, 3, 8), -1)]
)
@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_maxout(shape, dim, pieces):
    def twin(function):
        return lambda *arrays, **options: function(*arrays, pieces, dim % len(shape), **options)

    check_op(
        lambda x: F.maxout(x, pieces, dim),
        twin(reference.maxout),
        [randn(*shape)],
        twin(reference.maxout_grad),
    )


def test_maxout_of_equals_and_nan():
    x = Tensor([[1.0, np.nan, 1.0, 0.0, 2.0, np.nan]], requires_grad=True)
    out = F.maxout(x, 3)
    out.backward(np.float32([[1, 1]]))
    np.testing.assert_array_equal(out.detach(), [[2, np.nan]])
    np.testing.assert_array_equal(x.grad, [[0, 1, 0, 0, 1, 0]])
    x = Tensor([[1.0, 1.0]], requires_grad=True)
    F.maxout(x, 2).backward(np.float32([[1]]))
    np.testing.assert_array_equal(x.grad, [[1, 0]])


def test_maxout_of_layers():
    x = randn(2, 3, 6, 6, dtype=np.float32)
    conv = layers.Conv2d(3, 8, 3, rng=0)
    with no_grad():
        each = conv(x).numpy()
        np.testing.assert_array_equal(layers.Maxout(conv, 2)(x), np.maximum(each[:, :4], each[:, 4:]))
    layer = layers.Maxout(layers.Linear(5, 6, rng=0), pieces=3)
    assert list(layer.state_dict()) == ["layer.weight", "layer.bias"]
    with pytest.raises(ShapeError, match="cannot be cut into 4"):
        F.maxout(np.zeros((2, 6)), 4)
    with pytest.raises(ShapeError, match="maxout"):
        F.maxout(np.zeros(()), 1)
    with pytest.raises(TypeError, match="layer must be a Module"):
        layers.Maxout(F.relu, 2)
