"""What has to be done to a photograph before a network with trained weights sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.errors import DataError, ShapeError, require
from fastconv.models._network import IMAGENET_MEAN, IMAGENET_STD
from fastconv.models._registry import input_shape

__all__ = ["Preprocessing", "preprocessing_of"]

ORDERS = {"RGB": 3, "BGR": 3, "L": 1}
LARGEST = 4096  # pixels a side: what a file of weights asks for must not fill the memory


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop the middle, scale, normalise.

    Attributes
    ----------
    resize : int or pair of int
        The length of the shorter side, or height and width.
    crop : int or None
        Height and width of the middle that is kept.
    mean, std : tuple of float
        What channels, in the order of `order`, are normalised with: ``(value - mean) / std``.
    maximum : float
        What white is before that: 1 or 255.
    order : {"RGB", "BGR", "L"}
        The channels.
    interpolation : {"bilinear", "bicubic"}
        How pixels are made when the size changes.

    Raises
    ------
    ValueError, TypeError
        For values that are not allowed.

    Examples
    --------
    >>> Preprocessing(resize=256, crop=224)(np.zeros((300, 400, 3), np.uint8)).shape
    (1, 3, 224, 224)
    """

    resize: int | tuple[int, int]
    crop: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    maximum: float = 1.0
    order: str = "RGB"
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        if self.crop is not None:
            sides = (*sides, self.crop)
        for side in sides:
            if checks.integer(side, "Preprocessing", "resize and crop") > LARGEST:
                raise ShapeError(f"Preprocessing: resize and crop must be at most {LARGEST}, got {side}")
        if self.order not in ORDERS or self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError(
                f"Preprocessing: order must be one of {', '.join(ORDERS)} and interpolation bilinear or bicubic, "
                f"got {self.order!r} and {self.interpolation!r}"
            )
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != ORDERS[self.order]:
                raise ValueError(f"Preprocessing: {name} must have {ORDERS[self.order]} numbers, got {values!r}")
            for value in values:
                checks.number(value, "Preprocessing", name, minimum=-math.inf if name == "mean" else 1e-12)
        checks.number(self.maximum, "Preprocessing", "maximum", minimum=1e-12)

    def __call__(self, image: Any) -> np.ndarray:
        """Return the input of the network for one image.

        Parameters
        ----------
        image : numpy.ndarray of uint8, (H, W, 3) or (H, W)
            The photograph.

        Returns
        -------
        numpy.ndarray of float32, (1, C, height, width)
            What the network takes.

        Raises
        ------
        TypeError, ShapeError
            If it is not such an array.
        """
        found = self.fitted(image).astype(np.float32)
        if self.order == "BGR":
            found = found[..., ::-1]
        scaled = found.reshape(*found.shape[:2], -1) * np.float32(self.maximum / 255)
        normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)

    def fitted(self, image: Any) -> np.ndarray:
        """Return what the network sees of one image, as one looks at it: resized and cropped, not yet normalised.

        Parameters
        ----------
        image : numpy.ndarray of uint8, (H, W, 3) or (H, W)
            The photograph.

        Returns
        -------
        numpy.ndarray of uint8, (height, width, 3), or (height, width) where `order` is L
            In red, green and blue, whatever the order of the network's channels.

        Raises
        ------
        TypeError, ShapeError
            If it is not such an array.

        Examples
        --------
        >>> Preprocessing(resize=256, crop=224).fitted(np.zeros((300, 400), np.uint8)).shape
        (224, 224, 3)
        """
        pixels = np.asarray(image)
        if pixels.dtype != np.uint8:
            raise TypeError(f"Preprocessing: image must be an array of uint8, got {pixels.dtype}")
        if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not pixels.size:
            raise ShapeError(f"Preprocessing: image must have the shape (H, W, 3) or (H, W), got {pixels.shape}")
        pil = require("PIL.Image", "cli")
        picture = pil.fromarray(pixels).convert("L" if self.order == "L" else "RGB")
        return np.asarray(self._cropped(self._resized(picture, pil)))

    def _resized(self, picture: Any, pil: Any) -> Any:
        width, height = picture.size
        if isinstance(self.resize, tuple):
            size = self.resize[1], self.resize[0]
        else:
            factor = self.resize / min(width, height)
            size = max(1, int(width * factor)), max(1, int(height * factor))
        return picture.resize(size, getattr(pil.Resampling, self.interpolation.upper()))

    def _cropped(self, picture: Any) -> Any:
        if self.crop is None:
            return picture
        width, height = picture.size
        left, top = round((width - self.crop) / 2), round((height - self.crop) / 2)
        return picture.crop((left, top, left + self.crop, top + self.crop))

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Preprocessing:
        """Make one of what `to_dict` returned, trusted or not.

        Raises
        ------
        DataError
            For what is not allowed.
        """
        if not isinstance(values, Mapping) or not set(values) <= set(cls.__dataclass_fields__):
            raise DataError(f"Preprocessing: {str(values)[:80]} is not a set of its values")
        try:
            known: dict[str, Any] = {
                k: tuple(value) if isinstance(value, list) else value for k, value in values.items()
            }
            return cls(**known)
        except (TypeError, ValueError) as error:
            raise DataError(str(error)) from None


def preprocessing_of(name: str, variant: str | None = None) -> Preprocessing:
    """Return what networks of torchvision were trained with, at the size that one, or a form of it, was designed for.

    Examples
    --------
    >>> preprocessing_of("inception_v3").resize, preprocessing_of("inception_v3").crop
    (342, 299)
    """
    channels, height, _ = input_shape(name, variant)
    if channels == 1:
        return Preprocessing((height, height), None, (0.5,), (0.5,), order="L")
    return Preprocessing(round(height / 0.875), height)
