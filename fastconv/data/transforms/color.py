"""Changing colours, and blanking parts out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv import checks
from fastconv.data.dataset import Dataset
from fastconv.data.draws import derive, normal, uniform
from fastconv.data.transforms.base import RandomTransform, interval, rectangles
from fastconv.errors import ShapeError

__all__ = ["ColorJitter", "PCAColor", "RandomErasing"]

GREY = (0.299, 0.587, 0.114)
"""What red, green and blue have in a grey level (ITU-R BT.601)."""


class ColorJitter(RandomTransform):
    """Change brightness, contrast, saturation and hue at random, in this order.

    Images are on the scale 0..1 and stay on it.

    Parameters
    ----------
    brightness, contrast, saturation
        How far the factor may be from 1, or its smallest and largest value. Brightness multiplies the image; contrast
        and saturation mix it with its mean grey level and with its grey version: 0 leaves only these, 1 the image, more
        exaggerates.
    hue
        How far, at most 0.5, the hue may be turned either way, or the smallest and largest turn, in [-0.5, 0.5]: 1/3
        makes red green, 0.5 gives the opposite colour.

    Examples
    --------
    >>> import numpy as np
    >>> ColorJitter(brightness=(0.5, 0.5))(np.ones((1, 3, 1, 1)), rng=0).ravel()
    array([0.5, 0.5, 0.5])
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        saturation: float | Sequence[float] = 0.0,
        hue: float | Sequence[float] = 0.0,
    ) -> None:
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        if not isinstance(hue, (tuple, list)):
            reach = checks.number(hue, "ColorJitter", "hue", 0.0, 0.5)
            hue = (-reach, reach)
        self.hue = interval("ColorJitter", "hue", hue, -0.5, 0.5)

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        ranges = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        factors = (ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * uniform(keys, 4)).astype(images.dtype)
        brightness, contrast, saturation, hue = factors.T[:, :, None, None, None]
        if self.brightness != (1, 1):
            images = np.clip(images * brightness, 0, 1)
        if self.contrast != (1, 1):
            mean = _grey("ColorJitter", images).mean((2, 3), keepdims=True)
            images = np.clip(mean + (images - mean) * contrast, 0, 1)
        if self.saturation != (1, 1) and images.shape[1] == 3:
            grey = _grey("ColorJitter", images)
            images = np.clip(grey + (images - grey) * saturation, 0, 1)
        if self.hue != (0, 0):
            _grey("ColorJitter", images[:0])
            if images.shape[1] == 3:
                images = _turned(images, hue)
        return images

    def __repr__(self) -> str:
        names = ("brightness", "contrast", "saturation", "hue")
        return f"ColorJitter({', '.join(f'{name}={getattr(self, name)}' for name in names)})"


class PCAColor(RandomTransform):
    """Add to all pixels of an image one random colour, along the directions in which the colours of photographs vary.

    With eigenvectors p and eigenvalues l of the covariance of red, green and blue, the colour is the sum of
    ``a * l * p`` over the three; every a is normal with deviation `std` and drawn anew for each image.

    Parameters
    ----------
    std
        Deviation of the draws, >= 0.
    eigenvalues, eigenvectors
        (3,) and (3, 3), an eigenvector a column, for images on the scale 0..1. The defaults are those in common use for
        ImageNet; :meth:`fit` finds those of a data set.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012, 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> PCAColor()(np.zeros((1, 3, 1, 1)), rng=0).ravel().round(3)
    array([0.009, 0.008, 0.005])
    """

    def __init__(
        self,
        std: float = 0.1,
        eigenvalues: Sequence[float] = (0.2175, 0.0188, 0.0045),
        eigenvectors: Sequence[Sequence[float]] = (
            (-0.5675, 0.7192, 0.4009),
            (-0.5808, -0.0045, -0.8140),
            (-0.5836, -0.6948, 0.4203),
        ),
    ) -> None:
        self.std = checks.number(std, "PCAColor", "std", minimum=0.0)
        self.eigenvalues = np.array(eigenvalues, np.float64)
        self.eigenvectors = np.array(eigenvectors, np.float64)
        if self.eigenvalues.shape != (3,) or self.eigenvectors.shape != (3, 3):
            raise ShapeError(
                f"PCAColor: eigenvalues and eigenvectors must have shapes (3,) and (3, 3), "
                f"got {self.eigenvalues.shape} and {self.eigenvectors.shape}"
            )

    @classmethod
    def fit(cls, dataset: Dataset, std: float = 0.1) -> PCAColor:
        """The transform for the colours of a data set in memory."""
        pixels = dataset.images.reshape(-1, dataset.images.shape[-1]) if dataset.images.ndim == 4 else None
        if pixels is None or pixels.shape[1] != 3 or not len(pixels):
            raise ShapeError(f"PCAColor.fit: {dataset!r} has no colours")
        total, products = np.zeros(3), np.zeros((3, 3))
        for start in range(0, len(pixels), 2**20):  # a float copy of all would be eight times as large as they are
            part = pixels[start : start + 2**20] / 255
            total += part.sum(0)
            products += part.T @ part
        mean = total / len(pixels)
        values, vectors = np.linalg.eigh(products / len(pixels) - np.outer(mean, mean))
        return cls(std, values[::-1].tolist(), vectors[:, ::-1].tolist())

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        if images.shape[1] != 3:
            raise ShapeError(f"PCAColor: images must have 3 channels, got {images.shape[1]}")
        amounts = self.std * normal(keys, 3) * self.eigenvalues
        colours = (amounts[:, None, :] * self.eigenvectors).sum(-1)  # rounded alike in every batch, as `@` is not
        return images + colours.astype(images.dtype)[:, :, None, None]

    def __repr__(self) -> str:
        return f"PCAColor(std={self.std:g})"


