"""Any image file as the 28 x 28 grey levels that a network was trained on, and a word on what was done."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastconv.errors import DataError, require

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["as_digit", "as_picture", "decoded", "read_colour", "read_grey"]

T = TypeVar("T")

MAX_PIXELS = 64_000_000
WORKING_SIDE = 1024  # larger images are reduced before anything is computed
SIDE, BOX, CENTRE = 28, 20, 14
STROKE = 1.6  # pixels in a box of 20: the pens of MNIST are between 1.3 and 3.0 wide


def read_grey(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Read an image file as grey levels.

    Parameters
    ----------
    path : str or path-like
        Any format that Pillow reads; of several frames the first.

    Returns
    -------
    numpy.ndarray of float32, (H, W)
        From 0, black, to 1, white; at most 1024 pixels a side.
    list of str
        What was done.

    Raises
    ------
    OSError
        When the file is missing or cannot be opened.
    DataError
        When it is no image, a damaged one, or one of more than 64 million pixels.
    """
    pixels, steps = decoded(path, lambda image: _pixels(image, "L", "made it grey"))
    return pixels.astype(np.float32) / 255, steps


def read_colour(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Read an image file as red, green and blue, uint8 (H, W, 3); otherwise as :func:`read_grey`."""
    return decoded(path, lambda image: _pixels(image, "RGB", "made it RGB"))


def decoded(path: str | os.PathLike[str], use: Callable[[Image], T]) -> T:
    """Open an image file and return what `use` makes of it; raises as :func:`read_grey` does."""
    pil = require("PIL.Image", "cli")
    if not os.path.exists(path):
        raise FileNotFoundError(f"no such file: {path}")
    if not os.path.isfile(path):  # a pipe or a device may never end
        raise DataError(f"{path} is not a regular file")
    with open(path, "rb") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of what is checked here
                with pil.open(file) as image:
                    if image.width * image.height > MAX_PIXELS:
                        raise DataError(
                            f"{path} has {image.width} x {image.height} pixels, at most {MAX_PIXELS:,} are allowed"
                        )
                    return use(image)
        except DataError:
            raise
        except pil.UnidentifiedImageError:
            raise DataError(f"{path} is not an image in a format that Pillow reads") from None
        except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
            raise DataError(f"{path} is not an image that can be read: {error or type(error).__name__}") from None


def _pixels(image: Image, mode: str, step: str) -> tuple[np.ndarray, list[str]]:
    pil, ops = require("PIL.Image", "cli"), require("PIL.ImageOps", "cli")
    steps = [f"read {image.width} x {image.height} {image.format}, mode {image.mode}"]
    if getattr(image, "is_animated", False):
        steps.append("took the first frame")
    if image.format == "JPEG":
        image.draft(mode, (WORKING_SIDE, WORKING_SIDE))  # decodes a large photograph at a fraction of its size
    turned = ops.exif_transpose(image)
    if turned.size != image.size or image.getexif().get(0x0112, 1) != 1:
        steps.append("turned as its EXIF orientation says")
    image = turned
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image, colour = _flatten(image)
        steps.append(f"laid transparency on {colour}")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = np.nan_to_num(np.asarray(image, np.float64))
        grey = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-12)
        image = pil.fromarray((255 * grey).astype(np.uint8))
        steps.append("scaled its range to 8 bits")
    if image.mode != mode:
        image = image.convert(mode) if image.mode in ("1", "RGB") else image.convert("RGB").convert(mode)
        steps.append(step)
    if max(image.size) > WORKING_SIDE:
        image.thumbnail((WORKING_SIDE, WORKING_SIDE))
        steps.append(f"reduced to {image.width} x {image.height}")
    return np.asarray(image), steps


def _flatten(image: Image) -> tuple[Image, str]:
    """Lay an image on white, or on black where white leaves nothing to be seen."""
    pil = require("PIL.Image", "cli")
    for colour in ("white", "black"):
        flat = pil.alpha_composite(pil.new("RGBA", image.size, colour), image).convert("RGB")
        if any(low != high for low, high in flat.getextrema()):
            break
    return flat, colour


def as_digit(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Read a handwritten digit as MNIST has them: light ink, 20 pixels long, its centre of mass in the middle.

    Parameters
    ----------
    path : str or path-like
        An image of one digit, dark on light or light on dark, of any size and colour.

    Returns
    -------
    numpy.ndarray of uint8, (28, 28)
    list of str
        What was done. Errors as for `read_grey`, and DataError when there is no ink.
    """
    grey, steps = read_grey(path)
    ink, inverted = _ink(grey, path)
    if inverted:
        steps.append("inverted it, because its background is light")
    dark = ink > 0.3
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    if grey.shape == (SIDE, SIDE) and not inverted and _is_normal(ink, bottom - top, right - left):
        return np.rint(255 * grey).astype(np.uint8), [*steps, "left it as it is: it has the form of MNIST"]
    ink, dark = ink[top:bottom, left:right], dark[top:bottom, left:right]
    steps.append(f"cut out the ink, {right - left} x {bottom - top} pixels")
    longest = max(ink.shape)
    width = _stroke_width(dark) * BOX / longest
    if width < STROKE:
        ink = _thicken(ink, (STROKE - width) * longest / BOX)
        steps.append("thickened its thin strokes")
    small = _scaled(ink, BOX)
    steps.append(f"scaled to {small.shape[1]} x {small.shape[0]} and centred by mass in {SIDE} x {SIDE}")
    return _centred(small / small.max()), steps


def as_picture(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Read a picture as Fashion-MNIST has them: light on dark, 28 pixels long, in the middle.

    Parameters
    ----------
    path : str or path-like
        An image on an even background.

    Returns
    -------
    numpy.ndarray of uint8, (28, 28)
    list of str
        What was done. Errors as for `read_grey`.
    """
    grey, steps = read_grey(path)
    if np.median(_border(grey)) > 0.5:
        grey = 1 - grey
        steps.append("inverted it, because its background is light")
    small = _scaled(grey, SIDE)
    picture = np.zeros((SIDE, SIDE), np.float32)
    top, left = (SIDE - small.shape[0]) // 2, (SIDE - small.shape[1]) // 2
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    steps.append(f"scaled to {small.shape[1]} x {small.shape[0]} and centred in {SIDE} x {SIDE}")
    return np.rint(255 * picture).astype(np.uint8), steps


def _border(grey: np.ndarray) -> np.ndarray:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _ink(grey: np.ndarray, path: Any) -> tuple[np.ndarray, bool]:
    """Return how much ink is where, 0 .. 1, and whether ink is darker than the background."""
    inverted = bool(np.median(_border(grey)) > (grey.min() + grey.max()) / 2)
    sign = -1 if inverted else 1
    ink = sign * (grey - _background(grey))
    # What the outermost pixels show is paper, shade and noise; three quarters of them, should a stroke reach there.
    noise = min(float(3 * np.percentile(np.abs(_border(ink)), 75)), 0.5 * float(ink.max()))
    ink = np.clip(ink - max(noise, 0), 0, None)
    if ink.max() < 0.1:
        raise DataError(f"{path} is blank: nothing in it stands out from its background")
    return ink / ink.max(), inverted


def _background(grey: np.ndarray) -> np.ndarray:
    """Return the plane through the grey levels of the border, which follows the light that falls on a sheet."""
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j] if min(height, width) > 1 else np.zeros((2, *grey.shape))
    level = np.median(_border(grey))
    points = np.stack([_border(y), _border(x), np.ones(2 * (height + width))], axis=1)
    near = np.abs(_border(grey) - level) < 0.25  # not where a stroke reaches the border
    slope_y, slope_x, level = np.linalg.lstsq(points[near], _border(grey)[near], rcond=None)[0]
    return slope_y * y + slope_x * x + level


def _is_normal(ink: np.ndarray, height: int, width: int) -> bool:
    """Say whether an image of 28 x 28 is a digit of MNIST's size and place already."""
    rows, columns = _centre(ink)
    return max(height, width) in range(BOX - 2, BOX + 1) and max(abs(rows - CENTRE), abs(columns - CENTRE)) <= 0.75


def _stroke_width(dark: np.ndarray) -> float:
    """Return the mean width of strokes: a long stroke has a border on both its sides."""
    padded = np.pad(dark, 1)
    edges = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    return 2 * np.count_nonzero(dark) / edges


def _thicken(ink: np.ndarray, pixels: float) -> np.ndarray:
    """Widen strokes by so many pixels, with a margin for what grows."""
    pil, filters = require("PIL.Image", "cli"), require("PIL.ImageFilter", "cli")
    reach = max(1, round(pixels / 2))
    image = pil.fromarray(np.rint(255 * np.pad(ink, reach)).astype(np.uint8))
    for _ in range(reach):  # a filter of size 3 again and again costs less than one large filter
        image = image.filter(filters.MaxFilter(3))
    return np.asarray(image, np.float32) / 255


def _scaled(grey: np.ndarray, longest: int) -> np.ndarray:
    """Scale so that the longer side has `longest` pixels, averaging where that reduces."""
    pil = require("PIL.Image", "cli")
    height, width = grey.shape
    factor = longest / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = pil.fromarray(np.asarray(grey, np.float32)).resize(size, pil.Resampling.BICUBIC)
    return np.clip(np.asarray(small, np.float32), 0, 1)


def _centre(ink: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass as (row, column)."""
    total = ink.sum()
    rows, columns = np.arange(ink.shape[0]), np.arange(ink.shape[1])
    return float(ink.sum(axis=1) @ rows / total), float(ink.sum(axis=0) @ columns / total)


def _centred(small: np.ndarray) -> np.ndarray:
    """Place a digit so that its centre of mass is at the middle, as far as it fits."""
    digit = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (
        min(max(round(CENTRE - centre), 0), SIDE - length)
        for centre, length in zip(_centre(small), small.shape, strict=True)
    )
    digit[top : top + small.shape[0], left : left + small.shape[1]] = np.rint(255 * small)
    return digit
