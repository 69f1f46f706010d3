"""Convolution to few channels, whose pixels lie along the lanes where an instruction set has registers enough."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, _kernels, reference
from fastconv import functional as F
from tests.helpers import DTYPES, ISAS, check_op, isa, randn

# (N, C, H, W), (O, C, kh, kw), options: every number of output channels, rows of a vector and a bit, strides, taps
# apart, one range of channels, two and three, kernels wider than a vector, bands, nothing.
CASES = [
    ((2, 1, 9, 28), (6, 1, 5, 5), {"padding": 2}),
    ((1, 1, 7, 17), (5, 1, 2, 3), {}),
    ((2, 3, 8, 33), (3, 3, 3, 3), {"padding": 1}),
    ((1, 16, 6, 16), (4, 16, 3, 3), {"padding": (0, 1)}),
    ((2, 17, 5, 15), (2, 17, 3, 3), {"padding": 1}),
    ((1, 35, 4, 20), (1, 35, 2, 2), {}),
    ((1, 18, 11, 39), (3, 18, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 2, 13, 50), (2, 2, 3, 3), {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 2)}),
    ((1, 1, 5, 31), (2, 1, 3, 23), {"padding": (1, 11)}),
    ((0, 3, 6, 20), (3, 3, 3, 3), {}),
]


@pytest.mark.parametrize(("shape", "weight", "options"), CASES)
def test_values_and_gradients(shape, weight, options):
    inputs = [randn(*shape), randn(*weight), randn(weight[0])]
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad, **options)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("channels", [1, 16])
def test_padding_modes(mode, channels):
    inputs = [randn(2, channels, 6, 18), randn(3, channels, 3, 3), randn(3)]
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad, padding=(2, 1), padding_mode=mode)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_image_and_a_batch(dtype):
    """Several bands and chunks; float32 within what its rounding explains."""
    x, weight = randn(3, 20, 70, 90, dtype=dtype), Parameter(randn(3, 20, 3, 3, dtype=dtype))
    y = F.conv2d(x, weight, padding=1, algorithm="direct")
    given = randn(*y.shape, seed=1, dtype=dtype)
    y.backward(given)
    wide = [a.astype(np.float64) for a in (x, weight.detach().numpy(), given)]
    expected = reference.conv2d(*wide[:2], padding=1)
    gradient = reference.conv2d_grad(wide[2], *wide[:2], padding=1)[1]
    limit = 2e-6 if dtype == np.float32 else 1e-14
    for found, true in [(y.detach().numpy(), expected), (weight.grad.numpy(), gradient)]:
        assert np.abs(found - true).max() <= limit * np.abs(true).max()


def value_and_gradient(x, weight, given, **options):
    weight = Parameter(weight)
    y = F.conv2d(x, weight, algorithm="direct", **options)
    y.backward(given)
    return y.detach().numpy(), weight.grad.numpy()


def test_neither_threads_nor_the_batch_nor_gaps_change_a_bit():
    x, weight = randn(5, 18, 40, 37, dtype=np.float32), randn(6, 18, 3, 3, dtype=np.float32)
    given = randn(5, 6, 38, 35, seed=1, dtype=np.float32)
    before, found = fastconv.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            fastconv.set_num_threads(threads)
            found.append(value_and_gradient(x, weight, given))
    finally:
        fastconv.set_num_threads(before)
    apart = [_kernels.channels_last(np.concatenate([a, a], 1))[:, : a.shape[1]] for a in (x, given)]
    found.append(value_and_gradient(apart[0], weight, apart[1]))
    for y, grad in found[1:]:
        assert np.array_equal(y, found[0][0])
        assert np.array_equal(grad, found[0][1])
    for i in range(5):
        assert np.array_equal(value_and_gradient(x[i : i + 1], weight, given[i : i + 1])[0][0], found[0][0][i])


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channels", [1, 17])
def test_a_value_reaches_only_what_it_belongs_to(name, value, channels):
    x = randn(1, channels, 8, 20, dtype=np.float32)
    weight, given = randn(3, channels, 3, 3, dtype=np.float32), randn(1, 3, 6, 18, dtype=np.float32)
    x[0, 0, 4, 18] = value
    with isa(name):
        y, grad = value_and_gradient(x, weight, given)
    reached = np.zeros_like(y, bool)
    reached[0, :, 2:5, 16:] = True
    assert np.array_equal(~np.isfinite(y), reached)
    taps = np.zeros_like(grad, bool)
    taps[:, 0, :, 1:] = True  # the first column of taps sees columns 0 to 17 alone
    assert np.array_equal(~np.isfinite(grad), taps)


def test_the_bias_the_residual_and_the_clamp():
    x, weight, bias = (randn(*s, dtype=np.float32) for s in [(2, 16, 7, 21), (3, 16, 3, 3), (3,)])
    residual = randn(2, 3, 7, 21, seed=1, dtype=np.float32)
    plain = F.conv2d(x, weight, bias, padding=1, algorithm="direct").numpy()
    both = F.conv2d(x, weight, bias, padding=1, algorithm="direct", residual=residual, activation="relu").numpy()
    np.testing.assert_array_equal(both, np.maximum(plain + residual, 0))


@pytest.mark.parametrize("outputs", [1, 4, 8])
def test_weights_that_are_kept_fit_every_use(outputs):
    """All of these have rows of 32 outputs; what vectors hold differs."""
    weight = Parameter(randn(outputs, 2, 3, 3))
    for size, options in [
        ((8, 34), {}),
        ((9, 65), {"stride": 2}),
        ((9, 36), {"dilation": 2}),
        ((4010, 34), {"dilation": (2000, 1)}),
        ((8, 34), {}),
    ]:
        x = randn(1, 2, *size)
        with fastconv.no_grad():
            found = F.conv2d(x, weight, algorithm="direct", **options).numpy()
        expected = reference.conv2d(x, weight.detach().numpy(), **options)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
