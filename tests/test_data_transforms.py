"""Normalisation, random affine maps and their composition."""

import numpy as np
import pytest

from fastconv.data import Compose, Dataset, Normalize, RandomAffine, RandomTransform, load_digits
from fastconv.data.draws import derive, sample_keys, uniform
from fastconv.errors import ShapeError

KEYS = sample_keys(0, 0, 0, np.arange(5000))


def test_draws_are_uniform_and_independent():
    draws = uniform(KEYS, 4)
    assert draws.shape == (5000, 4)
    assert draws.min() >= 0
    assert draws.max() < 1
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(draws.var(0), 1 / 12, atol=0.004)
    following = np.roll(draws, 1, axis=0)
    assert np.abs(np.corrcoef(np.hstack([draws, following]).T) - np.eye(8)).max() < 0.06
    assert len(np.unique(KEYS)) == 5000


def test_splitmix64():
    # The first outputs of the published generator, seeded 1234567.
    seed = np.array([1234567], np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [int(derive(seed, i)[0]) for i in range(3)] == expected


def test_normalize():
    images = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    mean, std = [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]
    result = Normalize(mean, std)(images)
    assert result.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(result[:, channel], (images[:, channel] - mean[channel]) / std[channel], atol=1e-6)
    np.testing.assert_allclose(Normalize(0.5, 2)(images), (images - 0.5) / 2, atol=1e-6)
    assert Normalize(0.5, 2)(images.astype(np.float64)).dtype == np.float64


def test_normalize_fit():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, [50, 150, 256], (20, 6, 7, 3), dtype=np.uint8)
    step = Normalize.fit(Dataset(pixels, np.zeros(20, int), ["a"], "colour"))
    np.testing.assert_allclose(step.mean, (pixels / 255).mean((0, 1, 2)))
    np.testing.assert_allclose(step.std, (pixels / 255).std((0, 1, 2)))
    digits = load_digits("test")
    grey = Normalize.fit(digits)(digits.images[:, None] / 255)
    assert abs(grey.mean()) < 1e-9
    assert abs(grey.std() - 1) < 1e-9
    for images in (np.zeros((0, 4, 4), np.uint8), np.full((3, 4, 4), 9, np.uint8)):
        with pytest.raises(ValueError, match=r"Normalize\.fit"):
            Normalize.fit(Dataset(images, np.zeros(len(images), int), ["a"], "blank"))


@pytest.mark.parametrize(
    ("mean", "std", "error"),
    [
        (0, 0, ValueError),
        (0, -1, ValueError),
        (np.nan, 1, ValueError),
        (0, np.inf, ValueError),
        ("0", 1, TypeError),
        ([0, 0], [1], ShapeError),
        ([], [], ShapeError),
    ],
)
def test_normalize_refuses(mean, std, error):
    with pytest.raises(error, match="Normalize"):
        Normalize(mean, std)


def test_images_of_the_wrong_kind():
    for transform in (Normalize(0, 1), RandomAffine(5)):
        with pytest.raises(ShapeError, match="images must be 4-d"):
            transform(np.zeros((3, 4, 4)))
        with pytest.raises(TypeError, match="float32 or float64, got uint8"):
            transform(np.zeros((1, 1, 4, 4), np.uint8))
    with pytest.raises(ShapeError, match="2 values, but images have 3 channels"):
        Normalize([0, 0], [1, 1])(np.zeros((1, 3, 4, 4)))


def test_no_change():
    images = np.random.default_rng(0).random((4, 2, 6, 7))
    np.testing.assert_allclose(RandomAffine(0)(images, rng=0), images, atol=1e-12)
    np.testing.assert_allclose(RandomAffine((360, 360), (0, 0), (1, 1))(images, rng=0), images, atol=1e-12)


def test_rotation_is_clockwise_about_the_centre():
    image = np.zeros((1, 1, 5, 5))
    image[0, 0, 0, 2] = 1  # in the middle of the top
    turned = RandomAffine((90, 90))(image, rng=0)
    assert turned[0, 0, 2, 4] == pytest.approx(1)  # in the middle of the right side
    assert turned.sum() == pytest.approx(1)
    np.testing.assert_allclose(RandomAffine((180, 180))(image, rng=0), image[:, :, ::-1, ::-1], atol=1e-12)


