"""conv2d by Fourier transforms: values, gradients, error, special values, and where "auto" takes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import Parameter, _kernels, no_grad, reference
from fastconv import functional as F
from fastconv._kernels import channels_last
from fastconv.functional._conv2d import geometry
from fastconv.functional._fft import FFT
from fastconv.functional._sizes import Axis
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, ISAS, check_op, isa, randn, thread_counts

CASES = [
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 3, 9, 11), (5, 3, 7, 7), {"padding": 3}),
    ((1, 17, 13, 8), (33, 17, 5, 3), {"padding": (4, 0)}),
    ((3, 6, 8, 9), (4, 3, 2, 4), {"groups": 2, "padding": 1}),
    ((1, 2, 40, 37), (3, 2, 9, 12), {}),
    ((1, 4, 5, 30), (4, 1, 1, 8), {"groups": 4}),
    ((2, 3, 30, 4), (2, 3, 11, 1), {"padding": (5, 0)}),
    ((1, 2, 9, 10), (3, 2, 5, 4), {"padding": 2, "padding_mode": "circular"}),
]


def by_fft(*arrays, **options):
    return F.conv2d(*arrays, **options, algorithm="fft")


@pytest.mark.parametrize(("x", "w", "options"), CASES)
def test_fft(x, w, options):
    inputs = [randn(*x), randn(*w), randn(w[0])]
    tolerance = {np.float32: 1e-5, np.float64: 1e-13}
    check_op(by_fft, reference.conv2d, inputs, reference.conv2d_grad, tolerance=tolerance, **options)


@pytest.mark.parametrize("name", ISAS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_shape(name, data):
    draw = data.draw
    groups, per_in, per_out = draw(st.integers(1, 2)), draw(st.integers(1, 35)), draw(st.integers(1, 35))
    kernel = [draw(st.integers(1, 9)) for _ in "yx"]
    size = [k + draw(st.integers(0, 40)) for k in kernel]
    padding = tuple(draw(st.integers(0, k)) for k in kernel)
    x, w = randn(draw(st.integers(1, 3)), per_in * groups, *size), randn(per_out * groups, per_in, *kernel)
    with isa(name):
        direct, transformed = (
            F.conv2d(x, w, None, 1, padding, 1, groups, algorithm=a).numpy() for a in ("direct", "fft")
        )
        np.testing.assert_allclose(transformed, direct, rtol=0, atol=1e-13 * np.abs(direct).max())
        grad = randn(*direct.shape, seed=1)
        direct, transformed = (
            F.conv_transpose2d(grad, w, None, 1, padding, 0, groups, algorithm=a).numpy() for a in ("direct", "fft")
        )
        np.testing.assert_allclose(transformed, direct, rtol=0, atol=1e-13 * np.abs(direct).max())


def test_one_axis():
    x, w = randn(2, 5, 300), randn(7, 5, 60)
    direct, transformed = (F.conv1d(x, w, padding=11, algorithm=a).numpy() for a in ("direct", "fft"))
    np.testing.assert_allclose(transformed, direct, atol=1e-12)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("size", [5, 11])
def test_error_is_at_most_four_times_that_of_direct(name, size):
    x = np.maximum(randn(1, 64, 32, 32), 0).astype(np.float32)
    w = (randn(48, 64, size, size) * np.sqrt(2 / (64 * size * size))).astype(np.float32)
    exact = F.conv2d(x.astype(float), w.astype(float)).numpy()
    with isa(name):
        direct, transformed = (F.conv2d(x, w, algorithm=a).numpy() - exact for a in ("direct", "fft"))
    ratio = np.sqrt(np.mean(transformed**2) / np.mean(direct**2))
    print(f"{name}, {size}x{size}: the transform's RMS error is {ratio:.2f} times direct's")
    assert ratio <= 4


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_value_spreads_no_further_than_by_direct(name, value):
    x, w = randn(3, 18, 23, 25, dtype=np.float32), randn(35, 18, 5, 5, dtype=np.float32)
    clean = F.conv2d(x, w, padding=1, algorithm="fft").numpy()
    x[1, 3, 6, 7] = value
    with isa(name):
        direct, transformed = (F.conv2d(x, w, padding=1, algorithm=a).numpy() for a in ("direct", "fft"))
    np.testing.assert_array_equal(np.isfinite(direct), np.isfinite(transformed))
    assert np.allclose(transformed, direct, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert np.allclose(transformed[[0, 2]], clean[[0, 2]], rtol=1e-4, atol=1e-4)


def test_bits_do_not_depend_on_threads_nor_on_the_batch():
    x, w, b = randn(5, 33, 30, 29, dtype=np.float32), randn(40, 33, 7, 7, dtype=np.float32), randn(40)
    b = b.astype(np.float32)
    x[3, 0, 0, 0] = np.nan  # computed again, and the other images must not notice
    results = []
    for _ in thread_counts():
        results.append(by_fft(x, w, b, padding=3).numpy())
    for each in results[1:]:
        np.testing.assert_array_equal(each, results[0])
    for n in range(len(x)):
        np.testing.assert_array_equal(by_fft(x[n : n + 1], w, b, padding=3).numpy()[0], results[0][n])


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edge", ["end", "start"])
def test_nothing_outside_the_arrays_is_touched(name, dtype, edge):
    with isa(name):
        for channels in (1, 3, *range(_kernels.vector_length(np.dtype(dtype).name), 35, 7)):
            axes = [Axis(9, 9, 5, 1, 1, 2, 2), Axis(12, 7, 6, 1, 1, 0, 0)]
            conv = geometry(axes, 2, (channels, channels + 1), 1)
            x, w = randn(2, channels, 9, 12, dtype=dtype), randn(channels + 1, channels, 5, 6, dtype=dtype)
            given, weight = guarded(channels_last(x), edge), guarded(w, edge)
            out = guarded_empty(conv.out_shape, dtype, edge, channels_last=True)
            _kernels.fft_conv2d(conv, given, weight, guarded(_kernels.fft_conv2d_pack(conv, weight), edge), None, out)
            np.testing.assert_allclose(out, F.conv2d(x, w, padding=(2, 0), algorithm="direct").numpy(), atol=1e-3)
            back = guarded_empty(x.shape, dtype, edge, channels_last=True)
            packed = guarded(_kernels.fft_conv2d_pack(conv, weight, True), edge)
            _kernels.fft_conv2d_grad_input(conv, out, weight, packed, back)
            assert np.isfinite(back).all()


def test_it_refuses_what_it_cannot_serve():
    x, w = np.ones((1, 1, 12, 12)), np.ones((1, 1, 3, 3))
    for options in ({"stride": 2}, {"dilation": 2}, {"stride": (1, 2)}):
        with pytest.raises(ValueError, match=r'conv2d: algorithm "fft" serves stride and dilation 1'):
            by_fft(x, w, **options)
    with pytest.raises(ValueError, match=r'conv3d: algorithm "fft" serves'):
        F.conv3d(x[None], w[None], algorithm="fft")
    with pytest.raises(ValueError, match=r'conv2d: algorithm "fft" serves'):
        by_fft(np.ones((1, 1, 300, 300)), np.ones((1, 1, 300, 300)))


@pytest.mark.parametrize(
    ("size", "channels", "kernel", "stride", "taken"),
    [(56, 64, 7, 1, True), (112, 16, 15, 1, True), (56, 64, 3, 1, False), (7, 64, 7, 1, False), (56, 64, 7, 2, False)],
)
def test_auto_takes_it_for_large_kernels_on_large_maps(size, channels, kernel, stride, taken):
    out = -(-size // stride)
    axis = Axis(size, out, kernel, stride, 1, kernel // 2, kernel // 2)
    assert (geometry([axis, axis], 1, (channels, channels), 1).winograd_tile == FFT) == taken


def test_spectra_of_a_parameter_are_kept_until_it_is_written():
    x, weight = randn(1, 4, 20, 20, dtype=np.float32), Parameter(randn(4, 4, 9, 9, dtype=np.float32))
    with no_grad():
        first = by_fft(x, weight).numpy()
        assert len(weight.cache) == 1
        np.testing.assert_array_equal(by_fft(x, weight), first)
        by_fft(x[:, :, :15, :15], weight)  # tiles of another size
        np.testing.assert_array_equal(by_fft(x, weight), first)
        weight.assign(weight.numpy() * 2)
        np.testing.assert_allclose(by_fft(x, weight), 2 * first, rtol=1e-5, atol=1e-4)
