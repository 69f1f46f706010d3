"""Sums and products of images by a kernel: what NumPy computes, bit by bit."""

import numpy as np
import pytest

from fastconv import Tensor, _kernels
from fastconv import functional as F
from tests.guard import guarded
from tests.helpers import DTYPES, channels_last, randn, thread_counts


def images(shape, seed, dtype, way):
    """Channels last: dense, or a slice of wider pixels."""
    wide = channels_last(randn(shape[0], shape[1] + 5, *shape[2:], seed=seed, dtype=dtype))
    return channels_last(wide[:, 3:-2]) if way == "dense" else wide[:, 3:-2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", ["dense", "slice"])
def test_combined(each_isa, way, dtype):
    for channels in (1, 3, 16, 37):
        shape = (2, channels, 91, 93)
        x, y, scale = (
            images(shape, 0, dtype, way),
            images(shape, 1, dtype, "slice"),
            randn(2, channels, 1, 1, dtype=dtype),
        )
        x[0, 0, 0, :4] = np.nan, np.inf, -np.inf, -0.0
        for product, function in ((False, np.add), (True, np.multiply)):
            for a, b in ((x, y), (x, scale), (scale, x)):
                found = _kernels.combined(a, b, product)
                np.testing.assert_array_equal(found, function(a, b))
                assert _kernels.channels_last(found) is found


def test_what_is_left_to_numpy():
    x = channels_last(randn(2, 8, 40, 40, dtype=np.float32))
    small, row, wide = x[:, :, :2, :2], x[:, :, :1], x.astype(float)
    for other in (1.0, np.float32(1), small, row, row[:1], wide, x[:1], x[:, :1], x[0], x.astype(int), x[::-1]):
        assert _kernels.combined(x, other, False) is None
        assert _kernels.combined(other, x, False) is None
    assert _kernels.combined(small, small, False) is None
    np.testing.assert_array_equal(F.add(x, row), x + row)


def test_guard_pages(each_isa):
    for channels in (1, 15, 17):
        shape = (1, channels, 128, 131)
        for edge in ("start", "end"):
            x, y = (guarded(channels_last(randn(*shape, seed=s, dtype=np.float32)), edge) for s in (0, 1))
            np.testing.assert_array_equal(_kernels.combined(x, y, False), x + y)
            scale = guarded(randn(1, channels, 1, 1, dtype=np.float32), edge)
            np.testing.assert_array_equal(_kernels.combined(x, scale, True), x * scale)


def test_gradients_of_shared_maps_and_of_scales():
    arrays = channels_last(randn(2, 8, 40, 40, dtype=np.float32)), randn(2, 8, 1, 1, seed=1, dtype=np.float32)
    grad, found = channels_last(randn(2, 8, 40, 40, seed=2, dtype=np.float32)), set()
    for _ in thread_counts():
        x, scale = (Tensor(each, requires_grad=True) for each in arrays)
        (scale * x + x + F.relu(x)).backward(grad)
        found.add(x.grad.numpy().tobytes() + scale.grad.numpy().tobytes())
    assert len(found) == 1
    expected = grad * (arrays[1] + 1 + (arrays[0] > 0))
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scale.grad, (grad * arrays[0]).sum((2, 3), keepdims=True), rtol=1e-5, atol=1e-5)
