"""Image files in folders, one folder a class, read when they are asked for."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.data.transforms import RandomTransform, Transform
from fastconv.errors import DataError, ShapeError, require

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_MODES = {"RGB": 3, "L": 1}


class ImageFolder:
    """Labelled image files: ``root/cat/1.jpg``, ``root/dog/3/4.png``, ...

    The names of the folders in `root`, sorted, are the classes; what is in their subfolders belongs to them too. Only
    names are kept in memory. Needs Pillow (``pip install "fastconv[cli]"``).

    Parameters
    ----------
    root
        The folder of the classes.
    transform
        Applied to every image alone, as a batch (1, C, H, W) of float32 from 0 to 1: here belongs what gives all images
        one size, such as :class:`~fastconv.data.RandomResizedCrop`, or :class:`~fastconv.data.Resize` and a crop. What
        works on a whole batch is quicker as the DataLoader's `transform`.
    mode
        ``"RGB"``, or ``"L"`` for grey levels.
    max_pixels
        Larger images are refused before they are decoded.

    Attributes
    ----------
    classes : list of str
        The names of the classes.
    paths : list of str
        The files, class by class, sorted.
    labels : numpy.ndarray
        (N,) int64, the class of every file.

    Raises
    ------
    DataError
        If `root` is no folder, has no folders in it, or one of them has no images.
    MissingExtraError
        When an image is read and Pillow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from fastconv.data import CenterCrop, Compose, DataLoader, Resize
    >>> root = tempfile.TemporaryDirectory()
    >>> for name, size in (("cat", (40, 30)), ("dog", (30, 50))):
    ...     folder = Path(root.name, name)
    ...     folder.mkdir()
    ...     Image.new("RGB", size, "grey").save(folder / "1.png")
    >>> pets = ImageFolder(root.name, Compose([Resize(24), CenterCrop(16)]))
    >>> pets
    ImageFolder(2 images, 2 classes)
    >>> images, labels = next(iter(DataLoader(pets, batch_size=2)))
    >>> images.shape, labels
    ((2, 3, 16, 16), array([0, 1]))
    >>> root.cleanup()
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Transform | None = None,
        *,
        mode: str = "RGB",
        max_pixels: int = 64_000_000,
    ) -> None:
        if transform is not None and not callable(transform):
            raise TypeError(f"ImageFolder: transform must be callable, got {transform!r}")
        if mode not in _MODES:
            raise ValueError(f"ImageFolder: mode must be RGB or L, got {mode!r}")
        self.max_pixels = checks.integer(max_pixels, "ImageFolder", "max_pixels")
        self.transform, self.mode = transform, mode
        folder = os.fspath(root)
        if not os.path.isdir(folder):
            raise DataError(f"ImageFolder: root must be a folder, got {folder!r}")
        self.classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        if not self.classes:
            raise DataError(f"ImageFolder: {folder!r} has no folders in it, one for each class")
        self.paths: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(self.classes):
            found = _images_in(os.path.join(folder, name))
            if not found:
                raise DataError(f"ImageFolder: {os.path.join(folder, name)!r} has no images ({', '.join(EXTENSIONS)})")
            self.paths += found
            labels += [label] * len(found)
        self.labels = np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """One image as it is in its file, (H, W, C) uint8, and its label, for an int; for a slice, a mask or an array
        of indices the chosen part, an ImageFolder with the same classes."""
        if isinstance(index, (int, np.integer)):
            return self.read(self.paths[index]), int(self.labels[index])
        part = copy.copy(self)
        chosen = np.arange(len(self))[index]
        part.paths, part.labels = [self.paths[i] for i in chosen], self.labels[chosen]
        return part

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} images, {len(self.classes)} classes)"

    def read(self, path: str) -> np.ndarray:
        """Read one file as (H, W, C) uint8; of several frames the first, of grey levels of 16 bits the upper 8.

        Raises
        ------
        DataError
            If it is missing, no image, damaged, or has more than `max_pixels` pixels; the message names the file.
        """
        pil = require("PIL.Image", "cli")
        try:
            if not os.path.isfile(path):  # a pipe would never end
                raise DataError("is not a regular file")
            with pil.open(path) as image:
                if image.width * image.height > self.max_pixels:
                    raise DataError(
                        f"has {image.width} x {image.height} pixels, at most {self.max_pixels:,} are allowed"
                    )
                pixels = np.array(_eight_bits(image, pil).convert(self.mode))
        except DataError as error:
            raise DataError(f"ImageFolder: {path!r} {error}") from None
        except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
            raise DataError(f"ImageFolder: {path!r} cannot be read: {error or type(error).__name__}") from error
        return pixels.reshape(*pixels.shape[:2], _MODES[self.mode])

    def load(self, indices: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Read and transform images: a batch (N, C, H, W) of float32, channels last in memory.

        Parameters
        ----------
        indices
            Which images.
        keys
            uint64, one an image: what random transforms draw follows from it.

        Raises
        ------
        DataError
            If a file cannot be read.
        ShapeError
            If the transform leaves images of different sizes.
        """
        batch: Any = None
        for place, (index, key) in enumerate(zip(indices, keys[:, None], strict=True)):
            path = self.paths[index]
            pixels = self.read(path)
            image = np.divide(pixels, np.float32(255), dtype=np.float32).transpose(2, 0, 1)[None]
            if isinstance(self.transform, RandomTransform):
                image = self.transform.apply(image, key)
            elif self.transform is not None:
                image = self.transform(image)
            if batch is None:
                shape = (len(indices), *image.shape[1:])
                batch = np.empty((shape[0], *shape[2:], shape[1]), image.dtype).transpose(0, 3, 1, 2)
            if image.shape[1:] != batch.shape[1:]:
                raise ShapeError(
                    f"ImageFolder: {path!r} became {image.shape[1:]}, others of its batch {batch.shape[1:]}; give all "
                    f"images one size by a transform, such as Resize and CenterCrop"
                )
            batch[place] = image[0]
        return np.empty((0, _MODES[self.mode], 0, 0), np.float32) if batch is None else batch


def _eight_bits(image: Any, pil: Any) -> Any:
    """Grey levels of 16 bits as those of 8: what Pillow's own conversion does is to cut them off at 255."""
    if not image.mode.startswith("I"):
        return image
    levels = np.asarray(image).astype(np.int64)
    if levels.size and not 0 <= levels.min() <= levels.max() < 2**16:
        raise DataError(f"has levels from {levels.min()} to {levels.max()}, beyond 16 bits")
    return pil.fromarray((levels >> 8).astype(np.uint8))


def _images_in(folder: str) -> list[str]:
    """The image files in a folder and those inside it, sorted."""
    found = [
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(EXTENSIONS)
    ]
    return sorted(found)
