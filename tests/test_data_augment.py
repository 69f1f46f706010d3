"""Sizes, crops, flips, colours and erasing."""

import colorsys

import numpy as np
import pytest

from fastconv.data import (
    CenterCrop,
    ColorJitter,
    Compose,
    DataLoader,
    Dataset,
    Normalize,
    PCAColor,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
)
from fastconv.data.draws import normal, sample_keys
from fastconv.data.resize import resize
from fastconv.errors import ShapeError

KEYS = sample_keys(0, 0, 0, np.arange(2000))
RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 3, 20, 24)).astype(np.float32)
RANDOM = [
    RandomCrop(12, padding=2),
    RandomResizedCrop((9, 11)),
    RandomHorizontalFlip(),
    RandomVerticalFlip(),
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    PCAColor(),
    RandomErasing(),
    RandomErasing(value="random"),
]


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_belong_to_the_sample(transform, dtype):
    images, keys = IMAGES.astype(dtype), KEYS[:6]
    before = images.copy()
    together = transform.apply(images, keys)
    assert together.dtype == dtype
    assert np.array_equal(images, before)
    for i in (0, 3, 5):  # alone, in another order, and from memory of another layout
        assert np.array_equal(transform.apply(images[i : i + 1], keys[i : i + 1])[0], together[i])
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(transform.apply(last[::-1], keys[::-1]), together[::-1], rtol=1e-6, atol=1e-6)
    assert np.array_equal(transform(images, rng=3), transform(images, rng=3))
    assert transform.apply(images[:0], keys[:0]).shape == (0, *together.shape[1:])


def test_normal_draws():
    draws = normal(KEYS, 6)
    np.testing.assert_allclose(draws.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(draws.std(0), 1, atol=0.06)
    assert np.abs(np.corrcoef(draws.T) - np.eye(6)).max() < 0.1


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((30, 40), (7, 9)),
        ((7, 9), (30, 40)),
        ((5, 5), (5, 10)),
        ((1, 3), (4, 1)),
        ((50, 80), (32, 51)),
        ((1, 1), (3, 3)),
    ],
)
def test_resize_is_pillows(size, to):
    pil = pytest.importorskip("PIL.Image")
    images = RNG.random((2, 3, *size)).astype(np.float32)
    found = resize(images, to)
    for image, result in zip(images.reshape(-1, *size), found.reshape(-1, *to), strict=True):
        expected = np.asarray(pil.fromarray(image).resize(to[::-1], pil.Resampling.BILINEAR))
        np.testing.assert_allclose(result, expected, atol=3e-7)
    np.testing.assert_allclose(resize(images.astype(np.float64), to), found, atol=1e-6)
    np.testing.assert_allclose(resize(np.full((1, 2, *size), 0.3), to), 0.3, rtol=1e-12)


def test_resize_the_shorter_side():
    assert Resize(10)(IMAGES).shape == (6, 3, 10, 12)
    assert Resize(40)(IMAGES.transpose(0, 1, 3, 2)).shape == (6, 3, 48, 40)
    assert Resize((5, 6))(IMAGES).shape == (6, 3, 5, 6)
    assert Resize(20)(IMAGES) is IMAGES
    assert Resize(5)(IMAGES[:0]).shape == (0, 3, 5, 6)
    with pytest.raises(ShapeError, match="resize: images of 0 x 4 pixels cannot be scaled"):
        Resize(4)(np.zeros((1, 3, 0, 4)))


def test_alexnets_crops():
    images = RNG.random((3, 3, 256, 300)).astype(np.float32)
    assert np.array_equal(CenterCrop(224)(images), images[:, :, 16:240, 38:262])
    assert CenterCrop((256, 300))(images).shape == images.shape
    crops = RandomCrop(224).apply(images, KEYS[:3])
    assert crops.shape == (3, 3, 224, 224)
    for image, crop in zip(images, crops, strict=True):
        y, x = np.argwhere(image[0] == crop[0, 0, 0])[0]
        assert np.array_equal(image[:, y : y + 224, x : x + 224], crop)


