"""affine_warp: what it computes, the kernel against its twin on every instruction set, and bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import _kernels
from fastconv.data import affine_warp
from fastconv.errors import ShapeError
from fastconv.reference.warp import affine_warp as twin
from tests.guard import guarded, guarded_empty
from tests.helpers import channels_last, layouts, thread_counts

IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def random_case(n, c, h, w, dtype, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((n, c, h, w)).astype(dtype)
    matrices = IDENTITY + spread * rng.standard_normal((n, 2, 3)) * [0.5, 0.5, max(h, w) / 4]
    return images, matrices


def assert_near(result, expected, images, fill=0.0):
    assert result.dtype == expected.dtype
    scale = max(np.abs(images).max(initial=0), abs(fill))
    # Rounding of values, then of coordinates (doubles for both types) times the slope of the image.
    atol = scale * (8 * np.finfo(result.dtype).eps + 2e-13)
    np.testing.assert_allclose(result, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("warp", [twin, affine_warp])
def test_by_hand(warp):
    image = np.arange(12.0).reshape(1, 1, 3, 4)

    def warped(*rows, fill=0.0):
        return warp(image, np.array([rows], float), fill)[0, 0]

    np.testing.assert_array_equal(warped((1, 0, 0), (0, 1, 0)), image[0, 0])
    np.testing.assert_array_equal(warped((-1, 0, 3), (0, 1, 0)), image[0, 0, :, ::-1])
    shifted = warped((1, 0, -1), (0, 1, 2), fill=-5)  # a pixel to the right, two up
    np.testing.assert_array_equal(shifted, [[-5, 8, 9, 10], [-5] * 4, [-5] * 4])
    between = warped((1, 0, 0.25), (0, 1, 0.5), fill=100)
    np.testing.assert_array_equal(between[0], [2.25, 3.25, 4.25, (3 + 7) / 2 * 0.75 + 25])
    np.testing.assert_array_equal(
        between[2], [(8.25 + 100) / 2, (9.25 + 100) / 2, (10.25 + 100) / 2, (33.25 + 100) / 2]
    )
    np.testing.assert_array_equal(warped((0, 1, 0), (1, 0, 0))[:3, :3], image[0, 0, :3, :3].T)


SIZES = [(1, 1, 1, 1), (3, 1, 28, 28), (2, 3, 17, 5), (1, 16, 1, 31), (2, 5, 33, 1), (1, 1, 3, 129), (1, 2, 65, 67)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_kernel_equals_twin(each_isa, size, dtype):
    for seed, spread, fill in ((0, 0.3, 0.0), (1, 1.0, -2.5), (2, 5.0, 1.0)):
        images, matrices = random_case(*size, dtype, seed, spread)
        assert_near(affine_warp(images, matrices, fill), twin(images, matrices, fill), images, fill)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**20))
def test_any_shape(n, c, h, w, seed):
    images, matrices = random_case(n, c, h, w, np.float32, seed)
    assert_near(affine_warp(images, matrices), twin(images, matrices), images)


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (2, 0, 4, 4), (2, 1, 0, 4), (2, 1, 4, 0)])
def test_nothing_to_do(shape):
    result = affine_warp(np.zeros(shape, np.float32), np.zeros((shape[0], 2, 3)))
    assert result.shape == shape
    assert result.dtype == np.float32


NOWHERE = [np.nan, np.inf, -np.inf, 1e308, -1e308, 2.0**31, -(2.0**31), 2.0**63, -(2.0**63), 1e20]


@pytest.mark.parametrize("value", NOWHERE)
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)])
def test_huge_and_missing_coordinates(each_isa, place, value):
    images, matrices = random_case(2, 1, 5, 37, np.float32)
    matrices[0][place] = value
    result = affine_warp(images, matrices, fill=7)
    assert np.isfinite(result).all()
    assert_near(result, twin(images, matrices, fill=7), images, 7)
    if place[1] == 2:
        np.testing.assert_array_equal(result[0], 7)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_pixels_stay_where_they_are(each_isa, bad):
    images = np.ones((1, 1, 6, 40), np.float32)
    images[0, 0, 0, 0] = images[0, 0, 5, 39] = images[0, 0, 3, 17] = bad
    shift = np.array([[1, 0, 20.0], [0, 1, 3.0]])
    result = affine_warp(images, shift[None], fill=2)
    assert not np.isfinite(result[0, 0, 2, 19])  # the corner, moved
    np.testing.assert_array_equal(result[0, 0, 3:], 2)  # what comes from outside does not see it
    np.testing.assert_array_equal(result[0, 0, :, 20:], 2)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(result, twin(images, shift[None], 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_strides_and_read_only(each_isa, channels, dtype):
    images, matrices = random_case(3, channels, 7, 11, dtype)
    expected = twin(images, matrices)
    for name, view in layouts(images):
        before = view.copy()
        assert_near(affine_warp(view, matrices), expected, images)
        np.testing.assert_array_equal(view, before, err_msg=name)
    for other in (matrices.tolist(), np.asfortranarray(matrices), matrices.astype(">f8"), guarded(matrices)):
        np.testing.assert_allclose(affine_warp(images, other), expected, atol=1e-4)


@pytest.mark.parametrize("edge", ["end", "start"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_nothing_outside_the_result_is_written(each_isa, channels, edge):
    for w in (*range(1, 36), 63, 64, 65, 129):
        images, matrices = random_case(2, channels, 3, w, np.float32, seed=w)
        out = guarded_empty(images.shape, np.float32, edge, offset=4 * (w % 16), channels_last=True)
        _kernels.affine_warp(guarded(channels_last(images), edge), guarded(matrices, edge), 0.5, out)
        assert_near(out, twin(images, matrices, 0.5), images, 0.5)


def test_one_image_alone_gives_the_same_bits(each_isa):
    images, matrices = random_case(9, 2, 19, 23, np.float32)
    whole = affine_warp(images, matrices)
    for i in range(9):
        np.testing.assert_array_equal(affine_warp(images[i : i + 1], matrices[i : i + 1])[0], whole[i])


def test_same_bits_for_any_number_of_threads():
    images, matrices = random_case(5, 3, 150, 170, np.float32)
    results = []
    for _ in thread_counts():
        results.append(affine_warp(images, matrices))
    assert_near(results[0], twin(images, matrices), images)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"images": np.zeros((3, 4))}, ShapeError, "images must be 4-d"),
        ({"images": np.zeros((1, 1, 2, 2), int)}, TypeError, "images must be float32 or float64, got int64"),
        ({"images": np.zeros((1, 1, 2, 2), np.float16)}, TypeError, "affine_warp: images"),
        ({"images": np.zeros((1, 1, 2, 2), complex)}, TypeError, "affine_warp: images"),
        ({"images": np.zeros((1, 1, 2, 2), object)}, TypeError, "affine_warp: images"),
        ({"images": np.ma.zeros((1, 1, 2, 2))}, TypeError, "masked"),
        ({"images": np.broadcast_to(np.float32(0), (1, 1, 1, 2**31 - 1))}, ShapeError, "at most"),
        ({"matrices": IDENTITY}, ShapeError, r"matrices must have shape \(1, 2, 3\), got \(2, 3\)"),
        ({"matrices": np.zeros((2, 2, 3))}, ShapeError, r"got \(2, 2, 3\)"),
        ({"matrices": np.zeros((1, 2, 3), complex)}, TypeError, "affine_warp: matrices"),
        ({"fill": np.nan}, ValueError, "fill must be"),
        ({"fill": 1e39, "images": np.zeros((1, 1, 2, 2), np.float32)}, ValueError, "fill must be"),
        ({"fill": "0"}, TypeError, "fill must be a number"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        affine_warp(**{"images": np.zeros((1, 1, 2, 2)), "matrices": IDENTITY[None], **arguments})
