"""Moving pixels: flipping, rotating, shifting, scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv import checks
from fastconv.data.draws import uniform
from fastconv.data.transforms.base import RandomTransform, interval, two
from fastconv.data.warp import affine_warp

__all__ = ["RandomAffine", "RandomHorizontalFlip", "RandomVerticalFlip"]


class RandomHorizontalFlip(RandomTransform):
    """Swap left and right with probability `p`.

    Examples
    --------
    >>> import numpy as np
    >>> RandomHorizontalFlip(1.0)(np.array([[[[1.0, 2.0, 3.0]]]]), rng=0)
    array([[[[3., 2., 1.]]]])
    """

    axis = 3

    def __init__(self, p: float = 0.5) -> None:
        self.p = checks.probability(p, type(self).__name__)

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        chosen = uniform(keys, 1)[:, 0] < self.p
        if not chosen.any():
            return images
        result = images.copy(order="K")
        result[chosen] = np.flip(images[chosen], self.axis)
        return result

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p:g})"


class RandomVerticalFlip(RandomHorizontalFlip):
    """Swap top and bottom with probability `p`."""

    axis = 2


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
            self.degrees = interval("RandomAffine", "degrees", degrees, -np.inf, np.inf)
        else:
            limit = checks.number(degrees, "RandomAffine", "degrees", minimum=0)
            self.degrees = (-limit, limit)
        self.translate = None if translate is None else two("RandomAffine", "translate", translate, 0.0, 1.0)
        self.scale = None if scale is None else interval("RandomAffine", "scale", scale, 0.0, np.inf)
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
