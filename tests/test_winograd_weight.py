"""The weight gradient of 3x3 convolutions by Winograd's F(3, 4)."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Tensor, reference
from fastconv import functional as F
from tests.helpers import ISAS, check_op, isa, randn, thread_counts


def gradient(algorithm, x, w, **options):
    weight = Tensor(w, requires_grad=True)
    out = F.conv2d(x, weight, algorithm=algorithm, **options)
    out.backward(np.random.default_rng(5).standard_normal(out.shape).astype(x.dtype))
    return weight.grad.numpy()


# At least 16 channels and 16 tiles, or the sum over taps serves.
SHAPES = [
    ((1, 32, 16, 13), 32, {"padding": 1}),
    ((3, 33, 9, 11), 35, {}),
    ((2, 47, 14, 14), 65, {"padding": 2}),
    ((1, 128, 13, 14), 64, {"padding": (0, 1), "groups": 2}),
    ((1, 130, 15, 17), 32, {"padding": 1}),
    ((1, 32, 19, 10), 48, {"padding": 1, "groups": 2}),
    ((2, 33, 19, 30), 35, {"padding": 3, "dilation": (2, 3)}),
    ((1, 16, 41, 33), 18, {"padding": (1, 4), "dilation": 3}),
]


@pytest.mark.parametrize(("shape", "out", "options"), SHAPES)
def test_winograd_weight_gradient(shape, out, options):
    def winograd(*arrays, **chosen):
        return F.conv2d(*arrays, **chosen, algorithm="winograd")

    inputs = [randn(*shape), randn(out, shape[1] // options.get("groups", 1), 3, 3), randn(out)]
    tolerance = {np.float32: 2e-5, np.float64: 1e-13}
    check_op(winograd, reference.conv2d, inputs, reference.conv2d_grad, tolerance=tolerance, **options)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("shape", [(1, 64, 56, 56), (8, 32, 14, 14)])
def test_its_error_is_at_most_four_times_that_of_direct(name, shape):
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal(shape), 0).astype(np.float32)
    w = np.zeros((32, shape[1], 3, 3), np.float32)
    exact = gradient("direct", x.astype(float), w.astype(float), padding=1)
    with isa(name):
        direct, winograd = (gradient(a, x, w, padding=1) - exact for a in ("direct", "winograd"))
    ratio = np.sqrt(np.mean(winograd**2) / np.mean(direct**2))
    print(f"{name}, {shape}: the RMS error of Winograd's weight gradient is {ratio:.2f} times direct's")
    assert not np.array_equal(winograd, direct)
    assert ratio <= 4


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize(("size", "dilation"), [((13, 15), 1), ((23, 25), 2)])
def test_a_value_spreads_no_further_than_in_direct(name, value, size, dilation):
    x, w = randn(2, 40, *size, dtype=np.float32), randn(35, 40, 3, 3, dtype=np.float32)
    x[1, 3, 0, 7] = value  # the taps of the lowest row do not reach it
    with isa(name):
        direct, winograd = (gradient(a, x, w, dilation=dilation) for a in ("direct", "winograd"))
    assert np.array_equal(np.isfinite(direct), np.isfinite(winograd))
    assert np.allclose(winograd, direct, rtol=1e-4, atol=1e-3, equal_nan=True)


def test_any_number_of_threads_gives_the_same_bits():
    x, w = randn(4, 64, 28, 27, dtype=np.float32), randn(64, 64, 3, 3, dtype=np.float32)
    results = []
    for _ in thread_counts():
        results.append(gradient("auto", x, w, padding=1))
    assert all(np.array_equal(results[0], each) for each in results[1:])
