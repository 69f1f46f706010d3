import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import fastconv
from fastconv import Tensor, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import channels_last, check_op, randn

SHAPES = [
    ((3, 4), (3, 4)),
    ((2, 3, 4), (4,)),
    ((3, 1), (1, 5)),
    ((), (3,)),
    ((2, 3, 4, 5), (1, 3, 1, 1)),
    ((0, 3), (3,)),
]
BINARY = ["add", "sub", "mul", "div"]
UNARY = ["neg", "abs", "exp", "log", "sqrt"]
# One instruction set is enough where NumPy computes.
ONE = fastconv.available_isas()[:1]


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", SHAPES)
def test_binary(name, shapes):
    x, y = randn(*shapes[0]), randn(*shapes[1], seed=1)
    y += np.where(y < 0, -0.5, 0.5)
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [x, y],
        getattr(reference, f"{name}_grad"),
        isas=ONE,
        exact_layouts=False,
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [("add", {"alpha": -2}), ("sub", {"alpha": 0.5}), *(("div", {"rounding_mode": m}) for m in ("trunc", "floor"))],
)
@pytest.mark.parametrize("shapes", SHAPES)
def test_options(shapes, name, options):
    x, y = np.asarray(5 * randn(*shapes[0])), randn(*shapes[1], seed=1)
    y += np.where(y < 0, -0.5, 0.5)
    op, twin, grad = getattr(F, name), getattr(reference, name), getattr(reference, f"{name}_grad")
    check_op(op, twin, [x, y], grad, isas=ONE, exact_layouts=False, **options)


def test_whole_quotients_of_integers():
    x, y = np.array([7, -7, 7, -7, 6, -6, 0]), np.array([2, 2, -2, -2, 3, 3, 5])
    for mode, expected in (("trunc", [3, -3, -3, 3, 2, -2, 0]), ("floor", [3, -4, -4, 3, 2, -2, 0])):
        out = F.div(x, y, rounding_mode=mode)
        assert out.dtype == np.int64
        np.testing.assert_array_equal(out, expected)
    with pytest.raises(ZeroDivisionError, match="div: an integer is divided by zero"):
        F.div(x, 0, rounding_mode="floor")
    np.testing.assert_array_equal(F.div([1.0, -1.0], 0, rounding_mode="trunc"), [np.inf, -np.inf])


def test_options_that_are_refused():
    with pytest.raises(ValueError, match="rounding_mode must be 'trunc', 'floor' or None, got 'round'"):
        F.div([1.0], 2.0, rounding_mode="round")
    for bad in ("2", [1, 2], None):
        with pytest.raises(TypeError, match="add: alpha"):
            F.add([1.0], [2.0], alpha=bad)
    with pytest.raises(TypeError, match="sub: alpha"):
        F.sub([1.0], [2.0], alpha=np.ones(2))


@pytest.mark.parametrize("shapes", SHAPES)
def test_pow(shapes):
    x, y = np.asarray(np.abs(randn(*shapes[0])) + 0.5), randn(*shapes[1], seed=1)
    check_op(
        F.pow, reference.pow, [x, y], reference.pow_grad, isas=ONE, exact_layouts=False, tolerance={np.float32: 1e-5}
    )


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    x = randn(2, 3, 4, 5) if name in ("neg", "abs", "exp") else np.abs(randn(3, 5)) + 0.1
    op, twin, grad = getattr(F, name), getattr(reference, name), getattr(reference, f"{name}_grad")
    check_op(op, twin, [x], grad, isas=ONE, exact_layouts=False)


@given(shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3), name=st.sampled_from(BINARY))
@settings(max_examples=50, deadline=None)
def test_broadcast_gradients_have_the_inputs_shapes(shapes, name):
    x = Tensor(np.ones(shapes.input_shapes[0], np.float32), requires_grad=True)
    y = Tensor(np.ones(shapes.input_shapes[1], np.float32), requires_grad=True)
    out = getattr(F, name)(x, y)
    assert out.shape == shapes.result_shape
    out.backward(np.ones(out.shape, np.float32))
    assert x.grad.shape == x.shape
    assert y.grad.shape == y.shape
    assert x.grad.data.sum() == out.data.size


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 0.5, -1, -2.5])
def test_pow_by_a_number(exponent):
    x = Tensor([0.5, 1.0, 4.0], requires_grad=True)
    out = x**exponent
    out.backward(np.ones(3, np.float32))
    np.testing.assert_allclose(out.data, x.data**exponent, rtol=1e-6)
    np.testing.assert_allclose(x.grad.data, exponent * x.data ** (exponent - 1), rtol=1e-6)