class RandomErasing(RandomTransform):
    """Blank out a rectangle of random area and proportions with probability `p`.

    Parameters
    ----------
    p
        Probability.
    scale
        Smallest and largest share of the area.
    ratio
        Smallest and largest width / height; its logarithm is uniform.
    value
        What is put there: a number, one a channel, or "random", normal numbers.

    Notes
    -----
    An image in which ten draws do not fit stays whole.

    References
    ----------
    Zhong et al., "Random erasing data augmentation", AAAI 2020.

    Examples
    --------
    >>> import numpy as np
    >>> image = RandomErasing(p=1.0)(np.ones((1, 1, 10, 10)), rng=0)
    >>> bool(0.6 < image.mean() < 1.0)
    True
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0.0,
    ) -> None:
        self.p = checks.probability(p, "RandomErasing")
        self.scale = interval("RandomErasing", "scale", scale, 0.0, 1.0)
        self.ratio = interval("RandomErasing", "ratio", ratio, 0.0, np.inf)
        if self.ratio[0] == 0:
            raise ValueError(f"RandomErasing: ratio must be positive, got {ratio!r}")
        self.value: str | list[float]
        if isinstance(value, str):
            if value != "random":
                raise ValueError(f"RandomErasing: value must be a number, one a channel or 'random', got {value!r}")
            self.value = value
        else:
            values = value if isinstance(value, (tuple, list)) else [value]
            self.value = [checks.number(each, "RandomErasing", "value") for each in values]

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        channels, height, width = images.shape[1:]
        if len(self.value) not in (1, channels) and self.value != "random":
            raise ShapeError(f"RandomErasing: value has {len(self.value)} numbers, but images have {channels} channels")
        draws = uniform(keys, 41)
        tries = draws[:, 1:].reshape(len(keys), 10, 4)
        sizes = rectangles(tries, height, width, self.scale, self.ratio).astype(np.int64)
        fits = np.all((sizes >= 1) & (sizes < (height, width)), axis=-1)
        result = images.copy(order="K")
        for i in np.flatnonzero((draws[:, 0] < self.p) & fits.any(1)):
            number = fits[i].argmax()
            rows, columns = sizes[i, number]
            y, x = (tries[i, number, 2:] * (height - rows + 1, width - columns + 1)).astype(np.int64)
            part = result[i, :, y : y + rows, x : x + columns]
            if self.value == "random":
                part[...] = normal(derive(keys[i : i + 1], 1), part.size).reshape(part.shape)
            else:
                part[...] = np.array(self.value)[:, None, None]
        return result

    def __repr__(self) -> str:
        return f"RandomErasing(p={self.p:g}, scale={self.scale}, ratio={self.ratio}, value={self.value!r})"


def _factors(argument: str, value: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(value, (tuple, list)):
        return interval("ColorJitter", argument, value, 0.0, np.inf)
    reach = checks.number(value, "ColorJitter", argument, minimum=0.0)
    return max(1 - reach, 0.0), 1 + reach


def _turned(images: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Turn the hue (Smith, "Color gamut transform pairs", 1978); what is grey has none."""
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    value = images.max(1, keepdims=True)
    chroma = value - images.min(1, keepdims=True)
    divisor = np.where(chroma == 0, images.dtype.type(1), chroma)
    from_green, from_blue = 2 + (blue - red) / divisor, 4 + (red - green) / divisor
    sixths = np.where(value == red, (green - blue) / divisor, np.where(value == green, from_green, from_blue))
    places = (np.array([5, 3, 1], images.dtype)[:, None, None] + sixths + 6 * hue) % 6
    return value - chroma * np.clip(np.minimum(places, 4 - places), 0, 1)


def _grey(op: str, images: np.ndarray) -> np.ndarray:
    """(N, 1, H, W) grey levels; images of one channel have them."""
    if images.shape[1] not in (1, 3):
        raise ShapeError(f"{op}: images must have 1 or 3 channels, got {images.shape[1]}")
    if images.shape[1] == 1:
        return images
    return np.einsum("nchw,c->nhw", images, np.array(GREY, images.dtype))[:, None]
