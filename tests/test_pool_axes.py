"""Pooling over one and three axes, and where the maxima are."""

import numpy as np
import pytest

from fastconv import Tensor, layers, reference
from fastconv import functional as F
from fastconv.errors import ShapeError
from tests.helpers import check_op, randn, smallints
from tests.test_pool import distinct

SHAPES = {1: (2, 5, 9), 2: (2, 3, 7, 8), 3: (2, 3, 6, 5, 7)}
# kernel_size, stride, padding, dilation
WINDOWS = [(2, None, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (2, 3, 1, 3)]
VOLUMES = [((1, 2, 3), (1, 2, 1), (0, 1, 1), 1), ((3, 1, 2), 2, (1, 0, 1), (2, 3, 1))]


def cases():
    return [(axes, window) for axes in (1, 3) for window in WINDOWS] + [(3, window) for window in VOLUMES]


@pytest.mark.parametrize(("axes", "window"), cases())
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_max(axes, window, ceil_mode):
    name = f"max_pool{axes}d"
    options = (*window, ceil_mode)
    check_op(
        lambda x: getattr(F, name)(x, *options),
        lambda x: getattr(reference, name)(x, *options),
        [distinct(*SHAPES[axes])],
        lambda grad, x: getattr(reference, f"{name}_grad")(grad, x, *options),
    )


@pytest.mark.parametrize(("axes", "window"), [case for case in cases() if case[1] not in WINDOWS[2:]])
@pytest.mark.parametrize("more", [(False, True), (True, False), (True, True)])
def test_avg(axes, window, more):
    name = f"avg_pool{axes}d"
    options = (*window[:3], *more)
    check_op(
        lambda x: getattr(F, name)(x, *options),
        lambda x: getattr(reference, name)(x, *options),
        [randn(*SHAPES[axes])],
        lambda grad, x: getattr(reference, f"{name}_grad")(grad, x, *options),
    )


def test_avg_by_a_divisor_of_ones_own():
    check_op(
        lambda x: F.avg_pool3d(x, 3, 2, 1, divisor_override=5),
        lambda x: reference.avg_pool3d(x, 3, 2, 1, divisor_override=5),
        [randn(*SHAPES[3])],
        lambda grad, x: reference.avg_pool3d_grad(grad, x, 3, 2, 1, divisor_override=5),
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("window", WINDOWS)
def test_indices(axes, window):
    x = smallints(*SHAPES[axes])  # many maxima are equal
    x.flat[::7] = np.nan
    x.flat[1::5] = -np.inf
    values, indices = getattr(F, f"max_pool{axes}d")(x, *window, return_indices=True)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, reference.max_pool_indices(x, *window))
    flat = x.reshape(*x.shape[:2], -1)
    found = np.take_along_axis(flat, indices.numpy().reshape(*x.shape[:2], -1), 2)
    np.testing.assert_array_equal(found.reshape(values.shape), values)


def test_indices_of_many_taps_and_of_no_tap():
    x = np.zeros((1, 1, 20, 30), np.float32)
    x[0, 0, 19, 17] = 1
    assert F.max_pool2d(x, (20, 30), return_indices=True)[1].item() == 19 * 30 + 17
    outside = F.max_pool2d(np.ones((1, 3, 1, 1), np.float32), 2, 1, 1, 2, return_indices=True)
    assert np.isneginf(outside[0].numpy()).all()
    assert not outside[1].numpy().any()


def test_indices_have_no_gradient_and_values_keep_theirs():
    x = Tensor(distinct(1, 2, 4, 4), requires_grad=True)
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    assert not indices.requires_grad
    values.backward(np.ones((1, 2, 2, 2)))
    assert x.grad.numpy().sum() == 8


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batch", [True, False])
def test_unpool(axes, batch):
    x = distinct(*SHAPES[axes])
    values, indices = getattr(F, f"max_pool{axes}d")(x, 2, return_indices=True)
    values, indices, size = values.numpy(), indices.numpy(), x.shape[2:]
    name = f"max_unpool{axes}d"
    check_op(
        lambda x: getattr(F, name)(x if batch else x[0], indices if batch else indices[0], 2, output_size=size),
        lambda x: getattr(reference, name)(x, indices, size)[() if batch else 0],
        [values],
    )
    assert np.array_equal(getattr(F, name)(values, indices, 2, output_size=x.shape).numpy().max(), x.max())


def test_unpool_of_overlapping_windows_gives_all_the_gradient():
    x = Tensor([[[[1.0, 2.0]]]], requires_grad=True)
    out = F.max_unpool2d(x, np.array([[[[1, 1]]]]), (1, 2), 1)
    assert out.tolist() == [[[[0, 2, 0]]]]
    out.backward(np.array([[[[5, 6, 7]]]], np.float32))
    assert x.grad.tolist() == [[[[6, 6]]]]


def test_unpool_refuses():
    x, places = randn(1, 2, 3, 3), np.zeros((1, 2, 3, 3), np.int64)
    assert F.max_unpool2d(x, places, 2, output_size=(7, 7)).shape == (1, 2, 7, 7)
    assert F.max_unpool2d(x[:0], places[:0], 2).shape == (0, 2, 6, 6)
    for bad in ((8, 6), (4, 6), (6,), (6, 6, 6, 6, 6)):
        with pytest.raises(ShapeError, match="max_unpool2d: output_size"):
            F.max_unpool2d(x, places, 2, output_size=bad)
    for bad in (-1, 36, 2**62):
        with pytest.raises(ShapeError, match="max_unpool2d: indices must be from 0 to 35"):
            F.max_unpool2d(x, places + bad, 2)
    with pytest.raises(ShapeError, match="indices must have the input's shape"):
        F.max_unpool2d(x, places[:, :1], 2)
    with pytest.raises(TypeError, match="indices must be integers"):
        F.max_unpool2d(x, places.astype(np.float32), 2)
    with pytest.raises(ShapeError, match="max_unpool2d: input"):
        F.max_unpool2d(x[0, 0], places[0, 0], 2)
    with pytest.raises(ShapeError, match="leave nothing"):
        F.max_unpool2d(x, places, 1, 1, 2)
    with pytest.raises(ShapeError, match="more than"):
        F.max_unpool2d(x, places, 2**31 - 1, 2**31 - 1)


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_bad_input(axes, name):
    name = f"{name}{axes}d"
    function, x = getattr(F, name), np.zeros(SHAPES[axes], np.float32)
    with pytest.raises(ShapeError, match=f"{name}: input must be"):
        function(x[0, 0], 2)
    for bad in ((1, 2), 0, 2**31):
        with pytest.raises(ShapeError, match=f"{name}: kernel_size"):
            function(x, bad)
    with pytest.raises(ShapeError, match=f"{name}: kernel_size .* spans"):
        function(x, 10)
    with pytest.raises(ShapeError, match=f"{name}: padding"):
        function(x, 2, 2, 2)
    with pytest.raises(TypeError, match=f"{name}: stride"):
        function(x, 2, 2.0)
    with pytest.raises(TypeError, match="return_indices"):
        F.max_pool2d(randn(1, 1, 2, 2), 2, return_indices=1)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_layers(axes):
    x = distinct(*SHAPES[axes])
    values, indices = getattr(layers, f"MaxPool{axes}d")(2, return_indices=True)(x)
    expected = getattr(F, f"max_pool{axes}d")(x, 2, return_indices=True)
    assert np.array_equal(values, expected[0])
    assert np.array_equal(indices, expected[1])
    again = getattr(layers, f"MaxUnpool{axes}d")(2)(values, indices, output_size=x.shape)
    assert np.array_equal(again, getattr(F, f"max_unpool{axes}d")(values, indices, 2, output_size=x.shape))
    mean = getattr(layers, f"AvgPool{axes}d")(3, 2, 1, count_include_pad=False)(x)
    assert np.array_equal(mean, getattr(F, f"avg_pool{axes}d")(x, 3, 2, 1, count_include_pad=False))


def test_empty_batches():
    for axes, shape in SHAPES.items():
        x = Tensor(np.zeros((0, *shape[1:]), np.float32), requires_grad=True)
        values, indices = getattr(F, f"max_pool{axes}d")(x, 2, return_indices=True)
        assert values.shape == indices.shape == (0, shape[1], *(n // 2 for n in shape[2:]))
        values.backward(np.zeros(values.shape, np.float32))
        assert x.grad.shape == x.shape