def test_random_crops_reach_every_place():
    index = np.arange(6.0).reshape(1, 1, 2, 3)
    crops = RandomCrop(1).apply(np.broadcast_to(index, (2000, 1, 2, 3)), KEYS)
    assert np.abs(np.bincount(crops.ravel().astype(int)) / 2000 - 1 / 6).max() < 0.03
    padded = RandomCrop((2, 3), padding=(0, 1), fill=9).apply(np.broadcast_to(index, (100, 1, 2, 3)), KEYS[:100])
    assert sorted({tuple(row) for row in padded[:, 0, 0].tolist()}) == [(0, 1, 2), (1, 2, 9), (9, 0, 1)]


def test_boxes_of_resized_crops():
    crop = RandomResizedCrop(8, scale=(0.1, 0.5), ratio=(0.5, 2.0))
    top, left, height, width = crop.boxes(KEYS, 90, 120).T
    assert min(top.min(), left.min()) == 0
    assert (top + height).max() == 90
    assert (left + width).max() == 120
    share = height * width / (90 * 120)
    assert 0.095 < share.min() < 0.11
    assert 0.49 < share.max() < 0.505
    assert share.mean() == pytest.approx(0.3, abs=0.01)
    logs = np.log(width / height)
    assert np.abs(logs).max() < 0.75
    assert abs(logs.mean()) < 0.05
    # No draw fits a strip: then its middle, as wide as allowed.
    assert crop.boxes(KEYS[:1], 10, 1000).tolist() == [[0, 490, 10, 20]]
    assert crop.boxes(KEYS[:1], 1, 1).tolist() == [[0, 0, 1, 1]]
    whole = RandomResizedCrop((20, 24), scale=(1, 1), ratio=(1.2, 1.2))
    assert np.array_equal(whole.apply(IMAGES, KEYS[:6]), IMAGES)
    part = crop.apply(IMAGES, KEYS[:6])
    y, x, h, w = crop.boxes(KEYS[:6], 20, 24)[2]
    assert np.array_equal(part[2], resize(IMAGES[2:3, :, y : y + h, x : x + w], (8, 8))[0])


def test_flips():
    assert np.array_equal(RandomHorizontalFlip(1)(IMAGES), IMAGES[..., ::-1])
    assert np.array_equal(RandomVerticalFlip(1)(IMAGES), IMAGES[..., ::-1, :])
    assert RandomHorizontalFlip(0)(IMAGES) is IMAGES
    pixels = np.broadcast_to(np.array([0.0, 1.0]), (2000, 1, 1, 2))
    assert RandomHorizontalFlip(0.3).apply(pixels, KEYS)[:, 0, 0, 0].mean() == pytest.approx(0.3, abs=0.04)


