"""The input's gradient by columns: what "im2col" and, where pixels are few, "auto" do for it."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import _kernels, algorithm_options, reference
from fastconv import functional as F
from fastconv.functional._conv2d import IM2COL, columns_pay, geometry, grad_input
from fastconv.functional._sizes import Axis
from tests.helpers import DTYPES, ISAS, check_op, isa, randn, run, smallints, thread_counts


def convolution(batch, channels, size, kernel, stride=1, pad=0, dilation=1, groups=1):
    def axis(n, k):
        before = pad if k > 1 else 0
        out = (n + 2 * before - (k - 1) * dilation - 1) // stride + 1
        return Axis(size=n, kernel=k, stride=stride, before=before, after=before, dilation=dilation, out=out)

    return geometry([axis(n, k) for n, k in zip(size, kernel, strict=True)], batch, channels, groups)


CASES = [
    ((1, 64, 7, 7), (96, 64, 3, 3), {"padding": 1}),
    ((1, 33, 9, 8), (128, 33, 3, 3), {"stride": 2}),
    ((1, 16, 6, 5), (130, 16, 5, 5), {"padding": 2}),
    ((1, 96, 8, 8), (70, 96, 1, 3), {"padding": (0, 1)}),
    ((1, 64, 8, 8), (64, 64, 7, 1), {"padding": (3, 0)}),
    ((1, 40, 9, 9), (200, 40, 3, 3), {"dilation": 3, "padding": 3}),
    ((1, 17, 8, 7), (90, 17, 4, 2), {"stride": (3, 1), "padding": ((2, 1), (0, 1))}),
    ((1, 32, 5, 5), (99, 32, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
]


@pytest.mark.parametrize(("shape", "weight", "options"), CASES)
def test_gradients_are_those_of_the_reference(shape, weight, options, monkeypatch):
    calls = []
    kernel = _kernels.conv2d_columns_grad_input
    monkeypatch.setattr(_kernels, "conv2d_columns_grad_input", lambda *given: calls.append(kernel(*given)))
    inputs = [randn(*shape), randn(*weight), randn(weight[0])]
    run(F.conv2d, inputs, [0], options, randn(*reference.conv2d(*inputs, **options).shape))
    assert len(calls) == 1
    check_op(F.conv2d, reference.conv2d, inputs, reference.conv2d_grad, **options)


def test_columns_are_taken_where_packing_takes_longer():
    for batch, channels, size, kernel, options in [
        (1, (512, 512), (7, 7), (3, 3), {"pad": 1}),
        (2, (192, 384), (7, 7), (3, 3), {"pad": 1}),
        (1, (256, 512), (14, 14), (3, 3), {"stride": 2, "pad": 1}),
        (8, (192, 320), (17, 17), (3, 3), {"stride": 2}),
    ]:
        assert columns_pay(convolution(batch, channels, size, kernel, **options), 0)
    line = convolution(1, (384, 384), (8, 8), (1, 3), pad=1)
    assert line.winograd_tile
    assert columns_pay(line, line.winograd_tile)


@pytest.mark.parametrize(
    ("batch", "channels", "size", "kernel", "options", "tile"),
    [
        pytest.param(8, (256, 512), (28, 28), (3, 3), {"stride": 2, "pad": 1}, 0, id="many pixels"),
        pytest.param(1, (64, 64), (7, 7), (1, 1), {}, 0, id="one tap"),
        pytest.param(1, (64, 64), (7, 7), (3, 3), {"pad": 1, "groups": 2}, 0, id="groups"),
        pytest.param(1, (3, 64), (7, 7), (3, 3), {"pad": 1}, 0, id="few channels"),
        pytest.param(0, (64, 64), (7, 7), (3, 3), {"pad": 1}, 0, id="no images"),
        pytest.param(1, (64, 64), (20, 20), (9, 9), {"pad": 4}, 0, id="many taps"),
        pytest.param(1, (384, 384), (17, 17), (1, 3), {"pad": 1}, 3, id="a longer line"),
        pytest.param(1, (512, 512), (14, 14), (3, 3), {"pad": 1}, 4, id="tiles enough"),
    ],
)
def test_columns_are_not_taken_elsewhere(batch, channels, size, kernel, options, tile):
    assert not columns_pay(convolution(batch, channels, size, kernel, **options), tile)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ISAS)
def test_small_integers_bit_for_bit(name, dtype):
    """Blocks of channels, whole and not; rows of pixels that do and do not follow each other."""
    for c_in, c_out, size, kernel, stride, pad in [
        (70, 37, (7, 6), (3, 3), 1, 1),
        (64, 5, (19, 40), (3, 3), 2, 0),
        (3, 20, (5, 9), (2, 5), 3, 2),
    ]:
        conv = convolution(2, (c_in, c_out), size, kernel, stride, pad)
        x, w = smallints(2, c_in, *size, dtype=dtype), smallints(c_out, c_in, *kernel, dtype=dtype)
        wide = smallints(*conv.out_shape[:1], *conv.out_shape[2:], c_out + 3, seed=1, dtype=dtype)
        grad = np.moveaxis(wide, -1, 1)[:, 1 : c_out + 1]
        expected = reference.conv2d_grad(grad, x, w, stride=stride, padding=pad)[0]
        with isa(name):
            assert np.array_equal(grad_input(conv, IM2COL, grad, w), expected)
            assert np.array_equal(grad_input(conv, IM2COL, grad.copy(), w), expected)
            apart = np.empty((2, conv.out_shape[2] + 1, conv.out_shape[3] + 2, c_out), dtype)  # between rows too
            apart = np.moveaxis(apart, -1, 1)[:, :, :-1, 1:-1]
            apart[...] = grad
            assert np.array_equal(grad_input(conv, IM2COL, apart, w), expected)


def test_any_number_of_threads_gives_the_same_bits():
    x, w = randn(3, 100, 8, 8, dtype=np.float32), randn(300, 100, 3, 3, dtype=np.float32)
    grad = randn(3, 300, 8, 8, dtype=np.float32)
    options = {"padding": 1, "algorithm": "im2col"}
    results = [run(F.conv2d, [x, w], [0], options, grad)[1][0] for _ in thread_counts()]
    assert all(np.array_equal(found, results[0]) for found in results)
    for n in range(3):
        _, (one,) = run(F.conv2d, [x[n : n + 1], w], [0], options, grad[n : n + 1])
        assert np.array_equal(one[0], results[0][n])


def test_a_named_algorithm_and_exact_sums_keep_their_way():
    """Under "direct" one image has the bits that it has in a batch, so columns, which depend on that, are not taken."""
    x, w = randn(9, 64, 7, 7, dtype=np.float32), randn(64, 64, 3, 3, dtype=np.float32)
    grad = randn(9, 64, 7, 7, dtype=np.float32)
    options = {"padding": 1, "algorithm": "direct"}
    _, (whole,) = run(F.conv2d, [x, w], [0], options, grad)
    _, (one,) = run(F.conv2d, [x[:1], w], [0], options, grad[:1])
    assert np.array_equal(one, whole[:1])
    with algorithm_options(exact=True):
        _, (exact,) = run(F.conv2d, [x[:1], w], [0], {"padding": 1}, grad[:1])
    assert np.array_equal(exact, one)


@pytest.mark.parametrize("name", ISAS)
def test_what_is_not_finite_spreads_no_further_than_directly(name):
    x, w = randn(1, 32, 7, 7, dtype=np.float32), randn(64, 32, 3, 3, dtype=np.float32)
    grad = randn(1, 64, 7, 7, dtype=np.float32)
    grad[0, 5, 3, 0], grad[0, 9, 6, 6] = np.inf, np.nan
    with isa(name):
        _, (found,) = run(F.conv2d, [x, w], [0], {"padding": 1}, grad)
        _, (direct,) = run(F.conv2d, [x, w], [0], {"padding": 1, "algorithm": "direct"}, grad)
    assert np.array_equal(np.isfinite(found), np.isfinite(direct))
    assert not np.isfinite(found).all()
    assert np.allclose(found, direct, atol=1e-3, equal_nan=True)


def test_working_memory_is_a_block_of_columns():
    conv = convolution(1, (512, 512), (28, 28), (3, 3), stride=2, pad=1)
    w, grad = randn(512, 512, 3, 3, dtype=np.float32), randn(1, 512, 14, 14, dtype=np.float32)
    bytes_ = _kernels.scratch_needed(lambda: grad_input(conv, IM2COL, grad, w))
    assert 0 < bytes_ <= 512 << 10  # two threads'; the columns of all are 3.6 MB
