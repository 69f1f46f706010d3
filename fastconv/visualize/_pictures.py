"""Images on their way into a network and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.errors import ShapeError, require
from fastconv.layers import Module
from fastconv.tensor import array_of
from fastconv.visualize.style import BLUE, INK, ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["batch", "canvas", "mosaic", "picture", "picture_of"]

WIDTH, TALLEST = 8.0, 8.0  # inches: of a figure, of an image at most
MARGIN, HEAD = 0.2, 0.3  # around everything; a line of text


def batch(image: Any, op: str, model: Module) -> np.ndarray:
    """Return one image as (1, C, H, W), in the dtype of the network's parameters."""
    x = array_of(image, f"{op}: image")
    x = x[np.newaxis] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) != 1 or not x.size:
        raise ShapeError(f"{op}: image must be (C, H, W) or (1, C, H, W), got shape {np.shape(image)}")
    parameter = next(iter(model.parameters()), None)
    return x.astype(np.float32 if parameter is None else parameter.dtype, copy=False)


def picture(x: np.ndarray) -> np.ndarray:
    """Return an image (1, C, H, W) as (H, W, 3) from 0 to 1: its darkest value black, its lightest white."""
    shown = x[0].transpose(1, 2, 0).astype(np.float64)
    shown = shown if shown.shape[2] == 3 else np.repeat(shown[..., :1], 3, axis=2)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    return np.nan_to_num((shown - low) / ((high - low) or 1))


def picture_of(x: np.ndarray, shown: Any, op: str) -> np.ndarray:
    """Return what to draw of an image (1, C, H, W): `shown`, or the image itself if that is None."""
    if shown is None:
        return picture(x)
    pixels = np.asarray(shown)
    if pixels.dtype != np.uint8 or pixels.shape not in (x.shape[2:], (*x.shape[2:], 3)):
        height, width = x.shape[2:]
        raise ShapeError(
            f"{op}: shown must be uint8 of shape ({height}, {width}, 3) or ({height}, {width}), "
            f"got {pixels.dtype} of {pixels.shape}"
        )
    return (pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)) / 255


def canvas(title: str, ratio: float) -> tuple[Figure, Axes]:
    """Return a figure with a title, and axes of this ratio of width to height that fill it."""
    width = WIDTH - 2 * MARGIN
    height = width / ratio
    if height > TALLEST:
        width, height = TALLEST * ratio, TALLEST
    head = HEAD if title else 0.0
    across = max(width + 2 * MARGIN, 0.09 * len(title) + 2 * MARGIN)
    figure = new_figure(across, height + head + 2 * MARGIN)
    full = figure.get_figheight()
    axes = figure.add_axes((MARGIN / across, MARGIN / full, width / across, height / full))
    axes.axis("off")
    if title:
        figure.text(MARGIN / across, 1 - MARGIN / full, title, va="top", size=10.5, weight="bold", color=INK)
    return figure, axes


def mosaic(
    title: str,
    parts: list[tuple[str, np.ndarray, int]],
    low: float,
    high: float,
    colours: str = "viridis",
) -> Figure:
    """Draw groups of small images: a label, the images (N, H, W) or (N, H, W, 3), how many in a row."""
    if colours == "diverging":
        make = require("matplotlib.colors", "cli").LinearSegmentedColormap.from_list
        cmap: Any = make("diverging", [BLUE, "#ffffff", ORANGE]).with_extremes(bad="#a8a8a8")
    else:
        cmap = require("matplotlib", "cli").colormaps[colours]
    pictures = [_tiled(tiles, columns) for _, tiles, columns in parts]
    width = WIDTH - 2 * MARGIN
    heights = [width * drawn.shape[0] / drawn.shape[1] for drawn in pictures]
    labels = sum(HEAD for label, *_ in parts if label)
    figure, axes = canvas(title, width / (sum(heights) + labels + 0.12 * (len(parts) - 1)))
    y = 0.0
    for (label, tiles, _), drawn, height in zip(parts, pictures, heights, strict=True):
        if label:
            axes.text(0, y + 0.6 * HEAD, label, size=9, color=INK, va="center")
            y += HEAD
        options = {} if tiles.ndim == 4 else {"cmap": cmap, "vmin": low, "vmax": high}
        axes.imshow(drawn, extent=(0, width, y + height, y), interpolation="nearest", **options)
        y += height + 0.12
    axes.set(xlim=(0, width), ylim=(y - 0.12, 0))
    axes.set_aspect("auto")
    return figure


def _tiled(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Small images in rows, enlarged so that what is between them can be thin; that is NaN, or white."""
    zoom = max(1, -(-24 // tiles.shape[1]))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width = tiles.shape[:3]
    gap = max(2, round(0.06 * width))
    rows = -(-count // columns)
    blank = np.nan if tiles.ndim == 3 else 1.0
    drawn = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:]), blank)
    for i, tile in enumerate(tiles):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        drawn[y : y + height, x : x + width] = tile
    return drawn
