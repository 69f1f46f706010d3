"""Geometry and options that pooling must refuse, before it allocates or writes anything."""

import time

import numpy as np
import pytest

from fastconv import Tensor
from fastconv import functional as F
from fastconv.errors import ShapeError
from fastconv.functional._window import window

X = np.zeros((1, 2, 6, 6), np.float32)
POOLS = ("max_pool2d", "avg_pool2d")


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("bad", [0, -1, (2, 0), (1, 2, 3), (0,), 2**31, 2**62, 2**63, 2**100])
def test_sizes_out_of_range(name, bad):
    with pytest.raises(ShapeError, match=f"{name}: kernel_size"):
        getattr(F, name)(X, bad)
    with pytest.raises(ShapeError, match=f"{name}: stride"):
        getattr(F, name)(X, 2, bad)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("bad", [2.0, True, np.nan, "2", (2, 2.0), (True, 2), np.float32(2), [[2], [2]]])
def test_sizes_of_wrong_types(name, bad):
    getattr(F, name)(X, 2, 2)  # the look-up by equal arguments must not take 2.0 for 2
    with pytest.raises(TypeError, match=f"{name}: kernel_size"):
        getattr(F, name)(X, bad)
    with pytest.raises(TypeError, match=f"{name}: stride"):
        getattr(F, name)(X, 2, bad)
    with pytest.raises(TypeError, match=f"{name}: padding"):
        getattr(F, name)(X, 2, 2, bad)
    with pytest.raises(TypeError, match="max_pool2d: dilation"):
        F.max_pool2d(X, 2, 2, 0, bad)


@pytest.mark.parametrize("name", POOLS)
def test_numpy_ints_are_ints(name):
    np.testing.assert_array_equal(getattr(F, name)(X, np.int64(2), [np.uint8(2), 1]), getattr(F, name)(X, 2, (2, 1)))


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("bad", [-1, 2, (0, 2), 2**31, 2**63 - 1])
def test_paddings_out_of_range(name, bad):
    with pytest.raises(ShapeError, match=f"{name}: padding"):
        getattr(F, name)(X, 2, 2, bad)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(
    "shape", [(), (6,), (6, 6), (1, 1, 1, 6, 6), (1, 0, 6, 6), (1, 2, 0, 6), (1, 2, 6, 0), (2, 6, 0)]
)
def test_shapes_that_cannot_be_pooled(name, shape):
    with pytest.raises(ShapeError, match=f"{name}: input must be"):
        getattr(F, name)(np.zeros(shape, np.float32), 2)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("options", [(7,), ((1, 7),), (2**31 - 1, 1), (8, 1, 0)])
def test_windows_larger_than_the_input(name, options):
    with pytest.raises(ShapeError, match=f"{name}: kernel_size .* spans"):
        getattr(F, name)(X, *options)


def test_dilated_windows_larger_than_the_input():
    with pytest.raises(ShapeError, match="spans 2147483648x2147483648 pixels"):
        F.max_pool2d(X, 2, 2, 0, 2**31 - 1)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("bad", [None, "input", np.zeros((1, 2, 6, 6), np.int64), np.zeros((1, 2, 6, 6), np.float16)])
def test_wrong_inputs(name, bad):
    with pytest.raises(TypeError, match=f"{name}: input"):
        getattr(F, name)(bad, 2)


def test_wrong_options():
    for bad in ("no", None, 2, 1.0, [2, 2], np.array([2, 2])):
        with pytest.raises(TypeError, match="ceil_mode must be True or False"):
            F.avg_pool2d(X, 2, ceil_mode=bad)
        with pytest.raises(TypeError, match="count_include_pad"):
            F.avg_pool2d(X, 2, count_include_pad=bad)
    for bad in (0, 2**31):
        with pytest.raises(ShapeError, match="divisor_override"):
            F.avg_pool2d(X, 2, divisor_override=bad)
    with pytest.raises(TypeError, match="divisor_override"):
        F.avg_pool2d(X, 2, divisor_override=2.0)
    with pytest.raises(TypeError, match="max_pool2d: stride must be an int or 2 ints"):
        F.max_pool2d(X, 2, np.array([2, 2]))


def test_a_gradient_of_another_shape():
    x = Tensor(X, requires_grad=True)
    with pytest.raises(ShapeError, match="gradient"):
        F.max_pool2d(x, 2).backward(np.zeros((1, 2, 6, 6), np.float32))
    assert x.grad is None


def test_sizes_whose_product_wraps():
    for shape in ((2**20, 3, 2**20, 2**20), (1, 2**31, 2**31, 1), (2**62, 1, 2, 2)):
        with pytest.raises(ShapeError, match="more than"):
            window("max_pool2d", shape, 1, 1, 0, pooling=True)
    with pytest.raises(ShapeError, match="more than"):
        window("max_pool2d", (1, 1, 4, 4), 2**31 - 1, 1, 2**30 - 1, pooling=True)


def test_huge_windows_and_steps_cost_nothing():
    """Loops run over taps inside the input, not over the kernel."""
    start = time.perf_counter()
    huge = 2**31 - 1
    x = Tensor(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), requires_grad=True)
    for options in (((huge, 1), huge, (2**30 - 1, 0)), ((1, huge), huge, (0, 2**30 - 1)), (1, huge)):
        for op in (F.max_pool2d, F.avg_pool2d):
            out = op(x, *options)
            out.backward(np.ones(out.shape, np.float32))
    assert F.max_pool2d(x, huge, ceil_mode=True).item() == 15
    assert F.max_pool2d(x, (2, 1), 1, (1, 0), (5, 1)).shape == (1, 1, 1, 4)
    assert time.perf_counter() - start < 5


def test_more_elements_than_32_bits_count():
    side = 46_341
    image = np.broadcast_to(np.float32(1), (1, 1, side, side))
    row = np.broadcast_to(np.float32(1), (1, 1, 1, 2**31 + 16))
    assert F.max_pool2d(image[:, :, :4, :4], 2).shape == (1, 1, 2, 2)
    assert window("max_pool2d", image.shape, 2, 2, 0, pooling=True).out_shape == (1, 1, side // 2, side // 2)
    assert window("max_pool2d", row.shape, (1, 2), (1, 2), 0, pooling=True).out_shape == (1, 1, 1, 2**30 + 8)
