import numpy as np
import pytest

from fastconv import Tensor, _kernels, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, ISAS, channels_last, check_op, randn, thread_counts

# The functions, each with some options.
ELEMENTWISE = {
    "relu": [{}],
    "relu6": [{}],
    "hardtanh": [{}, {"min_val": -0.5, "max_val": 2.0}],
    "sigmoid": [{}],
    "hardsigmoid": [{}],
    "tanh": [{}],
    "scaled_tanh": [{}],
    "leaky_relu": [{}, {"negative_slope": -0.5}],
    "rrelu": [{}, {"lower": 0.1, "upper": 0.9}],
    "elu": [{}, {"alpha": 2.5}],
    "selu": [{}],
    "celu": [{}, {"alpha": 0.3}, {"alpha": -1.5}],
    "softplus": [{}, {"beta": 3.0, "threshold": 2.0}],
    "gelu": [{}, {"approximate": "tanh"}],
    "silu": [{}],
    "hardswish": [{}],
    "mish": [{}],
}
WITH_OPTIONS = [(name, options) for name, each in ELEMENTWISE.items() for options in each]
ALONG = ("softmax", "log_softmax")
SHAPES = [(), (1,), (7,), (8,), (9,), (0, 3), (2, 17), (2, 3, 5, 4), (3, 1, 1, 33)]


def away_from_corners(*shape):
    x = np.asarray(2 * randn(*shape))
    return np.where(np.abs(x - np.round(2 * x) / 2) < 0.01, x + 0.02, x)  # there is no derivative at some halves


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_elementwise(name, options, shape):
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [away_from_corners(*shape)],
        getattr(reference, f"{name}_grad"),
        tolerance={np.float32: 2e-6, np.float64: 4e-15},
        isas=ISAS if shape in SHAPES[4:8] else ISAS[:1],
        **options,
    )


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize(
    ("shape", "dim"),
    [((), 0), ((1,), 0), ((0,), 0), ((0, 3), -1), ((3, 0), -1), ((3, 10), -1), ((5, 16), 1), ((4, 17), 0), ((2, 33), 1)]
    + [((2, 3, 4, 5), dim) for dim in (0, 1, 2, -1)],
)
def test_along_an_axis(name, shape, dim):
    if shape != () and 0 in shape:  # NumPy has no maximum of nothing
        x = np.zeros(shape, np.float32)
        out = getattr(F, name)(Tensor(x, requires_grad=True), dim)
        out.backward(x)
        assert out.shape == shape
        return
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [np.asarray(3 * randn(*shape))],
        getattr(reference, f"{name}_grad"),
        tolerance={np.float32: 4e-6, np.float64: 1e-14},
        dim=dim,
    )


# ---- memory


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_channels_last_is_kept(name):
    x = channels_last(randn(2, 3, 5, 4, dtype=np.float32))
    assert F.relu(x).numpy().strides == x.strides
    given = Tensor(x, requires_grad=True)
    getattr(F, name)(given).backward(channels_last(np.ones_like(x)))
    assert given.grad.numpy().strides == x.strides


@pytest.mark.parametrize("dtype", DTYPES)
def test_guard_pages(each_isa, dtype):
    length = _kernels.vector_length(np.dtype(dtype))
    for n in range(1, 2 * length + 2):
        for edge in ("start", "end"):
            x = guarded(randn(n, dtype=dtype), edge)
            out, grad_x = guarded_empty((n,), dtype, edge), guarded_empty((n,), dtype, edge)
            for name in _kernels.ACTIVATIONS:
                _kernels.activation(name, x, out, 1.0, 2.0, 1.0)
                _kernels.activation_grad(name, out, x, grad_x, 1.0, 2.0, 1.0)
            rows, out_rows, grad_rows = (a.reshape(1, n) for a in (x, out, grad_x))
            for name in ALONG:
                getattr(_kernels, name)(rows, out_rows)
                getattr(_kernels, f"{name}_grad")(out_rows, rows, grad_rows)


def test_offsets(each_isa):
    """Every position of the data in a cache line."""
    for offset in range(0, 64, 4):
        x = guarded(randn(33, dtype=np.float32), "end", offset)
        np.testing.assert_array_equal(F.tanh(x), F.tanh(x.copy()))


def test_thread_counts_give_the_same_bits():
    x = Tensor(randn(300, 700, dtype=np.float32), requires_grad=True)
    found = []
    for _ in thread_counts():
        x.grad = None
        out = F.softmax(F.tanh(x) + F.sigmoid(x) + F.relu(x))
        out.backward(x.detach())
        found.append((out.detach().numpy().tobytes(), x.grad.numpy().tobytes()))
    assert len(set(found)) == 1


def test_kernels_refuse_what_would_crash():
    x = np.zeros(8, np.float32)
    for out in (np.zeros(7, np.float32), np.zeros(8), np.zeros(16, np.float32)[::2]):
        with pytest.raises(TypeError, match="kernel needs"):
            _kernels.activation("relu", x, out)
    out = np.zeros(8, np.float32)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        _kernels.activation("relu", x, out)
    with pytest.raises(TypeError, match="2-d"):
        _kernels.softmax(x, x.copy())


