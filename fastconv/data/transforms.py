"""Transforms of image batches: normalisation and random affine augmentation.

A transform is any callable that takes a batch of float images (N, C, H, W) and returns one. Those that draw random
numbers derive from :class:`RandomTransform`, so that a :class:`~fastconv.data.DataLoader` can give every sample draws
of its own; called directly they take `rng`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.data.dataset import Dataset
from fastconv.data.draws import derive, uniform
from fastconv.data.warp import affine_warp, check_images
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
        raise NotImplementedError


class Compose(RandomTransform):
    """One transform after another.

    Examples
    --------
    >>> import numpy as np
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


class RandomAffine(RandomTransform):
    """Rotate, shift and scale every image about its centre at random: bilinear, what comes from outside is `fill`.

    The arguments are torchvision's. Unlike there, sampling is bilinear and shifts are not rounded to whole pixels.

    Parameters
    ----------
    degrees
        Range of the angle, uniform from ``-degrees`` to ``degrees`` or between the pair given; clockwise is positive.
    translate
        Largest horizontal and vertical shift as fractions (0 to 1) of width and height, uniform both ways.
        None: no shift.
    scale
        Smallest and largest factor, uniform between; above 1 enlarges. None: no scaling.
    fill
        What lies outside the image.

    Raises
    ------
    ValueError
        If a number is not finite or out of its range.
    ShapeError
        If a pair has not two elements.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.eye(28, dtype=np.float32).reshape(1, 1, 28, 28)
    >>> augment = RandomAffine(degrees=10, translate=(0.1, 0.1), scale=(0.9, 1.1))
    >>> bool((augment(image, rng=0) == augment(image, rng=0)).all())
    True
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        *,
        fill: float = 0.0,
    ) -> None:
        if isinstance(degrees, (tuple, list)):
            self.degrees = _range("degrees", degrees, -np.inf, np.inf)
        else:
            limit = checks.number(degrees, "RandomAffine", "degrees", minimum=0)
            self.degrees = (-limit, limit)
        self.translate = None if translate is None else _two("translate", translate, 0.0, 1.0)
        self.scale = None if scale is None else _range("scale", scale, 0.0, np.inf)
        if self.scale is not None and self.scale[0] == 0:
            raise ValueError(f"RandomAffine: scale must be positive, got {scale!r}")
        self.fill = checks.number(fill, "RandomAffine", "fill")

    def matrices(self, keys: np.ndarray, height: int, width: int) -> np.ndarray:
        """The maps (N, 2, 3) from output to input pixels (x, y) that `keys` draw for images of this size."""
        reach_x, reach_y = self.translate or (0.0, 0.0)
        scale = self.scale or (1.0, 1.0)
        low = np.array([np.deg2rad(self.degrees[0]), -reach_x * width, -reach_y * height, scale[0]])
        high = np.array([np.deg2rad(self.degrees[1]), reach_x * width, reach_y * height, scale[1]])
        angle, shift_x, shift_y, factor = (low + (high - low) * uniform(keys, 4)).T
        # The image is rotated and scaled about its centre c, then shifted: out = c + shift + factor R (in - c).
        # Resampling asks for `in`, whose map is the inverse: R transposed over factor.
        cos, sin = np.cos(angle) / factor, np.sin(angle) / factor
        center_x, center_y = (width - 1) / 2, (height - 1) / 2
        from_x, from_y = center_x + shift_x, center_y + shift_y
        maps = np.empty((len(keys), 2, 3))
        maps[:, 0, 0] = maps[:, 1, 1] = cos
        maps[:, 0, 1] = sin
        maps[:, 1, 0] = -sin
        maps[:, 0, 2] = center_x - cos * from_x - sin * from_y
        maps[:, 1, 2] = center_y + sin * from_x - cos * from_y
        return maps

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        return affine_warp(images, self.matrices(keys, *images.shape[2:]), self.fill)

    def __repr__(self) -> str:
        return f"RandomAffine(degrees={self.degrees}, translate={self.translate}, scale={self.scale}, fill={self.fill})"


def _two(argument: str, value: Any, minimum: float, maximum: float) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"RandomAffine: {argument} must be a pair of numbers, got {value!r}")
    if len(value) != 2:
        raise ShapeError(f"RandomAffine: {argument} must be a pair of numbers, got {value!r}")
    first, second = (checks.number(v, "RandomAffine", argument, minimum, maximum) for v in value)
    return first, second


def _range(argument: str, value: Any, minimum: float, maximum: float) -> tuple[float, float]:
    low, high = _two(argument, value, minimum, maximum)
    if low > high:
        raise ValueError(f"RandomAffine: {argument} must be (smallest, largest), got {value!r}")
    return low, high


def _numbers(value: Any, argument: str) -> tuple[float, ...]:
    values = value if isinstance(value, (tuple, list, np.ndarray)) else [value]
    if not len(values):
        raise ShapeError(f"Normalize: {argument} must be a number or one a channel, got {value!r}")
    return tuple(checks.number(v, "Normalize", argument) for v in values)
