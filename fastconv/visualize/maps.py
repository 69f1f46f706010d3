"""What a network makes of an image: its filters and feature maps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import checks
from fastconv.autograd import no_grad
from fastconv.errors import ShapeError
from fastconv.graph.trace import evaluating
from fastconv.layers import Conv2d, Module
from fastconv.tensor import Tensor
from fastconv.visualize._pictures import batch, mosaic
from fastconv.visualize.style import finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["feature_maps", "filters"]


def filters(
    model: Module, layer: str | None = None, limit: int = 64, path: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw the weights of a convolution.

    Filters of three channels are drawn in colour, grey where a weight is 0, each scaled by its largest weight. Others
    are drawn channel by channel, a row a filter, blue below 0 and orange above, on one scale.

    Parameters
    ----------
    model : Module
        The network.
    layer : str, optional
        Path of a Conv2d; by default the first.
    limit : int
        Draw at most so many filters.
    path : str or path-like, optional
        Where to save a PNG file.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When there is no such layer.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> figure = filters(Conv2d(3, 16, 5, rng=0))
    >>> figure.texts[0].get_text()
    '16 filters of 3 x 5 x 5'
    """
    limit = checks.integer(limit, "filters", "limit")
    found = {name: module for name, module in model.named_modules() if isinstance(module, Conv2d)}
    if not found or (layer is not None and layer not in found):
        raise ValueError(f"filters: {layer!r} is no Conv2d of this network; there are {', '.join(found) or 'none'}")
    name = next(iter(found)) if layer is None else layer
    weight = found[name].weight.numpy()
    title = f"{name}: " * bool(name) + f"{len(weight)} filters of {' x '.join(map(str, weight.shape[1:]))}"
    shown = weight[:limit]
    if len(shown) < len(weight):
        title += f", the first {limit}"
    if shown.shape[1] == 3:
        scale = np.abs(shown).max(axis=(1, 2, 3), keepdims=True)
        tiles = 0.5 + shown / np.where(scale, 2 * scale, 1)
        return finish(mosaic(title, [("", tiles.transpose(0, 2, 3, 1), min(len(tiles), 16))], 0.5, 0.5), path)
    channels = min(shown.shape[1], 16)
    if channels < shown.shape[1]:
        title += f", their first {channels} channels"
    tiles = shown[:, :channels].reshape(-1, *shown.shape[2:])
    columns = channels if channels > 1 else min(len(tiles), 8)
    largest = float(np.abs(tiles).max()) or 1.0
    return finish(mosaic(title, [("", tiles, columns)], -largest, largest, "diverging"), path)


def feature_maps(
    model: Module,
    image: Any,
    layers: Sequence[str],
    limit: int = 16,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw what layers make of an image: their first maps, each from its smallest value (dark) to its largest.

    Parameters
    ----------
    model : Module
        The network; it is run in evaluation mode and left in the mode it was in.
    image : array_like
        (C, H, W) or (1, C, H, W), normalised as the network expects it.
    layers : sequence of str
        Paths of layers or blocks whose results are maps.
    limit : int
        Draw at most so many maps a layer.
    path : str or path-like, optional
        Where to save a PNG file.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        When the image does not fit, or a layer makes no maps.
    ValueError
        When there is no such layer.
    MissingExtraError
        When Matplotlib is not installed.

    Examples
    --------
    >>> from fastconv.layers import ReLU, Sequential
    >>> figure = feature_maps(Sequential(Conv2d(1, 4, 3, rng=0), ReLU()), np.eye(28)[None], ["0", "1"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0: Conv2d, 4 x 26 x 26', '1: ReLU, 4 x 26 x 26']
    """
    limit = checks.integer(limit, "feature_maps", "limit")
    x = batch(image, "feature_maps", model)
    if isinstance(layers, str) or not layers:
        raise ValueError(f"feature_maps: layers must be a list of at least one path, got {layers!r}")
    modules = dict(model.named_modules())
    unknown = [layer for layer in layers if layer not in modules]
    if unknown:
        raise ValueError(f"feature_maps: no layer {unknown[0]!r}; there are {', '.join(filter(None, modules))}")
    made: dict[str, np.ndarray] = {}
    with ExitStack() as stack:
        for layer in layers:

            def keep(module: Module, given: Any, result: Any, layer: str = layer) -> None:
                made[layer] = result.data

            stack.enter_context(modules[layer].register_forward_hook(keep))
        stack.enter_context(evaluating(model))
        stack.enter_context(no_grad())
        model(Tensor(x))
    parts = []
    for layer in layers:
        if layer not in made or made[layer].ndim != 4:
            what = f"makes {made[layer].shape}, no maps" if layer in made else "was not called"
            raise ShapeError(f"feature_maps: layer {layer!r} {what}")
        maps = made[layer][0]
        low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
        shown = ((maps - low) / np.where(high > low, high - low, 1))[:limit]
        label = f"{layer}: {type(modules[layer]).__name__}, {' x '.join(map(str, maps.shape))}"
        parts.append((label, shown, 8))
    return finish(mosaic("", parts, 0, 1), path)
