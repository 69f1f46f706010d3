"""What transforms are, how they are combined, and normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.data.dataset import Dataset
from fastconv.data.draws import derive
from fastconv.data.warp import check_images
from fastconv.errors import ShapeError

Transform = Callable[[np.ndarray], np.ndarray]


class Normalize:
    """``(images - mean) / std``, channel by channel.

    Parameters
    ----------
    mean, std
        A number, or one a channel, on the scale of the images (0..1 in a DataLoader over uint8 images).

    Raises
    ------
    ValueError
        If a mean or deviation is not finite, or a deviation is not positive.
    ShapeError
        If `mean` and `std` differ in length; when called, if the images have another number of channels.

    Examples
    --------
    >>> import numpy as np
    >>> Normalize(0.5, 0.25)(np.array([[[[0.0, 1.0]]]], np.float32))
    array([[[[-2.,  2.]]]], dtype=float32)
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = _numbers(mean, "mean")
        self.std = _numbers(std, "std")
        if len(self.mean) != len(self.std):
            raise ShapeError(f"Normalize: mean has {len(self.mean)} values, but std has {len(self.std)}")
        if min(self.std) <= 0:
            raise ValueError(f"Normalize: std must be positive, got {std!r}")

    @classmethod
    def fit(cls, dataset: Dataset) -> Normalize:
        """The step that gives `dataset`, scaled to 0..1, mean 0 and deviation 1 in every channel.

        Raises
        ------
        ValueError
            If a channel is constant, or there are no images.

        Examples
        --------
        >>> from fastconv.data import load_digits
        >>> Normalize.fit(load_digits())
        Normalize(mean=(0.131,), std=(0.3086,))
        """
        images = dataset.images if dataset.images.ndim == 4 else dataset.images[..., None]
        # Counting grey levels is exact and needs no float copy of the images.
        counts = np.stack([np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(images, -1, 0)])
        if not images.size:
            raise ValueError(f"Normalize.fit: {dataset!r} is empty")
        levels = np.arange(256) / 255
        shares = counts / counts.sum(1, keepdims=True)
        mean = shares @ levels
        std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(1))
        if std.min() == 0:
            raise ValueError(f"Normalize.fit: a channel of {dataset!r} is constant")
        return cls(mean.tolist(), std.tolist())

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = check_images("Normalize", images)
        if len(self.mean) not in (1, images.shape[1]):
            raise ShapeError(f"Normalize: mean has {len(self.mean)} values, but images have {images.shape[1]} channels")
        mean = np.array(self.mean, images.dtype).reshape(-1, 1, 1)
        std = np.array(self.std, images.dtype).reshape(-1, 1, 1)
        return (images - mean) / std

    def __repr__(self) -> str:
        mean, std = (tuple(round(v, 4) for v in values) for values in (self.mean, self.std))
        return f"Normalize(mean={mean}, std={std})"


class RandomTransform:
    """Base of the transforms that draw random numbers. A subclass writes :meth:`apply`."""

    def __call__(self, images: np.ndarray, rng: np.random.Generator | int | None = None) -> np.ndarray:
        """Transform a batch (N, C, H, W) with draws seeded by `rng`."""
        name = type(self).__name__
        images = check_images(name, images)
        generator = checks.generator(rng, name)
        return self.apply(images, generator.integers(2**64, size=len(images), dtype=np.uint64))

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Transform a batch; all that is random about image i follows from ``keys[i]`` (uint64)."""
        raise NotImplementedError(f"{type(self).__name__} defines no apply")


class Compose(RandomTransform):
    """One transform after another.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import RandomAffine
    >>> augment = Compose([RandomAffine(degrees=10, translate=(0.1, 0.1)), Normalize(0.5, 0.5)])
    >>> augment(np.ones((2, 1, 28, 28), np.float32), rng=0).shape
    (2, 1, 28, 28)
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose: transforms must be callables, got {transform!r}")

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        for number, transform in enumerate(self.transforms):
            if isinstance(transform, RandomTransform):
                images = transform.apply(images, derive(keys, number))
            else:
                images = transform(images)
        return images

    def __repr__(self) -> str:
        return f"Compose({self.transforms!r})"


def _numbers(value: Any, argument: str) -> tuple[float, ...]:
    values = value if isinstance(value, (tuple, list, np.ndarray)) else [value]
    if not len(values):
        raise ShapeError(f"Normalize: {argument} must be a number or one a channel, got {value!r}")
    return tuple(checks.number(v, "Normalize", argument) for v in values)


def two(op: str, argument: str, value: Any, minimum: float, maximum: float) -> tuple[float, float]:
    """Return a pair of numbers in ``[minimum, maximum]``."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{op}: {argument} must be a pair of numbers, got {value!r}")
    if len(value) != 2:
        raise ShapeError(f"{op}: {argument} must be a pair of numbers, got {value!r}")
    first, second = (checks.number(v, op, argument, minimum, maximum) for v in value)
    return first, second


def interval(op: str, argument: str, value: Any, minimum: float, maximum: float) -> tuple[float, float]:
    """Return a pair of numbers in ``[minimum, maximum]``, the smaller first."""
    low, high = two(op, argument, value, minimum, maximum)
    if low > high:
        raise ValueError(f"{op}: {argument} must be (smallest, largest), got {value!r}")
    return low, high


def rectangles(
    draws: np.ndarray, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> np.ndarray:
    """Heights and widths (..., 2) of rectangles, from draws (..., 2 or more): the first of the area, uniform as a share
    of the image, the second of the proportions, uniform in their logarithm."""
    area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[..., 0])
    low, high = np.log(ratio)
    proportion = np.exp(low + (high - low) * draws[..., 1])
    return np.round(np.stack([np.sqrt(area / proportion), np.sqrt(area * proportion)], -1))
