import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import Tensor, layers, no_grad, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import DTYPES, check_op, randn, smallints

LIMIT = {np.float32: 2e-6, np.float64: 1e-14}
# kernel_size, stride, padding
WINDOWS = [
    (2, None, 0),
    (3, None, 0),
    (3, 2, 1),
    (3, 1, 1),
    (2, 1, 1),
    (2, 3, 0),
    ((1, 4), (2, 1), (0, 2)),
    ((3, 1), 3, (1, 0)),
    (7, None, 0),
]


def distinct(*shape):
    """No two values are equal, nor near enough for central differences to reorder."""
    rng = np.random.default_rng(sum(shape))
    return rng.permutation(int(np.prod(shape))).reshape(shape) / 10.0


def check_max(x, *window, **options):
    check_op(
        lambda x: F.max_pool2d(x, *window, **options),
        lambda x: reference.max_pool2d(x, *window, **options),
        [x],
        lambda grad, x: reference.max_pool2d_grad(grad, x, *window, **options),
        tolerance=LIMIT,
    )


def check_avg(x, *window, **options):
    check_op(
        lambda x: F.avg_pool2d(x, *window, **options),
        lambda x: reference.avg_pool2d(x, *window, **options),
        [x],
        lambda grad, x: reference.avg_pool2d_grad(grad, x, *window, **options),
        tolerance=LIMIT,
    )


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_windows(window, ceil_mode):
    x = distinct(2, 3, 8, 7)
    check_max(x, *window, ceil_mode=ceil_mode)
    check_avg(x, *window, ceil_mode=ceil_mode)


@pytest.mark.parametrize("dilation", [2, 3, (1, 3), (4, 2)])
@pytest.mark.parametrize("stride", [1, 2, 3, (2, 4)])
def test_dilation(dilation, stride):
    check_max(distinct(1, 2, 9, 10), 2, stride, 1, dilation)


@pytest.mark.parametrize("options", [{"count_include_pad": False}, {"divisor_override": 3}, {"divisor_override": 7}])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_divisors(options, ceil_mode):
    check_avg(randn(2, 3, 6, 7), 3, 2, 1, ceil_mode=ceil_mode, **options)
    check_avg(randn(2, 3, 6, 6), 2, **options)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33])
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (2, 2)])
def test_channel_counts(each_isa, channels, size):
    """Where windows are 2x2 several pixels may share a vector; others have one channel block after another."""
    for dtype in DTYPES:
        x = smallints(3, channels, *size, dtype=dtype)
        for kernel, stride in ((2, 2), (2, 1)):
            given = Tensor(x, requires_grad=True)
            for op, twin, twin_grad in (
                (F.max_pool2d, reference.max_pool2d, reference.max_pool2d_grad),
                (F.avg_pool2d, reference.avg_pool2d, reference.avg_pool2d_grad),
            ):
                given.grad = None
                out = op(given, kernel, stride)
                np.testing.assert_array_equal(out.detach(), twin(x, kernel, stride))
                grad = smallints(*out.shape, seed=1, dtype=dtype)
                out.backward(grad)
                np.testing.assert_array_equal(given.grad, twin_grad(grad, x, kernel, stride))


