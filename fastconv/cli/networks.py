"""Networks by name or from a run, and images for them, for the commands that look at them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from fastconv import models
from fastconv.cli.common import require_extras
from fastconv.cli.image import as_digit, as_picture, decoded, read_colour
from fastconv.init import skipped
from fastconv.training import Checkpoint, Run

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Subject", "input_option", "made", "trained_or_new", "variant_option", "with_weights"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels


class _Shape(click.ParamType):
    """Lengths with x between them: 3x224x224."""

    name = "shape"

    def convert(self, value: Any, parameter: Any, context: Any) -> tuple[int, ...]:
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8}){1,4}", value):
            self.fail(f"{value!r} is no shape; write 3x224x224, or 8x3x224x224 for a batch", parameter, context)
        return tuple(int(n) for n in value.split("x"))


input_option = click.option(
    "--input", "input_shape", type=_Shape(), metavar="CxHxW", help="Shape of the images.  [default: the network's own]"
)
variant_option = click.option("--variant", metavar="NAME", help="The form of the network.  [default: its first]")


def made(name: str, variant: str | None, shape: tuple[int, ...] | None) -> tuple[Any, tuple[int, ...]]:
    """Return a network whose weights are blank, and the shape of an image for it."""
    with skipped():
        model = models.create(name, variant=variant, rng=0)
    return model, model.image_shape if shape is None else shape


class Subject(NamedTuple):
    """A network to be looked at, and the image it looks at."""

    model: Any
    shape: tuple[int, ...]
    image: Any  # normalised, or the shape if there is none
    shown: np.ndarray | None = None  # what to draw of it, if that is something else
    classes: list[str] | None = None


def trained_or_new(
    name: str, variant: str | None, shape: tuple[int, ...] | None, image: Path | None, seed: int
) -> Subject:
    """Return the network of a run, or a new one by name."""
    if name in models.names() and not Path(name).exists():
        model = models.create(name, variant=variant, rng=seed)
        shape = shape or model.image_shape
        return Subject(model, shape, shape if image is None else _prepared(image, shape, None))
    if not Path(name).exists():
        models.input_shape(name)  # says which names are near
    checkpoint = Checkpoint.load(Run.open(Path(name)).weights)
    shape = shape or (1, *[checkpoint.size or 28] * 2)
    x = shape if image is None else _prepared(image, shape, checkpoint)
    return Subject(checkpoint.model, shape, x, classes=checkpoint.classes)


def with_weights(
    name: str,
    variant: str | None,
    shape: tuple[int, ...] | None,
    image: Path | None,
    weights: Path,
    recipe: str | None,
) -> Subject:
    """Return a network with the weights of a file, and an image prepared as the file or its recipe says."""
    require_extras("safetensors", "PIL")
    models.input_shape(name)  # says which names are near
    options = {} if variant is None else {"variant": variant}
    found = models.load(weights, name, recipe=recipe, **options)
    photograph = np.zeros((8, 8, 3), np.uint8) if image is None else read_colour(image)[0]
    x = found.preprocessing(photograph)
    if image is None:
        shape = shape or x.shape[1:]
        return Subject(found.model, shape, shape, None, found.classes)
    return Subject(found.model, x.shape[1:], x, found.preprocessing.fitted(photograph), found.classes)


def _prepared(path: Path, shape: tuple[int, ...], checkpoint: Checkpoint | None) -> np.ndarray:
    """Return an image file as a network wants it: (C, H, W), normalised."""
    if checkpoint is not None:
        grey, _ = (as_digit if checkpoint.data in ("digits", "mnist") else as_picture)(path)
        return checkpoint.transform(np.divide(grey, np.float32(255), dtype=np.float32)[np.newaxis, np.newaxis])[0]
    channels, height, width = shape[-3:]

    def fitted(image: Image) -> np.ndarray:
        from PIL import ImageOps

        upright = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(ImageOps.fit(upright, (width, height)), np.float32) / 255
        return pixels[np.newaxis] if channels == 1 else pixels.transpose(2, 0, 1)

    pixels = decoded(path, fitted)
    if channels == 1:
        return (pixels - np.float32(0.5)) / np.float32(0.5)
    mean, std = (np.asarray(row, np.float32).reshape(3, 1, 1) for row in (MEAN, STD))
    return (pixels - mean) / std
