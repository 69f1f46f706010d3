"""The input gradient with few input channels, whose sums slide along rows."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import Tensor, reference
from fastconv import functional as F
from tests.helpers import ISAS, check_op, isa, randn

# (N, C, H, W), (O, C, kh, kw), options: what one, two, three and four vectors of a tap row need, bands, odd rows.
CASES = [
    ((2, 6, 9, 8), (8, 6, 5, 5), {}),
    ((3, 3, 8, 7), (9, 3, 3, 3), {"padding": 1}),
    ((1, 1, 9, 8), (8, 1, 5, 5), {"padding": (2, 0)}),
    ((1, 3, 11, 13), (8, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((2, 2, 6, 5), (8, 2, 2, 3), {"stride": (3, 2), "padding": (1, 2), "dilation": (2, 1)}),
    ((2, 8, 5, 5), (8, 8, 4, 4), {"stride": 2, "padding": 1}),
    ((1, 1, 4, 4), (8, 1, 9, 9), {"padding": 4}),
    ((1, 4, 3, 5), (8, 4, 3, 12), {"padding": (5, 6)}),
    ((0, 3, 6, 6), (8, 3, 3, 3), {}),
]


@pytest.mark.parametrize(("shape", "weight", "options"), CASES)
def test_gradients(shape, weight, options):
    inputs = [randn(*shape), randn(*weight), randn(weight[0])]
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad, **options)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_transposed_convolution_is_the_same(stride):
    inputs = [randn(2, 9, 6, 5), randn(9, 3, 4, 4), randn(3)]
    check_op(F.conv_transpose2d, reference.conv_transpose2d, inputs, stride=stride, padding=1)


def gradient_of(x, w, grad, **options):
    given = Tensor(x, requires_grad=True)
    F.conv2d(given, w, **options).backward(grad)
    return given.grad.numpy()


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_reaches_only_the_pixels_that_it_came_from(name, value):
    x, w = randn(1, 3, 12, 12, dtype=np.float32), randn(8, 3, 3, 3, dtype=np.float32)
    grad = randn(1, 8, 12, 12, dtype=np.float32)
    grad[0, 2, 5, 6] = value
    with isa(name):
        found = ~np.isfinite(gradient_of(x, w, grad, padding=1))
    expected = np.zeros_like(found)
    expected[0, :, 4:7, 5:8] = True
    assert np.array_equal(found, expected)


def test_threads_do_not_change_a_bit():
    x, w = randn(3, 6, 70, 40, dtype=np.float32), randn(16, 6, 5, 5, dtype=np.float32)
    grad = randn(3, 16, 66, 36, dtype=np.float32)
    before, found = fastconv.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            fastconv.set_num_threads(threads)
            found.append(gradient_of(x, w, grad))
    finally:
        fastconv.set_num_threads(before)
    assert all(np.array_equal(found[0], each) for each in found[1:])