def test_pow_at_zero():
    x = Tensor([0.0, 0.0, 0.0], requires_grad=True)
    y = Tensor([0.0, 1.0, 2.0], requires_grad=True)
    out = x**y
    out.backward([1, 1, 1])
    assert out.tolist() == [1, 0, 0]
    assert x.grad.tolist() == [0, 1, 0]
    assert y.grad.tolist() == [0, 0, 0]


def test_python_numbers_take_the_dtype():
    for dtype in (np.float32, np.float64):
        x = Tensor(np.ones(3, dtype), requires_grad=True)
        for out in (x + 1, 1 + x, x * 0.1, 2 / x, 2 - x, x**2, 2**x, x - np.float64(1), np.float64(2) * x, True * x):
            assert out.dtype == dtype
            assert out.requires_grad
        zero_d = Tensor(np.array(2, dtype), requires_grad=True)
        assert (zero_d * 1.5).dtype == dtype
        assert (1.5 / zero_d).data.shape == ()


def test_array_on_the_left_makes_a_tensor():
    x = Tensor([1.0, 2.0], requires_grad=True)
    for out in (np.ones(2, np.float32) + x, np.ones(2, np.float32) @ x, np.float32(2) * x, [1.0, 2.0] - x):
        assert type(out) is Tensor
        assert out.requires_grad
    assert type(np.ones(2, np.float32) < x) is Tensor


def test_two_float_dtypes_are_an_error():
    x, y = Tensor(np.ones(2, np.float32)), Tensor(np.ones(2, np.float64))
    for op in (F.add, F.mul, F.pow, F.lt, F.eq, F.matmul):
        with pytest.raises(TypeError, match=r"input is float32 but .* is float64"):
            op(x, y)
    with pytest.raises(TypeError, match="float64"):
        x + np.ones(2)


def test_integers_and_bools_beside_floats():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    mask = Tensor(np.array([True, False, True]))
    out = x * mask + Tensor(np.array([1, 2, 3]))
    assert out.dtype == np.float32
    out.sum().backward()
    assert x.grad.tolist() == [1, 0, 1]


def test_integers():
    i = fastconv.tensor([1, 2, 3])
    assert (i + 1).dtype == np.int64
    assert (i * 0.5).dtype == np.float32
    assert (i / 2).tolist() == [0.5, 1, 1.5]
    assert (i / 2).dtype == np.float32
    assert (fastconv.tensor([True]) + 1).tolist() == [2]
    with pytest.raises(TypeError, match="does not fit int64"):
        i + 2**70
    with pytest.raises(TypeError, match="exp: input must be float32 or float64, got int64"):
        F.exp(i)


def test_comparison():
    x, y = Tensor([1.0, 2.0, np.nan], requires_grad=True), [2.0, 2.0, np.nan]
    assert (x == y).tolist() == [False, True, False]
    assert (x != y).tolist() == [True, False, True]
    assert (x < y).tolist() == [True, False, False]
    assert (x <= 2).tolist() == [True, True, False]
    assert (Tensor(2.0) > x).tolist() == [True, False, False]
    assert (x >= 2).tolist() == [False, True, False]
    assert (x == y).dtype == bool
    assert not (x == y).requires_grad
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    assert {x: 1}[x] == 1


@pytest.mark.filterwarnings("error")
def test_special_values_come_without_warnings():
    x = Tensor([0.0, -1.0, 1e38], requires_grad=True)
    for out in (1 / x, F.log(x), F.sqrt(x), F.exp(x), x * x, x**-1, x**x, x - np.inf, np.inf - x):
        out.sum().backward()
    assert (1 / x).tolist()[0] == np.inf
    assert (x * x).tolist()[2] == np.inf
    assert np.isnan(F.log(x).tolist()[1])
    assert (Tensor([-0.0]) * 1).data.tobytes() == np.array([-0.0], np.float32).tobytes()


def test_shapes_that_do_not_broadcast():
    with pytest.raises(ShapeError, match=r"add: operands of shapes \(2, 3\) and \(4,\)"):
        F.add(np.ones((2, 3), np.float32), np.ones(4, np.float32))


@pytest.mark.parametrize(
    "bad", ["a", b"a", object(), {}, 1j, [1j], np.complex64(1), np.ones(2, np.complex64), np.array(["a"])]
)
def test_what_is_no_number_is_an_error(bad):
    with pytest.raises(TypeError, match="add: "):
        F.add(bad, np.ones(2, np.float32))
    with pytest.raises(TypeError, match="add: "):
        Tensor([1.0, 2.0]) + bad


def test_channels_last_stays():
    x = channels_last(randn(2, 3, 4, 5))
    for out in (F.add(x, x), F.mul(x, randn(1, 3, 1, 1)), F.neg(x), F.exp(x), F.pow(x, 2)):
        assert out.data.strides == x.strides