# ---- arguments


@pytest.mark.parametrize("name", [*ELEMENTWISE, *ALONG])
@pytest.mark.parametrize("bad", ["text", None, np.zeros(3, np.int64), np.zeros(3, np.float16), np.zeros(3, complex)])
def test_wrong_types(name, bad):
    with pytest.raises(TypeError, match=f"{name}: input"):
        getattr(F, name)(bad)


@pytest.mark.parametrize("name", ALONG)
def test_the_axis_without_being_told_is_pytorchs(name):
    for shape, axis in (((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)):
        x = randn(*shape)
        assert np.array_equal(getattr(F, name)(x), getattr(F, name)(x, axis))


@pytest.mark.parametrize("name", ALONG)
def test_wrong_axes(name):
    for dim in (2, -3, 2**63):
        with pytest.raises(ShapeError, match=f"{name}: dim"):
            getattr(F, name)(np.zeros((2, 3)), dim)
    for dim in (1.0, "1", True):
        with pytest.raises(TypeError, match=f"{name}: dim"):
            getattr(F, name)(np.zeros((2, 3)), dim)


def test_layers():
    x = randn(2, 5, dtype=np.float32)
    for layer, name, options in [
        (layers.ReLU(inplace=True), "relu", {}),
        (layers.Sigmoid(), "sigmoid", {}),
        (layers.Tanh(), "tanh", {}),
        (layers.ReLU6(inplace=True), "relu6", {}),
        (layers.Hardtanh(-2, 3), "hardtanh", {"min_val": -2, "max_val": 3}),
        (layers.Hardsigmoid(), "hardsigmoid", {}),
        (layers.ScaledTanh(), "scaled_tanh", {}),
        (layers.LeakyReLU(0.2), "leaky_relu", {"negative_slope": 0.2}),
        (layers.RReLU().eval(), "rrelu", {}),
        (layers.ELU(2.0, inplace=True), "elu", {"alpha": 2.0}),
        (layers.SELU(), "selu", {}),
        (layers.CELU(2.0), "celu", {"alpha": 2.0}),
        (layers.Softplus(2, 5), "softplus", {"beta": 2, "threshold": 5}),
        (layers.GELU("tanh"), "gelu", {"approximate": "tanh"}),
        (layers.SiLU(), "silu", {}),
        (layers.Hardswish(), "hardswish", {}),
        (layers.Mish(), "mish", {}),
        (layers.Softmax(0), "softmax", {"dim": 0}),
        (layers.LogSoftmax(dim=1), "log_softmax", {"dim": 1}),
    ]:
        np.testing.assert_array_equal(layer(x), getattr(F, name)(x, **options))
    assert repr(layers.Softmax(1)) == "Softmax(dim=1)"


def test_wrong_options():
    x = np.zeros(3)
    for call in (
        lambda: F.hardtanh(x, 1.0, 0.9),
        lambda: F.gelu(x, "sigmoid"),
        lambda: F.softplus(x, beta=0),
        lambda: F.celu(x, alpha=0),
        lambda: F.rrelu(x, 0.5, 0.4),
        lambda: F.rrelu(x, distribution="gauss"),
        lambda: F.elu(x, alpha=np.nan),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
    with pytest.raises(TypeError, match="leaky_relu: negative_slope"):
        F.leaky_relu(x, "0.1")


@pytest.mark.parametrize("name", ALONG)
def test_along_an_axis_in_another_dtype(name):
    """Scores are converted first: all digits of the wider type count, and the gradient has the scores' own."""
    x = Tensor(3 * randn(4, 5, dtype=np.float32), requires_grad=True)
    out = getattr(F, name)(x, 1, dtype="float64")
    assert out.dtype == np.float64
    np.testing.assert_allclose(out.detach(), getattr(reference, name)(x.detach().numpy().astype(float), 1), rtol=1e-14)
    out.backward(np.ones((4, 5)))
    assert x.grad.dtype == np.float32
    whole = getattr(x, name)(0, dtype=np.float32)
    np.testing.assert_array_equal(whole.detach(), getattr(F, name)(x, 0).detach())
    assert getattr(F, name)(np.arange(3), 0, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match=f"{name}: dtype must be float32 or float64, got"):
        getattr(F, name)(x, 0, dtype=np.int32)


def test_methods():
    x = Tensor(randn(2, 5))
    for name in ("relu", "sigmoid", "tanh"):
        np.testing.assert_array_equal(getattr(x, name)(), getattr(F, name)(x))
    np.testing.assert_array_equal(x.softmax(1), F.softmax(x, 1))


# ---- oracle


@pytest.mark.parametrize("name", ALONG)
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_along_an_axis_as_torch(name, dim):
    torch = pytest.importorskip("torch")
    x, grad = randn(4, 33, 3, dtype=np.float32), randn(4, 33, 3, seed=1, dtype=np.float32)
    given, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours, other = getattr(F, name)(given, dim), getattr(torch, name)(theirs, dim)
    ours.backward(grad)
    other.backward(torch.tensor(grad))
    np.testing.assert_allclose(ours.detach(), other.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(given.grad, theirs.grad.numpy(), rtol=1e-5, atol=1e-6)