def test_jitter():
    def fixed(**ranges):
        return ColorJitter(**{name: (factor, factor) for name, factor in ranges.items()})(IMAGES)

    np.testing.assert_allclose(fixed(brightness=0.5), IMAGES / 2, rtol=1e-6)
    assert fixed(brightness=3.0).max() == 1
    grey = np.tensordot(IMAGES, np.float32([0.299, 0.587, 0.114]), ([1], [0]))[:, None]
    np.testing.assert_allclose(fixed(saturation=0), np.broadcast_to(grey, IMAGES.shape), atol=1e-6)
    np.testing.assert_allclose(fixed(saturation=0.5), (grey + IMAGES) / 2, atol=1e-6)
    mean = grey.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(fixed(contrast=0), np.broadcast_to(mean, IMAGES.shape), atol=1e-6)
    np.testing.assert_allclose(fixed(contrast=1.5), np.clip(mean + 1.5 * (IMAGES - mean), 0, 1), atol=1e-6)
    assert ColorJitter()(IMAGES) is IMAGES
    one = ColorJitter(contrast=0.5, saturation=0.5).apply(IMAGES[:, :1], KEYS[:6])
    assert one.shape == (6, 1, 20, 24)
    factors = ColorJitter(0.4).apply(np.full((2000, 1, 1, 1), 0.5), KEYS)[:, 0, 0, 0] / 0.5
    assert 0.6 <= factors.min() < 0.61
    assert 1.39 < factors.max() <= 1.4
    for options in ({"contrast": 0.5}, {"hue": 0.5}):
        with pytest.raises(ShapeError, match="ColorJitter: images must have 1 or 3 channels, got 2"):
            ColorJitter(**options)(IMAGES[:, :2])


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.2, 1 / 3, 0.5])
def test_hue_is_turned_as_colorsys_does(turn):
    colours = [(0.2, 0.7, 0.4), (1, 0, 0), (0, 0, 0), (0.5, 0.5, 0.5), (0.3, 0.3, 0.9), (0.8, 0.1, 0.8), (1, 1, 0.2)]
    pixels = np.array(colours).T[None, :, None]
    wanted = []
    for colour in colours:
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        wanted.append(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
    turned = ColorJitter(hue=(turn, turn))(pixels)
    np.testing.assert_allclose(turned[0, :, 0].T, wanted, atol=1e-12)
    assert ColorJitter(hue=0.5)(IMAGES).dtype == IMAGES.dtype
    grey = ColorJitter(hue=0.5)(IMAGES[:, :1])
    assert np.array_equal(grey, IMAGES[:, :1])


def test_hue_is_drawn_from_its_range():
    red = np.zeros((2000, 3, 1, 1))
    red[:, 0] = 1
    turned = ColorJitter(hue=0.1).apply(red, KEYS)
    turns = (turned[:, 1] - turned[:, 2]) / 6  # green comes in to one side, blue to the other
    assert -0.1 <= turns.min() < -0.098
    assert 0.098 < turns.max() <= 0.1


def test_pca_colour():
    black = np.zeros((2000, 3, 2, 2))
    colours = PCAColor(std=0.5).apply(black, KEYS)
    assert (colours == colours[:, :, :1, :1]).all()
    values, vectors = np.linalg.eigh(np.cov(colours[:, :, 0, 0].T))
    np.testing.assert_allclose(np.sqrt(values[::-1]), 0.5 * np.array([0.2175, 0.0188, 0.0045]), rtol=0.06)
    assert abs(vectors[:, -1] @ [-0.5675, -0.5808, -0.5836]) > 0.999


def test_pca_colour_of_a_data_set():
    pixels = RNG.normal(128, [30, 20, 10], (5, 16, 16, 3)).clip(0, 255).astype(np.uint8)
    fitted = PCAColor.fit(Dataset(pixels, np.zeros(5, int), ["a"], "noise"))
    covariance = np.cov((pixels / 255).reshape(-1, 3).T, bias=True)
    rebuilt = fitted.eigenvectors @ np.diag(fitted.eigenvalues) @ fitted.eigenvectors.T
    np.testing.assert_allclose(rebuilt, covariance, atol=1e-12)
    assert (np.diff(fitted.eigenvalues) < 0).all()
    with pytest.raises(ShapeError, match=r"PCAColor\.fit: .* has no colours"):
        PCAColor.fit(Dataset(pixels[..., 0], np.zeros(5, int), ["a"], "grey"))


def test_erasing():
    ones = np.ones((2000, 1, 20, 30))
    found = RandomErasing(0.7, scale=(0.1, 0.2), value=-1.0).apply(ones, KEYS)
    shares = (found < 0).mean((1, 2, 3))
    assert (shares > 0).mean() == pytest.approx(0.7, abs=0.04)
    assert 0.08 < shares[shares > 0].min() < 0.11
    assert 0.19 < shares.max() < 0.22
    one = np.argwhere(found[np.flatnonzero(shares)[0], 0] < 0)
    assert len(one) == np.prod(np.ptp(one, axis=0) + 1)  # a rectangle
    coloured = RandomErasing(1, value=[1.0, 2.0, 3.0]).apply(np.zeros((1, 3, 10, 10)), KEYS[:1])
    assert [sorted(set(channel.ravel())) for channel in coloured[0]] == [[0, 1], [0, 2], [0, 3]]
    noise = RandomErasing(1, scale=(0.9, 0.95), ratio=(1, 1), value="random").apply(np.zeros((1, 3, 90, 90)), KEYS[:1])
    assert noise[noise != 0].std() == pytest.approx(1, abs=0.03)
    assert np.array_equal(RandomErasing(1, scale=(1, 1)).apply(ones[:5], KEYS[:5]), ones[:5])
    with pytest.raises(ShapeError, match="value has 2 numbers, but images have 1 channels"):
        RandomErasing(1, value=[0, 1]).apply(ones, KEYS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Resize(0),
        lambda: Resize("8"),
        lambda: Resize((1, 2, 3)),
        lambda: CenterCrop(-1),
        lambda: CenterCrop(2.5),
        lambda: RandomCrop(4, padding=-1),
        lambda: RandomCrop(4, fill=np.nan),
        lambda: RandomResizedCrop(4, scale=(0.5, 0.1)),
        lambda: RandomResizedCrop(4, scale=(0.0, 0.0)),
        lambda: RandomResizedCrop(4, ratio=(0, 1)),
        lambda: RandomHorizontalFlip(1.5),
        lambda: RandomVerticalFlip("1"),
        lambda: ColorJitter(-0.1),
        lambda: ColorJitter(contrast=(2, 1)),
        lambda: ColorJitter(hue=0.6),
        lambda: ColorJitter(hue=(-0.6, 0)),
        lambda: PCAColor(-1),
        lambda: PCAColor(0.1, (1, 2)),
        lambda: RandomErasing(2),
        lambda: RandomErasing(value="noise"),
        lambda: RandomErasing(ratio=(0, 1)),
        lambda: CenterCrop(21)(IMAGES),
        lambda: RandomCrop(25, padding=1)(IMAGES),
        lambda: PCAColor()(IMAGES[:, :1]),
        lambda: RandomHorizontalFlip()(IMAGES[0]),
        lambda: Resize(4)(IMAGES.astype(np.uint8)),
    ],
)
def test_wrong_arguments(make):
    names = "Resize|CenterCrop|RandomCrop|RandomResizedCrop|Random.*Flip|ColorJitter|PCAColor|RandomErasing"
    with pytest.raises((TypeError, ValueError), match=rf"^({names}): "):
        make()


def test_a_whole_recipe_in_a_loader():
    recipe = Compose(
        [
            RandomResizedCrop(16),
            RandomHorizontalFlip(),
            RandomAffine(10, (0.1, 0.1), (0.9, 1.1)),
            ColorJitter(0.4, 0.4, 0.4, 0.1),
            PCAColor(),
            Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            RandomErasing(),
        ]
    )
    pixels = RNG.integers(0, 256, (10, 24, 20, 3), dtype=np.uint8)
    data = Dataset(pixels, np.arange(10), [str(i) for i in range(10)], "noise")

    def epoch(number, **options):
        loader = DataLoader(data, transform=recipe, seed=5, **options)
        loader.set_epoch(number)
        batches = list(loader)
        order = np.argsort(np.concatenate([labels for _, labels in batches]))
        return np.concatenate([images for images, _ in batches])[order]

    first = epoch(0, batch_size=3)
    assert first.shape == (10, 3, 16, 16)
    assert np.array_equal(epoch(0, batch_size=4, shuffle=True, prefetch=0), first)
    assert not np.array_equal(epoch(1, batch_size=3), first)
