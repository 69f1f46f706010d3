"""Gradients of 1x1 convolutions by the kernels of fully connected layers, and where these must not be taken."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Parameter, _kernels, reference
from fastconv import functional as F
from fastconv.functional._conv2d import geometry
from fastconv.functional._sizes import Axis
from tests.helpers import ISAS, check_op, isa, randn, run, thread_counts


def convolution(batch, channels, height, width, stride=1, groups=1, pad=0):
    def axis(size):
        out = (size + 2 * pad - 1) // stride + 1
        return Axis(size=size, kernel=1, stride=stride, before=pad, after=pad, dilation=1, out=out)

    return geometry([axis(height), axis(width)], batch, channels, groups)


@pytest.mark.parametrize(
    ("shape", "out"),
    [((1, 33, 7, 7), 17), ((3, 70, 5, 6), 5), ((1, 16, 1, 1), 40), ((5, 40, 9, 1), 33), ((2, 1, 3, 4), 9)],
)
def test_gradients_are_those_of_the_reference(shape, out):
    conv = convolution(shape[0], (shape[1], out), *shape[2:])
    assert conv.matrix_input
    assert conv.matrix_weight
    inputs = [randn(*shape), randn(out, shape[1], 1, 1), randn(out)]
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad)


def test_only_small_dense_products_of_one_tap_are_taken():
    few, many = convolution(1, (64, 32), 14, 14), convolution(8, (64, 32), 14, 14)
    assert (few.matrix_input, few.matrix_weight) == (True, True)
    assert (many.matrix_input, many.matrix_weight) == (False, True)
    assert not convolution(8, (256, 65), 28, 28).matrix_weight
    assert not convolution(8, (80, 32), 28, 28).matrix_weight
    assert not convolution(8, (100, 32), 28, 28).matrix_weight
    assert convolution(8, (256, 32), 28, 28).matrix_weight  # few outputs read all pixels once
    assert convolution(1, (256, 64), 56, 56).matrix_weight
    assert not convolution(2, (256, 64), 56, 56).matrix_weight
    for other in ({"stride": 2}, {"groups": 2}, {"pad": 1}):
        conv = convolution(1, (64, 32), 14, 14, **other)
        assert (conv.matrix_input, conv.matrix_weight) == (False, False)
    assert not convolution(0, (64, 32), 14, 14).matrix_weight


def test_an_output_as_large_as_the_input_may_be_shifted():
    """Padding on one side, a row less on the other: of the same size, but not the same pixels."""
    inputs = [randn(2, 5, 6, 4), randn(5, 7, 1, 1), randn(7)]
    options = {"padding": ((1, 0), (0, 0)), "output_padding": (1, 0), "dilation": 2}
    assert reference.conv_transpose2d(*inputs, **options).shape == (2, 7, 6, 4)
    check_op(F.conv_transpose2d, reference.conv_transpose2d, inputs, reference.conv_transpose2d_grad, **options)


@pytest.mark.parametrize("name", ISAS)
def test_pixels_with_gaps_are_left_to_convolution(name):
    """As in gradients that arrive as channels of a wider array."""
    conv = convolution(2, (24, 20), 5, 6)
    x, grad = randn(2, 5, 6, 30, dtype=np.float32), randn(2, 5, 6, 26, dtype=np.float32)
    x, grad = np.moveaxis(x, -1, 1)[:, 2:26], np.moveaxis(grad, -1, 1)[:, 3:23]
    w = randn(20, 24, 1, 1, dtype=np.float32)
    grad_x = _kernels.empty_channels_last(conv.shape, np.dtype(np.float32))
    grad_x[...] = 7
    with isa(name):
        assert not _kernels.conv2d_matrix_grad_input(conv, grad, w, grad_x)
        assert (grad_x == 7).all()
        _, grads = run(F.conv2d, [x, w], [0, 1], {}, grad)
    for found, expected in zip(grads, reference.conv2d_grad(grad, x, w), strict=False):
        assert np.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_image_alone_has_the_bits_it_has_in_a_batch(name, dtype):
    """One image is taken as a matrix, five are too many pixels."""
    x, w, grad = randn(5, 37, 10, 9, dtype=dtype), randn(45, 37, 1, 1, dtype=dtype), randn(5, 45, 10, 9, dtype=dtype)
    assert convolution(1, (37, 45), 10, 9).matrix_input
    assert not convolution(5, (37, 45), 10, 9).matrix_input
    with isa(name):
        _, (whole,) = run(F.conv2d, [x, w], [0], {"algorithm": "direct"}, grad)
        for n in range(len(x)):
            _, (one,) = run(F.conv2d, [x[n : n + 1], w], [0], {"algorithm": "direct"}, grad[n : n + 1])
            assert np.array_equal(one, whole[n : n + 1])


def test_any_number_of_threads_gives_the_same_bits():
    inputs = [randn(1, 100, 14, 14, dtype=np.float32), randn(300, 100, 1, 1, dtype=np.float32)]
    grad = randn(1, 300, 14, 14, dtype=np.float32)
    results = [run(F.conv2d, inputs, [0, 1], {}, grad)[1] for _ in thread_counts()]
    for grads in results:
        for found, first in zip(grads, results[0], strict=True):
            assert np.array_equal(found, first)


def test_weights_that_stay_are_packed_for_transposed_convolution():
    """Its value is the adjoint: in inference packed weights are kept, and serve again."""
    x, w = randn(1, 20, 6, 6, dtype=np.float32), Parameter(randn(20, 24, 1, 1, dtype=np.float32), requires_grad=False)
    first = F.conv_transpose2d(x, w).numpy()
    assert any(key for key in w.cache if key != "stamp")
    assert np.array_equal(F.conv_transpose2d(x, w), first)
    assert np.array_equal(F.conv_transpose2d(x, w.numpy()), first)
