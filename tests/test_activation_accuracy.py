"""Activations at special values, in the tails, and on every instruction set."""

import math

import numpy as np
import pytest

from fastconv import Tensor, _kernels, reference
from fastconv import functional as F
from tests.helpers import DTYPES, ISAS, isa, randn
from tests.test_activation import ELEMENTWISE

LARGEST_ARGUMENT = {np.float32: 110.0, np.float64: 760.0}


def ulps(found, expected):
    """Largest distance in units in the last place; `expected` in higher precision."""
    rounded = np.abs(expected).astype(found.dtype)
    return float(np.max(np.abs(found.astype(expected.dtype) - expected) / np.spacing(rounded).astype(expected.dtype)))


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
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(values).astype(dtype)
    exact = name in ("relu", "sigmoid", "tanh")
    length = _kernels.vector_length(np.dtype(dtype))
    for n in range(1, 2 * length + 2):
        for value, wanted in zip(values, expected, strict=True):
            for place in {0, n // 2, n - 1}:
                x = np.full(n, 0.5, dtype)
                x[place] = value
                out = getattr(F, name)(x).numpy()
                np.testing.assert_allclose(out[place], wanted, rtol=0 if exact else 1e-6, atol=0 if exact else 4 * tiny)
                if name in ("sigmoid", "tanh") and not np.isnan(wanted):
                    assert np.signbit(out[place]) == np.signbit(wanted)
                assert len(set(np.delete(out, place))) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradients_at_infinity_are_the_limits(each_isa, name, dtype):
    top = np.finfo(dtype).max
    x = Tensor(np.array([-np.inf, -top, -100, 100, top, np.inf, np.nan], dtype), requires_grad=True)
    getattr(F, name)(x).backward(np.ones(7, dtype))
    found = x.grad.numpy()
    np.testing.assert_allclose(found[[0, 1]], found[2], atol=1e-30)
    np.testing.assert_allclose(found[[4, 5]], found[3], atol=1e-30)
    assert np.isnan(found[6]) or name in (
        "relu",
        "relu6",
        "hardtanh",
        "leaky_relu",
        "rrelu",
        "hardsigmoid",
        "hardswish",
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_tails_are_as_accurate_as_the_middle(each_isa, dtype):
    x = np.linspace(-13 if dtype is np.float32 else -37, 8, 5001).astype(dtype)
    wide = x.astype(np.longdouble)
    at = -wide / np.sqrt(np.longdouble(2))
    below = np.array([math.erfc(v) for v in at.tolist()], np.longdouble)
    below -= (at - at.astype(float)) * 2 / np.sqrt(np.longdouble(math.pi)) * np.exp(-(at**2))
    expected = wide * below / 2
    assert ulps(F.gelu(x).numpy(), expected) <= (8 if each_isa != "scalar" else 4000)  # without FMA squares are rounded
    e = np.exp(-np.abs(wide))
    assert ulps(F.softplus(x, threshold=1e3).numpy(), np.maximum(wide, 0) + np.log1p(e)) <= 8
    assert ulps(F.silu(x).numpy(), wide / (1 + np.exp(-wide))) <= 8
    n = np.exp(wide) * (np.exp(wide) + 2)
    assert ulps(F.mish(x).numpy(), wide * n / (n + 2)) <= 8
    assert ulps(F.elu(x).numpy(), np.where(wide > 0, wide, np.expm1(wide))) <= 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_of_an_element_is_the_same_beside_any_other(each_isa, dtype):
    x = (3 * randn(400, dtype=dtype)).clip(-9, 9)  # a vector with a number beyond 5.9 goes another way
    x[::50] = np.nan
    whole = F.gelu(x).numpy()
    np.testing.assert_array_equal(whole, [F.gelu(x[i : i + 1]).numpy()[0] for i in range(x.size)])
    np.testing.assert_array_equal(whole[::-1], F.gelu(np.ascontiguousarray(x[::-1])).numpy())


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


def test_every_instruction_set_agrees():
    x = np.clip(20 * randn(1000, dtype=np.float32), -2, None)  # beyond, GELU without FMA is less exact
    for name in ELEMENTWISE:
        results = []
        for chosen in ISAS:
            with isa(chosen):
                results.append(getattr(F, name)(x).numpy())
        for other in results[1:]:
            assert ulps(other, results[0].astype(np.float64)) <= 4
