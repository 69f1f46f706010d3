import numpy as np
import pytest

from fastconv import Tensor, _kernels, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, ISAS, channels_last, check_op, isa, layouts, randn

ELEMENTWISE = ("relu", "sigmoid", "tanh")
ALONG = ("softmax", "log_softmax")
SHAPES = [(), (1,), (7,), (8,), (9,), (0, 3), (2, 17), (2, 3, 5, 4), (3, 1, 1, 33)]


def ulps(found, expected):
    """Largest distance in units in the last place; `expected` in higher precision."""
    rounded = np.abs(expected).astype(found.dtype)
    return float(np.max(np.abs(found.astype(expected.dtype) - expected) / np.spacing(rounded).astype(expected.dtype)))


def away_from_zero(*shape):
    x = randn(*shape)
    return np.asarray(x + 0.1 * np.sign(x))  # relu has no derivative at 0


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", SHAPES)
def test_elementwise(name, shape):
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [away_from_zero(*shape)],
        getattr(reference, f"{name}_grad"),
        tolerance={np.float32: 1e-6, np.float64: 2e-15},
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


# ---- accuracy and special values

LARGEST_ARGUMENT = {np.float32: 110.0, np.float64: 760.0}


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_and_tanh_within_4_ulp_everywhere(each_isa, dtype):
    top = LARGEST_ARGUMENT[dtype]
    size = np.geomspace(np.finfo(dtype).tiny, top, 20_001)
    x = np.concatenate([size, -size, np.linspace(-top, top, 20_001), np.linspace(-1, 1, 20_001)]).astype(dtype)
    wide = x.astype(np.longdouble)
    assert ulps(F.tanh(x).numpy(), np.tanh(wide)) <= 4
    assert ulps(F.sigmoid(x).numpy(), 1 / (1 + np.exp(-wide))) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_terms_that_vanish(each_isa, dtype):
    """e^x at its smallest: subnormal results are rounded, not flushed."""
    top = LARGEST_ARGUMENT[dtype]
    x = np.zeros((2000, 2), dtype)
    x[:, 1] = -np.linspace(0, top, 2000)
    expected = np.exp(x[:, 1].astype(np.longdouble))
    expected /= 1 + expected
    assert ulps(F.softmax(x).numpy()[:, 1], expected) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_special_values_are_the_same_in_every_lane(each_isa, name, dtype):
    tiny, top = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, top, -top], dtype)
    expected = getattr(reference, name)(values).astype(dtype)
    length = _kernels.vector_length(np.dtype(dtype))
    for n in range(1, 2 * length + 2):
        for value, wanted in zip(values, expected, strict=True):
            for place in {0, n // 2, n - 1}:
                x = np.full(n, 0.5, dtype)
                x[place] = value
                out = getattr(F, name)(x).numpy()
                np.testing.assert_array_equal(out[place], wanted)
                assert np.signbit(out[place]) == np.signbit(wanted) or np.isnan(wanted) or name == "relu"
                assert len(set(np.delete(out, place))) <= 1


def test_relu_gradient_at_nan_zero_and_infinity(each_isa):
    x = Tensor([np.nan, -np.inf, np.inf, 0.0, -0.0], requires_grad=True)
    F.relu(x).backward(np.float32([1, 2, 3, 4, 5]))
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0, 3, 0, 0])


def test_softmax_of_infinities(each_isa):
    inf = np.inf
    x = np.float32([[inf, 0], [-inf, 0], [-inf, -inf], [np.nan, 0], [3e38, -3e38]])
    found = F.softmax(x).numpy()
    np.testing.assert_array_equal(found, [[np.nan] * 2, [0, 1], [np.nan] * 2, [np.nan] * 2, [1, 0]])
    found = F.log_softmax(x).numpy()
    np.testing.assert_array_equal(found, [[np.nan] * 2, [-inf, 0], [np.nan] * 2, [np.nan] * 2, [0, -inf]])


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
            for name in ELEMENTWISE:
                getattr(_kernels, name)(x, out)
                getattr(_kernels, f"{name}_grad")(out, x, grad_x)
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
    before = _kernels.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 8):
            _kernels.set_num_threads(threads)
            x.grad = None
            out = F.softmax(F.tanh(x) + F.sigmoid(x) + F.relu(x))
            out.backward(x.detach())
            found.append((out.detach().numpy().tobytes(), x.grad.numpy().tobytes()))
    finally:
        _kernels.set_num_threads(before)
    assert len(set(found)) == 1


def test_kernels_refuse_what_would_crash():
    x = np.zeros(8, np.float32)
    for out in (np.zeros(7, np.float32), np.zeros(8), np.zeros(16, np.float32)[::2]):
        with pytest.raises(TypeError, match="kernel needs"):
            _kernels.relu(x, out)
    out = np.zeros(8, np.float32)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="writable"):
        _kernels.relu(x, out)
    with pytest.raises(TypeError, match="2-d"):
        _kernels.softmax(x, x.copy())


# ---- arguments


@pytest.mark.parametrize("name", ELEMENTWISE + ALONG)
@pytest.mark.parametrize("bad", ["text", None, np.zeros(3, np.int64), np.zeros(3, np.float16), np.zeros(3, complex)])
def test_wrong_types(name, bad):
    with pytest.raises(TypeError, match=f"{name}: input"):
        getattr(F, name)(bad)


@pytest.mark.parametrize("name", ALONG)
def test_wrong_axes(name):
    for dim in (2, -3, 2**63):
        with pytest.raises(ShapeError, match=f"{name}: dim"):
            getattr(F, name)(np.zeros((2, 3)), dim)
    for dim in (1.0, "1", None, True):
        with pytest.raises(TypeError, match=f"{name}: dim"):
            getattr(F, name)(np.zeros((2, 3)), dim)


def test_layers():
    x = randn(2, 5, dtype=np.float32)
    for layer, name, options in [
        (layers.ReLU(inplace=True), "relu", {}),
        (layers.Sigmoid(), "sigmoid", {}),
        (layers.Tanh(), "tanh", {}),
        (layers.Softmax(0), "softmax", {"dim": 0}),
        (layers.LogSoftmax(dim=1), "log_softmax", {"dim": 1}),
    ]:
        np.testing.assert_array_equal(layer(x), getattr(F, name)(x, **options))
    assert repr(layers.Softmax(1)) == "Softmax(dim=1)"


def test_methods():
    x = Tensor(randn(2, 5))
    for name in ELEMENTWISE:
        np.testing.assert_array_equal(getattr(x, name)(), getattr(F, name)(x))
    np.testing.assert_array_equal(x.softmax(1), F.softmax(x, 1))


# ---- oracle


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_as_torch(name):
    torch = pytest.importorskip("torch")
    x = randn(4, 33, dtype=np.float32)
    x[0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    for _, placed in layouts(x):
        given, theirs = Tensor(placed, requires_grad=True), torch.tensor(x, requires_grad=True)
        ours, other = getattr(F, name)(given), getattr(torch, name)(theirs)
        np.testing.assert_allclose(ours.detach(), other.detach().numpy(), rtol=1e-6, atol=1e-7)
        ours.backward(x)
        other.backward(torch.tensor(x))
        np.testing.assert_allclose(given.grad, theirs.grad.numpy(), rtol=1e-5, atol=1e-6)


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


def test_every_instruction_set_agrees():
    x = 20 * randn(1000, dtype=np.float32)
    for name in ELEMENTWISE:
        results = []
        for chosen in ISAS:
            with isa(chosen):
                results.append(getattr(F, name)(x).numpy())
        for other in results[1:]:
            assert ulps(other, results[0].astype(np.float64)) <= 4
