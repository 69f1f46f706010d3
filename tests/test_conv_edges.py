"""Direct convolution of small maps, which leaves out products with the zeros around them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fastconv import functional as F
from fastconv import reference
from tests.helpers import DTYPES, ISAS, check_op, isa, randn, smallints, thread_counts

CASES = [
    ((2, 20, 7, 7), (40, 20, 3, 3), {"padding": 1}),
    ((1, 16, 8, 8), (33, 16, 3, 3), {"padding": 1}),
    ((1, 17, 14, 14), (35, 17, 3, 3), {"padding": 1}),
    ((2, 32, 14, 13), (48, 32, 3, 3), {"padding": 1, "stride": 2}),
    ((1, 16, 7, 7), (20, 16, 5, 5), {"padding": 2}),
    ((1, 18, 7, 8), (34, 18, 3, 4), {"padding": ((0, 2), (2, 1))}),
    ((1, 16, 8, 8), (32, 16, 3, 3), {"padding": 4, "dilation": 4}),
    ((1, 16, 3, 5), (32, 16, 3, 3), {"padding": (3, 2)}),
    ((1, 32, 7, 7), (64, 16, 3, 3), {"padding": 1, "groups": 2}),
    ((1, 16, 7, 7), (32, 16, 3, 3), {"padding": 1, "padding_mode": "circular"}),
    ((1, 20, 5, 9), (19, 20, 3, 3), {"padding": 1}),
]


@pytest.mark.parametrize(("shape", "weight", "options"), CASES)
def test_values_and_gradients_are_those_of_the_reference(shape, weight, options):
    inputs = [randn(*shape), randn(*weight), randn(weight[0])]
    check_op(partial(F.conv2d, algorithm="direct"), reference.conv2d, inputs, reference.conv2d_grad, **options)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [7, 8, 14])
def test_bits_do_not_depend_on_threads_nor_on_the_batch(name, dtype, size):
    x, w = randn(3, 24, size, size).astype(dtype), randn(70, 24, 3, 3).astype(dtype)
    with isa(name):
        found = [F.conv2d(x, w, padding=1, algorithm="direct").numpy() for _ in thread_counts()]
        alone = [F.conv2d(image[None], w, padding=1, algorithm="direct").numpy() for image in x]
    assert all(np.array_equal(found[0], other) for other in found)
    np.testing.assert_array_equal(found[0], np.concatenate(alone))


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8, 14])
def test_every_pixel_that_a_window_has_counts(name, stride, size):
    """A NaN at any pixel is seen by the same outputs as with the plain sum, one in the border's corner too."""
    w = smallints(40, 16, 3, 3) + 0.5
    for row, column in [(0, 0), (0, size // 2), (size - 1, size - 1), (size // 2, 0), (size // 2, size - 1)]:
        x = smallints(1, 16, size, size)
        x[0, 3, row, column] = np.nan
        with isa(name):
            found = F.conv2d(x, w, padding=1, stride=stride, algorithm="direct").numpy()
        np.testing.assert_array_equal(np.isnan(found), np.isnan(reference.conv2d(x, w, padding=1, stride=stride)))


@pytest.mark.parametrize("name", ISAS)
def test_epilogue_follows_products_of_small_maps(name):
    x, w, b = (smallints(*shape).astype(np.float32) for shape in [(2, 16, 7, 7), (48, 16, 3, 3), (48,)])
    residual = smallints(2, 48, 7, 7).astype(np.float32)
    with isa(name):
        found = F.conv2d(x, w, b, padding=1, residual=residual, activation="relu", algorithm="direct").numpy()
    np.testing.assert_array_equal(found, np.maximum(reference.conv2d(x, w, b, padding=1) + residual, 0))
