"""Winograd's algorithm with weights that are transformed in passing, and along one axis, over numbers of threads."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Parameter, _kernels, algorithm_of, no_grad, reference
from fastconv import functional as F
from fastconv.functional._conv2d import geometry
from fastconv.functional._sizes import Axis
from tests.guard import guarded
from tests.helpers import ISAS, isa, randn, run, thread_counts


def convolution(size, channels, kernel, batch=1, groups=1, dilation=1, pad=1, stride=1):
    out = (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
    axis = Axis(size=size, kernel=kernel, stride=stride, before=pad, after=pad, dilation=dilation, out=out)
    return geometry([axis, axis], batch, channels, groups)


# Slices of 64 channels, the last one shorter; panels that are not full; pieces of several panels; two blocks of tiles.
CASES = [
    (convolution(14, (130, 35), 3), 4),
    (convolution(7, (65, 200), 3, batch=2), 2),
    (convolution(13, (40, 36), 5, pad=2), 2),
    (convolution(9, (20, 44), 3, groups=2, dilation=2), 4),
    (convolution(50, (3, 5), 3), 4),
    (convolution(22, (37, 70), 4, batch=2, stride=2), 3),
    (convolution(15, (20, 44), 4, groups=2, pad=2, stride=2), 3),
    (convolution(40, (130, 35), 4, pad=0, stride=2), 3),
]


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("conv", "tile"), CASES)
def test_the_bits_are_those_of_packed_weights(name, dtype, conv, tile):
    x, w = randn(*conv.shape, dtype=dtype), randn(*conv.weight_shape, dtype=dtype)
    b, grad = randn(conv.out_shape[1], dtype=dtype), randn(*conv.out_shape, dtype=dtype)
    x[0, 0, 3, 3] = np.nan  # its tiles are mended
    x, grad = _kernels.channels_last(x), _kernels.channels_last(grad)
    with isa(name):
        for weights in (w, guarded(w)):
            kept = _kernels.winograd_pack(conv, tile, w), _kernels.winograd_pack(conv, tile, w, True)
            values, gradients = [], []
            for forward, backward in (kept, (None, None)):
                values.append(_kernels.empty_channels_last(conv.out_shape, x.dtype))
                gradients.append(_kernels.empty_channels_last(conv.shape, x.dtype))
                _kernels.winograd(conv, tile, x, weights, forward, b, values[-1])
                _kernels.winograd_grad_input(conv, tile, grad, weights, backward, gradients[-1])
            assert np.array_equal(*values, equal_nan=True)
            assert np.array_equal(*gradients)


def test_many_weights_are_not_kept_transformed():
    choice = algorithm_of((8, 512, 14, 14), (512, 512, 3, 3), padding=1)
    assert choice.algorithm == "winograd"
    assert choice.packed_bytes == 0
    assert algorithm_of((8, 512, 16, 16), (512, 512, 4, 4), stride=2, padding=1).packed_bytes == 0
    kept = algorithm_of((8, 128, 14, 14), (128, 128, 3, 3), padding=1)
    assert kept.packed_bytes > 36 * 4 * 128 * 128
    kept = algorithm_of((8, 128, 16, 16), (128, 128, 4, 4), stride=2, padding=1)
    assert kept.packed_bytes > 4 * 16 * 4 * 128 * 128


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_that_learn_are_not_kept_where_that_is_slower(transposed):
    x, w = randn(1, 128, 14, 14, dtype=np.float32), Parameter(randn(128, 128, 3, 3, dtype=np.float32))
    op = F.conv_transpose2d if transposed else F.conv2d
    learns = op(x, w, padding=1, algorithm="winograd")
    assert not any(key for key in w.cache if key != "stamp")
    with no_grad():
        fixed = op(x, w, padding=1, algorithm="winograd")
    assert any(key for key in w.cache if key != "stamp")
    assert np.array_equal(learns.detach().numpy(), fixed.numpy())


@pytest.mark.parametrize(
    ("size", "channels"), [((3, 3), 128), ((1, 7), 64), ((7, 1), 64), ((1, 3), 64), ((3, 1), 64), ((4, 4), 96)]
)
def test_any_number_of_threads_gives_the_same_bits(size, channels):
    stride = 2 if size == (4, 4) else 1
    pixels, outputs = (33, 17) if stride == 2 else (17, 17)
    inputs = [randn(1, channels, pixels, pixels, dtype=np.float32), randn(channels, channels, *size, dtype=np.float32)]
    where = {"padding": (size[0] // 2, size[1] // 2), "stride": stride}
    grad = randn(1, channels, outputs, outputs, dtype=np.float32)
    results = [run(F.conv2d, inputs, [0, 1], {**where, "algorithm": "winograd"}, grad) for _ in thread_counts()]
    expected = reference.conv2d_grad(grad, *inputs, **where)
    for out, grads in results:
        assert np.array_equal(out, results[0][0])
        for found, first, exact in zip(grads, results[0][1], expected, strict=False):
            assert np.array_equal(found, first)
            assert np.abs(found - exact).max() <= 2e-5 * np.abs(exact).max()


def test_less_memory_for_each_of_more_threads_gives_the_same_bits():
    """All threads' memory is a tenth of 11 MB, where it can be: the more there are, the smaller each one's parts."""
    x, w = randn(2, 512, 14, 14, dtype=np.float32), randn(512, 512, 3, 3, dtype=np.float32)
    results = []
    for threads in thread_counts():
        assert algorithm_of(x, w, padding=1).scratch_bytes <= (1.1e6 if threads <= 2 else 5e6)
        results += [F.conv2d(part, w, padding=1).numpy() for part in (x, x[:1])]
    for whole, first in zip(results[::2], results[1::2], strict=True):
        assert np.array_equal(whole, results[0])
        assert np.array_equal(first, results[0][:1])
    exact = reference.conv2d(x, w, padding=1)
    assert np.abs(results[0] - exact).max() <= 2e-5 * np.abs(exact).max()
