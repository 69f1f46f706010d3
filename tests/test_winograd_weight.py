"""The weight gradient of convolutions by Winograd's F(3, 4), and of 4x4 ones of stride 2 by F(2, 3)."""

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
    ((1, 32, 26, 23), 35, {"padding": 1, "stride": 2}),
    ((3, 33, 20, 21), 16, {"stride": 2}),
    ((1, 47, 27, 34), 65, {"padding": ((3, 1), (2, 3)), "stride": 2}),
    ((1, 66, 24, 24), 36, {"padding": 1, "stride": 2, "groups": 2}),
]


def kernel_of(options):
    return 4 if options.get("stride") == 2 else 3


@pytest.mark.parametrize(("shape", "out", "options"), SHAPES)
def test_winograd_weight_gradient(shape, out, options):
    def winograd(*arrays, **chosen):
        return F.conv2d(*arrays, **chosen, algorithm="winograd")

    kernel = kernel_of(options)
    inputs = [randn(*shape), randn(out, shape[1] // options.get("groups", 1), kernel, kernel), randn(out)]
    tolerance = {np.float32: 2e-5, np.float64: 1e-13}
    check_op(winograd, reference.conv2d, inputs, reference.conv2d_grad, tolerance=tolerance, **options)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize(
    ("shape", "stride"), [((1, 64, 56, 56), 1), ((8, 32, 14, 14), 1), ((1, 64, 56, 56), 2), ((8, 32, 28, 28), 2)]
)
def test_its_error_is_at_most_four_times_that_of_direct(name, shape, stride):
    rng = np.random.default_rng(0)
    options = {"padding": 1, "stride": stride}
    x = np.maximum(rng.standard_normal(shape), 0).astype(np.float32)
    w = np.zeros((32, shape[1], *[kernel_of(options)] * 2), np.float32)
    exact = gradient("direct", x.astype(float), w.astype(float), **options)
    with isa(name):
        direct, winograd = (gradient(a, x, w, **options) - exact for a in ("direct", "winograd"))
    ratio = np.sqrt(np.mean(winograd**2) / np.mean(direct**2))
    print(
        f"{name}, {shape}, stride {stride}: the RMS error of Winograd's weight gradient is {ratio:.2f} times direct's"
    )
    assert not np.array_equal(winograd, direct)
    assert ratio <= 4


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize(("size", "options"), [((13, 15), {}), ((23, 25), {"dilation": 2}), ((25, 30), {"stride": 2})])
def test_a_value_spreads_no_further_than_in_direct(name, value, size, options):
    kernel = kernel_of(options)
    x, w = randn(2, 40, *size, dtype=np.float32), randn(35, 40, kernel, kernel, dtype=np.float32)
    x[1, 3, 0, 7] = value  # the taps of the lowest row do not reach it
    with isa(name):
        direct, winograd = (gradient(a, x, w, **options) for a in ("direct", "winograd"))
    assert np.array_equal(np.isfinite(direct), np.isfinite(winograd))
    assert np.allclose(winograd, direct, rtol=1e-4, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2)])
def test_any_number_of_threads_gives_the_same_bits(kernel, stride):
    x, w = randn(4, 64, 28, 27, dtype=np.float32), randn(64, 64, kernel, kernel, dtype=np.float32)
    results = []
    for _ in thread_counts():
        results.append(gradient("auto", x, w, padding=1, stride=stride))
    assert all(np.array_equal(results[0], each) for each in results[1:])
