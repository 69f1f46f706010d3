"""The kernels of fastconv.signal: memory, special values, error, threads; and bad arguments."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import _kernels, reference, signal
from fastconv._kernels import Window
from fastconv.errors import ShapeError
from fastconv.signal._cost import fft_plan
from tests.guard import guarded, guarded_empty
from tests.helpers import DTYPES, ISAS, isa, randn, smallints, thread_counts

SPECIAL = [np.nan, np.inf, -np.inf, 3e38, -0.0, 1e-45]


def run(method, window, x, taps, out, boundary="fill", fill=0.0):
    """Call one kernel, the FFT with the tiles it would have."""
    if method == "direct":
        return _kernels.filter2d(window, x, taps, out, boundary, fill)
    tile = fft_plan(len(x), out.shape[1:], taps.shape, x.dtype)[1:]
    return _kernels.fft_filter2d(window, x, taps, out, *tile, boundary, fill)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("edge", ["end", "start"])
def test_nothing_outside_the_arrays_is_touched(name, dtype, method, edge):
    with isa(name):
        lanes = _kernels.vector_length(np.dtype(dtype).name)
        for width in (*range(1, 2 * lanes + 2), 4 * lanes + 3, 9 * lanes - 1):
            for kernel, pad in (((3, 5), (1, 2)), ((1, 4), (0, 0)), ((7, 1), (6, 0)), ((2, 2), (1, 1))):
                if width + 2 * pad[1] < kernel[1]:
                    continue
                x, taps = randn(2, 9, width, dtype=dtype), randn(*kernel, dtype=dtype)
                out_shape = (2, 9 + 2 * pad[0] - kernel[0] + 1, width + 2 * pad[1] - kernel[1] + 1)
                window = Window(2, 9, width, 1, *kernel, *out_shape[1:], 1, 1, *pad, 1, 1)
                offset = width * x.itemsize % 64
                for boundary in ("fill", "wrap", "symm"):
                    out = guarded_empty(out_shape, dtype, edge, offset)
                    run(method, window, guarded(x, edge, offset), guarded(taps, edge, offset), out, boundary)
                    assert np.isfinite(out).all()
                expected = reference.correlate2d(np.pad(x[1], [(p, p) for p in pad], "symmetric"), taps, "valid")
                np.testing.assert_allclose(out[1], expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("options", [{"stride": 3}, {"dilation": 2}, {"stride": (1, 2), "dilation": (3, 1)}])
def test_strides_and_dilations_stay_inside(name, options):
    with isa(name):
        for width in range(8, 60, 3):
            x, taps = guarded(randn(17, width, dtype=np.float32)), guarded(randn(4, 3, dtype=np.float32))
            for boundary in ("fill", "symm"):
                found = signal.convolve2d(x, taps, "same", boundary, method="direct", **options)
                again = signal.convolve2d(
                    x.astype(float), taps.astype(float), "same", boundary, method="fft", **options
                )
                np.testing.assert_allclose(found, again, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_a_value_reaches_no_element_that_it_should_not(name, value, method):
    x, taps = np.abs(randn(50, 70, dtype=np.float32)) + 1, np.abs(randn(5, 4, dtype=np.float32)) + 1
    clean = signal.convolve2d(x, taps, method="direct")
    x[20, 33] = value
    reached = np.zeros(clean.shape, bool)
    reached[20:25, 33:37] = True
    with isa(name):
        found = signal.convolve2d(x, taps, method=method)
    if np.isfinite(value) and abs(value) < 1e30:
        assert np.isfinite(found).all()
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            expected = signal.convolve2d(x, taps, method="direct")
        assert not np.isfinite(found[reached]).all()
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found[~reached], clean[~reached], rtol=1e-5)


def test_every_lane_holds_special_values_alike():
    for name in ISAS:
        with isa(name):
            for at in range(70):
                x = np.ones((3, 70), np.float32)
                x[1, at] = np.nan
                found = signal.convolve2d(x, np.ones((3, 3), np.float32), "same", method="direct")
                expected = np.zeros((3, 70), bool)
                expected[:, max(at - 1, 0) : at + 2] = True
                np.testing.assert_array_equal(np.isnan(found), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [3, 15, 40])
def test_error_bounds(dtype, size):
    """Direct: (sqrt(K) + 8) u (|x| conv |w|), element by element; FFT: relative to norms."""
    x, taps = randn(150, 170, dtype=dtype), randn(size, size, dtype=dtype)
    unit = np.finfo(dtype).eps / 2
    wide = np.longdouble if dtype == np.float64 else np.float64
    exact = reference.convolve(x.astype(wide), taps.astype(wide))
    limit = reference.convolve(np.abs(x).astype(float), np.abs(taps).astype(float)) * (size + 8) * unit
    error = np.abs(signal.convolve2d(x, taps, method="direct") - exact)
    by_fft = np.abs(signal.convolve2d(x, taps, method="fft") - exact)
    ratio = np.sqrt(np.mean(by_fft**2) / np.mean(error**2))
    print(
        f"{np.dtype(dtype)} {size}x{size}: direct {np.max(error / limit):.2f} of its bound, FFT {ratio:.2f} x its RMS"
    )
    assert (error <= limit).all()
    assert ratio <= 4


def test_bits_do_not_depend_on_threads_nor_on_the_batch():
    x = randn(3, 150, 170, dtype=np.float32)
    x[1, 30, 30] = np.inf
    for size, method in ((5, "direct"), (20, "fft"), (1, "direct"), (31, "auto")):
        taps, results = randn(size, size, dtype=np.float32), []
        for _ in thread_counts():
            results.append(signal.convolve2d(x, taps, "same", "symm", method=method))
        for each in results[1:]:
            np.testing.assert_array_equal(each, results[0])
        for i in range(3):
            alone = signal.convolve2d(x[i], taps, "same", "symm", method=method if method != "auto" else "fft")
            np.testing.assert_array_equal(alone, results[0][i])


def test_kernels_larger_than_the_array():
    x, taps = randn(5, 7), randn(23, 30)
    for boundary in ("fill", "wrap", "symm"):
        for method in ("direct", "fft"):
            found = signal.convolve2d(x, taps, "same", boundary, method=method)
            np.testing.assert_allclose(found, reference.convolve2d(x, taps, "same", boundary), atol=1e-12)


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("stride", [1, 3])
def test_far_taps_need_no_memory_for_what_is_between(boundary, stride):
    x, taps = smallints(9, 150), smallints(3, 4, seed=1)
    for dilation in (70, 270):
        found = signal.convolve2d(x, taps, "same", boundary, 2, stride=stride, dilation=dilation, method="direct")
        expected = reference.convolve2d(x, taps, "same", boundary, 2, stride, dilation)
        np.testing.assert_array_equal(found, expected)
    for method in ("direct", "auto"):
        far = signal.convolve2d(x, taps, "same", boundary, 2, dilation=10**6, method=method)
        assert far.shape == x.shape
        if boundary == "fill":  # an element meets the fill with every tap but those at its place
            reached = signal.convolve2d(x, taps[1:2], "same", "fill", 2, dilation=(1, 10**6), method="direct")
            np.testing.assert_array_equal(far, reached + 2 * (taps.sum() - taps[1].sum()))
    with pytest.raises(ValueError, match='convolve2d: method "fft" takes no taps that span'):
        signal.convolve2d(x, taps, "same", boundary, dilation=10**6, method="fft")


ONES = np.ones((4, 4))
BAD = [
    ({"in1": np.ones((0, 4))}, ShapeError, "in1 must have at least one element"),
    ({"in2": np.ones((2, 0))}, ShapeError, "in2 must have at least one element"),
    ({"in1": np.ones(4)}, ShapeError, "in1 must have two axes or more"),
    ({"in2": 3.0}, ShapeError, "in2 must have two axes or more"),
    ({"in1": np.ones((2, 4, 4)), "in2": np.ones((3, 2, 2))}, ShapeError, "leading axes .* must broadcast"),
    ({"in1": [[1, 2], [3]]}, ShapeError, "in1 must be an array"),
    ({"in2": np.ones((3, 5)), "mode": "valid"}, ShapeError, 'mode "valid" one of in1 and in2 must be at least as'),
    ({"mode": "Full"}, ValueError, "mode must be one of 'full', 'same', 'valid', got 'Full'"),
    ({"mode": None}, ValueError, "mode must be one of"),
    ({"boundary": "reflect"}, ValueError, "boundary must be one of 'fill', 'wrap', 'symm'"),
    ({"method": "winograd"}, ValueError, "method must be one of 'auto', 'direct', 'fft'"),
    ({"stride": 0}, ShapeError, "stride must be an int >= 1, got 0"),
    ({"stride": 1.5}, TypeError, "stride must be an int"),
    ({"stride": (1, 2, 3)}, ShapeError, "stride must be an int or 2 ints"),
    ({"stride": True}, TypeError, "stride must be an int"),
    ({"dilation": -1}, ShapeError, "dilation must be an int >= 1"),
    ({"dilation": 2**31}, ShapeError, "dilation must be at most"),
    ({"dilation": 2**31 - 1}, ShapeError, "too large an array"),
    ({"in1": ONES.astype(object)}, TypeError, "in1 must be an array of bools, .* got dtype object"),
    ({"in1": np.ones((4, 4), "M8[s]")}, TypeError, "got dtype datetime64"),
    ({"in2": np.array([["a"]])}, TypeError, "got dtype <U1"),
    ({"in1": ONES.astype(np.longdouble)}, TypeError, "floats of at most 64 bits"),
    ({"in1": np.ma.ones((4, 4))}, TypeError, "must not be a masked array"),
    ({"fillvalue": 1j}, TypeError, "fillvalue must be a number that fits a result of float64"),
    ({"fillvalue": [1, 2]}, TypeError, "fillvalue must be a number"),
    ({"fillvalue": "0"}, TypeError, "fillvalue must be a number"),
    ({"in1": np.ones((4, 4), int), "in2": np.ones((2, 2), int), "fillvalue": 0.5}, ValueError, "must be an integer"),
    ({"in1": np.ones((4, 4), "u1"), "in2": np.ones((2, 2), "u1"), "fillvalue": -1}, ValueError, "that fits a result"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments(arguments, error, message):
    for function in (signal.convolve2d, signal.correlate2d):
        with pytest.raises(error, match=f"{function.__name__}: .*{message}"):
            function(**{"in1": ONES, "in2": np.ones((2, 2)), **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(0), np.ones(3)), "in1 must have at least one element"),
        ((ONES, 1.0), "in1 must have at least one element on every axis"),
        ((ONES, np.ones((5, 3)), "valid"), "must be at least as large"),
    ],
)
def test_bad_shapes_of_any_number_of_axes(arguments, message):
    for function in (signal.convolve, signal.correlate):
        with pytest.raises(ShapeError, match=message):
            function(*arguments)
    with pytest.raises(ShapeError, match="in1 and in2 must have as many"):
        signal.convolve(ONES, np.ones(3), axes=0)
    with pytest.raises(ShapeError, match="must name at least one axis"):
        signal.convolve(ONES, ONES, axes=())


def test_kernels_refuse_what_would_crash():
    window = Window(1, 4, 4, 1, 3, 3, 2, 2, 1, 1, 0, 0, 1, 1)
    x, taps, out = np.ones((1, 4, 4)), np.ones((3, 3)), np.ones((1, 2, 2))
    for given in ((x[:, :3], taps, out), (x, taps[:2], out), (x, taps, out[:, :1]), (x[:, :, ::-1], taps, out)):
        with pytest.raises(TypeError):
            _kernels.filter2d(window, *given)
        with pytest.raises(TypeError):
            _kernels.fft_filter2d(window, *given, 16, 16)
    for tile in ((2, 16), (16, 24), (16, 1)):
        with pytest.raises(ValueError, match="no tile of"):
            _kernels.fft_filter2d(window, x, taps, out, *tile)
    with pytest.raises(KeyError):
        _kernels.filter2d(window, x, taps, out, "mirror")