def test_scale_above_one_enlarges_about_the_centre():
    image = np.zeros((1, 1, 9, 9))
    image[0, 0, 3:6, 3:6] = 1
    larger = RandomAffine(0, scale=(2, 2))(image, rng=0)
    assert 25 < larger.sum() < 50
    np.testing.assert_allclose(larger, larger[:, :, ::-1, ::-1], atol=1e-12)
    assert RandomAffine(0, scale=(0.5, 0.5))(image, rng=0).sum() < 5


def test_ranges_of_the_draws():
    maps = RandomAffine(10, (0.1, 0.25)).matrices(KEYS, height=20, width=30)
    angle = np.rad2deg(np.arctan2(maps[:, 0, 1], maps[:, 0, 0]))
    assert -10 <= angle.min() < -9.9
    assert 9.9 < angle.max() <= 10
    middle = np.array([14.5, 9.5, 1])
    # Where the centre of the output is seen; rotating that back gives the shift.
    seen = maps @ middle - middle[:2]
    shift = -np.linalg.solve(maps[:, :, :2], seen[:, :, None])[:, :, 0]
    assert np.abs(shift[:, 0]).max() == pytest.approx(0.1 * 30, rel=0.01)
    assert np.abs(shift[:, 1]).max() == pytest.approx(0.25 * 20, rel=0.01)
    np.testing.assert_allclose(shift.mean(0), 0, atol=0.2)
    factor = 1 / np.sqrt(np.linalg.det(RandomAffine(30, scale=(0.8, 1.2)).matrices(KEYS, 20, 30)[:, :, :2]))
    assert 0.8 <= factor.min() < 0.802
    assert 1.198 < factor.max() <= 1.2
    assert len(np.unique(maps[:, 0, 2])) == 5000


def test_fill_and_layout():
    images = np.zeros((2, 3, 8, 8), np.float32)
    result = RandomAffine(0, scale=(0.5, 0.5), fill=3)(images, rng=0)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[:, :, 0], 3)
    assert (result[:, :, 4, 4] == 0).all()


def test_seeds():
    images = np.random.default_rng(0).random((6, 1, 8, 8))
    augment = Compose([RandomAffine(20, (0.1, 0.1)), Normalize(0.5, 0.5), RandomAffine(20, (0.1, 0.1))])
    first = augment(images, rng=7)
    np.testing.assert_array_equal(augment(images, rng=np.random.default_rng(7)), first)
    assert np.abs(augment(images, rng=8) - first).max() > 0.1
    assert np.abs(augment(images) - augment(images)).max() > 0.1


def test_composed_transforms_draw_apart():
    class Draw(RandomTransform):
        def apply(self, images, keys):
            drawn.append(uniform(keys, 1)[:, 0])
            return images

    drawn = []
    Compose([Draw(), Compose([Draw(), Draw()])]).apply(np.zeros((5000, 1, 1, 1)), KEYS)
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.06


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1,), ValueError, "degrees"),
        ((np.nan,), ValueError, "degrees"),
        (("10",), TypeError, "degrees"),
        (((10, -10),), ValueError, r"degrees must be \(smallest, largest\)"),
        (((1, 2, 3),), ShapeError, "degrees must be a pair"),
        ((0, 0.1), TypeError, "translate must be a pair"),
        ((0, (0.1,)), ShapeError, "translate must be a pair"),
        ((0, (0.1, 1.5)), ValueError, "translate must be a number from 0 to 1"),
        ((0, (-0.1, 0)), ValueError, "translate"),
        ((0, None, (0, 1)), ValueError, "scale must be positive"),
        ((0, None, (1.1, 0.9)), ValueError, "scale"),
        ((0, None, (1, np.inf)), ValueError, "scale"),
    ],
)
def test_random_affine_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        RandomAffine(*arguments)


def test_compose_refuses():
    with pytest.raises(TypeError, match="transforms must be callables, got 3"):
        Compose([Normalize(0, 1), 3])