def test_more_than_256_and_65536_taps(each_isa):
    for h, w in ((17, 16), (257, 256)):
        x = smallints(2, 3, h, w, dtype=np.float32)
        x[:, :, h - 1, w - 1] = 9
        x[:, 1, h // 2, 3] = 9
        given = Tensor(x, requires_grad=True)
        F.max_pool2d(given, (h, w)).backward(np.full((2, 3, 1, 1), 2, np.float32))
        expected = np.zeros_like(x)
        expected[:, 0, h - 1, w - 1] = expected[:, 1, h // 2, 3] = expected[:, 2, h - 1, w - 1] = 2
        np.testing.assert_array_equal(given.grad, expected)


def test_three_axes_and_an_empty_batch():
    x = randn(3, 6, 6, dtype=np.float32)
    for op in (F.max_pool2d, F.avg_pool2d):
        one, batch = Tensor(x, requires_grad=True), Tensor(x[None], requires_grad=True)
        out, expected = op(one, 3, 1, 1), op(batch, 3, 1, 1)
        np.testing.assert_array_equal(out.detach(), expected.detach().numpy()[0])
        out.backward(out.detach())
        expected.backward(expected.detach())
        np.testing.assert_array_equal(one.grad, batch.grad.numpy()[0])
    for op in (F.max_pool2d, F.avg_pool2d):
        empty = Tensor(np.zeros((0, 3, 6, 6), np.float32), requires_grad=True)
        out = op(empty, 2)
        assert out.shape == (0, 3, 3, 3)
        out.backward(np.zeros(out.shape, np.float32))
        assert empty.grad.shape == empty.shape


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_geometry(data):
    pair = st.tuples(st.integers(1, 5), st.integers(1, 5))
    kernel, stride, dilation = data.draw(pair), data.draw(pair), data.draw(pair)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    shape = (
        data.draw(st.integers(0, 2)),
        data.draw(st.integers(1, 9)),
        *data.draw(st.tuples(*[st.integers(1, 12)] * 2)),
    )
    ceil_mode = data.draw(st.booleans())
    x = smallints(*shape, dtype=np.float32)
    given = Tensor(x, requires_grad=True)
    try:
        out = F.max_pool2d(given, kernel, stride, padding, dilation, ceil_mode)
    except ShapeError:
        room = [n + 2 * p - d * (k - 1) - 1 for n, p, d, k in zip(shape[2:], padding, dilation, kernel, strict=True)]
        assert min(room) < 0
        return
    grad = smallints(*out.shape, seed=1, dtype=np.float32)
    out.backward(grad)
    options = (kernel, stride, padding, dilation, ceil_mode)
    np.testing.assert_array_equal(out.detach(), reference.max_pool2d(x, *options))
    np.testing.assert_array_equal(given.grad, reference.max_pool2d_grad(grad, x, *options))
    counted = data.draw(st.booleans())
    try:
        out = F.avg_pool2d(x, kernel, stride, padding, ceil_mode, counted)
    except ShapeError:
        return
    np.testing.assert_allclose(out, reference.avg_pool2d(x, kernel, stride, padding, ceil_mode, counted), rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 15, 64, 67, 131])
def test_three_by_three_in_every_geometry(each_isa, channels):
    for h, w, stride, padding, ceil_mode in itertools.product((1, 2, 5, 8), (1, 3, 6), (1, 2), (0, 1), (False, True)):
        if min(h, w) + 2 * padding < 3:
            continue
        x = smallints(2, channels, h, w, dtype=np.float32)
        given = Tensor(x, requires_grad=True)
        options = (3, stride, padding, 1, ceil_mode)
        out = F.max_pool2d(given, *options)
        grad = smallints(*out.shape, seed=1, dtype=np.float32)
        out.backward(grad)
        np.testing.assert_array_equal(out.detach(), reference.max_pool2d(x, *options))
        np.testing.assert_array_equal(given.grad, reference.max_pool2d_grad(grad, x, *options))


# ---- special values


@pytest.mark.parametrize("options", [(2,), (3, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("channels", [1, 5, 16, 19, 64, 83])
def test_nan_and_infinity(each_isa, options, channels):
    for dtype in DTYPES:
        x = smallints(2, channels, 6, 6, dtype=dtype)
        rng = np.random.default_rng(0)
        x[rng.random(x.shape) < 0.2] = np.nan
        x[rng.random(x.shape) < 0.4] = -np.inf
        x[rng.random(x.shape) < 0.1] = np.inf
        x[rng.random(x.shape) < 0.1] = -0.0
        given = Tensor(x, requires_grad=True)
        out = F.max_pool2d(given, *options)
        grad = smallints(*out.shape, seed=1, dtype=dtype)
        out.backward(grad)
        np.testing.assert_array_equal(out.detach(), reference.max_pool2d(x, *options))
        np.testing.assert_array_equal(given.grad, reference.max_pool2d_grad(grad, x, *options))


@pytest.mark.parametrize("options", [(2,), (3, 2, 1), (3, 1)])
def test_every_channel_gets_the_same_bits(each_isa, options):
    """Whole vectors, their tail and what is left for single elements round alike."""
    for dtype in DTYPES:
        x = np.repeat(randn(2, 1, 7, 7, dtype=dtype), 43, axis=1)
        for op in (F.max_pool2d, F.avg_pool2d):
            given = Tensor(x, requires_grad=True)
            out = op(given, *options)
            out.backward(np.repeat(randn(2, 1, *out.shape[2:], seed=1, dtype=dtype), 43, axis=1))
            for found in (out.detach().numpy(), given.grad.numpy()):
                np.testing.assert_array_equal(found, np.repeat(found[:, :1], 43, axis=1))


@pytest.mark.parametrize("value", [-np.inf, np.nan])
@pytest.mark.parametrize("options", [(2,), (3, 1, 1), (17,)])
def test_windows_with_nothing_else(each_isa, value, options):
    x = Tensor(np.full((1, 3, 17, 17), value, np.float32), requires_grad=True)
    out = F.max_pool2d(x, *options)
    out.backward(np.ones(out.shape, np.float32))
    np.testing.assert_array_equal(out.detach(), np.full(out.shape, value))
    assert x.grad.numpy().sum() == np.prod(out.shape)


def test_the_first_maximum_wins(each_isa):
    x = Tensor(np.zeros((1, 5, 4, 4), np.float32), requires_grad=True)
    F.max_pool2d(x, 2).backward(np.ones((1, 5, 2, 2), np.float32))
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    np.testing.assert_array_equal(x.grad, np.broadcast_to(expected, (1, 5, 4, 4)))


def test_a_window_whose_taps_all_lie_in_the_padding(each_isa):
    """Its value is that of the padding, and its gradient goes nowhere."""
    x = Tensor(np.ones((1, 3, 1, 1), np.float32), requires_grad=True)
    out = F.max_pool2d(x, 2, 1, 1, 2)
    out.backward(np.ones(out.shape, np.float32))
    np.testing.assert_array_equal(out.detach(), np.full((1, 3, 1, 1), -np.inf))
    np.testing.assert_array_equal(x.grad, np.zeros((1, 3, 1, 1)))


def test_results_are_channels_last_and_nothing_is_kept_without_a_gradient():
    x = Tensor(randn(2, 3, 6, 6, dtype=np.float32), requires_grad=True)
    assert F.max_pool2d(x, 2).detach().numpy().transpose(0, 2, 3, 1).flags.c_contiguous
    with no_grad():
        assert F.max_pool2d(x, 2).node is None


def test_layers():
    x = randn(2, 3, 7, 8, dtype=np.float32)
    pool = layers.MaxPool2d(3, 2, padding=1, dilation=1, ceil_mode=True)
    np.testing.assert_array_equal(pool(x), F.max_pool2d(x, 3, 2, 1, 1, True))
    np.testing.assert_array_equal(layers.MaxPool2d(2)(x), F.max_pool2d(x, 2))
    mean = layers.AvgPool2d(3, 2, 1, True, False)
    np.testing.assert_array_equal(mean(x), F.avg_pool2d(x, 3, 2, 1, True, False))
    assert repr(pool) == "MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=True)"
    assert repr(mean) == "AvgPool2d(kernel_size=3, stride=2, padding=1)"


# ---- oracle


@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size", [(8, 7), (9, 9), (1, 8)])
def test_as_torch(options, ceil_mode, size):
    torch = pytest.importorskip("torch")
    x = smallints(2, 5, *size, dtype=np.float32)
    x[0, 0, 0, :2] = np.nan
    for name in ("max_pool2d", "avg_pool2d"):
        given, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        try:
            other = getattr(torch.nn.functional, name)(theirs, *options, ceil_mode=ceil_mode)
        except RuntimeError:
            with pytest.raises(ValueError, match=name):
                getattr(F, name)(given, *options, ceil_mode=ceil_mode)
            continue
        ours = getattr(F, name)(given, *options, ceil_mode=ceil_mode)
        np.testing.assert_allclose(ours.detach(), other.detach().numpy(), rtol=1e-6)
        grad = smallints(*ours.shape, seed=1, dtype=np.float32)
        ours.backward(grad)
        other.backward(torch.tensor(grad))
        np.testing.assert_allclose(given.grad, theirs.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_options_as_pytorch_takes_them(dtype):
    """One number in a sequence is for all axes, an empty stride none, and a divisor may be below 0."""
    x = randn(1, 2, 7, 7).astype(dtype)
    expected = reference.avg_pool2d(x, 3, 3, 1)
    np.testing.assert_allclose(F.avg_pool2d(x, (3,), [], [1]), expected, rtol=1e-5)
    np.testing.assert_allclose(F.max_pool2d(x, [3], (2,), (1,)), reference.max_pool2d(x, 3, 2, 1))
    for size in (2, 3):
        given = Tensor(x, requires_grad=True)
        out = F.avg_pool2d(given, size, divisor_override=-2)
        np.testing.assert_allclose(out.detach(), -reference.avg_pool2d(x, size, divisor_override=2), rtol=1e-5)
        out.sum().backward()
        assert given.grad.numpy().min() == -0.5
