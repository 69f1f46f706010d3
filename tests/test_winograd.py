"""conv2d by Winograd's algorithm: values, gradients, error and special values."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import reference
from tests.helpers import ISAS, check_op, isa, randn, run

WINOGRAD = [
    ((1, 32, 14, 14), (32, 32, 3, 3), {"padding": 1}),
    ((2, 3, 9, 11), (5, 3, 3, 3), {}),
    ((1, 1, 1, 1), (1, 1, 3, 3), {"padding": 1}),
    ((2, 17, 7, 5), (33, 17, 3, 3), {"padding": 2}),
    ((1, 6, 8, 9), (4, 3, 3, 3), {"groups": 2, "padding": (0, 3)}),
    ((1, 5, 9, 8), (7, 5, 5, 5), {"padding": 2}),
    ((3, 40, 6, 6), (36, 40, 5, 5), {"padding": 4}),
    ((1, 5, 13, 11), (4, 5, 3, 3), {"padding": (2, 3), "dilation": (2, 3)}),
    ((2, 4, 5, 4), (3, 4, 3, 3), {"padding": ((9, 2), (0, 6)), "dilation": (5, 2)}),
    ((1, 18, 9, 8), (18, 1, 3, 3), {"padding": 1, "groups": 18}),
    ((2, 17, 5, 10), (33, 17, 1, 3), {"padding": (0, 1)}),
    ((1, 16, 13, 4), (8, 16, 7, 1), {"padding": (3, 0)}),
    ((1, 6, 11, 9), (4, 3, 1, 8), {"padding": (1, 5), "groups": 2}),
    ((1, 5, 20, 3), (6, 5, 5, 1), {"padding": (4, 0), "dilation": (3, 2)}),
    ((1, 3, 1, 40), (2, 3, 1, 25), {"padding": (0, 9)}),
    ((2, 3, 8, 8), (5, 3, 4, 4), {"stride": 2}),
    ((1, 17, 14, 13), (33, 17, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 6, 9, 16), (70, 3, 4, 4), {"stride": 2, "padding": (3, 2), "groups": 2}),
    ((1, 33, 15, 9), (8, 33, 4, 4), {"stride": 2, "padding": ((1, 2), (2, 0))}),
    ((1, 1, 1, 1), (1, 1, 4, 4), {"stride": 2, "padding": 2}),
]


@pytest.mark.parametrize(("x", "w", "options"), WINOGRAD)
def test_winograd(x, w, options):
    def winograd(*arrays, **chosen):
        return F.conv2d(*arrays, **chosen, algorithm="winograd")

    inputs = [randn(*x), randn(*w), randn(w[0])]
    tolerance = {np.float32: 1e-5, np.float64: 1e-13}
    check_op(winograd, reference.conv2d, inputs, reference.conv2d_grad, tolerance=tolerance, **options)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("size", [(3, 3), (5, 5), (1, 3), (7, 1), (1, 9), (4, 4)])
def test_winograd_error_is_at_most_four_times_that_of_direct(name, size):
    stride = 2 if size == (4, 4) else 1
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((1, 64, 24, 24)), 0).astype(np.float32)
    w = (rng.standard_normal((64, 64, *size)) * np.sqrt(2 / (64 * size[0] * size[1]))).astype(np.float32)
    exact = reference.conv2d(x.astype(float), w.astype(float), stride=stride)
    with isa(name):
        direct, winograd = (F.conv2d(x, w, stride=stride, algorithm=a).numpy() - exact for a in ("direct", "winograd"))
    ratio = np.sqrt(np.mean(winograd**2) / np.mean(direct**2))
    print(f"{name}, {size[0]}x{size[1]}: Winograd's RMS error is {ratio:.2f} times direct's")
    assert ratio <= 4


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("size", [(3, 3), (5, 5), (1, 7), (4, 1)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("dilation", [1, 2])
def test_winograd_lets_a_value_spread_no_further_than_direct(name, size, value, dilation):
    options = {"padding": 2, "dilation": dilation}
    x, w = randn(2, 18, 13, 15, dtype=np.float32), randn(35, 18, *size, dtype=np.float32)
    clean = F.conv2d(x, w, **options, algorithm="winograd").numpy()
    x[1, 3, 6, 7] = value
    with isa(name):
        direct, winograd = (F.conv2d(x, w, **options, algorithm=a).numpy() for a in ("direct", "winograd"))
    assert np.array_equal(np.isfinite(direct), np.isfinite(winograd))
    assert np.allclose(winograd, direct, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert np.allclose(winograd[0], clean[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_strided_winograd_lets_a_value_spread_no_further_than_direct(name, value, padding, transposed):
    op = F.conv_transpose2d if transposed else F.conv2d
    options = {"stride": 2, "padding": padding}
    x, w = (
        randn(2, 18, 13, 15, dtype=np.float32),
        randn(*((18, 35) if transposed else (35, 18)), 4, 4, dtype=np.float32),
    )
    clean = op(x, w, **options, algorithm="winograd").numpy()
    x[1, 3, 0, 7] = x[1, 5, 9, 14] = value
    with isa(name):
        direct, winograd = (op(x, w, **options, algorithm=a).numpy() for a in ("direct", "winograd"))
    assert np.array_equal(np.isfinite(direct), np.isfinite(winograd))
    assert np.allclose(winograd, direct, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert np.allclose(winograd[0], clean[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("c_in", "c_out"), [(18, 3), (3, 18), (2, 2)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_few_channels_are_mended_as_well(c_in, c_out, value):
    """Direct convolution packs weights of few channels in ways of its own."""
    x, w = randn(1, c_in, 12, 16, dtype=np.float32), randn(c_out, c_in, 3, 3, dtype=np.float32)
    grad = randn(1, c_out, 12, 16, dtype=np.float32)
    grad[0, 0, 6, 7] = value
    _, (found,) = run(F.conv2d, [x, w], [0], {"padding": 1, "algorithm": "winograd"}, grad)
    with np.errstate(invalid="ignore"):
        expected = reference.conv2d_grad(grad, x, w, padding=1)[0]
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)
    x[0, 0, 6, 7] = value
    with np.errstate(invalid="ignore"):
        expected = reference.conv2d(x, w, padding=1)
    found = F.conv2d(x, w, padding=1, algorithm="winograd").numpy()
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2)])
def test_winograd_gives_an_image_the_bits_it_has_in_a_batch(name, kernel, stride):
    x, w = randn(5, 33, 10, 9, dtype=np.float32), randn(33, 33, kernel, kernel, dtype=np.float32)
    x[3, 0, 0, 0] = np.nan  # its tile is mended; the other images must not notice
    options = {"padding": 1, "stride": stride, "algorithm": "winograd"}
    with isa(name):
        for op in (F.conv2d, F.conv_transpose2d):
            whole = op(x, w, **options).numpy()
            for n in range(len(x)):
                assert np.array_equal(op(x[n : n + 1], w, **options), whole[n : n + 1], equal_nan=True)


def test_winograd_refuses_what_it_cannot_serve():
    x = np.ones((1, 1, 8, 8), np.float32)
    cases = [((1, 1), {}), ((3, 5), {}), ((3, 3), {"stride": 2}), ((7, 7), {}), ((4, 4), {})]
    cases += [((4, 4), {"stride": 2, "dilation": 2}), ((4, 4), {"stride": (1, 2)}), ((4, 3), {"stride": 2})]
    cases += [((4, 4), {"stride": 2, "padding": 1, "padding_mode": "reflect"})]
    for kernel, options in cases:
        with pytest.raises(ValueError, match=r"winograd.* serves 3x3 and 5x5.* and 4x4 kernels of stride 2"):
            F.conv2d(x, np.ones((1, 1, *kernel), np.float32), algorithm="winograd", **options)
