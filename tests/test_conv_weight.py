"""The weight gradient of 1x1 convolutions of large inputs, whose pieces share pixels or copy them; its memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, _kernels
from fastconv import functional as F
from fastconv.functional._conv2d import geometry
from fastconv.functional._sizes import Axis
from tests.helpers import DTYPES, ISAS, isa, randn

# (N, C, H, W), C_out, stride, groups: few sums; many channels, with a rest, as a range, strided; two groups; pixels and
# panels in two parts, with a rest.
CASES = [
    ((2, 72, 90, 90), 35, 1, 1),
    ((1, 1030, 36, 35), 80, 1, 1),
    ((2, 600, 33, 31), 130, 2, 1),
    ((2, 1040, 33, 20), 140, 1, 2),
    ((2, 430, 36, 35), 72, 1, 1),
]


def gradient(x, weight, grad, stride, groups):
    w = Parameter(weight)
    F.conv2d(x, w, stride=stride, groups=groups).backward(grad)
    return w.grad.numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "outputs", "stride", "groups"), CASES)
def test_against_a_matrix_product(shape, outputs, stride, groups, dtype):
    x, weight = randn(*shape, dtype=dtype), randn(outputs, shape[1] // groups, 1, 1, dtype=dtype)
    assert x.nbytes > 4 << 20
    seen = x[:, :, ::stride, ::stride]
    grad = randn(shape[0], outputs, *seen.shape[2:], seed=1, dtype=dtype)
    parts = zip(np.split(grad, groups, 1), np.split(seen, groups, 1), strict=True)
    expected = np.concatenate([np.einsum("nohw,nchw->oc", g, s, dtype=np.float64, optimize=True) for g, s in parts])
    for name in ISAS:
        with isa(name):
            found = gradient(x, weight, grad, stride, groups)[:, :, 0, 0]
        limit = 1e-5 if dtype == np.float32 else 1e-13
        assert np.abs(found - expected).max() <= limit * np.abs(expected).max(), name


@pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[4]])
def test_threads_do_not_change_a_bit(case):
    shape, outputs, stride, groups = case
    x, weight = randn(*shape, dtype=np.float32), randn(outputs, shape[1], 1, 1, dtype=np.float32)
    grad = randn(shape[0], outputs, *shape[2:], seed=1, dtype=np.float32)
    before, found = fastconv.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            fastconv.set_num_threads(threads)
            found.append(gradient(x, weight, grad, stride, groups))
    finally:
        fastconv.set_num_threads(before)
    assert all(np.array_equal(found[0], each) for each in found[1:])


@pytest.mark.parametrize("winograd", [False, True])
@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "size", "stride"),
    [
        (8, 64, 64, 56, 1),
        (1, 64, 64, 224, 1),
        (1, 128, 128, 112, 1),
        (8, 256, 256, 28, 1),
        (1, 512, 512, 28, 1),
        (8, 128, 128, 56, 2),
        (8, 3, 64, 224, 2),
        (8, 512, 512, 14, 2),
    ],
)
def test_working_memory_is_a_tenth_of_the_arrays(batch, channels, outputs, size, stride, winograd):
    axis = Axis(size, (size - 1) // stride + 1, 3, stride, 1, 1, 1)
    conv = geometry([axis, axis], batch, (channels, outputs), 1)
    shapes = [(batch, channels, size, size), (batch, outputs, axis.out, axis.out), (outputs, channels, 3, 3)]
    x, grad = (_kernels.empty_channels_last(shape, np.dtype("f")) for shape in shapes[:2])
    weight = np.empty(shapes[2], "f")
    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(2)
        needed = _kernels.scratch_needed(lambda: _kernels.conv2d_grad_weight(conv, x, grad, weight, winograd=winograd))
    finally:
        fastconv.set_num_threads(before)
    arrays = 4 * sum(math.prod(shape) for shape in shapes)
    assert arrays > 10e6
    assert 0 < needed <= arrays / 10
