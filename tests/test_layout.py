"""Images from one order in memory to the other."""

import numpy as np
import pytest

from fastconv import Tensor, _kernels
from fastconv import functional as F
from tests.helpers import DTYPES, randn, thread_counts

SIZES = [(1, 1), (1, 9), (9, 1), (5, 7), (8, 16), (40, 50)]


def _orders(x):
    """The same values: in C order, with gaps between rows, every other column, and turned."""
    n, c, h, w = x.shape
    with_gaps = np.empty((n, c, h, w + 3), x.dtype)[..., :w]
    columns = np.empty((n, c, h, 2 * w), x.dtype)[..., ::2]
    turned = np.empty((w, h, c, n), x.dtype).T
    backwards = np.empty_like(x)[:, ::-1, :, ::-1]
    for copy in (with_gaps, columns, turned, backwards):
        copy[...] = x
        yield copy
    yield x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 70])
def test_channels_last_and_back(each_isa, channels, dtype):
    for size in SIZES:
        x = randn(2, channels, *size, dtype=dtype)
        for given in _orders(x):
            found = _kernels.channels_last(given)
            np.testing.assert_array_equal(found, x)
            assert found.transpose(0, 2, 3, 1).flags.c_contiguous or _kernels.channels_last(found) is found
            back = _kernels.planes(found)
            np.testing.assert_array_equal(back, x)
            assert back is found or back.flags.c_contiguous


def test_a_large_image_by_several_threads():
    x = randn(2, 3, 300, 301, dtype=np.float32)
    wide = randn(1, 70, 90, 91, dtype=np.float32)
    for _ in thread_counts():
        for image in (x, wide):
            found = _kernels.channels_last(image)
            np.testing.assert_array_equal(found, image)
            np.testing.assert_array_equal(_kernels.planes(found), image)


def test_flatten_joins_axes_of_any_order():
    x = randn(3, 20, 4, 5, dtype=np.float32)
    for given in (*_orders(x), _kernels.channels_last(x)):
        for start, end in [(1, 3), (0, 3), (1, 2), (0, 1), (2, 3), (3, 3)]:
            shape = (*x.shape[:start], -1, *x.shape[end + 1 :])
            np.testing.assert_array_equal(F.flatten(given, start, end), x.reshape(shape))
    given = Tensor(_kernels.channels_last(x), requires_grad=True)
    grad = randn(3, 400, dtype=np.float32)
    F.flatten(given, 1).backward(grad)
    np.testing.assert_array_equal(given.grad, grad.reshape(x.shape))


def test_pixels_that_are_joined_need_no_copy():
    x = _kernels.channels_last(randn(3, 20, 4, 5, dtype=np.float32))
    assert np.shares_memory(F.flatten(x, 2).numpy(), x)


def test_a_gradient_of_another_order_is_laid_out_as_the_result():
    x = Tensor(_kernels.channels_last(randn(2, 6, 4, 5)), requires_grad=True)
    grad = randn(2, 6, 4, 5)
    F.relu(x).backward(grad)
    np.testing.assert_array_equal(x.grad, np.where(x.detach().numpy() > 0, grad, 0))
    wide = Tensor(_kernels.channels_last(randn(2, 6, 4, 5)), requires_grad=True)
    with_gaps = np.empty((2, 4, 5, 9)).transpose(0, 3, 1, 2)[:, :6]
    with_gaps[...] = grad
    F.relu(wide).backward(with_gaps)
    np.testing.assert_array_equal(wide.grad, np.where(wide.detach().numpy() > 0, grad, 0))
