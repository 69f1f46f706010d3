"""Sizes: scaling and cropping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv import checks
from fastconv.data.draws import uniform
from fastconv.data.resize import resize
from fastconv.data.transforms.base import RandomTransform, interval, rectangles
from fastconv.data.warp import check_images
from fastconv.errors import ShapeError

__all__ = ["CenterCrop", "RandomCrop", "RandomResizedCrop", "Resize"]


class Resize:
    """Scale images to a size, with bilinear weights that widen where images shrink, so that nothing is left out.

    Parameters
    ----------
    size
        (height, width), or an int: what the shorter side becomes, the other keeping the proportions.

    Raises
    ------
    ShapeError
        When called, if an image has no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> Resize(256)(np.zeros((1, 3, 300, 450), np.float32)).shape
    (1, 3, 256, 384)
    >>> Resize((1, 2))(np.array([[[[1.0, 2.0, 3.0, 4.0]]]]))
    array([[[[1.71428571, 3.28571429]]]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        if isinstance(size, (tuple, list)):
            self.size: int | tuple[int, int] = checks.pair(size, "Resize", "size")
        else:
            self.size = checks.integer(size, "Resize", "size")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = check_images("Resize", images)
        height, width = images.shape[2:]
        if isinstance(self.size, int):
            shorter = max(min(height, width), 1)
            size = (self.size * height // shorter, self.size * width // shorter)
        else:
            size = self.size
        return resize(images, size)

    def __repr__(self) -> str:
        return f"Resize({self.size})"


class CenterCrop:
    """Cut the middle out.

    Parameters
    ----------
    size
        (height, width), or an int for both.

    Raises
    ------
    ShapeError
        When called, if the images are smaller.

    Examples
    --------
    >>> import numpy as np
    >>> CenterCrop(224)(np.zeros((1, 3, 256, 384), np.float32)).shape
    (1, 3, 224, 224)
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = checks.pair(size, "CenterCrop", "size")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = check_images("CenterCrop", images)
        top, left = (round(n / 2) for n in _room("CenterCrop", images, self.size))
        return images[:, :, top : top + self.size[0], left : left + self.size[1]]

    def __repr__(self) -> str:
        return f"CenterCrop({self.size})"


class RandomCrop(RandomTransform):
    """Cut out a part at random.

    Parameters
    ----------
    size
        (height, width), or an int for both.
    padding
        Pixels added first above and below, and left and right; an int for both. None: none.
    fill
        Their value.

    Raises
    ------
    ShapeError
        When called, if the images with their padding are smaller.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012, 4.1:
    224 pixels out of 256.

    Examples
    --------
    >>> import numpy as np
    >>> RandomCrop(32, padding=4)(np.zeros((5, 3, 32, 32), np.float32), rng=0).shape
    (5, 3, 32, 32)
    """

    def __init__(
        self, size: int | Sequence[int], padding: int | Sequence[int] | None = None, *, fill: float = 0.0
    ) -> None:
        self.size = checks.pair(size, "RandomCrop", "size")
        self.padding = (0, 0) if padding is None else checks.pair(padding, "RandomCrop", "padding", minimum=0)
        self.fill = checks.number(fill, "RandomCrop", "fill")

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        if any(self.padding):
            edges = ((0, 0), (0, 0), *((n, n) for n in self.padding))
            images = np.pad(images, edges, constant_values=self.fill)
        room = _room("RandomCrop", images, self.size)
        starts = (uniform(keys, 2) * (np.array(room) + 1)).astype(np.int64)
        height, width = self.size
        parts = [image[:, y : y + height, x : x + width] for image, (y, x) in zip(images, starts, strict=True)]
        return _together(parts, images, self.size)

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, padding={self.padding}, fill={self.fill})"


class RandomResizedCrop(RandomTransform):
    """Cut out a part of random area and proportions, and scale it to a size.

    Parameters
    ----------
    size
        (height, width) of the result, or an int for both.
    scale
        Smallest and largest share of the area.
    ratio
        Smallest and largest width / height; its logarithm is uniform.

    Notes
    -----
    After ten draws that do not fit the image, the middle is taken, with the nearest proportions that are allowed.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> RandomResizedCrop(224)(np.zeros((2, 3, 300, 400), np.float32), rng=0).shape
    (2, 3, 224, 224)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
    ) -> None:
        self.size = checks.pair(size, "RandomResizedCrop", "size")
        self.scale = interval("RandomResizedCrop", "scale", scale, 0.0, 1.0)
        self.ratio = interval("RandomResizedCrop", "ratio", ratio, 0.0, np.inf)
        if self.scale[1] == 0 or self.ratio[0] == 0:
            raise ValueError(f"RandomResizedCrop: scale and ratio must be positive, got {scale!r} and {ratio!r}")

    def boxes(self, keys: np.ndarray, height: int, width: int) -> np.ndarray:
        """The parts (N, 4) that `keys` draw from images of this size: top, left, height, width."""
        draws = uniform(keys, 40).reshape(len(keys), 10, 4)
        # The middle stands last, for those whose ten draws all fail.
        shape = np.clip(width / max(height, 1), *self.ratio)
        middle = np.round([min(height, width / shape), min(width, height * shape)])
        drawn = rectangles(draws, height, width, self.scale, self.ratio)
        sizes = np.concatenate([drawn, np.broadcast_to(middle, (len(keys), 1, 2))], axis=1)
        fits = np.all((sizes >= 1) & (sizes <= (height, width)), axis=-1)
        fits[:, -1] = True
        chosen = fits.argmax(1)
        size = np.maximum(sizes[np.arange(len(keys)), chosen], 1)
        room = np.maximum(np.array([height, width]) - size, 0)
        placed = np.where((chosen < 10)[:, None], draws[np.arange(len(keys)), np.minimum(chosen, 9), 2:], 0.5)
        start = np.minimum(np.floor(placed * (room + 1)), room)
        return np.concatenate([start, size], axis=1).astype(np.int64)

    def apply(self, images: np.ndarray, keys: np.ndarray) -> np.ndarray:
        parts = [
            resize(image[None, :, y : y + height, x : x + width], self.size)[0]
            for image, (y, x, height, width) in zip(images, self.boxes(keys, *images.shape[2:]), strict=True)
        ]
        return _together(parts, images, self.size)

    def __repr__(self) -> str:
        return f"RandomResizedCrop({self.size}, scale={self.scale}, ratio={self.ratio})"


def _room(op: str, images: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that a crop leaves."""
    height, width = images.shape[2] - size[0], images.shape[3] - size[1]
    if min(height, width) < 0:
        raise ShapeError(
            f"{op}: images of {images.shape[2]} x {images.shape[3]} pixels are smaller than size {size}; "
            f"put a Resize in front"
        )
    return height, width


def _together(parts: list[np.ndarray], images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A batch of images (C, H, W), channels last in memory; an empty one too."""
    batch = np.empty((len(parts), *size, images.shape[1]), images.dtype).transpose(0, 3, 1, 2)
    for target, part in zip(batch, parts, strict=True):
        target[...] = part
    return batch
