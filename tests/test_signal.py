"""fastconv.signal: every function against its twin, in all modes, boundaries and types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv
from fastconv import reference, signal
from tests.helpers import ISAS, isa, layouts, randn, smallints

MODES = ("full", "same", "valid")
BOUNDARIES = ("fill", "wrap", "symm")
METHODS = ("auto", "direct", "fft")
EXACT = ("?", "i1", "u1", "i2", "i4", "i8", "u8")


def near(found: np.ndarray, expected: np.ndarray, dtype: np.dtype | None = None, slack: float = 1.0) -> None:
    """Assert one type and shape, and equality: to a few ulps of the largest value or 16, exact for whole numbers."""
    dtype = expected.dtype if dtype is None else dtype
    assert found.dtype == dtype
    assert found.shape == expected.shape
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected)
    else:
        limit = 16 * slack * np.finfo(found.dtype).eps * np.abs(expected).max(initial=16)
        np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("name", ISAS)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_two_axes_equal_their_twins(name, data):
    draw = data.draw
    x = smallints(draw(st.integers(1, 40)), draw(st.integers(1, 90)))
    taps = smallints(draw(st.integers(1, 9)), draw(st.integers(1, 9)), seed=1)
    correlate, method = draw(st.booleans()), draw(st.sampled_from(METHODS))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    options = {
        "mode": draw(st.sampled_from(MODES)),
        "boundary": draw(st.sampled_from(BOUNDARIES)),
        "fillvalue": draw(st.sampled_from([0, 0, 2, -3])),
        "stride": draw(st.integers(1, 4)),
        "dilation": draw(st.integers(1, 3)),
    }
    span = [options["dilation"] * (k - 1) + 1 for k in taps.shape]
    if options["mode"] == "valid" and (x.shape[0] < span[0]) != (x.shape[1] < span[1]):
        options["mode"] = "full"
    function, twin = (getattr(each, "correlate2d" if correlate else "convolve2d") for each in (signal, reference))
    with isa(name):
        found = function(x.astype(dtype), taps.astype(dtype), method=method, **options)
    expected = twin(x, taps, **options)
    if method == "direct":
        np.testing.assert_array_equal(found, expected)
    near(found, expected.astype(dtype))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_axes_equal_their_twins(data):
    draw = data.draw
    axes = draw(st.integers(1, 4))
    most = {1: 500, 2: 30, 3: 12, 4: 6}[axes]
    shapes = [[draw(st.integers(1, most)) for _ in range(axes)] for _ in "xw"]
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    mode = draw(st.sampled_from(MODES))
    if mode == "valid":
        shapes = [list(map(max, *shapes)), [(k + 1) // 2 for k in map(min, *shapes)]]
        dilation = 1
        shapes = shapes if draw(st.booleans()) else shapes[::-1]
    x, taps = smallints(*shapes[0]), smallints(*shapes[1], seed=1)
    name, method = draw(st.sampled_from(["convolve", "correlate"])), draw(st.sampled_from(METHODS))
    found = getattr(signal, name)(x, taps, mode, method, stride=stride, dilation=dilation)
    expected = getattr(reference, name)(x, taps, mode, stride, dilation)
    if method == "direct":
        np.testing.assert_array_equal(found, expected)
    near(found, expected)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_types_are_numpys_and_integers_exact(data):
    draw = data.draw
    kinds = [draw(st.sampled_from([*EXACT, "f2", "f4", "f8", "c8", "c16"])) for _ in "xw"]
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    arrays = []
    for kind, shape in zip(kinds, ((7, 9), (3, 2)), strict=True):
        dtype = np.dtype(kind)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            wide = draw(st.booleans())  # sums that wrap, some beyond what a float64 can hold
            low, high = (limits.min, limits.max) if wide else (0, 9)
            arrays.append(rng.integers(low, high, shape, dtype))
        elif dtype.kind == "b":
            arrays.append(rng.random(shape) < 0.3)
        else:
            values = rng.integers(-4, 5, shape) + (1j * rng.integers(-4, 5, shape) if dtype.kind == "c" else 0)
            arrays.append(values.astype(dtype))
    x, taps = arrays
    mode, boundary = draw(st.sampled_from(MODES)), draw(st.sampled_from(BOUNDARIES))
    fill = draw(st.sampled_from([0, 1]))
    found = signal.correlate2d(x, taps, mode, boundary, fill)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = reference.correlate2d(x, taps, mode, boundary, fill)
    assert found.dtype == np.result_type(x, taps) == expected.dtype
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected)
    else:
        finite = np.isfinite(expected)
        limit = 1e-3 if found.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(
            found[finite], expected[finite], rtol=limit, atol=limit * np.abs(expected[finite]).max(initial=1)
        )


def test_integers_take_every_way_and_stay_exact():
    rng = np.random.default_rng(0)
    for top, taps_top, size in ((100, 3, 5), (2**20, 2**9, 9), (2**31, 2**31, 3), (9, 3, 40), (2**14, 2**6, 40)):
        x, taps = rng.integers(-top, top, (60, 70)), rng.integers(-taps_top, taps_top, (size, size))
        np.testing.assert_array_equal(signal.convolve2d(x, taps), reference.convolve2d(x, taps))
        np.testing.assert_array_equal(signal.convolve(x, taps, "same"), reference.convolve(x, taps, "same"))
    x = rng.integers(0, 2**63, (5, 6), np.uint64)
    np.testing.assert_array_equal(signal.convolve(x, x), reference.convolve(x, x))
    for boundary in BOUNDARIES:  # by integer sums
        found = signal.convolve2d(x, x[:3, :2], "same", boundary, 7, stride=2, dilation=2)
        np.testing.assert_array_equal(found, reference.convolve2d(x, x[:3, :2], "same", boundary, 7, 2, 2))
    with pytest.raises(ValueError, match='method "fft" is not exact'):
        signal.convolve(x, x, method="fft")


def test_batches_broadcast():
    x, taps = randn(3, 2, 11, 12), randn(2, 3, 4)
    found = signal.convolve2d(x, taps, "same")
    assert found.shape == x.shape
    for i in np.ndindex(3, 2):
        np.testing.assert_array_equal(found[i], signal.convolve2d(x[i], taps[i[1]], "same"))
    one = signal.correlate2d(x, taps[0])
    np.testing.assert_array_equal(one[2, 1], signal.correlate2d(x[2, 1], taps[0]))
    lines = signal.convolve(x, taps[0, 0])
    np.testing.assert_array_equal(lines[1, 1, 3], signal.convolve(x[1, 1, 3], taps[0, 0]))
    whole = signal.convolve2d(x[:1, :1], taps)  # the taps' batch is larger
    assert whole.shape == (1, 2, 13, 15)
    assert signal.convolve2d(np.zeros((0, 5, 5)), taps[0]).shape == (0, 7, 8)


def test_axes_may_be_any():
    x, taps = randn(4, 9, 5), randn(1, 3, 2)
    found = signal.convolve(x, taps, axes=(1, 2))
    for i in range(4):
        near(found[i], reference.convolve(x[i], taps[0]))
    turned = signal.convolve(x.transpose(1, 0, 2), taps.transpose(1, 0, 2), axes=(0, 2))
    np.testing.assert_array_equal(turned.transpose(1, 0, 2), found)
    first = signal.correlate(x, taps[:, :, :1], "same", axes=-2)
    near(first[2, :, 3], reference.correlate(x[2, :, 3], taps[0, :, 0], "same"))


@pytest.mark.parametrize("name", ISAS)
def test_strides_of_memory_do_not_matter(name):
    x, taps = randn(13, 21, dtype=np.float32), randn(4, 5, dtype=np.float32)
    with isa(name):
        for method in ("direct", "fft"):
            expected = signal.convolve2d(x, taps, "same", "wrap", method=method)
            for (what, a), (_, b) in zip(layouts(x), layouts(taps), strict=True):
                before = a.copy()
                np.testing.assert_array_equal(signal.convolve2d(a, b, "same", "wrap", method=method), expected, what)
                np.testing.assert_array_equal(a, before, what)


@pytest.mark.parametrize("count", [300, 5000, 70001])
@pytest.mark.parametrize("taps", [1, 2, 33, 700, 6001])
@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_long_lines(count, taps, method):
    if method == "direct" and count * taps > 10**8:
        taps = 1201
    x, w = randn(count, dtype=np.float32), randn(taps, dtype=np.float32)
    spectrum = np.fft.rfft(x.astype(float), 1 << 17) * np.fft.rfft(w.astype(float), 1 << 17)
    expected = np.fft.irfft(spectrum)[: count + taps - 1]
    for stride in (1, 3):
        found = signal.convolve(x, w, method=method, stride=stride)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[::stride], rtol=0, atol=1e-5 * np.abs(expected).max())
    dilated = signal.correlate(x, w[:50], "same", method, dilation=3)
    np.testing.assert_allclose(
        dilated, reference.correlate(x.astype(float), w[:50].astype(float), "same", 1, 3), rtol=0, atol=1e-4
    )


def test_the_result_needs_no_tape_and_takes_tensors():
    x = fastconv.tensor(randn(5, 5))
    assert type(signal.convolve2d(x, x)) is np.ndarray


# What scipy.signal 1.17 computes of arange(1, 13) in three rows and [[1, 2], [3, -4]], filled with 5.
STORED = [
    ("convolve2d", "full", "fill", [[6, -1, 2, 5, 8], [-2, 18, 20, 22, 20], [14, 26, 28, 30, 12], [22, 9, 8, 7, -18]]),
    ("convolve2d", "same", "wrap", [[-12, -2, 0, 2], [8, 18, 20, 22], [16, 26, 28, 30]]),
    ("convolve2d", "same", "symm", [[2, 6, 8, 10], [14, 18, 20, 22], [22, 26, 28, 30]]),
    (
        "correlate2d",
        "full",
        "wrap",
        [[38, 24, 26, 28, 38], [10, -4, -2, 0, 10], [18, 4, 6, 8, 18], [38, 24, 26, 28, 38]],
    ),
    ("correlate2d", "full", "symm", [[2, 0, 2, 4, 8], [-2, -4, -2, 0, 4], [6, 4, 6, 8, 12], [18, 16, 18, 20, 24]]),
    ("correlate2d", "same", "fill", [[-4, -2, 0, 18], [4, 6, 8, 34], [24, 27, 30, 17]]),
]


@pytest.mark.parametrize(("name", "mode", "boundary", "expected"), STORED)
def test_results_stored_from_scipy(name, mode, boundary, expected):
    x, taps = np.arange(1, 13).reshape(3, 4), np.array([[1, 2], [3, -4]])
    near(getattr(signal, name)(x, taps, mode, boundary, 5), np.array(expected))


def test_the_examples_of_scipys_documentation():
    pulse = np.repeat([0.0, 1.0, 0.0], 100)  # convolve: a pulse smoothed by a Hann window
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(50) / 49)
    np.testing.assert_allclose(
        signal.convolve(pulse, window, mode="same") / window.sum(),
        np.convolve(pulse, window, mode="same") / window.sum(),
        atol=1e-14,
    )
    noisy = np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 128) + randn(640)  # correlate: a matched filter
    np.testing.assert_allclose(
        signal.correlate(noisy, np.ones(128), mode="same") / 128,
        np.correlate(noisy, np.ones(128), mode="same") / 128,
        atol=1e-14,
    )
    scharr = np.array([[-3 - 3j, 0 - 10j, +3 - 3j], [-10 + 0j, 0 + 0j, +10 + 0j], [-3 + 3j, 0 + 10j, +3 + 3j]])
    gradient = signal.convolve2d(np.arange(1, 13).reshape(3, 4), scharr, boundary="symm", mode="same")
    edges, middle = [-16 - 64j, -32 - 64j, -32 - 64j, -16 - 64j], [-16 - 128j, -32 - 128j, -32 - 128j, -16 - 128j]
    near(gradient, np.array([edges, middle, edges]))
    face = randn(60, 80)  # correlate2d: where a piece of an image is
    template = face[30:45, 20:41] - face[30:45, 20:41].mean()
    found = signal.correlate2d(face - face.mean(), template, boundary="symm", mode="same")
    assert np.unravel_index(found.argmax(), found.shape) == (37, 30)


SCIPY_SHAPES = [
    ((5,), (3,)),
    ((4, 6), (2, 3)),
    ((7, 5), (8, 6)),
    ((6, 9), (4, 4)),
    ((3, 4, 5), (2, 2, 3)),
    ((2, 2), (5, 4)),
]


@pytest.mark.parametrize(("x", "w"), SCIPY_SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "c8", "c16"])
def test_scipy_computes_the_same(x, w, dtype):
    scipy = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 90, shape).astype(dtype) * (1 - 2j if dtype[0] == "c" else 1) for shape in (x, w))
    a, b = a.astype(dtype), b.astype(dtype)
    for mode in MODES:
        for name in ("convolve", "correlate"):
            for method in ("direct", "auto"):
                near(getattr(signal, name)(a, b, mode, method), getattr(scipy, name)(a, b, mode, method), slack=4)
        if len(x) == 2:
            for boundary in BOUNDARIES:
                for name in ("convolve2d", "correlate2d"):
                    found, expected = (getattr(each, name)(a, b, mode, boundary, 3) for each in (signal, scipy))
                    near(found, expected, slack=4)


def test_boundaries_have_the_other_names_of_scipys():
    image, taps = np.arange(12.0).reshape(3, 4), np.arange(4.0).reshape(2, 2)
    for name, other in (("fill", "pad"), ("wrap", "circular"), ("symm", "symmetric")):
        expected = signal.convolve2d(image, taps, boundary=name)
        np.testing.assert_array_equal(signal.convolve2d(image, taps, boundary=other), expected)
